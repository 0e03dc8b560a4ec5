"""A compiled model as a folder: a stock checkpoint, and beside it what is known of its facts."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from factweights.errors import FileFormatError, OutputError
from factweights.export.layout import Layout
from factweights.export.names import Vocabulary
from factweights.facts import FactTable
from factweights.manifest import check_files, read_json, sha256, some, write_json

FORMAT = "factweights.compiled.1"
SETTINGS, FACTS, CERTIFICATE, MAP, MEMORY = (
    "factweights.json",
    "facts.csv",
    "certificate.json",
    "map.json",
    "memory.safetensors",
)
WEIGHTS, CARD = "model.safetensors", "README.md"


class Settings(BaseModel):
    """The contents of ``factweights.json``: how the checkpoint was made; hashes are SHA-256.

    Attributes:
        layout: sizes, see :class:`Layout`.
        width: neurons of the MLP.
        templates: prompts that were verified.
        context: positions for which the construction is stated.
        seed: of codes, answers and fit.
        head: steepness and floor of the output matrix.
        subjects, relations, answers, tokens: names in the order of their codes, slots, rows and ids.
        files: of the folder, with their hashes.
    """

    model_config = ConfigDict(frozen=True)

    format: str
    factweights: str
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
    files: dict[str, str]

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
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no folder at {path}")
    if not is_compiled(path):
        raise FileFormatError(
            f"{path} has no {SETTINGS}: not a model that factweights compiled; give a folder that "
            "'factweights compile --out' wrote"
        )
    found = read_json(path / SETTINGS)
    if found.get("format") != FORMAT:
        raise FileFormatError(
            f"{path} has the format {found.get('format')!r}, this factweights {version('factweights')} reads "
            f"{FORMAT!r}; open it with factweights {found.get('factweights', 'of another version')}"
        )
    try:
        settings = Settings.model_validate(found)
    except ValidationError as e:
        first = e.errors()[0]
        raise FileFormatError(
            f"{path / SETTINGS} is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}; compile again"
        ) from e
    check_files(path, settings.files, contents=check)
    return settings


def write_settings(folder: Path, **fields: Any) -> None:
    """Write ``factweights.json``, last of all, with the hashes of everything that is there."""
    files = {f.name: sha256(f) for f in sorted(folder.iterdir())}
    settings = Settings(format=FORMAT, factweights=version("factweights"), files=files, **fields)
    write_json(folder / SETTINGS, settings.model_dump())


def read_table(path: str | Path) -> FactTable:
    """The facts of a compiled folder."""
    return FactTable.read(Path(path) / FACTS, wide=False)


def must_be_writable(path: str | Path, *, overwrite: bool) -> None:
    """Say before long work that a compiled model cannot go to ``path``.

    Raises:
        OutputError: it is a file, is not empty, holds other files than a compiled model, or lies where
            nothing can be written.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} exists and is not a folder; choose another --out")
    if path.is_dir() and any(path.iterdir()):
        if not overwrite:
            raise OutputError(f"{path} is not empty; choose another folder or ask to overwrite it")
        ours = {SETTINGS}
        if is_compiled(path):
            ours |= set(read_json(path / SETTINGS).get("files", ()))
        if foreign := sorted(f.name for f in path.iterdir() if f.name not in ours):
            raise OutputError(
                f"{path} holds other files than a compiled model ({some(foreign)}), which overwriting would "
                "delete; choose another folder"
            )
    above = next(p for p in path.absolute().parents if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be made: {above} cannot be written in; choose another folder")
