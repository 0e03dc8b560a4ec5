"""N against m·d, log-log: figures 1 right and 6."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from factweights.plots import style

# Colour and marker of a method, or of one activation of it; filled at recall 1.0 and hollow below it.
_METHODS = {
    "gated-fit": (style.BLUE, "o"),
    "mlp-fit": (style.GREEN, "s"),
    "mlp-fit relu": (style.GREY, "X"),
    "paper-adam-mlp": (style.PURPLE, "D"),
    "random-features": (style.ORANGE, "v"),
    "gated-hebbian": (style.RED, "^"),
    "hermite-ntk": (style.SKY, "P"),
}
_LINES = {
    "gated-load": (style.BLUE, (0, (1, 1.5)), 1.4),
    "paper-guide": (style.BLACK, (0, (6, 2)), 1.6),
    "law": (style.ORANGE, "-", 1.3),
}


def fig1_right(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.mlp.MLPCapacity`."""
    figure, axes = style.new_figure(10.8, 5.6)
    lines = [_draw_line(axes, line) for line in data["lines"]]
    markers = [_draw_series(axes, series) for series in data["series"]]
    _name_axes(axes, data)
    style.legends(axes, markers, lines)
    return figure


def _draw_line(axes: Axes, line: dict[str, Any]) -> Line2D:
    colour, dashes, width = _LINES[line["name"]]
    x, y = zip(*line["points"], strict=True)
    return axes.plot(x, y, color=colour, linestyle=dashes, linewidth=width, label=line["label"], zorder=2)[0]


def _draw_series(axes: Axes, series: dict[str, Any]) -> Line2D:
    """Markers at the medians, larger for wider memories, with a bar from smallest to largest seed."""
    method, activation = series["method"], series.get("settings", {}).get("activation")
    colour, marker = _METHODS.get(f"{method} {activation}") or _METHODS.get(method, (style.BLACK, "h"))
    exact = series["recall"] == 1
    shown = [p for p in series["points"] if p["facts"] > 0]  # a logarithm has no 0
    look: dict[str, Any] = {
        "linestyle": "none",
        "marker": marker,
        "markerfacecolor": colour if exact else "none",
        "markeredgecolor": colour,
        "markeredgewidth": 1.2,
    }
    for p in shown:
        low, high = (max(end, 0.5) for end in p["interval"])
        axes.plot([p["count"]] * 2, [low, high], color=colour, linewidth=1.2, alpha=0.6, zorder=2.5)
        axes.plot(p["count"], p["facts"], markersize=_size(p["ratio"], exact), zorder=3, **look)
    return Line2D([], [], markersize=_size(2, exact), label=series["label"], **look)


def _size(ratio: int, exact: bool) -> float:
    return (4.0 if exact else 7.0) + 0.35 * min(ratio, 16)


def _name_axes(axes: Axes, data: Mapping[str, Any]) -> None:
    points = [p for series in data["series"] for p in series["points"]]
    axes.set(xscale="log", xlabel="m·d, the paper's count of parameters")
    style.count_facts(axes)
    seeds = max((len(p["runs"]) for p in points), default=0)
    many = f"median of up to {seeds} seeds, bar from smallest to largest" if seeds > 1 else "one seed"
    ratios = ", ".join(str(r) for r in sorted({p["ratio"] for p in points}))
    style.title(axes, data["title"], f"{many}; larger markers for larger m/d = {ratios}")
    counts = [p["count"] for p in points]
    far = max(counts) > 200 * min(counts)  # so far that 2 and 5 of every decade would touch
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 3) if far else (1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
