"""What a study will take, before it is run: cells, seconds, memory."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from factweights.domains import Workers, checked
from factweights.folders.jsons import Json
from factweights.show import Shown, duration
from factweights.studies.running.kept import Kept
from factweights.studies.study import Cell, Study

START_SECONDS = 4.0  # until a worker has imported torch and scipy


@dataclass(frozen=True)
class Estimate(Shown):
    """What running a study takes.

    Attributes:
        study, spec_hash: which.
        cells, finished: how many, and how many of them lie finished in the folder.
        cell_seconds: of the others, one core, on the machine that the shipped paces are from.
        seconds: with ``workers`` of them at work.
        memory_bytes: of all processes together, from the largest seen in the runs that the paces are from.
        workers: processes.
        paces: where the paces are from.
    """

    study: str
    spec_hash: str
    cells: int
    finished: int
    cell_seconds: float
    seconds: float
    memory_bytes: int
    workers: int
    paces: str

    def to_dict(self) -> Json:
        """Plain numbers, ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        kept = f", {self.finished:,} of them finished" if self.finished else ""
        return [
            ("study", f"{self.study}, spec {self.spec_hash[:12]}"),
            ("cells", f"{self.cells:,}{kept}"),
            ("time", f"about {duration(self.seconds)} on {self.workers} workers"),
            ("memory", f"about {self.memory_bytes / 2**30:.1f} GiB"),
            ("paces", self.paces),
        ]


@checked
def estimate(study: Study, folder: str | Path | None = None, *, workers: Workers = 1) -> Estimate:
    """What running ``study`` takes, those of its cells left out that lie finished in ``folder``."""
    cells = {c.hash: c for c in in_seconds(study)}
    finished: set[str] = set()
    if folder is not None and (Path(folder) / "cells").is_dir():
        kept = Kept(folder)
        finished = {h for h, c in cells.items() if kept.read(c) is not None}
    left = [c.cost for h, c in cells.items() if h not in finished]
    wall = max(sum(left) / workers, max(left, default=0.0)) + (START_SECONDS if left else 0.0)
    return Estimate(
        study=study.name,
        spec_hash=study.hash,
        cells=len(cells),
        finished=len(finished),
        cell_seconds=sum(left),
        seconds=wall,
        memory_bytes=round(_paces()["other"]["peak_bytes"] * min(workers, max(1, len(left)))),
        workers=workers,
        paces=_paces()["from"],
    )


def in_seconds(study: Study) -> Sequence[Cell]:
    """The cells of a study with their cost in seconds, so that those of several studies can be compared."""
    pace = _pace(study)
    return [cell.priced(pace) for cell in study.expanded]


def _pace(study: Study) -> float:
    """Seconds for a unit of cost: of this scale, else of the largest one that was measured."""
    paces = _paces()
    known = {"": paces["other"]["seconds_per_cost"], **paces["studies"].get(study.name, {})}
    return float(known.get(getattr(study, "scale", None), list(known.values())[-1]))


@cache
def _paces() -> Json:
    """Measured paces; see the file for the runs that they are from."""
    return json.loads((files("factweights.studies.running") / "paces.json").read_text(encoding="utf-8"))
