"""Figure 4, left, of arXiv 2412.06538: facts that transformers recall, against their parameters."""

from typing import ClassVar, final

from factweights.studies.recall_capacity import RecallCapacity
from factweights.studies.recall_families import Family


@final
class Fig4Left(RecallCapacity):
    """As many relations as subjects, eight answers each; the paper's guide is 0.15 facts per parameter."""

    name: ClassVar[str] = "fig4-left"
    title: ClassVar[str] = "Facts recalled by one-layer transformers, S = R, D = 8"
    family: ClassVar[Family] = "S=R"
