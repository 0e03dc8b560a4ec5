"""What a compiled model does with one prompt, in three panels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factweights.plots.style import BLUE, GREY, ORANGE, RED, kept, new_row
from factweights.show import shown

SHOWN = 18  # characters of a name
PARTS = {"embedding": GREY, "attention": ORANGE, "mlp": BLUE}
MOST_TOKENS = 14  # that fit beside each other on one panel


def draw_explanation(found: Mapping[str, Any], path: str | Path | None = None) -> Figure:
    """Attention to each token, what the best answers' logits are made of, and the strongest neurons.

    Args:
        found: ``to_dict()`` of an explanation.
        path: a PNG, SVG or PDF file.

    Raises:
        OutputError: it could not be written.
    """
    neurons = bool(found["neurons"])
    figure, axes = new_row(14 if neurons else 10, 4.2, 3 if neurons else 2)
    _attention(axes[0], found)
    _logits(axes[1], found)
    if neurons:
        _neurons(axes[2], found)
    figure.suptitle(f"“{_short(found['prompt'], 70)}” → “{_short(found['answer'], 40)}”", fontsize=13)
    return kept(figure, path)


def _attention(axes: Axes, found: Mapping[str, Any]) -> None:
    tokens, shares = found["tokens"], found["attention"]
    kept = sorted(sorted(range(len(tokens)), key=lambda t: -max(a[t] for a in shares))[:MOST_TOKENS])
    picture = [[a[t] for t in kept] for a in shares]
    axes.imshow(picture, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(kept)), [_short(tokens[t]) for t in kept], rotation=35, ha="right")
    axes.set_yticks(range(len(shares)), [_short(h, 40) for h in found["heads"]])
    axes.grid(visible=False)
    for i, row in enumerate(picture):
        for j, x in enumerate(row):
            if x >= 0.005:
                axes.text(j, i, f"{x:.2f}", ha="center", va="center", color="white" if x > 0.5 else "black")
    axes.set_title("attention of the last position", loc="left", fontsize=12)


def _logits(axes: Axes, found: Mapping[str, Any]) -> None:
    rows = list(reversed(found["logits"]))
    for i, row in enumerate(rows):
        up = down = 0.0
        for part, colour in PARTS.items():
            x = row[part]
            axes.barh(i, x, left=up if x >= 0 else down, color=colour, label=part if i == 0 else None)
            up, down = up + max(x, 0), down + min(x, 0)
        axes.text(up, i, f" {row['logit']:.4g}", va="center", fontsize=9.5)
    axes.set_yticks(range(len(rows)), [_short(row["token"]) for row in rows])
    axes.margins(x=0.2)
    axes.set_title("logits of the best tokens", loc="left", fontsize=12)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)


def _neurons(axes: Axes, found: Mapping[str, Any]) -> None:
    rows = list(reversed(found["neurons"]))
    axes.barh(range(len(rows)), [x for _, x in rows], color=[BLUE if x >= 0 else RED for _, x in rows])
    axes.set_yticks(range(len(rows)), [f"neuron {i}" for i, _ in rows])
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel(f"nats of the lead; all neurons {found['neurons_total']:+.3g}")
    axes.set_title("strongest neurons", loc="left", fontsize=12)


def _short(name: str, most: int = SHOWN) -> str:
    name = shown(name)
    return name if len(name) <= most else name[: most - 1] + "…"
