"""What a language model knows of a table: bits by relation, known against unknown, calibration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factweights.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, kept, new_row

SHOWN = 24  # characters of a relation's name
MOST = 24  # relations drawn, those with the most facts


def draw_knowledge(found: Mapping[str, Any], path: str | Path | None = None) -> Figure:
    """Three panels from ``to_dict()`` of a measurement.

    Args:
        found: the numbers.
        path: a PNG, SVG or PDF file.

    Raises:
        OutputError: it could not be written.
    """
    relations = sorted(found["relations"].items(), key=lambda r: -r[1]["facts"])[:MOST]
    relations.sort(key=lambda r: r[1]["bits"] / max(r[1]["bits_table"], 1e-9))
    figure, axes = new_row(15, max(4.2, 1.6 + 0.36 * len(relations)), 3)
    names = [n if len(n) <= SHOWN else n[: SHOWN - 1] + "…" for n, _ in relations]
    _bits(axes[0], names, [r for _, r in relations])
    _known(axes[1], names, [r for _, r in relations])
    _calibration(axes[2], found["calibration"])
    model = str(found["settings"]["model"]).rstrip("/").rpartition("/")[2]
    low, high = found["bits_interval"]
    figure.suptitle(
        f"{model}: {found['bits']:,.0f} of {found['bits_table']:,.0f} bits "
        f"(95 %: {low:,.0f} to {high:,.0f}), {found['facts']:,} facts, {found['parameters']:,} parameters",
        fontsize=13,
    )
    return kept(figure, path)


def _bits(axes: Axes, names: list[str], rows: list[Mapping[str, Any]]) -> None:
    """The table's bits as an empty bar, the model's in it, and both controls as marks."""
    for i, r in enumerate(rows):
        axes.barh(i, r["bits_table"] / r["facts"], color="none", edgecolor=GREY, linewidth=0.8)
        axes.barh(i, r["bits"] / r["facts"], color=BLUE)
        low, high = (x / r["facts"] for x in r["bits_interval"])
        axes.plot([low, high], [i, i], color=BLACK, linewidth=1.4)
        axes.plot(r["bits_shuffled"] / r["facts"], i, "x", color=ORANGE)
        axes.plot(r["bits_relation_only"] / r["facts"], i, "o", color=GREEN, markersize=4)
    axes.set_yticks(range(len(rows)), names)
    axes.set_xlabel("bits per fact")
    axes.set_title("bits by relation", loc="left", fontsize=12)
    marks = [("s", BLUE, "known (95 %)"), ("x", ORANGE, "subjects shuffled"), ("o", GREEN, "relation only")]
    for mark, colour, label in marks:
        axes.plot([], [], mark, color=colour, label=label)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=9)


def _known(axes: Axes, names: list[str], rows: list[Mapping[str, Any]]) -> None:
    """Share of facts known, by ranking and by what is said."""
    kinds = [("closed", BLUE, "ranked first"), ("open", SKY, "said")]
    kinds = [k for k in kinds if all(k[0] in r["recall"] for r in rows)]
    height = 0.8 / max(1, len(kinds))
    for at, (kind, colour, label) in enumerate(kinds):
        for i, r in enumerate(rows):
            y = i + 0.4 - height * (at + 0.5)
            share = r["recall"][kind]["value"]
            axes.barh(y, share, height, color=colour, label=label if i == 0 else None)
            axes.barh(y, 1 - share, height, left=share, color="#e6e6e6")
            axes.plot(r["recall"][kind]["interval"], [y, y], color=BLACK, linewidth=1.2)
    axes.set_yticks(range(len(rows)), names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of facts")
    axes.set_title("known (colour) against unknown (grey)", loc="left", fontsize=12)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=9)


def _calibration(axes: Axes, found: Mapping[str, Any]) -> None:
    """How often the likeliest answer is right, by its probability; dots as large as there are facts."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle="--")
    rows = found["bins"]
    most = max((r["facts"] for r in rows), default=1)
    for r in rows:
        size = 20 + 180 * r["facts"] / most
        axes.scatter(r["confidence"], r["right"], s=size, color=BLUE, alpha=0.75, zorder=3)
        axes.annotate(f"{r['facts']:,}", (r["confidence"], r["right"]), xytext=(7, -9),
                      textcoords="offset points", fontsize=8.5, color=GREY)  # fmt: skip
    axes.set(xlim=(-0.03, 1.05), ylim=(-0.05, 1.07), xlabel="probability of the likeliest answer")
    axes.set_ylabel("share that is right")
    text = f"calibration, error {found['error']:.3f}" if rows else "calibration: answers were not ranked"
    axes.set_title(text, loc="left", fontsize=12)
