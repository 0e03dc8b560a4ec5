"""The share of seeds whose facts fit, over N relative to the law, with the logistic curve through it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from factweights.plots import style

_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.RED, style.PURPLE, style.SKY)
_MARKERS = "osD^vP"


def success_curve(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.success.SuccessCurve`."""
    figure, axes = style.new_figure(9.6, 5.0)
    measured, theory = [], [axes.axvline(1.0, color=style.BLACK, linewidth=1.2, label="N δ(N) = d², the law")]
    for i, series in enumerate(data["series"]):
        colour, marker = _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]
        x = [p["facts"] / series["law"] for p in series["points"]]
        measured += axes.plot(
            x,
            [p["share"] for p in series["points"]],
            linestyle="none",
            marker=marker,
            color=colour,
            label=series["label"],
            zorder=3,
        )
        fit, grid = series["fit"], np.geomspace(min(x), max(x), 200)
        odds = fit["steepness"] * np.log(grid / fit["middle"])
        label = f"logistic fit, even odds at {fit['middle']:.3f}"
        theory += axes.plot(grid, 1 / (1 + np.exp(np.clip(odds, -500, 500))), color=colour, label=label)
    seeds = max((len(p["fits"]) for s in data["series"] for p in s["points"]), default=0)
    style.title(axes, data["title"], f"recall ≥ {data['recall']:g}, {seeds} seeds at every N")
    axes.set(xlabel="facts N over the law's", ylabel="share of seeds that fit", ylim=(-0.03, 1.03))
    style.legends(axes, measured, theory)
    return figure
