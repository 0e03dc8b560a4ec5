"""How often facts are asked: weights p(x) that add up to 1."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import FactsError, ShapeError
from factweights.facts.tensors import as_tensor

SUM = 1e-9  # how far the sum of weights may be from 1


def as_weights(weights: Any, keys: Tensor) -> Float[Tensor, " n"]:
    """Weights as float64 on the device of the keys, divided by their sum.

    Raises:
        ShapeError: another number of weights than keys.
        FactsError: weights that are negative, not finite, or all 0.
    """
    w = as_tensor("weights", weights, torch.float64).to(device=keys.device, dtype=torch.float64)
    if w.shape != (len(keys),):
        raise ShapeError(f"weights are {tuple(w.shape)} for {len(keys):,} facts; give one number each")
    return normalised(w)


def normalised(w: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``w`` over its sum.

    Raises:
        FactsError: weights that are negative, not finite, or all 0.
    """
    if not bool((w >= 0).all()) or not 0 < float(w.sum()) < float("inf"):
        raise FactsError("weights say how often facts are asked: give finite numbers ≥ 0, some above 0")
    return w / w.sum()


def check_weights(w: Tensor, keys: Tensor) -> None:
    """Raise unless ``w`` are frequencies of the facts of ``keys``.

    Raises:
        ShapeError: another shape, dtype or device.
        FactsError: negative entries, or a sum that is not 1.
    """
    if w.shape != (len(keys),) or w.dtype != torch.float64 or w.device != keys.device:
        raise ShapeError(
            f"weights are {tuple(w.shape)} {w.dtype} on {w.device}; give {len(keys):,} numbers in float64 on "
            f"{keys.device}, or any by facts.weighted(weights)"
        )
    if not bool((w >= 0).all()) or abs(float(w.sum()) - 1) > SUM:
        raise FactsError(
            f"weights are ≥ 0 and add up to 1, these to {float(w.sum()):.9g}; facts.weighted(weights) divides"
        )
