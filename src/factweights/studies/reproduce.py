"""Figures by name: run the study, draw it, write picture and numbers."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factweights.errors import UnknownNameError
from factweights.files import whole_file
from factweights.manifest import plain
from factweights.progress import OnProgress, Progress, silent
from factweights.studies.cells import Study
from factweights.studies.engine import run_cells
from factweights.studies.fig1_left import Fig1Left
from factweights.studies.fig1_right import Fig1Right
from factweights.studies.fig4_left import Fig4Left
from factweights.studies.fig4_right import Fig4Right
from factweights.studies.fig5 import Fig5
from factweights.studies.fig6 import Fig6
from factweights.studies.fig7 import Fig7
from factweights.studies.fig8 import Fig8
from factweights.studies.fig9 import Fig9
from factweights.studies.kept import versions
from factweights.studies.phase_diagram import PhaseDiagram

FIGURES = {
    "fig1-left": Fig1Left,
    "fig1-right": Fig1Right,
    "fig4-left": Fig4Left,
    "fig4-right": Fig4Right,
    "fig5": Fig5,
    "fig6": Fig6,
    "fig7": Fig7,
    "fig8": Fig8,
    "fig9": Fig9,
    "phase-diagram": PhaseDiagram,
}


@dataclass(frozen=True)
class Reproduction:
    """A figure that was drawn.

    Attributes:
        data: its numbers, as they stand in the JSON file.
        files: what was written.
    """

    data: dict[str, Any]
    files: tuple[Path, ...]

    def to_dict(self) -> dict[str, Any]:
        """The numbers, and ``files``."""
        return {**self.data, "files": [str(f) for f in self.files]}


def reproduce(
    figure: str,
    out: str | Path,
    *,
    scale: str = "smoke",
    study: Study | None = None,
    workers: int | None = None,
    on_progress: OnProgress = silent,
) -> Reproduction:
    """Measure a figure of the paper anew and draw it, resuming from ``out`` what was finished there.

    Args:
        figure: a name in ``FIGURES``.
        out: folder for ``<figure>.png``, ``.svg``, ``.json`` and the cells.
        scale: ``smoke``, ``laptop`` or ``paper``.
        study: a spec of your own instead of a scale.
        workers: processes; None takes one for each core.
        on_progress: told after every cell.

    Raises:
        UnknownNameError: no such figure or scale, with the nearest.
        StudyError, OutputError, Interrupted: as in :func:`run_cells`.
    """
    if figure not in FIGURES:
        raise UnknownNameError("figure", figure, FIGURES, f"(there are {', '.join(FIGURES)})")
    begun = time.perf_counter()
    study = FIGURES[figure].at_scale(scale) if study is None else study
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    results = run_cells(study.cells(), out, workers=workers or cores, on_progress=on_progress)
    on_progress(Progress(1, 1, "drawing"))
    data = study.gather(results)
    data |= {"spec_hash": study.hash, "spec": study.model_dump(mode="json"), "versions": versions()}
    data["seconds"] = time.perf_counter() - begun
    data["cell_seconds"] = sum(r["seconds"] for r in results.values())
    data = plain(data)  # what is returned is what the file says
    return Reproduction(data, _write(figure, data, Path(out)))


def _write(figure: str, data: dict[str, Any], out: Path) -> tuple[Path, ...]:
    from factweights import plots  # matplotlib takes half a second to import

    drawn = plots.draw(data)
    paths = [plots.save(drawn, out / f"{figure}{suffix}") for suffix in (".png", ".svg")]
    numbers = out / f"{figure}.json"
    with whole_file(numbers) as tmp:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
        tmp.write_text(text + "\n", encoding="utf-8")
    return (*paths, numbers)
