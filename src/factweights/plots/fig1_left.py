"""N against d², log-log."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from factweights.plots import style

# Colour and marker of a method; markers are filled at recall 1.0 and hollow below it.
_METHODS = {
    "exact-linear": (style.BLUE, "o"),
    "hebbian": (style.RED, "^"),
    "paper-adam": (style.PURPLE, "D"),
}
_LINES = {
    "law": (style.BLACK, "-", 1.5),
    "paper-guide": (style.GREEN, (0, (6, 2)), 1.4),
    "asymptote": (style.GREY, (0, (1, 1.5)), 1.5),
    "hebbian-every": (style.RED, (0, (3, 2)), 1.2),
    "hebbian-0.99": (style.ORANGE, (0, (5, 1.5, 1, 1.5)), 1.4),
}


def fig1_left(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.linear.Fig1Left`."""
    figure, axes = style.new_figure(10.2, 5.4)
    lines = [_draw_line(axes, line) for line in data["lines"] if line["points"]]
    markers = [_draw_series(axes, series) for series in data["series"]]
    _name_axes(axes, data)
    style.legends(axes, markers, lines)
    return figure


def _draw_line(axes: Axes, line: dict[str, Any]) -> Line2D:
    colour, dashes, width = _LINES[line["name"]]
    x, y = zip(*line["points"], strict=True)
    return axes.plot(x, y, color=colour, linestyle=dashes, linewidth=width, label=line["label"], zorder=2)[0]


def _draw_series(axes: Axes, series: dict[str, Any]) -> Line2D:
    colour, marker = _METHODS.get(series["method"], (style.BLACK, "s"))
    exact = series["recall"] == 1
    shown = [p for p in series["points"] if p["facts"] > 0]
    x = [p["parameters"] for p in shown]
    low = [max(p["interval"][0], 0.5) for p in shown]  # a logarithm has no 0
    high = [p["interval"][1] for p in shown]
    axes.fill_between(x, low, high, color=colour, alpha=0.25 if exact else 0.13, linewidth=0, zorder=1)
    return axes.plot(
        x,
        [p["facts"] for p in shown],
        linestyle="none",
        marker=marker,
        markersize=5 if exact else 9,
        markerfacecolor=colour if exact else "none",
        markeredgecolor=colour,
        markeredgewidth=1.3,
        label=series["label"],
        zorder=3,
    )[0]


def _name_axes(axes: Axes, data: Mapping[str, Any]) -> None:
    points = [p for series in data["series"] for p in series["points"]]
    axes.set(xscale="log", xlabel="parameters d²")
    style.count_facts(axes)
    seeds = max((len(p["runs"]) for p in points), default=0)
    many = f"median of {seeds} seeds, band from smallest to largest" if seeds > 1 else "one seed"
    style.title(axes, data["title"], many)
    sizes = sorted({p["d"] for p in points})
    shown = sizes[:: 2 if len(sizes) > 6 else 1]
    axes.xaxis.set_major_locator(FixedLocator([d**2 for d in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{round(x):,}\nd = {round(x**0.5)}"))
