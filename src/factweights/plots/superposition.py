"""The least dimension of superposed embeddings over R ln N, sums and fits, with their laws."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from factweights.plots import style

_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.RED, style.PURPLE, style.SKY)


def superposition(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.superposition.SuperpositionStudy`."""
    figure, panels = style.new_panels(12.0, 5.4, len(data["series"]))
    for axes, series in zip(panels, data["series"], strict=True):
        _draw(axes, series)
    panels[0].set_ylabel("least d that recalls every fact")
    style.title(panels[0], data["title"], "sums of answers; lines: the law (2R − 1) x²")
    style.title(panels[1], "", "embeddings fitted by a hinge; lines: the law R δ(N)")
    style.quiet(panels[1].legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), title="each point a seed"))
    return figure


def _draw(axes: Axes, series: dict[str, Any]) -> None:
    counts = sorted({p["relations"] for p in series["points"]})
    for k, relations in enumerate(counts):
        colour, marker = _COLOURS[k % len(_COLOURS)], "osD^vP"[k % 6]
        points = [p for p in series["points"] if p["relations"] == relations]
        x = [p["size"] for p in points for _ in p["runs"]]
        y = [r["d"] for p in points for r in p["runs"]]
        look: dict[str, Any] = {"color": colour, "markersize": 6, "alpha": 0.75, "label": f"R = {relations}"}
        axes.plot(x, y, marker, linestyle="none", **look)
        axes.plot([p["size"] for p in points], [p["law"] for p in points], color=colour, linewidth=1.3)
    axes.set(xscale="log", yscale="log", xlabel="R ln N")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, subs=(1, 1.5, 2, 3, 5, 7)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
