"""Bits that trained language models hold, against their parameters, and memories beside them."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from factweights.plots import style

_COLOURS = {"llama": style.BLUE, "gpt2": style.ORANGE}
_MARKERS = {"balanced": "o", "attention": "^", "mlp": "s"}
_BESIDE = {"gated": (style.GREEN, "D"), "compiled": (style.PURPLE, "P")}


def capacity_lm(data: Mapping[str, Any]) -> Figure:
    """Draw the data of :class:`factweights.studies.figures.capacity_lm.CapacityLM`."""
    figure, (left, right) = style.new_row(14, 5.2, 2)
    handles = [_series(left, s) for s in data["series"]] + [_beside(left, b) for b in data["beside"]]
    _lines(left, data)
    left.set(xscale="log", yscale="log", xlabel="parameters, every scalar counted", ylabel="bits")
    style.title(left, data["title"], "bound of arXiv 2404.05405 on names and attributes; bars over seeds")
    style.quiet(left.legend(handles=handles, loc="upper left", fontsize=8.5))
    _shares(right, data)
    return figure


def _look(s: dict[str, Any]) -> dict[str, Any]:
    """Filled for 1,000 exposures and more, hollow below."""
    colour = _COLOURS.get(s["architecture"], style.BLACK)
    full = s["exposures"] >= 1000
    return {
        "marker": _MARKERS.get(s["shape"], "v"),
        "color": colour,
        "markerfacecolor": colour if full else "none",
        "linestyle": "-" if s["shape"] == "balanced" else "none",
        "linewidth": 0.8,
        "markersize": 6,
    }


def _series(axes: Axes, s: dict[str, Any]) -> Line2D:
    shown = [p for p in s["points"] if p["bits"] > 0]
    for p in shown:
        low, high = (max(x, 1e-9) * p["parameters"] for x in p["interval"])
        axes.plot([p["parameters"]] * 2, [low, high], color=_look(s)["color"], linewidth=1.2)
    x, y = [p["parameters"] for p in shown], [p["bits"] for p in shown]
    return axes.plot(x, y, label=s["label"], **_look(s))[0]


def _beside(axes: Axes, b: dict[str, Any]) -> Line2D:
    colour, marker = _BESIDE[b["kind"]]
    x, y = [p["parameters"] for p in b["points"]], [p["bits"] for p in b["points"]]
    return axes.plot(x, y, color=colour, marker=marker, linestyle=":", linewidth=0.8, label=b["label"])[0]


def _lines(axes: Axes, data: Mapping[str, Any]) -> None:
    points = [p for s in [*data["series"], *data["beside"]] for p in s["points"]]
    if not points:
        return
    x = [min(p["parameters"] for p in points), max(p["parameters"] for p in points)]
    for line, dashes in zip(data["lines"], ((0, (6, 2)), (0, (1, 1.5))), strict=True):
        y = [line["bits_per_parameter"] * v for v in x]
        axes.plot(x, y, color=style.GREY, linestyle=dashes, linewidth=1.1)
        axes.annotate(f"{line['bits_per_parameter']:g} per parameter", (x[1], y[1]), color=style.GREY,
                      xytext=(-4, 5), textcoords="offset points", ha="right", fontsize=8.5)  # fmt: skip


def _shares(axes: Axes, data: Mapping[str, Any]) -> None:
    """Bits per parameter of the largest model of each series, as trained and rounded to 8 bits."""
    rows = [
        (s["label"], max(s["points"], key=lambda p: p["parameters"])) for s in data["series"] if s["points"]
    ]
    for i, (_, p) in enumerate(rows):
        x = p["bits_per_parameter"]
        axes.barh(i + 0.18, x, 0.34, color=style.BLUE, label="as trained" if i == 0 else None)
        axes.barh(
            i - 0.18,
            x * p["int8_share"],
            0.34,
            color=style.SKY,
            label="rounded to 8 bits" if i == 0 else None,
        )
        axes.plot(p["interval"], [i + 0.18] * 2, color=style.BLACK, linewidth=1.2)
        inside = {"xytext": (4, -3), "textcoords": "offset points", "fontsize": 8, "color": "white"}
        axes.annotate(f"{p['parameters']:,}", (0, i + 0.18), **inside)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.set_xlabel("bits per parameter")
    style.title(axes, "Before and after rounding", "the largest model of each series, its parameters inside")
    style.quiet(axes.legend(loc="lower right"))
