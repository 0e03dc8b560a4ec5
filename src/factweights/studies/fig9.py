"""Figure 9 of arXiv 2412.06538: as figure 4 left, with as many answers of each relation as subjects."""

from typing import ClassVar, final

from factweights.studies.recall_capacity import NINE, SIZES, Extent, RecallCapacity
from factweights.studies.recall_families import Family


@final
class Fig9(RecallCapacity):
    """Facts weigh log2 S bits instead of 3, so fewer fit; the guide for D = 8 is drawn all the same.

    Which variant has which of the numbers 7 to 9 is our choice.
    """

    name: ClassVar[str] = "fig9"
    title: ClassVar[str] = "Facts recalled by one-layer transformers, S = R = D"
    family: ClassVar[Family] = "D=S"
    laptop: ClassVar[Extent] = SIZES[1:5], NINE[::2], 1
