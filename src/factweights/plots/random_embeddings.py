"""Sequential learning with random embeddings: loss over time, and the plateau and the order over d."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from factweights.plots import style


def random_embeddings(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.random_embeddings.RandomEmbeddings`."""
    figure, (losses, plateau, order) = style.new_row(17.2, 5.2, 3)
    _draw_losses(losses, data)
    _draw_plateau(plateau, data)
    _draw_order(order, data)
    style.quiet(figure.legend(*losses.get_legend_handles_labels(), loc="outside right center", title="loss"))
    task = data["task"]
    sizes = f"S = {task['subjects']}, R = {task['relations']}, D = {task['answers']}, |V| = {data['tokens']}"
    style.title(losses, data["title"], f"{sizes}; the first seed of each d")
    style.title(plateau, "How near to the plateau", "each point a seed; shaded: hallucination stage")
    style.title(order, "In which order", "time to half of each part of the loss; each point a seed")
    return figure


def _draw_losses(axes: Axes, data: Mapping[str, Any]) -> None:
    random = [s for s in data["series"] if s["d"] is not None]
    shades = mpl.colormaps["viridis_r"]
    for k, s in enumerate(random):
        curves = s["curves"]
        colour = shades(0.12 + 0.88 * k / max(len(random) - 1, 1))
        axes.plot(curves["times"], curves["loss"], color=colour, linewidth=1.5, label=s["label"])
    for s in data["series"]:
        if s["d"] is None:
            curves = s["curves"]
            look: dict[str, Any] = {"color": style.BLACK, "linestyle": (0, (4, 1.5)), "linewidth": 1.8}
            axes.plot(curves["times"], curves["loss"], label=s["label"], **look)
    entropy = data["relation_entropy"]
    axes.axhline(entropy, color=style.GREY, linewidth=1, linestyle=(0, (6, 3)), zorder=1)
    axes.annotate(
        f"H(a|r) = {entropy:.3f}", (1, entropy), xycoords=("axes fraction", "data"), ha="right", va="bottom"
    ).set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})
    axes.set(xlabel="time t = rate × step", ylabel="loss, nats", xlim=(0, None), ylim=(0, None))


def _draw_plateau(axes: Axes, data: Mapping[str, Any]) -> None:
    kls = [r["smallest_kl"] for s in data["series"] for r in s["runs"]]
    low = min(*kls, data["tolerance"]) / 2
    axes.axhspan(low, data["tolerance"], color="#fdeec9", linewidth=0, zorder=0)
    for s in data["series"]:
        for r in s["runs"]:
            if s["d"] is None:
                axes.axhline(r["smallest_kl"], color=style.BLACK, linewidth=0.8, linestyle=(0, (4, 1.5)))
            else:
                axes.plot(s["ratio"], r["smallest_kl"], "o", color=style.BLUE, markersize=5, alpha=0.7)
    orthonormal = max(r["smallest_kl"] for s in data["series"] if s["d"] is None for r in s["runs"])
    axes.annotate(
        "orthonormal", (0.02, orthonormal), xycoords=("axes fraction", "data"), va="bottom", color=style.BLACK
    )
    axes.set(yscale="log", ylim=(low, 2 * max(kls)), ylabel="smallest KL(p(·|r) ‖ p̂) on the way, nats")
    _by_dimension(axes, data)


def _draw_order(axes: Axes, data: Mapping[str, Any]) -> None:
    marks = (
        ("relation_time", style.BLUE, "s", "relation part"),
        ("subject_time", style.RED, "o", "subject part"),
    )
    for key, colour, marker, label in marks:
        found = [(s["ratio"], r[key]) for s in data["series"] if s["d"] is not None for r in s["runs"]]
        reached = [(x, t) for x, t in found if t is not None]
        look: dict[str, Any] = {"color": colour, "markersize": 5, "alpha": 0.7, "label": label}
        axes.plot([x for x, _ in reached], [t for _, t in reached], marker, linestyle="none", **look)
        own = next((s["runs"][0][key] for s in data["series"] if s["d"] is None), None)
        if own is not None:
            axes.axhline(own, color=colour, linewidth=1, linestyle=(0, (4, 1.5)), zorder=1)
    latest = max((r["subject_time"] or 0.0 for s in data["series"] for r in s["runs"]), default=1.0)
    axes.set(ylabel="time t (dashed: orthonormal)", ylim=(0, 1.25 * latest + 1))
    _by_dimension(axes, data)
    style.quiet(axes.legend(loc="upper right"))


def _by_dimension(axes: Axes, data: Mapping[str, Any]) -> None:
    ratios = [s["ratio"] for s in data["series"] if s["d"] is not None]
    axes.set(xscale="log", xlabel="d / |V|", xlim=(min(ratios) / 1.3, 1.3 * max(ratios)))
    axes.set_xticks(ratios)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
