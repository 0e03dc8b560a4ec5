"""What results draw of themselves: shares, searches and curves, from their ``to_dict()``."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from factweights.plots.style import BLUE, GREEN, GREY, ORANGE, RED, kept, new_figure, new_row, quiet
from factweights.show import shown

_VERDICTS = {
    "fits": (GREEN, "o"),
    "refuted": (RED, "X"),
    "not found": (ORANGE, "v"),
    "undecided": (GREY, "s"),
}
_STAGES = (GREY, ORANGE, GREEN)


def shares(title: str, found: Mapping[str, float | None], path: str | Path | None = None) -> Figure:
    """A bar between 0 and 1 for each; a dash where there is no number.

    Args:
        title: of the figure.
        found: label ↦ share.
        path: a PNG, SVG or PDF file to write as well.

    Raises:
        OutputError: it could not be written.
    """
    figure, axes = new_figure(8.5, 1.6 + 0.42 * max(1, len(found)))
    labels = [shown(label) for label in found]
    axes.barh(labels, [x or 0.0 for x in found.values()], color=BLUE, height=0.6)
    for i, x in enumerate(found.values()):
        axes.text(1.01, i, "–" if x is None else f"{x:.2%}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share")
    axes.set_title(shown(title), loc="left", fontsize=12)
    return kept(figure, path)


def searched(
    title: str,
    size: str,
    runs: Sequence[Sequence[Mapping[str, Any]]],
    law: float | None,
    path: str | Path | None = None,
) -> Figure:
    """Every probe of a search, one line for each seed, with its verdict and the law beside it.

    Args:
        title: of the figure.
        size: what was searched.
        runs: for each seed its probes, with ``size`` and ``verdict``.
        law: what is predicted; None for no line.
        path: as in :func:`shares`.
    """
    figure, axes = new_figure(9.5, 1.8 + 0.5 * max(1, len(runs)))
    for verdict, (colour, marker) in _VERDICTS.items():
        points = [(p["size"], i) for i, run in enumerate(runs) for p in run if p["verdict"] == verdict]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, linestyle="none", color=colour, marker=marker, label=verdict)
    if law:
        axes.axvline(law, color=GREY, linestyle="--", label=f"law: {law:,.4g}")
    axes.set(yticks=range(len(runs)), xlabel=size, ylabel="run")
    axes.margins(y=0.4)
    axes.set_title(shown(title), loc="left", fontsize=12)
    quiet(axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9))
    return kept(figure, path)


def learning(title: str, found: Mapping[str, Any], path: str | Path | None = None) -> Figure:
    """Loss and divergence over time, the stages shaded, the entropy of a relation's answers as a line.

    Args:
        title: of the figure.
        found: ``trace``, ``stages`` and ``relation_entropy``.
        path: as in :func:`shares`.
    """
    figure, (left, right) = new_row(13, 4.2, 2)
    trace = found["trace"]
    times = trace["times"]
    left.plot(times, trace["loss"], color=BLUE, label="loss")
    left.axhline(found["relation_entropy"], color=RED, linestyle=":", label="entropy given the relation")
    right.plot(times, trace["kl"], color=BLUE, label="KL(p(·|relation) ‖ model)")
    for axes in (left, right):
        for colour, stage in zip(_STAGES, found["stages"], strict=False):
            end = times[-1] if stage["end"] is None else stage["end"]
            axes.axvspan(stage["start"], end, color=colour, alpha=0.12, label=stage["name"])
        axes.set(xlabel="time", ylabel="nats", xlim=(times[0], times[-1]))
        quiet(axes.legend(fontsize=9))
    left.set_title(shown(title), loc="left", fontsize=12)
    return kept(figure, path)


def over(
    title: str,
    axis: str,
    x: Sequence[float],
    curves: Mapping[str, Iterable[float]],
    path: str | Path | None = None,
) -> Figure:
    """Curves over one axis; arguments as in :func:`shares`."""
    figure, axes = new_figure(8.5, 4.2)
    for label, y in curves.items():
        axes.plot(x, list(y), marker=".", label=shown(label))
    axes.set_xlabel(axis)
    axes.set_title(shown(title), loc="left", fontsize=12)
    quiet(axes.legend(fontsize=9))
    return kept(figure, path)
