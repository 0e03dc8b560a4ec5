"""``factweights reproduce``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from factweights.cli.options import Json
from factweights.cli.output import number, percent, say
from factweights.cli.study import EngineName, LogName, build_engine

_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "d": lambda p: number(p["d"]),
    "facts": lambda p: number(p["facts"]),
    "min – max": lambda p: " – ".join(map(number, p["interval"])),
    "law": lambda p: number(p["law"]),
    "off the law": lambda p: percent(p["deviation"]),
}
_MLP_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "d": _COLUMNS["d"],
    "m": lambda p: number(p["width"]),
    "facts": _COLUMNS["facts"],
    "min – max": _COLUMNS["min – max"],
    "N δ/param.": lambda p: f"{p['n_delta_per_parameter']:.2f}",
    "paper's guide": lambda p: number(round(p["guide"])),
    "over it": lambda p: percent(p["over_guide"] - 1),
}
_RECALL_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "d": _COLUMNS["d"],
    "d_h": lambda p: number(p["head_dim"]),
    "m": lambda p: number(p["width"]),
    "parameters": lambda p: number(p["parameters"]),
    "facts": _COLUMNS["facts"],
    "min – max": _COLUMNS["min – max"],
    "facts/param.": lambda p: f"{p['per_parameter']:.3f}",
}
_BOUNDARY_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "H": lambda e: number(e["heads"]),
    "smallest m": lambda e: number(e["width"]),
    "crossing": lambda e: "–" if e["crossing"] is None else f"{e['crossing']:.1f}",
    "paper's m": lambda e: "–" if e["paper_width"] is None else f"{e['paper_width']:.1f}",
}


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
            phase-diagram, success-curve, capacity-lm, or all.
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
    from factweights.studies.live import live_log

    with shown_progress() as tell, contextlib.ExitStack() as stack:
        listener = None if log is None else stack.enter_context(live_log(log, out))
        where = build_engine(engine, workers)
        if figure == "all":
            _all(out, scale, where, listener, tell, json)
            return
        done = run(figure, out, scale=scale, engine=where, on_result=listener, on_progress=tell)
    if json:
        print_json(done.to_dict())
        return
    print_series(done.data)
    for path in done.files:
        say(path)


def _all(out: Path, scale: str, engine: Any, on_result: Any, tell: Any, json: bool) -> None:
    from factweights.cli.output import print_json
    from factweights.progress import Progress
    from factweights.studies import reproduce_all
    from factweights.studies.report import write_report

    done = reproduce_all(out, scale=scale, engine=engine, on_result=on_result, on_progress=tell)
    tell(Progress(1, 1, "writing the report"))
    report = write_report(out)
    if json:
        print_json({"figures": [d.to_dict() for d in done], **report.to_dict()})
        return
    say(report)


def print_series(data: dict[str, Any]) -> None:
    """The numbers of a study as tables."""
    for series in data["series"]:
        if "fit" in series:
            _print_success(series)
        elif "thresholds" in series:
            _print_phases(series)
        elif "runs" in series:
            _print_stages(series)
        elif "boundary" in series:
            _print_boundary(series, data["recall"])
        elif "quotient" in series:
            _print_recall(series)
        elif "exposures" in series:
            _print_learnt(series)
        else:
            _print_capacities(series)
        say()
    for series in data.get("overall", ()):
        say(series["label"])
        _print_slope(series)
        say()


def _print_capacities(series: dict[str, Any]) -> None:
    from factweights.cli.output import print_table

    proved = {run["proved"] for p in series["points"] for run in p["runs"]}
    say(f"{series['label']}, proved on {proved.pop() if len(proved) == 1 else 'both sides or the lower'}")
    columns = _MLP_COLUMNS if "width" in series["points"][0] else _COLUMNS
    rows = [[show(p) for show in columns.values()] for p in series["points"]]
    print_table(list(columns), rows)
    if e := series["exponent"]:
        size = "m·d" if columns is _MLP_COLUMNS else "d²"
        say(f"  facts grow as ({size})^{e['value']:.3f}{_between('seeds', e['interval'])}")


def _print_learnt(series: dict[str, Any]) -> None:
    from factweights.cli.output import print_table

    say(series["label"])
    rows = [
        [
            number(p["parameters"]),
            number(p["people"]),
            number(round(p["bits"])),
            f"{p['bits_per_parameter']:.3f}",
            f"{p['interval'][0]:.3f} to {p['interval'][1]:.3f}",
            f"{p['int8_share']:.1%}",
            f"{p['right']:.1%}",
        ]
        for p in series["points"]
    ]
    columns = [
        "parameters",
        "people",
        "bits",
        "per parameter",
        "over seeds",
        "left in 8 bits",
        "values right",
    ]
    print_table(columns, rows)


def _print_success(series: dict[str, Any]) -> None:
    from factweights.cli.output import print_table

    say(f"{series['label']}, the law gives {number(series['law'])} facts")
    rows = [[number(p["facts"]), f"{p['load']:.3g}", f"{p['share']:.0%}"] for p in series["points"]]
    print_table(["facts", "over the law", "seeds that fit"], rows)
    fit = series["fit"]
    low, high = fit["middle_interval"]
    say(f"  even odds at {fit['middle']:.3f} of the law (95 %: {low:.3f} to {high:.3f})")


def _print_recall(series: dict[str, Any]) -> None:
    from factweights.cli.output import print_table

    say(series["label"])
    rows = [[show(p) for show in _RECALL_COLUMNS.values()] for p in series["points"]]
    print_table(list(_RECALL_COLUMNS), rows)
    _print_slope(series)


def _print_stages(series: dict[str, Any]) -> None:
    from factweights.cli.output import print_table

    say(series["label"].replace("\n", " "))
    rows = []
    for run in series["runs"]:
        told = [f"{number(s['start'])} – {number(s['end'])}" for s in run["stages"]]
        off = f"{run['off_flow']['largest']:.1%}" if "off_flow" in run else "–"
        rows.append([number(run.get("seed")), ", ".join(told), f"{run['plateau_loss']:.4f}", off])
    print_table(["seed", "stages, start – end", "plateau loss", "off the flow at most"], rows)


def _print_phases(series: dict[str, Any]) -> None:
    from factweights.cli.output import print_table

    say(f"{series['label']}: smallest S with a hallucination stage")
    columns = ["R", "D", "S without", "S with", "S/√(RD)", "theorem 6 asks S"]
    rows = [
        [number(t[k]) for k in ("relations", "answers", "without", "with", "ratio", "paper")]
        for t in series["thresholds"]
    ]
    print_table(columns, rows)
    a = series["against_paper"]
    say(f"  shown {a['promised_and_shown']} of {a['promised']} times where theorem 6 promises it,", end=" ")
    say(f"{a['not_promised_but_shown']} of {a['not_promised']} times where it does not")
    if span := series["law"]["range"]:
        say(f"  length over (1/λ_sub − 1/λ_rel) ln(1/(α√A)): {span[0]:.2f} to {span[1]:.2f}", end=" ")
        say(f"in {series['law']['flows']} flows with λ_rel ≥ 4 λ_sub")


def _print_slope(series: dict[str, Any]) -> None:
    if line := series["line"]:
        between = _between("95 %", line["slope_interval"])
        say(f"  facts grow as parameters^{line['slope']:.3f}{between}, {series['per_parameter']:.3f} each")


def _print_boundary(series: dict[str, Any], recall: float) -> None:
    from factweights.cli.output import print_table

    say(f"{series['label']}, recall ≥ {recall:g}")
    rows = [[show(e) for show in _BOUNDARY_COLUMNS.values()] for e in series["boundary"]]
    print_table(list(_BOUNDARY_COLUMNS), rows)
    if line := series["line"]:
        ours = f"{line['constant']:,.0f} − {line['rate']:.3f} d d_h H"
        say(f"  d m = {ours}{_between('rate, 95 %', line['rate_interval'])}")
        if paper := line["paper"]:
            say(f"  d m = {paper['constant']:,.0f} − {paper['rate']:.3f} d d_h H in the paper")
    say(f"  fewest heads that work: {number(series['smallest_heads'])}")
    if found := series["against_paper"]:
        say(
            f"  {found['same']} of {found['cells']} cells on the same side as in the paper, "
            f"{found['ours_only']} work here alone, {found['paper_only']} there alone"
        )


def _between(what: str, interval: list[float] | None) -> str:
    return "" if interval is None else f" ({what}: {interval[0]:.3f} to {interval[1]:.3f})"
