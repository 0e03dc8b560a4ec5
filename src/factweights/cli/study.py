"""``factweights study``: run, status, results, retry."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from factweights.cli.engines import Running, study_lines
from factweights.cli.options import Flag, Json, Out
from factweights.cli.output import emit, table_lines

if TYPE_CHECKING:
    from factweights.studies import Study
    from factweights.studies.running.status import Results


def run(
    spec: Path,
    /,
    *,
    out: Out,
    dry_run: Flag = False,
    retry: Flag = False,
    running: Running = Running(),
    json: Json = False,
) -> None:
    """Run a study that a TOML file declares, or go on with it.

    Finished cells are kept in the folder and never computed twice. What a spec looks like: docs/studies.md.

    Example: `factweights study run examples/sweep.toml --out sweep --dry-run`

    Args:
        spec: The TOML file: a line `study = "…"`, a scale or none, and fields.
        out: Folder for the ledger, the finished cells, the numbers and the picture.
        dry_run: Say how many cells there are and what they will take, and run nothing.
        retry: Try cells again that failed earlier.
    """
    from factweights.studies import estimate, load_spec

    study = load_spec(spec)
    if dry_run:
        emit(estimate(study, out, workers=running.slots()), json=json)
        return
    _run([study], out, running, retry, json)


def retry(
    folder: Path,
    /,
    *,
    study: str | None = None,
    running: Running = Running(),
    json: Json = False,
) -> None:
    """Run again what failed in a folder, and whatever is not finished there.

    Example: `factweights study retry sweep`

    Args:
        folder: Where studies were run.
        study: One of them by name; else all, each with its latest spec.
        running.engine: local or ray, as for `factweights study run`.
    """
    from factweights.studies import studies_in

    _run(studies_in(folder, study), folder, running, True, json)


def status(folder: Path, /, *, json: Json = False) -> None:
    """Show how far the studies of a folder are, and what failed.

    Example: `factweights study status sweep`

    Args:
        folder: Where studies were run; a run may be under way.
    """
    from factweights.studies import study_status

    emit(study_status(folder), json=json)


def results(
    folder: Path, /, *, study: str | None = None, parquet: Path | None = None, json: Json = False
) -> None:
    """List every finished cell with its arguments and numbers.

    Example: `factweights study results sweep --parquet sweep.parquet`

    Args:
        folder: Where studies were run.
        study: One of them by name; else all.
        parquet: Write the rows to this Parquet file as well (needs the extra [data]).
    """
    from factweights.folders import must_take_file
    from factweights.studies import study_results

    if parquet is not None:
        must_take_file(parquet)
    found = study_results(folder, study)
    if parquet is not None:
        found.to_parquet(parquet)
    emit(found, _result_lines(found), json=json)


def _result_lines(found: "Results") -> Iterator[str]:
    from factweights.show import number

    rows = [
        [
            str(r["study"]),
            str(r["label"]),
            number(r.get("facts")),
            number(r.get("law")),
            number(r.get("recall")),
            f"{r['seconds'] or 0:.2f}",
        ]
        for r in found.rows
    ]
    yield from table_lines(["study", "cell", "facts", "law", "recall", "seconds"], rows)


def _run(studies: "Sequence[Study]", out: Path, running: Running, retry: bool, json: bool) -> None:
    from factweights.cli.progress import shown_progress
    from factweights.studies import run_studies

    with shown_progress() as on_progress, running.listener(out) as listener:
        engine = running.build_engine()
        done = run_studies(
            studies, out, engine=engine, retry=retry, on_result=listener, on_progress=on_progress
        )
    lines = (line for d in done for line in study_lines(d.data, d.files))
    emit({"studies": [d.to_dict() for d in done]}, lines, json=json)


COMMANDS = (run, status, results, retry)
