"""Studies by name: run them, draw them, write pictures and numbers."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factweights.errors import UnknownNameError
from factweights.folders import Json, plain, whole_file
from factweights.processors import cores
from factweights.progress import OnProgress, Progress, silent
from factweights.studies.figures import FIGURES
from factweights.studies.running.engines import Engine
from factweights.studies.running.estimates import in_seconds
from factweights.studies.running.kept import versions
from factweights.studies.running.run import Interrupted, OnResult, StudyError, run_cells
from factweights.studies.study import Cell, Result, Study


@dataclass(frozen=True)
class Reproduction:
    """A study that was run and drawn.

    Attributes:
        data: its numbers, as they stand in the JSON file.
        files: what was written.
    """

    data: Json
    files: tuple[Path, ...]

    def to_dict(self) -> Json:
        """The numbers, and ``files``."""
        return {**self.data, "files": [str(f) for f in self.files]}


def reproduce(
    figure: str,
    out: str | Path,
    *,
    scale: str = "smoke",
    study: Study | None = None,
    workers: int | None = None,
    engine: Engine | None = None,
    on_result: OnResult | None = None,
    on_progress: OnProgress = silent,
) -> Reproduction:
    """Measure a figure of the paper anew and draw it, resuming from ``out`` what was finished there.

    Args:
        figure: a name in ``FIGURES``.
        out: folder for ``<figure>.png``, ``.svg``, ``.json`` and the cells.
        scale: ``smoke``, ``laptop`` or ``paper``.
        study: a spec of your own instead of a scale.
        workers: processes; None takes one for each core.
        engine: where to run the cells instead.
        on_result: told of every result, kept ones first.
        on_progress: told after every cell.

    Raises:
        UnknownNameError: no such figure or scale, with the nearest.
        StudyError, OutputError, Interrupted: as in :func:`run_cells`.
    """
    _known(figure)
    spec: Study = FIGURES[figure].at_scale(scale) if study is None else study
    (done,) = run_studies(
        [spec], out, workers=workers, engine=engine, on_result=on_result, on_progress=on_progress
    )
    return done


def reproduce_all(
    out: str | Path,
    *,
    scale: str = "smoke",
    figures: Sequence[str] | None = None,
    workers: int | None = None,
    engine: Engine | None = None,
    on_result: OnResult | None = None,
    on_progress: OnProgress = silent,
) -> tuple[Reproduction, ...]:
    """Every figure at one scale, in one folder, the cells of all of them in one queue.

    What figures share is measured once. Arguments and errors are those of :func:`reproduce`; figures of which
    no cell failed are written before the error is raised.

    Args:
        figures: names in ``FIGURES``; None for all of them.
    """
    figures = list(FIGURES) if figures is None else figures
    for figure in figures:
        _known(figure)
    specs = [FIGURES[figure].at_scale(scale) for figure in figures]
    return run_studies(
        specs, out, workers=workers, engine=engine, on_result=on_result, on_progress=on_progress
    )


def run_studies(
    studies: Sequence[Study],
    out: str | Path,
    *,
    workers: int | None = None,
    engine: Engine | None = None,
    retry: bool = True,
    on_result: OnResult | None = None,
    on_progress: OnProgress = silent,
) -> tuple[Reproduction, ...]:
    """Run any studies in one folder and draw them.

    Args:
        studies: their specs, of different names: results are written as ``<name>.json``.
        out: folder for results and cells.
        workers, engine, on_result, on_progress: as in :func:`reproduce`.
        retry: whether cells that failed earlier are tried again.

    Raises:
        StudyError: cells failed; studies without such cells are written all the same.
        OutputError, Interrupted: as in :func:`run_cells`.
    """
    begun, failure = time.perf_counter(), None
    cells = [cell for study in studies for cell in in_seconds(study)]
    wanted = {cell.hash: cell for cell in cells}
    results: dict[str, Result] = {}

    def note(cell: Cell, result: Result) -> None:
        results[cell.hash] = result
        if on_result is not None:
            on_result(cell, result)

    try:
        run_cells(
            wanted.values(),
            out,
            workers=cores() if workers is None else workers,
            engine=engine,
            studies=studies,
            retry=retry,
            on_result=note,
            on_progress=on_progress,
        )
    except StudyError as e:
        failure = e
    done = []
    try:
        for study in studies:
            if all(cell.hash in results for cell in study.expanded):
                on_progress(Progress(1, 1, f"drawing {study.name}"))
                done.append(_finish(study, results, Path(out), begun))
    except KeyboardInterrupt:
        kept = f"{len(results):,} of {len(wanted):,} cells are finished and kept in {Path(out) / 'cells'}"
        raise Interrupted(
            f"interrupted while drawing; {kept}, {len(done)} of {len(studies)} figures are written; the same "
            "command goes on from there"
        ) from None
    if failure is not None:
        raise failure
    return tuple(done)


def _known(figure: str) -> None:
    if figure not in FIGURES:
        raise UnknownNameError("figure", figure, FIGURES, f"(there are {', '.join(FIGURES)})")


def _finish(study: Study, results: dict[str, Result], out: Path, begun: float) -> Reproduction:
    own = {cell.hash for cell in study.expanded}
    made = {"spec_hash": study.hash, "spec": study.model_dump(mode="json"), "versions": versions()}
    gathered = study.gather([results[cell.hash] for cell in study.expanded])
    took = {
        "seconds": time.perf_counter() - begun,
        "cell_seconds": sum(results[h].get("seconds", 0.0) for h in own),
        "cells": len(own),
    }
    data: Json = plain({**gathered, **made, **took})  # what is returned is what the file says
    return Reproduction(data, _write(study, data, out))


def _write(study: Study, data: Json, out: Path) -> tuple[Path, ...]:
    from factweights.plots import save  # matplotlib takes half a second to import

    drawn = {study.name: study.draw(data)}
    drawn |= {f"{study.name}-{part}": figure for part, figure in study.pictures(data).items()}
    paths = [save(f, out / f"{name}{suffix}") for name, f in drawn.items() for suffix in (".png", ".svg")]
    numbers = out / f"{study.name}.json"
    with whole_file(numbers) as tmp:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
        tmp.write_text(text + "\n", encoding="utf-8")
    return (*paths, numbers)
