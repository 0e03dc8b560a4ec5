"""How every figure looks, and how it is written. Colours of Okabe and Ito, told apart without colour too."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from factweights.folders import whole_file
from factweights.plots.fonts import USUAL, readable

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#222222", "#666666"

RC: dict[Any, Any] = {
    "font.family": USUAL,
    "font.size": 11,
    "axes.labelsize": 12,
    "axes.titlesize": 13,
    "legend.fontsize": 9.5,
    "svg.hashsalt": "factweights",
    "svg.fonttype": "path",  # the same picture where that font is missing
}


class Picture(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        write(self, buffer, "png")
        return buffer.getvalue()


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure of that many inches, on the Agg canvas, with one pair of axes."""
    with mpl.rc_context(RC):
        figure = Picture(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
    _plain(axes)
    return figure, axes


def new_panels(width: float, height: float, n: int) -> tuple[Figure, list[Axes]]:
    """As :func:`new_figure`, with ``n`` pairs of axes side by side that share the vertical one."""
    with mpl.rc_context(RC):
        figure = Picture(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = list(figure.subplots(1, n, sharey=True, squeeze=False)[0])
    for axes in panels:
        _plain(axes)
    return figure, panels


def new_rows(width: float, height: float, n: int) -> tuple[Figure, list[Axes]]:
    """As :func:`new_figure`, with ``n`` pairs of axes one above the other that share the horizontal one."""
    with mpl.rc_context(RC):
        figure = Picture(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = list(figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0])
    for axes in panels:
        _plain(axes)
    return figure, panels


def new_row(width: float, height: float, n: int) -> tuple[Figure, list[Axes]]:
    """As :func:`new_figure`, with ``n`` unrelated axes side by side."""
    with mpl.rc_context(RC):
        figure = Picture(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        row = list(figure.subplots(1, n, squeeze=False)[0])
    for axes in row:
        _plain(axes)
    return figure, row


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(which="major", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)


def title(axes: Axes, text: str, below: str) -> None:
    """A title with a smaller line under it, above the axes."""
    axes.set_title(text, loc="left", pad=24, fontsize=13)
    axes.annotate(
        below,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 8),
        textcoords="offset points",
        color=GREY,
        fontsize=10,
    )


def quiet(legend: Legend) -> None:
    """No frame, left-aligned, title in bold."""
    legend.set_frame_on(False)
    legend.set_alignment("left")
    legend.get_title().set_fontweight("bold")
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_fontsize(9.5)


def legends(
    axes: Axes, measured: Sequence[Artist], theory: Sequence[Artist], *, title: str = "measured"
) -> None:
    """Two legends to the right of the axes: what was measured above, what is drawn for comparison below."""
    first = axes.legend(handles=measured, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.02))
    axes.add_artist(first)
    second = axes.legend(handles=theory, title="theory", loc="lower left", bbox_to_anchor=(1.01, -0.02))
    for legend in (first, second):
        quiet(legend)


def count_facts(axes: Axes) -> None:
    """A logarithmic vertical axis of facts, 1, 2, 5, 10, …, written out."""
    axes.set(yscale="log", ylabel="facts N")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}" if y >= 1 else f"{y:g}"))


def save(figure: Figure, path: str | Path) -> Path:
    """Write ``figure`` as the suffix says, whole or not at all; the same figure gives the same bytes.

    Raises:
        OutputError: it could not be written.
    """
    path = Path(path)
    buffer = io.BytesIO()
    write(figure, buffer, path.suffix.removeprefix("."))
    with whole_file(path) as tmp:
        tmp.write_bytes(buffer.getvalue())
    return path


def kept(figure: Figure, path: str | Path | None) -> Figure:
    """The figure, written as well where a path is given; errors as of :func:`save`."""
    if path is not None:
        save(figure, path)
    return figure


def write(figure: Figure, buffer: io.BytesIO, kind: str, *, transparent: bool = False) -> None:
    """Write ``figure`` to ``buffer`` as ``svg``, ``png`` or ``pdf``, without a date; names are no markup."""
    readable(figure)
    undated = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}
    with mpl.rc_context(RC), warnings.catch_warnings():
        # One line has said what no font has; older versions of matplotlib cannot join Arabic letters.
        warnings.filterwarnings("ignore", "Glyph .* missing|Matplotlib currently does not support")
        figure.savefig(buffer, format=kind, dpi=160, metadata=undated.get(kind), transparent=transparent)
