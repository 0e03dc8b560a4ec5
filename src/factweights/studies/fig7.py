"""Figure 7 of arXiv 2412.06538: figure 4 left against attention and MLP parameters apart."""

from typing import ClassVar, final

from factweights.studies.recall_capacity import RecallCapacity
from factweights.studies.recall_families import Family


@final
class Fig7(RecallCapacity):
    """The cells of figure 4 left, so the same folder measures nothing anew.

    Which variant has which of the numbers 7 to 9 is our choice.
    """

    name: ClassVar[str] = "fig7"
    title: ClassVar[str] = "Facts against attention and MLP parameters, S = R, D = 8"
    family: ClassVar[Family] = "S=R"
