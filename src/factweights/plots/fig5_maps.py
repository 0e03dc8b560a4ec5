"""Attention scores and the output-value map before, on and after the plateau: beside figure 5."""

import itertools
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from factweights.plots import style

_TOLD = {
    "before": "before: nothing is learnt",
    "on": "on the plateau: relations are learnt",
    "after": "after: subjects are learnt",
}
_COLOURS = (style.RED, style.BLUE, style.GREY, style.PURPLE)  # subjects, relations, EOS, noise


def fig5_maps(data: Mapping[str, Any]) -> Figure:
    """Draw ``data["maps"]`` of :class:`factweights.studies.figures.learning.Fig5`: three moments, two rows.

    One scale for each row, so that the moments can be compared. Above, w(z); below, O(a, z).
    """
    maps, task = data["maps"], data["task"]
    moments = maps["moments"]
    S, R = task["subjects"], task["relations"]
    with mpl.rc_context(style.RC):
        figure = style.Picture(figsize=(13.2, 8.6), layout="constrained")
        FigureCanvasAgg(figure)
        rows = figure.subplots(
            2, len(moments), sharex=True, sharey="row", height_ratios=(1, 3), squeeze=False
        )
    values = np.array([m["values"] for m in moments])  # (moments, A, Z)
    scores = np.array([m["scores"] for m in moments])  # (moments, Z)
    size = float(np.abs(values).max())
    norm = Normalize(-size, size)  # one scale for both signs, so that white is 0
    images = []
    for k, moment in enumerate(moments):
        above, below = rows[0, k], rows[1, k]
        _draw_scores(above, scores[k], S, R)
        look: dict[str, Any] = {"cmap": "RdBu_r", "norm": norm, "aspect": "auto", "interpolation": "nearest"}
        images.append(below.imshow(values[k], **look))
        _draw_sets(below, maps["relation_of_answer"], S, R, values.shape[2])
        style.title(
            above, _TOLD[moment["moment"]], f"t = {moment['time']:.0f}, loss {moment['loss']:.3f} nats"
        )
    said = f"all weights {data['init']:g}"
    rows[0, 0].text(0.5, 0.5, said, transform=rows[0, 0].transAxes, ha="center", color=style.GREY)
    rows[0, 0].set_ylim(min(0.0, 1.1 * float(scores.min())), 1.15 * float(scores.max()))
    rows[0, 0].set_ylabel("attention score w(z)")
    rows[1, 0].set_ylabel("answer a, by relation")
    bar = figure.colorbar(images[0], ax=rows[1].tolist(), shrink=0.8, pad=0.01)
    bar.set_label("O(a, z): logit for each unit of attention", fontsize=11)
    return figure


def _draw_scores(axes: Axes, scores: np.ndarray, S: int, R: int) -> None:
    kinds = [0] * S + [1] * R + [2] + [3] * (len(scores) - S - R - 1)
    axes.bar(range(len(scores)), scores, color=[_COLOURS[k] for k in kinds], width=0.8)
    axes.axhline(0, color=style.BLACK, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)


def _draw_sets(axes: Axes, relation_of: list[int], S: int, R: int, tokens: int) -> None:
    """Lines between roles of tokens and between answer sets, and the names of both."""
    for x in (S, S + R):
        axes.axvline(x - 0.5, color=style.BLACK, linewidth=0.9)
    edges = [
        0,
        *(a for a in range(1, len(relation_of)) if relation_of[a] != relation_of[a - 1]),
        len(relation_of),
    ]
    for y in edges[1:-1]:
        axes.axhline(y - 0.5, color=style.BLACK, linewidth=0.9)
    middles = [(a + b - 1) / 2 for a, b in itertools.pairwise(edges)]
    axes.set_yticks(middles, [f"A{relation_of[a]}" for a in edges[:-1]])
    names = ["subjects", "relations", "EOS", "noise"]
    places = [(S - 1) / 2, S + (R - 1) / 2, S + R, S + R + 1]
    shown = 3 + (tokens > S + R + 1)
    axes.set_xticks(places[:shown], names[:shown])
    for label in axes.get_xticklabels()[2:]:
        label.set(rotation=90, ha="center", va="top")
    axes.tick_params(length=0)
