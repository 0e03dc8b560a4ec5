"""What can be shown: one file for each family of figures, one registry of all."""

from typing import TYPE_CHECKING

from factweights.errors import UnknownNameError
from factweights.folders.jsons import Json
from factweights.studies.figures.capacity_lm import CapacityLM
from factweights.studies.figures.capacity_sweep import CapacitySweep
from factweights.studies.figures.heads import Fig4Right
from factweights.studies.figures.learning import Fig5
from factweights.studies.figures.linear import Fig1Left
from factweights.studies.figures.mlp import Fig1Right, Fig6
from factweights.studies.figures.phase_diagram import PhaseDiagram
from factweights.studies.figures.random_embeddings import RandomEmbeddings
from factweights.studies.figures.success import SuccessCurve
from factweights.studies.figures.superposition import SuperpositionStudy
from factweights.studies.figures.transformers import Fig4Left, Fig7, Fig8, Fig9
from factweights.studies.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Figures in the order of the paper, each with specs at the scales smoke, laptop and paper.
_FIGURES = (Fig1Left, Fig1Right, Fig4Left, Fig4Right, Fig5, Fig6, Fig7, Fig8, Fig9)
_OURS = (PhaseDiagram, SuccessCurve, CapacityLM, RandomEmbeddings, SuperpositionStudy)

FIGURES = {kind.name: kind for kind in (*_FIGURES, *_OURS)}
STUDIES: dict[str, type[Study]] = {**FIGURES, CapacitySweep.name: CapacitySweep}


def draw(data: Json) -> "Figure":
    """The picture of what a study gathered, as its JSON file has it.

    Raises:
        UnknownNameError: no study is called ``data["figure"]``.
    """
    name = str(data.get("figure"))
    if name not in STUDIES:
        raise UnknownNameError("figure", name, STUDIES, f"(there are {', '.join(STUDIES)})")
    return STUDIES[name].draw(data)


__all__ = [
    "FIGURES",
    "STUDIES",
    "CapacityLM",
    "CapacitySweep",
    "Fig1Left",
    "Fig1Right",
    "Fig4Left",
    "Fig4Right",
    "Fig5",
    "Fig6",
    "Fig7",
    "Fig8",
    "Fig9",
    "PhaseDiagram",
    "RandomEmbeddings",
    "SuccessCurve",
    "SuperpositionStudy",
    "draw",
]
