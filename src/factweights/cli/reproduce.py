"""``factweights reproduce``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from factweights.cli.engines import Running, study_lines
from factweights.cli.options import Json, Out
from factweights.cli.output import emit

if TYPE_CHECKING:
    from factweights.progress import OnProgress


def reproduce(
    figure: str,
    /,
    *,
    scale: Annotated[str, Parameter(metavar="smoke|laptop|paper")] = "smoke",
    out: Out,
    running: Running = Running(),
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
    """
    from factweights.cli.progress import shown_progress
    from factweights.studies import reproduce as run

    with shown_progress() as on_progress, running.listener(out) as listener:
        engine = running.build_engine()
        how: dict[str, Any] = {"scale": scale, "engine": engine, "on_result": listener}
        if figure == "all":
            _all(out, how, on_progress, json)
            return
        done = run(figure, out, on_progress=on_progress, **how)
    emit(done, study_lines(done.data, done.files), json=json)


def _all(out: Path, how: dict[str, Any], on_progress: "OnProgress", json: bool) -> None:
    from factweights.progress import Progress
    from factweights.studies import reproduce_all
    from factweights.studies.report.page import write_report

    done = reproduce_all(out, on_progress=on_progress, **how)
    on_progress(Progress(1, 1, "writing the report"))
    report = write_report(out)
    document = {"figures": [d.to_dict() for d in done], **report.to_dict()}
    emit(document, (report,), json=json)
