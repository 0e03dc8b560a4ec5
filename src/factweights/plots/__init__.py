"""Drawing: one function per figure, from its JSON-able data to a matplotlib ``Figure``. No global state."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from factweights.errors import UnknownNameError
from factweights.plots.capacity_lm import capacity_lm
from factweights.plots.fig1_left import fig1_left
from factweights.plots.fig1_right import fig1_right
from factweights.plots.fig4_left import fig4_left, fig7
from factweights.plots.fig4_right import fig4_right
from factweights.plots.fig5 import fig5
from factweights.plots.frames import animate, frames_panel, save_frames
from factweights.plots.phase_diagram import phase_diagram
from factweights.plots.style import save
from factweights.plots.success import success_curve
from factweights.plots.sweep import capacity_sweep

DRAWN: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "fig1-left": fig1_left,
    "fig1-right": fig1_right,
    "fig4-left": fig4_left,
    "fig4-right": fig4_right,
    "fig5": fig5,
    "fig6": fig1_right,
    "fig7": fig7,
    "fig8": fig4_left,
    "fig9": fig4_left,
    "frames": frames_panel,
    "phase-diagram": phase_diagram,
    "success-curve": success_curve,
    "capacity-sweep": capacity_sweep,
    "capacity-lm": capacity_lm,
}


def draw(data: dict[str, Any]) -> Figure:
    """The figure that ``data["figure"]`` names.

    Raises:
        UnknownNameError: none is called that.
    """
    name = str(data.get("figure"))
    if name not in DRAWN:
        raise UnknownNameError("figure", name, DRAWN, f"(there are {', '.join(DRAWN)})")
    return DRAWN[name](data)


__all__ = [
    "DRAWN",
    "animate",
    "capacity_lm",
    "capacity_sweep",
    "draw",
    "fig1_left",
    "fig1_right",
    "fig4_left",
    "fig4_right",
    "fig5",
    "fig7",
    "frames_panel",
    "phase_diagram",
    "save",
    "save_frames",
    "success_curve",
]
