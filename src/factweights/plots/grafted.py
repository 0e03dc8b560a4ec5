"""What a grafted model does with one prompt, in three panels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from factweights.plots.style import BLUE, GREY, ORANGE, kept, new_row

MOST_TOKENS = 16  # that fit below each other on one panel
SHOWN = 26  # characters of a name


def draw_grafted(found: Mapping[str, Any], path: str | Path | None = None) -> Figure:
    """The copied name, the relations' scores, and the best tokens with and without the graft.

    Args:
        found: ``to_dict()`` of an explanation of a graft.
        path: a PNG, SVG or PDF file.

    Raises:
        OutputError: it could not be written.
    """
    figure, axes = new_row(14, 4.2, 3)
    _name(axes[0], found)
    _relations(axes[1], found)
    _tokens(axes[2], found)
    figure.suptitle(f"{found['prompt'][-70:]!r} → {_short(found['answer'])!r}", fontsize=13)
    return kept(figure, path)


def _name(axes: Axes, found: Mapping[str, Any]) -> None:
    tokens, shares = found["tokens"][-MOST_TOKENS:], found["attention"][-MOST_TOKENS:]
    axes.barh(range(len(tokens)), shares, color=ORANGE)
    axes.set_yticks(range(len(tokens)), [_short(repr(t)[1:-1]) for t in tokens])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title(f"name copied: {_short(found['subject'] or 'none')}", loc="left", fontsize=12)


def _relations(axes: Axes, found: Mapping[str, Any]) -> None:
    rows = sorted(
        [
            *found["relations"],
            {"relation": "an answer is due", "above": found["due"], "fired": found["due"] > 0},
        ],
        key=lambda r: r["above"],
    )
    axes.barh(
        range(len(rows)), [r["above"] for r in rows], color=[BLUE if r["fired"] else GREY for r in rows]
    )
    axes.set_yticks(range(len(rows)), [_short(r["relation"]) for r in rows])
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("above the threshold; blue fired")
    axes.set_title("what is asked", loc="left", fontsize=12)


def _tokens(axes: Axes, found: Mapping[str, Any]) -> None:
    rows = list(reversed(found["logits"]))
    places = range(len(rows))
    axes.barh([i + 0.2 for i in places], [r["logit"] for r in rows], height=0.38, color=BLUE, label="grafted")
    axes.barh([i - 0.2 for i in places], [r["before"] for r in rows], height=0.38, color=GREY, label="before")
    axes.set_yticks(list(places), [_short(repr(r["token"])[1:-1]) for r in rows])
    axes.set_title("logits of the best tokens", loc="left", fontsize=12)
    axes.legend(frameon=False, loc="lower right")


def _short(name: str) -> str:
    return name if len(name) <= SHOWN else name[: SHOWN - 1] + "…"
