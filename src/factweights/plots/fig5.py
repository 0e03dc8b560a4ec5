"""Loss over time while a linear-attention model learns, descent above and exact flow below: figure 5."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factweights.plots import style

SHADES = {"initial": "#e8eef4", "hallucination": "#fdeec9", "convergence": "#dff1ea"}


def fig5(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.learning.Fig5`."""
    figure, panels = style.new_rows(10.2, 8.2, len(data["series"]))
    end = max(run["curves"]["times"][-1] for series in data["series"] for run in series["runs"])
    for axes, series in zip(panels, data["series"], strict=True):
        draw_stages(axes, series["runs"][0]["stages"], end)
        _draw_runs(axes, series, data)
        axes.set(xlim=(0, end), ylabel="nats", ylim=(0, 1.08 * max(series["runs"][0]["curves"]["loss"])))
    task = data["task"]
    sizes = f"S = {task['subjects']}, R = {task['relations']}, D = {task['answers']}"
    below = f"{sizes}; all weights {data['init']:g} at the start; shaded: stages by KL(p(·|r) ‖ p̂)"
    style.title(panels[0], data["title"], below)
    panels[-1].set_xlabel(f"time t  (one unit is {1 / data['rate']:g} steps at rate {data['rate']:g})")
    return figure


def draw_stages(axes: Axes, stages: list[dict[str, Any]], end: float) -> None:
    """Shade and name the stages."""
    for stage in stages:
        stop = end if stage["end"] is None or stage["name"] == "convergence" else min(stage["end"], end)
        axes.axvspan(stage["start"], stop, color=SHADES[stage["name"]], linewidth=0, zorder=0)
        middle = (stage["start"] + stop) / 2
        axes.text(
            middle,
            0.97,
            stage["name"],
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            color=style.GREY,
            fontsize=10,
        )


def _draw_runs(axes: Axes, series: dict[str, Any], data: Mapping[str, Any]) -> None:
    for k, run in enumerate(series["runs"]):
        curves = run["curves"]
        many = len(series["runs"])
        name = {0: f"loss, {many} seeds" if many > 1 else "loss"}.get(k)
        look: dict[str, Any] = {"linewidth": 1.8, "zorder": 3 if k else 4}
        axes.plot(curves["times"], curves["loss"], color=style.BLACK, label=name, **look)
        if k == 0:
            for key, colour, dashes in (
                ("relation_loss", style.BLUE, (0, (5, 1.5))),
                ("subject_loss", style.RED, (0, (2, 1.2))),
            ):
                label = f"its {key.removesuffix('_loss')} part"
                axes.plot(curves["times"], curves[key], color=colour, linestyle=dashes, label=label, **look)
            axes.plot(
                curves["times"],
                np.minimum(curves["kl"], 10),
                color=style.GREEN,
                linestyle=(0, (1, 1)),
                label="KL(p(·|r) ‖ p̂)",
                linewidth=1.8,
                zorder=2,
            )
            axes.plot(
                curves["times"],
                curves["accuracy"],
                color=style.GREY,
                linewidth=1.2,
                label="accuracy (share of facts): the trap",
                zorder=2,
            )
    entropy = data["relation_entropy"]
    axes.axhline(entropy, color=style.GREY, linewidth=1, linestyle=(0, (6, 3)), zorder=1)
    axes.annotate(
        f"H(a|r) = {entropy:.3f}", (1, entropy), xycoords=("axes fraction", "data"), ha="right", va="bottom"
    )
    marks: dict[str, Any] = {"color": style.PURPLE, "linestyle": (0, (4, 2)), "linewidth": 1.2, "zorder": 1}
    for k, t in enumerate(data["paper_stages"]):
        axes.axvline(t, label="ends of the stages as published" if k == 0 else None, **marks)
    legend = axes.legend(title=series["label"], loc="upper left", bbox_to_anchor=(1.01, 1.0))
    style.quiet(legend)
