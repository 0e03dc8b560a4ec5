"""Probabilities p̂(a | s, r) over time: a panel of frames, the frames one by one, or an animation.

Data: ``times``, ``probabilities`` (one ``(N, A)`` table for each time), ``relation`` ``(N,)``,
``stages`` as of a flow, ``loss`` as pairs (time, loss), and ``relation_entropy``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from factweights.errors import OutputError, SettingError
from factweights.folders import Kind, Manifest, list_files, whole_file, whole_folder
from factweights.plots import style
from factweights.plots.fig5 import draw_stages

FRAMES = Kind("folder of frames", "frames.json", Manifest, ("factweights.frames.1",), "save_frames")
ROWS = 256  # facts that are drawn at most, evenly chosen


def frames_panel(data: dict[str, Any]) -> Figure:
    """All frames side by side over the loss curve, facts sorted by relation."""
    n = len(_checked(data)["times"])
    figure = _empty(2.1 * n + 1.2, 5.4)
    grid = figure.add_gridspec(2, n, height_ratios=(2, 1))
    tables = _tables(data)
    meshes = []
    for k, (t, table) in enumerate(zip(data["times"], tables, strict=True)):
        axes = figure.add_subplot(grid[0, k])
        meshes.append(_draw_table(axes, table))
        axes.set_title(f"t = {t:,.4g}\n{stage_at(data['stages'], t)}", fontsize=10)
        if k == 0:
            axes.set(xlabel="answers", ylabel="facts, by relation")
    bar = figure.colorbar(meshes[-1], ax=figure.axes[-1], pad=0.03, aspect=30)
    bar.set_label("p̂(a | s, r)")
    below = figure.add_subplot(grid[1, :])
    _draw_loss(below, data)
    for t in data["times"]:
        below.axvline(t, color=style.RED, linewidth=1, zorder=4)
    return figure


def save_frames(data: dict[str, Any], folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """One PNG for each time in ``folder``, all of them or none, and ``frames.json`` with their hashes.

    Raises:
        SettingError: no frames.
        OutputError: the folder is not empty or cannot be written.
    """
    tables = _tables(_checked(data))
    names = [f"frame-{k:03d}.png" for k in range(len(tables))]
    with whole_folder(folder, kind=FRAMES, overwrite=overwrite) as tmp:
        for k, name in enumerate(names):
            figure, show = _moving(data, tables)
            show(k)
            style.save(figure, tmp / name)
        list_files(tmp, FRAMES)
    return [Path(folder) / name for name in names]


def animate(data: dict[str, Any], path: str | Path, *, per_second: int = 12) -> Path:
    """An animated GIF, whole or not at all.

    Raises:
        SettingError: no frames, or a path that does not end in .gif.
        OutputError: it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise SettingError(f"an animation is written as a .gif, got {path.name!r}")
    tables = _tables(_checked(data))
    figure, show = _moving(data, tables)
    with whole_file(path) as tmp, mpl.rc_context({"animation.embed_limit": 50}):
        moving = FuncAnimation(figure, show, frames=len(tables), blit=False)
        try:
            moving.save(tmp, writer=PillowWriter(fps=per_second), dpi=80)
        except ValueError as e:
            raise OutputError(f"cannot write {path}: {e}") from e
    return path


def stage_at(stages: Sequence[dict[str, Any]], t: float) -> str:
    """The name of the stage at that time; ``learnt`` after the last one."""
    for stage in stages:
        if stage["start"] <= t and (stage["end"] is None or t < stage["end"]):
            return stage["name"]
    return "learnt"


def _checked(data: dict[str, Any]) -> dict[str, Any]:
    if not data.get("times"):
        raise SettingError("there are no frames to draw; give times at which probabilities were kept")
    return data


def _tables(data: dict[str, Any]) -> list[np.ndarray]:
    """Probabilities with facts sorted by relation, at most ROWS of them."""
    order = np.argsort(np.asarray(data["relation"]), kind="stable")
    if len(order) > ROWS:
        order = order[np.linspace(0, len(order) - 1, ROWS).round().astype(int)]
    return [np.asarray(p)[order] for p in data["probabilities"]]


def _empty(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_table(axes: Axes, table: np.ndarray) -> Any:
    axes.xaxis.set_major_locator(NullLocator())
    axes.yaxis.set_major_locator(NullLocator())
    return axes.imshow(table, aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest")


def _draw_loss(axes: Axes, data: dict[str, Any]) -> None:
    t, loss = np.asarray(data["loss"]).T
    draw_stages(axes, data["stages"], float(t[-1]))
    axes.plot(t, loss, color=style.BLACK, linewidth=1.6)
    axes.axhline(data["relation_entropy"], color=style.GREY, linewidth=1, linestyle=(0, (6, 3)))
    axes.set(xlim=(0, t[-1]), ylim=(0, 1.15 * loss.max()), xlabel="time t", ylabel="loss, nats")
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _moving(data: dict[str, Any], tables: Sequence[np.ndarray]) -> tuple[Figure, Any]:
    """A figure of one frame, and the function that turns it to another."""
    figure = _empty(5.6, 6.4)
    grid = figure.add_gridspec(2, 1, height_ratios=(2.4, 1))
    above, below = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    image = _draw_table(above, tables[0])
    figure.colorbar(image, ax=above, pad=0.02, aspect=30).set_label("p̂(a | s, r)")
    above.set(xlabel="answers", ylabel="facts, by relation")
    _draw_loss(below, data)
    line = below.axvline(data["times"][0], color=style.RED, linewidth=1.4, zorder=4)

    def show(k: int) -> Any:
        t = data["times"][k]
        image.set_data(tables[k])
        line.set_xdata([t, t])
        above.set_title(f"t = {t:,.0f}: {stage_at(data['stages'], t)}", fontsize=12, loc="left")
        return image, line

    show(0)
    return figure, show
