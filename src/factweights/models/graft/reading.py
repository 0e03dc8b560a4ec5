"""Which relation is asked, and whether an answer is due: read from the model's own state and from words."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from factweights.models.graft.cues import Cues


@dataclass(frozen=True)
class Reading:
    """What fires, as weights on what MLPs see of the model's own state, and on words.

    At a position whose state has the root mean square ρ before the MLP of a layer that is read, and n after
    its norm, let x = n typical / ρ there. An answer is due where Σ_layers ⟨due, x⟩ > due_threshold. The score
    of class r is Σ_layers ⟨relations_r, x⟩ + Σ_w share_w cues_{w, r}, over the words within a window; the
    first R classes are relations, the others are kinds of other questions. Where an answer is due, the
    relation fires whose score is further above its threshold than those of all others together.

    Attributes:
        layers: old numbers of the layers that are read; the model's last three decide, see ``circuit``.
        due: ``(L, d)``.
        due_threshold: of it.
        relations: ``(L, R + K, d)``.
        thresholds: ``(R + K,)``.
        words: which tokens are words.
        cues: ``(words, R + K)``.
        others: K.
        softness: how far above a threshold something has fired in full.
        typical: root mean squares of the state before the MLPs of the layers that are read, of the three that
            decide, and behind the last one, as the widened model divides by them.
    """

    layers: tuple[int, ...]
    due: Float[Tensor, "L d"]
    due_threshold: float
    relations: Float[Tensor, "L c d"]
    thresholds: Float[Tensor, " c"]
    words: Cues
    cues: Float[Tensor, "w c"]
    others: int
    softness: float
    typical: tuple[float, ...]

    @property
    def real(self) -> int:
        """R, relations of the table."""
        return len(self.thresholds) - self.others
