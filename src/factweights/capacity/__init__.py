"""How much fits: the largest number of facts, or the smallest memory, at a named recall level."""

from factweights.capacity.facts import capacity
from factweights.capacity.probing import probe
from factweights.capacity.results import Capacity, Probe, Run, Smallest, Width, WidthRun
from factweights.capacity.size import law_d, smallest_d, smallest_rank, smallest_width, width
from factweights.capacity.transformer import smallest_transformer

__all__ = [
    "Capacity",
    "Probe",
    "Run",
    "Smallest",
    "Width",
    "WidthRun",
    "capacity",
    "law_d",
    "probe",
    "smallest_d",
    "smallest_rank",
    "smallest_transformer",
    "smallest_width",
    "width",
]
