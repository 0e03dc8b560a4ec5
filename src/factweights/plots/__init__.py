"""Drawing: one function per figure, from its JSON-able data to a matplotlib ``Figure``. No global state."""

from factweights.plots.capacity_lm import capacity_lm
from factweights.plots.fig1_left import fig1_left
from factweights.plots.fig1_right import fig1_right
from factweights.plots.fig4_left import fig4_left, fig7
from factweights.plots.fig4_right import fig4_right
from factweights.plots.fig5 import fig5
from factweights.plots.fig5_maps import fig5_maps
from factweights.plots.frames import animate, frames_panel, save_frames
from factweights.plots.phase_diagram import phase_diagram
from factweights.plots.random_embeddings import random_embeddings
from factweights.plots.style import save
from factweights.plots.success import success_curve
from factweights.plots.superposition import superposition
from factweights.plots.sweep import capacity_sweep

__all__ = [
    "animate",
    "capacity_lm",
    "capacity_sweep",
    "fig1_left",
    "fig1_right",
    "fig4_left",
    "fig4_right",
    "fig5",
    "fig5_maps",
    "fig7",
    "frames_panel",
    "phase_diagram",
    "random_embeddings",
    "save",
    "save_frames",
    "success_curve",
    "superposition",
]
