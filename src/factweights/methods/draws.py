"""Random weights that are the same on every machine; their streams are those of :mod:`factweights.seeds`."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def normal(rng: np.random.Generator, rows: int, columns: int, like: Tensor) -> Float[Tensor, "rows columns"]:
    """Entries N(0, 1), drawn on the CPU row by row, in the dtype and on the device of ``like``.

    The first rows do not depend on how many are drawn: a narrower layer is part of every wider one.
    """
    return torch.from_numpy(rng.standard_normal((rows, columns))).to(like)


def typical_length(rows: Float[Tensor, "n d"]) -> float:
    """√(mean ‖row‖²), 1 where all rows vanish: divides weights so that key lengths do not matter."""
    return float(rows.double().square().sum(1).mean().sqrt()) or 1.0
