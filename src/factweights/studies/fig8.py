"""Figure 8 of arXiv 2412.06538: as figure 4 left, with many subjects and few relations."""

from typing import ClassVar, final

from factweights.studies.recall_capacity import NINE, SIZES, Extent, RecallCapacity
from factweights.studies.recall_families import Family


@final
class Fig8(RecallCapacity):
    """The number of relations is the rounded root of the number of subjects.

    Which variant has which of the numbers 7 to 9 is our choice.
    """

    name: ClassVar[str] = "fig8"
    title: ClassVar[str] = "Facts recalled by one-layer transformers, S = R², D = 8"
    family: ClassVar[Family] = "S=R^2"
    smoke: ClassVar[Extent] = SIZES[:3], NINE[3:6:2], 1
    laptop: ClassVar[Extent] = SIZES[1:5], NINE[::2], 1
