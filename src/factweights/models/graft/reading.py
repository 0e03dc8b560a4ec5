"""A linear reading of the model's own state: which relation is asked, if an answer is due here."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Reading:
    """Which relation fires, as weights on what the MLPs of some layers see.

    At a position whose state has the root mean square ρ_l before the MLP of layer l, and n_l after its norm,
    the score of relation r is Σ_l ⟨w_{l,r}, n_l⟩ typical_l / ρ_l. It fires where the score is above the threshold.

    Attributes:
        layers: old numbers of the layers that are read.
        weights: for each of them ``(R, d)``.
        thresholds: ``(R,)``.
        softness: score above the threshold at which a relation has fired in full.
        fires: old number of the layer whose MLP compares score and threshold.
        typical: root mean square before the MLP, for each layer that is read, for the one that fires, and
            behind the last layer.
    """

    layers: tuple[int, ...]
    weights: tuple[Float[Tensor, "R d"], ...]
    thresholds: Float[Tensor, " R"]
    softness: float
    fires: int
    typical: tuple[float, ...]
