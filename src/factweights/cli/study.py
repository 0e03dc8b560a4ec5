"""``factweights study``: run, status, results, retry."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from factweights.cli.engines import EngineName, LogName, build_engine, print_study
from factweights.cli.options import Flag, Json
from factweights.cli.output import say

if TYPE_CHECKING:
    from factweights.studies import Study

Out = Annotated[Path, Parameter(name=["--out", "-o"])]


def run(
    spec: Path,
    /,
    *,
    out: Out,
    workers: int | None = None,
    engine: EngineName = "local",
    dry_run: Flag = False,
    retry: Flag = False,
    log: LogName | None = None,
    json: Json = False,
) -> None:
    """Run a study that a TOML file declares, or go on with it.

    Finished cells are kept in the folder and never computed twice. What a spec looks like: docs/studies.md.

    Example: `factweights study run examples/sweep.toml --out sweep --dry-run`

    Args:
        spec: The TOML file: a line `study = "…"`, a scale or none, and fields.
        out: Folder for the ledger, the finished cells, the numbers and the picture.
        workers: Processes of one thread each; else one per core.
        engine: local processes, or ray: a Ray cluster (the one in RAY_ADDRESS, else this machine).
        dry_run: Say how many cells there are and what they will take, and run nothing.
        retry: Try cells again that failed earlier.
        log: Send numbers to TensorBoard or trackio while it runs.
    """
    from factweights.processors import cores
    from factweights.studies import estimate, load_spec

    study = load_spec(spec)
    if dry_run:
        _print(estimate(study, out, workers=cores() if workers is None else workers), json)
        return
    _run([study], out, workers, engine, retry, log, json)


def retry(
    folder: Path,
    /,
    *,
    study: str | None = None,
    workers: int | None = None,
    engine: EngineName = "local",
    log: LogName | None = None,
    json: Json = False,
) -> None:
    """Run again what failed in a folder, and whatever is not finished there.

    Example: `factweights study retry sweep`

    Args:
        folder: Where studies were run.
        study: One of them by name; else all, each with its latest spec.
        workers: Processes of one thread each; else one per core.
        engine: local or ray, as for `factweights study run`.
        log: Send numbers to TensorBoard or trackio while it runs.
    """
    from factweights.studies import studies_in

    _run(studies_in(folder, study), folder, workers, engine, True, log, json)


def status(folder: Path, /, *, json: Json = False) -> None:
    """Show how far the studies of a folder are, and what failed.

    Example: `factweights study status sweep`

    Args:
        folder: Where studies were run; a run may be under way.
    """
    from factweights.studies import study_status

    _print(study_status(folder), json)


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
    from factweights.cli.output import print_json, print_table
    from factweights.folders import must_take_file
    from factweights.show import number
    from factweights.studies import study_results

    if parquet is not None:
        must_take_file(parquet)
    found = study_results(folder, study)
    if parquet is not None:
        found.to_parquet(parquet)
    if json:
        print_json(found.to_dict())
        return
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
    print_table(["study", "cell", "facts", "law", "recall", "seconds"], rows)


def _run(
    studies: "list[Study]",
    out: Path,
    workers: int | None,
    engine: EngineName,
    retry: bool,
    log: LogName | None,
    json: bool,
) -> None:
    import contextlib

    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.studies import run_studies
    from factweights.studies.running.live import live_log

    with shown_progress() as on_progress, contextlib.ExitStack() as stack:
        listener = None if log is None else stack.enter_context(live_log(log, out))
        where = build_engine(engine, workers)
        done = run_studies(
            studies, out, engine=where, retry=retry, on_result=listener, on_progress=on_progress
        )
    if json:
        print_json({"studies": [d.to_dict() for d in done]})
        return
    for d in done:
        print_study(d.data)
        for path in d.files:
            say(path)


def _print(found: Any, json: bool) -> None:
    from factweights.cli.output import print_json

    if json:
        print_json(found.to_dict())
    else:
        say(found)


COMMANDS = (run, status, results, retry)
