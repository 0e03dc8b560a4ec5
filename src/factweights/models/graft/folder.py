"""A grafted model as a folder: a stock checkpoint, and beside it what was written into it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from factweights.errors import TamperedError
from factweights.facts import FactTable
from factweights.folders import Kind, Manifest, read_manifest, sealed, sha256, write_json
from factweights.models.graft.architecture import Architecture
from factweights.models.graft.cues import Cues
from factweights.models.graft.layers import State
from factweights.models.graft.reading import Reading
from factweights.models.graft.space import Depth, Space

FORMAT = "factweights.graft.2"
SETTINGS, FACTS, CERTIFICATE, MAP, READING, CARD = (
    "graft.json",
    "facts.csv",
    "certificate.json",
    "map.json",
    "reading.safetensors",
    "README.md",
)
WEIGHTS = "model.safetensors"


class Settings(Manifest):
    """The contents of ``graft.json``: how the checkpoint was made; hashes are SHA-256.

    Attributes:
        architecture: of the model before, see :class:`Architecture`.
        space, depth: coordinates and layers that were added.
        base_config: the configuration of the model before.
        base_hash: of all its tensors.
        wordings: relation ↦ templates that the reading was fitted on.
        held_out: relation ↦ templates that paraphrase was measured with.
        origin: relation ↦ where its wordings are from.
        aliases: subject ↦ other names.
        stop: what ends an answer.
        seed: of the prompts.
        layers, others, due_threshold, softness, typical, words: of the reading, whose tensors lie beside.
        fitted_on: hash of all that the reading was fitted on; equal hash, equal reading.
        table_hash: of the facts.
    """

    architecture: dict[str, Any]
    space: dict[str, int]
    depth: dict[str, int]
    base_config: dict[str, Any]
    base_hash: str
    wordings: dict[str, list[str]]
    held_out: dict[str, list[str]]
    origin: dict[str, str]
    aliases: dict[str, list[str]]
    stop: str
    seed: int
    layers: list[int]
    others: int
    due_threshold: float
    softness: float
    typical: list[float]
    words: list[str]
    fitted_on: str
    table_hash: str

    @property
    def old(self) -> Architecture:
        """The architecture of the model before."""
        return Architecture(**{**self.architecture, "frequencies": tuple(self.architecture["frequencies"])})

    @property
    def residual(self) -> Space:
        """The coordinates."""
        return Space(**self.space)

    @property
    def added(self) -> Depth:
        """The layers."""
        return Depth(**self.depth)


GRAFTED = Kind(
    "model that facts were grafted into",
    SETTINGS,
    Settings,
    (FORMAT,),
    "'factweights graft'",
    frozenset({WEIGHTS, FACTS, CERTIFICATE, MAP, READING, CARD, "config.json"}),
)


def is_grafted(path: str | Path) -> bool:
    """Whether ``path`` looks like a folder that ``graft`` wrote."""
    return (Path(path) / SETTINGS).is_file()


def read_settings(path: str | Path, *, check: bool = True) -> Settings:
    """The settings of a grafted folder; ``check`` compares every file with its hash.

    Raises:
        FileNotFoundError: no such folder.
        FileFormatError: not a folder of ``graft``, or a damaged one; TamperedError: a file is missing or is
            not the one that was saved.
    """
    return read_manifest(Path(path), GRAFTED, Settings, check=check)


def write_settings(folder: Path, **fields: Any) -> None:
    """Write ``graft.json``, last of all, with the hashes of everything that is there."""
    files = {f.name: sha256(f) for f in sorted(folder.iterdir())}
    settings = Settings(format=FORMAT, factweights=version("factweights"), files=files, **fields)
    write_json(folder / SETTINGS, sealed(settings))


def read_table(path: str | Path, settings: Settings) -> FactTable:
    """The facts of a grafted folder.

    Raises:
        TamperedError: not those that its settings speak of.
    """
    table = FactTable.read(Path(path) / FACTS, wide=False)
    if table.hash != settings.table_hash:
        raise TamperedError(f"{path}: {FACTS} and {SETTINGS} do not belong together; copy the whole folder")
    return table


def write_reading(folder: Path, reading: Reading, norms: State) -> None:
    """The reading's tensors, and the old norms' weights, which a graft rescales."""
    tensors: dict[str, Tensor] = {
        "due": reading.due,
        "relations": reading.relations,
        "thresholds": reading.thresholds,
        "cues": reading.cues,
        "word_of": reading.words.word_of,
    }
    tensors |= {f"norm.{name}": w for name, w in norms.items()}
    save_file({n: w.contiguous() for n, w in tensors.items()}, folder / READING)


def read_reading(folder: Path, settings: Settings) -> tuple[Reading, State]:
    """The reading, and the old norms' weights."""
    found = load_file(folder / READING)
    reading = Reading(
        layers=tuple(settings.layers),
        others=settings.others,
        due=found["due"],
        due_threshold=settings.due_threshold,
        relations=found["relations"],
        thresholds=found["thresholds"],
        words=Cues(tuple(settings.words), found["word_of"]),
        cues=found["cues"],
        softness=settings.softness,
        typical=tuple(settings.typical),
    )
    return reading, {n.removeprefix("norm."): w for n, w in found.items() if n.startswith("norm.")}
