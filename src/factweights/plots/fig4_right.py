"""Recall as a heat map over attention parameters and MLP parameters, with the boundaries: figure 4 right."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from factweights.plots import style

_OTHERS = ((style.PURPLE, (0, (4, 1.5))), (style.GREEN, (0, (1, 1.2))), (style.SKY, (0, (5, 1, 1, 1))))


def fig4_right(data: Mapping[str, Any]) -> Figure:
    """Draw the data of ``studies.figures.heads.Fig4Right``: the heat map of its first series.

    Boundaries of further series are drawn into the same map.
    """
    figure, axes = style.new_figure(11.2, 6.2)
    axes.grid(visible=False)
    first, *others = data["series"]
    across, up = (
        _edges([c[key] for c in first["cells"]]) for key in ("attention_parameters", "mlp_parameters")
    )
    mesh = axes.pcolormesh(across, up, _recalls(data, first), cmap="cividis", vmin=0, vmax=1, zorder=1)
    bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=32)
    bar.set_label("recall on fresh prompts")
    bar.outline.set_visible(False)  # type: ignore[operator]
    handles = [_draw_works(axes, data, first), _draw_edge(axes, first, across, up, style.RED, "-")]
    for series, (colour, dashes) in zip(others, _OTHERS, strict=False):
        handles.append(_draw_edge(axes, series, across, up, colour, dashes))
    if first["line"] is not None:
        handles.append(_draw_fit(axes, data, first["line"]))
    handles += [_draw_line(axes, line) for line in data["lines"]]
    axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
    _name_axes(axes, data, first)
    below = figure.legend(handles=handles, loc="outside lower center", ncols=2)
    style.quiet(below)
    return figure


def _recalls(data: Mapping[str, Any], series: dict[str, Any]) -> np.ndarray:
    """``(widths, heads)``."""
    found = {(c["width"], c["heads"]): c["recall"] for c in series["cells"]}
    return np.array([[found[m, h] for h in data["heads"]] for m in data["widths"]])


def _edges(values: Sequence[float]) -> np.ndarray:
    """Borders of cells around the values: half-way between neighbours, from 0 on where the first is near."""
    at = np.unique(np.asarray(values, dtype=float))
    if len(at) == 1:
        return np.array([at[0] / 2, at[0] * 1.5])
    middles = (at[:-1] + at[1:]) / 2
    start, end = at[0] - (middles[0] - at[0]), at[-1] + (at[-1] - middles[-1])
    return np.concatenate([[max(0.0, start)], middles, [end]])


def _draw_works(axes: Axes, data: Mapping[str, Any], series: dict[str, Any]) -> Line2D:
    """A dot in every cell that reaches the criterion."""
    good = [c for c in series["cells"] if c["works"]]
    x, y = [c["attention_parameters"] for c in good], [c["mlp_parameters"] for c in good]
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": style.BLACK, "markersize": 3}
    return axes.plot(x, y, label=f"{series['label']}: recall ≥ {data['recall']:g}", zorder=3, **look)[0]


def _draw_edge(
    axes: Axes, series: dict[str, Any], across: np.ndarray, up: np.ndarray, colour: str, dashes: Any
) -> Line2D:
    """Stairs along the lower side of the narrowest MLP that works; at the top where none does."""
    widths = sorted({c["width"] for c in series["cells"]})
    heights = [up[-1] if e["width"] is None else up[widths.index(e["width"])] for e in series["boundary"]]
    label = f"{series['label']}: narrowest MLP for each H"
    x = np.repeat(across, 2)[1:-1]
    y = np.repeat(heights, 2)
    return axes.plot(x, y, color=colour, linestyle=dashes, linewidth=2.2, label=label, zorder=4)[0]


def _draw_fit(axes: Axes, data: Mapping[str, Any], line: dict[str, Any]) -> Line2D:
    """The fitted straight line over the heads that it was fitted to."""
    d, head_dim = data["d"], data["head_dim"]
    h = np.array(line["heads"], dtype=float)
    y = 2 * (line["constant"] - line["rate"] * d * head_dim * h)
    label = f"fitted: d m = {line['constant']:,.0f} − {line['rate']:.2f} d d_h H"
    return axes.plot(
        4 * d * head_dim * h, y, color=style.RED, linestyle=(0, (1, 1)), linewidth=2, label=label, zorder=4
    )[0]


def _draw_line(axes: Axes, line: dict[str, Any]) -> Line2D:
    x, y = zip(*line["points"], strict=True)
    look: dict[str, Any] = {"color": style.BLACK, "linestyle": (0, (5, 2)), "linewidth": 2}
    return axes.plot(x, y, label=line["label"], zorder=4.5, **look)[0]


def _name_axes(axes: Axes, data: Mapping[str, Any], series: dict[str, Any]) -> None:
    task, runs = data["task"], max(len(c["runs"]) for c in series["cells"])
    seeds = f"median of {runs} seeds" if runs > 1 else "one seed"
    sizes = f"S = {task['subjects']}, R = {task['relations']}, D = {task['answers']}"
    below = f"{sizes}, d = {data['d']}, d_h = {data['head_dim']}; {seeds}"
    style.title(axes, data["title"], below)
    axes.set(xlabel="attention parameters 4 H d_h d", ylabel="MLP parameters 2 m d")
    per_head, per_neuron = 4 * data["head_dim"] * data["d"], 2 * data["d"]
    heads, widths = _spread(data["heads"], 0.1), _spread(data["widths"], 0.05)
    axes.xaxis.set_major_locator(FixedLocator([per_head * h for h in heads]))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{per_head * h:,}\nH = {h}" for h in heads]))
    axes.yaxis.set_major_locator(FixedLocator([per_neuron * m for m in widths]))
    axes.yaxis.set_major_formatter(FixedFormatter([f"m = {m}   {per_neuron * m:,}" for m in widths]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())


def _spread(values: Sequence[int], apart: float) -> list[int]:
    """From the last one down, those that are at least that share of the range apart."""
    kept = [max(values)]
    for v in sorted(values, reverse=True)[1:]:
        if kept[-1] - v >= apart * (max(values) - min(values)):
            kept.append(v)
    return kept[::-1]
