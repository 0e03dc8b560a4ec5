"""Figure 4, right, of arXiv 2412.06538: recall over attention parameters and MLP parameters."""

from typing import ClassVar, final

from factweights.studies.recall_grid import RecallGrid


@final
class Fig4Right(RecallGrid):
    """S = R = 32, D = 8, d = 32, d_h = 8; the paper's boundary is d m = 2300 − ½ d d_h H from H = 5 on."""

    name: ClassVar[str] = "fig4-right"
    title: ClassVar[str] = "Recall of one-layer transformers: attention or MLP may carry the facts"
