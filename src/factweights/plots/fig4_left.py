"""Facts against parameters of transformers, log-log: figures 4 left, 7, 8 and 9."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from factweights.plots import style

_MARKERS = ("v", "^", "<", ">", "o", "s", "D", "P", "X")  # from much MLP to much attention
_GUIDE = {"color": style.BLACK, "linestyle": (0, (6, 2)), "linewidth": 1.6}


def fig4_left(data: Mapping[str, Any]) -> Figure:
    """Draw the data of ``studies.figures.transformers.RecallCapacity`` against all parameters."""
    figure, axes = style.new_figure(11.2, 5.8)
    lines = [_draw_line(axes, line) for line in data["lines"]]
    markers = _draw_all(axes, data, "parameters")
    _name_axes(axes, data, "parameters", "parameters 4 H d_h d + 2 m d")
    style.count_facts(axes)
    style.title(axes, data["title"], _below(data))
    style.legends(axes, markers, lines, title=_heading(data))
    return figure


def fig7(data: Mapping[str, Any]) -> Figure:
    """Draw the same data twice: against the parameters of attention and against those of the MLP."""
    figure, panels = style.new_panels(13.6, 5.8, 2)
    named = (
        ("attention_parameters", "attention parameters 4 H d_h d"),
        ("mlp_parameters", "MLP parameters 2 m d"),
    )
    markers: list[Line2D] = []
    for axes, (size, label) in zip(panels, named, strict=True):
        markers = _draw_all(axes, data, size)
        _name_axes(axes, data, size, label)
    style.count_facts(panels[0])
    panels[1].tick_params(labelleft=False)
    style.title(panels[0], data["title"], _below(data))
    panels[0].texts[-1].set_in_layout(False)  # wider than its panel, which would push the other one away
    legend = panels[-1].legend(
        handles=markers, title=_heading(data), loc="upper left", bbox_to_anchor=(1.01, 1.02)
    )
    style.quiet(legend)
    return figure


def _draw_line(axes: Axes, line: dict[str, Any]) -> Line2D:
    x, y = zip(*line["points"], strict=True)
    return axes.plot(x, y, label=line["label"], zorder=2, **_GUIDE)[0]


def _draw_all(axes: Axes, data: Mapping[str, Any], size: str) -> list[Line2D]:
    quotients = sorted({s["quotient"] for s in data["series"]})
    methods = list(dict.fromkeys(s["method"] for s in data["series"]))
    return [_draw_series(axes, s, quotients, methods, size) for s in data["series"]]


def _draw_series(
    axes: Axes, series: dict[str, Any], quotients: Sequence[float], methods: Sequence[str], size: str
) -> Line2D:
    """Markers at the medians, hollow for all methods but the first; a bar from smallest to largest seed."""
    place = quotients.index(series["quotient"])
    step = place / max(1, len(quotients) - 1)
    colour = colormaps["viridis"](0.92 * step)
    first = series["method"] == methods[0]
    look: dict[str, Any] = {
        "linestyle": "none",
        "marker": _MARKERS[round(step * (len(_MARKERS) - 1))],
        "markersize": 6.5 if first else 9,
        "markerfacecolor": colour if first else "none",
        "markeredgecolor": colour,
        "markeredgewidth": 1.2,
    }
    shown = [p for p in series["points"] if p["facts"] > 0]  # a logarithm has no 0
    for p in shown:
        low, high = (max(end, 0.5) for end in p["interval"])
        axes.plot([p[size]] * 2, [low, high], color=colour, linewidth=1.2, alpha=0.6, zorder=2.5)
    axes.plot([p[size] for p in shown], [p["facts"] for p in shown], zorder=3, **look)
    many = f", {series['method']}" if len(methods) > 1 else ""
    return Line2D([], [], label=f"{_fraction(series['quotient'])}{many}{_slope(series, size)}", **look)


def _fraction(quotient: float) -> str:
    return f"{quotient:g}" if quotient >= 1 else f"1/{1 / quotient:g}"


def _slope(series: dict[str, Any], size: str) -> str:
    """The slope in all parameters: in those of one part alone it is another one only by rounding."""
    line = series["line"]
    if size != "parameters" or line is None:
        return ""
    if line["slope_interval"] is None:
        return f":  {line['slope']:.2f}"
    low, high = line["slope_interval"]
    return f":  {line['slope']:.2f}  ({low:.2f} to {high:.2f})"


def _heading(data: Mapping[str, Any]) -> str:
    sloped = data["figure"] != "fig7" and any(s["line"] for s in data["series"])
    return "H d_h / m:  slope (95 % interval)" if sloped else "H d_h / m"


def _below(data: Mapping[str, Any]) -> str:
    seeds = max((len(p["runs"]) for s in data["series"] for p in s["points"]), default=0)
    many = f"median of up to {seeds} seeds, bar from smallest to largest" if seeds > 1 else "one seed"
    return f"recall ≥ {data['recall']:g} on fresh prompts; 8 heads; {many}"


def _name_axes(axes: Axes, data: Mapping[str, Any], size: str, label: str) -> None:
    axes.set(xscale="log", xlabel=label)
    counts = [p[size] for s in data["series"] for p in s["points"]] or [1]
    decades = math.log10(max(counts) / min(counts)) * (1 if size == "parameters" else 2)  # a narrow panel
    subs = (1, 2, 5) if decades < 2 else (1, 3) if decades < 5 else (1,)  # so that labels do not touch
    axes.xaxis.set_major_locator(LogLocator(10, subs=subs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
