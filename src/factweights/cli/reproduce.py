"""``factweights reproduce``."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from factweights.cli.engines import EngineName, LogName, build_engine, print_study
from factweights.cli.options import Json
from factweights.cli.output import say


def reproduce(
    figure: str,
    /,
    *,
    scale: Annotated[str, Parameter(metavar="smoke|laptop|paper")] = "smoke",
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    workers: int | None = None,
    engine: EngineName = "local",
    log: LogName | None = None,
    json: Json = False,
) -> None:
    """Measure a figure of the paper anew and draw it, the laws beside it; or all of them, with a report.

    Writes FIGURE.png, FIGURE.svg and FIGURE.json, and for `all` report.html. Finished cells are kept in the
    same folder: after Ctrl-C, or for a larger scale, the same folder goes on where it stopped.

    Example: `factweights reproduce fig1-left --scale smoke --out fig1-left`

    Args:
        figure: Which one: fig1-left, fig1-right, fig4-left, fig4-right, fig5, fig6, fig7, fig8, fig9,
            phase-diagram, success-curve, capacity-lm, random-embeddings, superposition,
            or all.
        scale: smoke takes seconds, laptop minutes, paper has the sizes and seeds of the paper.
        out: Folder for the figure, its numbers and the finished cells.
        workers: Processes of one thread each; else one per core.
        engine: local processes, or ray: a Ray cluster (the one in RAY_ADDRESS, else this machine).
        log: Send numbers to TensorBoard or trackio while it runs.
    """
    import contextlib

    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.studies import reproduce as run
    from factweights.studies.running.live import live_log

    with shown_progress() as on_progress, contextlib.ExitStack() as stack:
        listener = None if log is None else stack.enter_context(live_log(log, out))
        where = build_engine(engine, workers)
        if figure == "all":
            _all(out, scale, where, listener, on_progress, json)
            return
        done = run(figure, out, scale=scale, engine=where, on_result=listener, on_progress=on_progress)
    if json:
        print_json(done.to_dict())
        return
    print_study(done.data)
    for path in done.files:
        say(path)


def _all(out: Path, scale: str, engine: Any, on_result: Any, on_progress: Any, json: bool) -> None:
    from factweights.cli.output import print_json
    from factweights.progress import Progress
    from factweights.studies import reproduce_all
    from factweights.studies.report.page import write_report

    done = reproduce_all(out, scale=scale, engine=engine, on_result=on_result, on_progress=on_progress)
    on_progress(Progress(1, 1, "writing the report"))
    report = write_report(out)
    if json:
        print_json({"figures": [d.to_dict() for d in done], **report.to_dict()})
        return
    say(report)
