"""The multipliers that can refute a matrix, and the bound they prove."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from factweights.errors import ShapeError
from factweights.facts import Associations


@dataclass(frozen=True)
class Witness:
    """What refutes a matrix: multipliers ``weight`` ≥ 0 of "fact ``row`` scores above output ``col``".

    By Gordan's theorem, if Σ λ_iy (v_f(i) − v_y) k_iᵀ = G with λ ≥ 0 and Σ λ = 1, then no W with ‖W‖_F = 1
    has a margin above ‖G‖_F: the smallest of the margins is at most their λ-average, ⟨W, G⟩.
    """

    row: Int[Tensor, " a"]
    col: Int[Tensor, " a"]
    weight: Float[Tensor, " a"]


def margin_bound(facts: Associations, witness: Witness) -> float:
    """The largest margin any W with ‖W‖_F = 1 can have, by ``witness`` (Gordan), in float64.

    The bound includes the rounding error of its own evaluation.

    Raises:
        ShapeError: rows or columns that the facts do not have, or negative multipliers.
    """
    row, col, weight = witness.row.cpu(), witness.col.cpu(), witness.weight.cpu().double()
    n, m = facts.n_facts, facts.n_outputs
    if not len(row) or int(row.max()) >= n or int(col.max()) >= m or float(weight.min()) < 0:
        raise ShapeError(
            f"a witness for {n} facts and {m} outputs needs rows below {n}, columns below {m}, weights ≥ 0"
        )
    f64 = facts.to(device="cpu", dtype=torch.float64)
    K, V = f64.keys, f64.values
    weight = weight / weight.sum()
    order = row.argsort(stable=True)
    row, col, weight = row[order], col[order], weight[order]
    right = torch.zeros(n, dtype=torch.float64).index_add_(0, row, weight)
    lifted = right[:, None] * V[f64.targets] - weighted_rows(V, row, col, weight, n)
    G = lifted.T @ K
    size = float(K.norm(dim=1).max()) * float(V.norm(dim=1).max())
    rounding = 4 * torch.finfo(torch.float64).eps * math.sqrt(len(row)) * size
    return float(G.norm()) + rounding


def weighted_rows(
    values: Float[Tensor, "m d"],
    row: Int[Tensor, " a"],
    col: Int[Tensor, " a"],
    weight: Float[Tensor, " a"],
    n: int,
) -> Float[Tensor, "n d"]:
    """Σ weight · values[col] for each of ``n`` rows: a sparse matrix times ``values``; ``row`` is sorted."""
    counts = torch.bincount(row, minlength=n)
    return embedding_bag(col, values, counts.cumsum(0) - counts, mode="sum", per_sample_weights=weight)
