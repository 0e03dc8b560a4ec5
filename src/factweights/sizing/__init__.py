"""How much fits: the largest number of facts, or the smallest memory, at a named recall level."""

from factweights.sizing.facts import capacity
from factweights.sizing.probing import probe
from factweights.sizing.results import Capacity, Probe, Run, Smallest, Width, WidthRun
from factweights.sizing.size import law_d, smallest_d, smallest_rank, smallest_width, width
from factweights.sizing.transformer import fewest_parameters, smallest_transformer

__all__ = [
    "Capacity",
    "Probe",
    "Run",
    "Smallest",
    "Width",
    "WidthRun",
    "capacity",
    "fewest_parameters",
    "law_d",
    "probe",
    "smallest_d",
    "smallest_rank",
    "smallest_transformer",
    "smallest_width",
    "width",
]
