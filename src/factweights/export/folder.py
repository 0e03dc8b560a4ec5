"""A compiled model as a folder: a stock checkpoint, and beside it what is known of its facts."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from factweights import folders
from factweights.export.layout import Layout
from factweights.export.names import Vocabulary
from factweights.facts import FactTable
from factweights.folders import Kind, Manifest, read_manifest, sealed, sha256, write_json

FORMAT = "factweights.compiled.1"
SETTINGS, FACTS, CERTIFICATE, MAP, MEMORY = (
    "factweights.json",
    "facts.csv",
    "certificate.json",
    "map.json",
    "memory.safetensors",
)
WEIGHTS, CARD = "model.safetensors", "README.md"


class Settings(Manifest):
    """The contents of ``factweights.json``: how the checkpoint was made; hashes are SHA-256.

    Attributes:
        layout: sizes, see :class:`Layout`.
        width: neurons of the MLP.
        templates: prompts that were verified.
        context: positions for which the construction is stated.
        seed: of codes, answers and fit.
        head: steepness and floor of the output matrix.
        subjects, relations, answers, tokens: names in the order of their codes, slots, rows and ids.
    """

    layout: dict[str, Any]
    width: int
    dtype: str
    templates: list[str]
    context: int
    seed: int
    head: dict[str, float]
    subjects: list[str]
    relations: list[str]
    answers: list[str]
    tokens: list[str]
    table_hash: str

    @property
    def vocabulary(self) -> Vocabulary:
        """The names."""
        return Vocabulary(
            tuple(self.tokens), tuple(self.subjects), tuple(self.relations), tuple(self.answers)
        )

    @property
    def residual(self) -> Layout:
        """The layout."""
        return Layout(**self.layout)


COMPILED = Kind(
    "model that factweights compiled",
    SETTINGS,
    Settings,
    (FORMAT,),
    "'factweights compile --out'",
    frozenset({WEIGHTS, FACTS, CERTIFICATE, MAP, MEMORY, CARD, "config.json"}),
)


def is_compiled(path: str | Path) -> bool:
    """Whether ``path`` looks like a folder that ``compile`` wrote."""
    return (Path(path) / SETTINGS).is_file()


def read_settings(path: str | Path, *, check: bool = True) -> Settings:
    """The settings of a compiled folder.

    Args:
        path: the folder.
        check: compare every file with its hash.

    Raises:
        FileNotFoundError: no such folder.
        FileFormatError: not a folder of ``compile``, a damaged one, or of another format; TamperedError: a
            file is missing or is not the one that was saved.
    """
    return read_manifest(Path(path), COMPILED, Settings, check=check)


def write_settings(folder: Path, **fields: Any) -> None:
    """Write ``factweights.json``, last of all, with the hashes of everything that is there."""
    files = {f.name: sha256(f) for f in sorted(folder.iterdir())}
    settings = Settings(format=FORMAT, factweights=version("factweights"), files=files, **fields)
    write_json(folder / SETTINGS, sealed(settings))


def read_table(path: str | Path) -> FactTable:
    """The facts of a compiled folder."""
    return FactTable.read(Path(path) / FACTS, wide=False)


def must_be_writable(path: str | Path, *, overwrite: bool, contents: bool = True) -> None:
    """Say before long work that a compiled model cannot go to ``path``; ``contents`` as of folders'.

    Raises:
        OutputError: it is a file, is not empty, holds other files than a compiled model, or lies where
            nothing can be written.
    """
    folders.must_be_writable(path, kind=COMPILED, overwrite=overwrite, contents=contents)
