"""The margin of a scored fact: the one definition that certificates, methods and studies share."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def margins_of(scores: Float[Tensor, "n m"], targets: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Score of the right answer less the best score of a wrong one, ``(N,)``; ∞ where there is no other.

    In float64, so that the difference adds no rounding to scores of fewer bits. A fact is right where its
    margin is above 0: a tie is a miss.
    """
    at = targets[:, None]
    return scores.gather(1, at)[:, 0].double() - scores.scatter(1, at, -torch.inf).amax(1).double()
