"""Which relation is asked, and whether an answer is due: read from the model's own state and from words."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from factweights.models.graft.cues import Cues


@dataclass(frozen=True)
class Reading:
    """What fires, as weights on what an MLP sees of the model's own state, and on words.

    At a position whose state has the root mean square ρ before the MLP of the layer that is read, and n after
    its norm, let x = n typical / ρ. An answer is due where ⟨due, x⟩ > due_threshold. The score of relation r
    is ⟨relations_r, x⟩ + Σ_w share_w cues_{w, r}, over the words within a window. Where an answer is due, the
    relation fires whose score is further above its threshold than those of all others together.

    Attributes:
        layer: old number of the layer that is read; the three behind it decide, see ``circuit``.
        due: ``(d,)``.
        due_threshold: of it.
        relations: ``(R, d)``.
        thresholds: ``(R,)``.
        words: which tokens are words.
        cues: ``(words, R)``.
        softness: how far above a threshold something has fired in full.
        typical: root mean squares of the state before the MLPs of the four layers, and behind the last one,
            as the widened model divides by them.
    """

    layer: int
    due: Float[Tensor, " d"]
    due_threshold: float
    relations: Float[Tensor, "R d"]
    thresholds: Float[Tensor, " R"]
    words: Cues
    cues: Float[Tensor, "w R"]
    softness: float
    typical: tuple[float, float, float, float, float]
