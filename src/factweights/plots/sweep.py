"""Facts over parameters for the methods of a sweep, log-log."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from factweights.plots import style

_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.RED, style.PURPLE, style.SKY, style.BLACK)
_MARKERS = "osD^vPX"


def capacity_sweep(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.capacity_sweep.CapacitySweep`."""
    figure, axes = style.new_figure(9.6, 5.0)
    measured = []
    for i, series in enumerate(data["series"]):
        colour = _COLOURS[i % len(_COLOURS)]
        shown = [p for p in series["points"] if p["facts"] > 0]
        x, y = [p["parameters"] for p in shown], [p["facts"] for p in shown]
        low, high = ([max(0.5, p["interval"][k]) for p in shown] for k in (0, 1))
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        marker = _MARKERS[i % len(_MARKERS)]
        measured += axes.plot(x, y, color=colour, marker=marker, linewidth=0.8, label=series["label"])
    seeds = max((len(p["runs"]) for s in data["series"] for p in s["points"]), default=0)
    many = f"median of {seeds} seeds, band from smallest to largest" if seeds > 1 else "one seed"
    style.title(axes, data["title"], f"recall ≥ {data['recall']:g}, {many}")
    axes.set(xscale="log", xlabel="parameters, every scalar counted")
    style.count_facts(axes)
    style.quiet(
        axes.legend(handles=measured, title="measured", loc="upper left", bbox_to_anchor=(1.01, 1.02))
    )
    return figure
