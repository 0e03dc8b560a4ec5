"""A compiled model as a folder: a stock checkpoint, and beside it what is known of its facts."""

from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from factweights import folders
from factweights.errors import TamperedError, some
from factweights.export.layout import Layout, Store, layout_of
from factweights.export.names import Vocabulary
from factweights.facts import FactTable
from factweights.folders import Kind, Manifest, read_manifest, sealed, sha256, write_json
from factweights.folders.manifests import Sha256

FORMAT = "factweights.compiled.2"  # 1 knew neither the end nor absence
SETTINGS, FACTS, CERTIFICATE, MAP, MEMORY = (
    "factweights.json",
    "facts.csv",
    "certificate.json",
    "map.json",
    "memory.safetensors",
)
WEIGHTS, CARD = "model.safetensors", "README.md"


Size = Annotated[int, Field(strict=True, ge=1, le=2**30)]


def _layout(found: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is no :class:`Layout`."""
    known = {f.name for f in fields(Layout)}
    if not set(found) <= known:
        raise ValueError(f"it has {some(sorted(set(found) - known))}")
    if found.get("store") not in get_args(Store):
        raise ValueError(f"store is one of {', '.join(get_args(Store))}")
    sizes = {k: v for k, v in found.items() if k != "store"}
    if bad := [k for k, v in sizes.items() if type(v) is not int or not 0 <= v <= 2**24]:
        raise ValueError(f"{bad[0]} is no size")
    try:
        if min((made := layout_of(found)).heads, made.head_dim) < 1:
            raise ValueError("there are no heads")
    except TypeError as e:
        raise ValueError(str(e)) from None
    return found


class Settings(Manifest):
    """The contents of ``factweights.json``: how the checkpoint was made; hashes are SHA-256.

    Attributes:
        layout: sizes, see :class:`Layout`.
        width: neurons of the MLP.
        templates: prompts that were verified.
        context: positions for which the construction is stated.
        absence: whether pairs without a fact say <unk>.
        seed: of codes, answers and fit.
        head: steepness and floor of the output matrix.
        subjects, relations, answers, words, tokens: names in the order of their codes, slots, rows and ids.
    """

    layout: Annotated[dict[str, Any], AfterValidator(_layout)]
    width: Size
    dtype: Literal["float32", "bfloat16", "float16"]
    templates: Annotated[list[str], Field(min_length=1)]
    context: Size
    absence: bool
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    head: dict[Literal["steep", "floor"], Annotated[float, Field(allow_inf_nan=False)]]
    subjects: list[str]
    relations: list[str]
    answers: list[str]
    words: list[str]
    tokens: list[str]
    table_hash: Sha256

    @model_validator(mode="after")
    def _names_are_tokens(self) -> "Settings":
        tokens = set(self.tokens)
        if len(tokens) < len(self.tokens):
            raise ValueError("the same token twice")
        if lacking := [
            n
            for names in (self.subjects, self.relations, self.answers, self.words)
            for n in names
            if n not in tokens
        ]:
            raise ValueError(f"{some(lacking)} are no tokens")
        return self

    @property
    def vocabulary(self) -> Vocabulary:
        """The names."""
        parts = self.tokens, self.subjects, self.relations, self.answers, self.words
        return Vocabulary(*(tuple(p) for p in parts))

    @property
    def residual(self) -> Layout:
        """The layout."""
        return layout_of(self.layout)


COMPILED = Kind(
    "model that factweights compiled",
    SETTINGS,
    Settings,
    (FORMAT,),
    "'factweights compile'",
    frozenset({WEIGHTS, FACTS, CERTIFICATE, MAP, MEMORY, CARD, "config.json"}),
    others=(
        (
            "manifest.json",
            "it is a memory that 'factweights store' wrote, no language model; ask it with factweights "
            "recall (Bundle.load), or make a model of its facts.csv with factweights compile",
        ),
    ),
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


def read_table(path: str | Path, settings: Settings) -> FactTable:
    """The facts of a compiled folder.

    Raises:
        TamperedError: not those that its settings speak of.
    """
    table = FactTable.read(Path(path) / FACTS, wide=False)
    names = [set(table.subjects) - set(settings.subjects), set(table.relations) - set(settings.relations)]
    names.append(set(table.answers) - set(settings.answers))
    if table.hash != settings.table_hash or any(names):
        raise TamperedError(f"{path}: {FACTS} and {SETTINGS} do not belong together; copy the whole folder")
    return table


def must_be_writable(path: str | Path, *, overwrite: bool, contents: bool = True) -> None:
    """Say before long work that a compiled model cannot go to ``path``; ``contents`` as of folders'.

    Raises:
        OutputError: it is a file, is not empty, holds other files than a compiled model, or lies where
            nothing can be written.
    """
    folders.must_be_writable(path, kind=COMPILED, overwrite=overwrite, contents=contents)
