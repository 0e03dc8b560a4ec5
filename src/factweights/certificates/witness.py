"""The multipliers that can refute a matrix, and the bound they prove."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from factweights.certificates.rounding import SLACK, UNIT64, gamma
from factweights.errors import ShapeError
from factweights.facts import Associations
from factweights.typed import norm

UNDERFLOW = 1e-290  # far above what products below the smallest normal number can add up to
REFUTED = 1e-6  # relative bound from which on facts count as refuted


class WitnessError(ShapeError):
    """Multipliers that refute nothing: which entry, what stands there, and what should."""


@dataclass(frozen=True)
class Witness:
    """What refutes a matrix: multipliers ``weight`` > 0 of "fact ``row`` scores above output ``col``".

    By Gordan's theorem, if Σ λ_iy (v_f(i) − v_y) k_iᵀ = G with λ ≥ 0 and Σ λ = 1, then no W with ‖W‖_F = 1
    has a margin above ‖G‖_F: the smallest of the margins is at most their λ-average, ⟨W, G⟩.

    Attributes:
        row, col, weight: ``(a,)`` each, an entry for each constraint; ``col`` is never the target of ``row``.
            They may come from anywhere, so :func:`check_witness` looks at them before they count.
        facts_hash: of the facts that it was found for, where known.
    """

    row: Tensor
    col: Tensor
    weight: Tensor
    facts_hash: str | None = None


@dataclass(frozen=True)
class MarginBound:
    """What a witness proves of every matrix W with ‖W‖_F = 1, rounding of its own evaluation included.

    Attributes:
        absolute: no W has a margin above it: ‖G‖_F / Σ λ.
        relative: ‖G‖_F / Σ λ_iy ‖v_f(i) − v_y‖ ‖k_i‖: no W satisfies every constraint of the witness by more
            than this part of the constraint's own norm. It does not change when keys are scaled one by one,
            which changes no answer either.
    """

    absolute: float
    relative: float

    @property
    def refutes(self) -> bool:
        """Whether the facts count as not storable: ``relative`` at most ``REFUTED``."""
        return self.relative <= REFUTED


def margin_bound(facts: Associations, witness: Witness) -> float:
    """The largest margin any W with ‖W‖_F = 1 can have, by ``witness`` (Gordan), in float64.

    The bound includes the rounding error of its own evaluation.

    Raises:
        WitnessError: an empty witness, parts of different lengths, rows or columns that the facts do not
            have, a column that is the row's own target, a multiplier that is not positive and finite.
    """
    return bound_margins(facts, witness).absolute


def bound_margins(facts: Associations, witness: Witness) -> MarginBound:
    """The bounds that ``witness`` proves, in the coordinates in which ``facts`` are given, float64.

    Raises:
        WitnessError: as :func:`margin_bound`.
    """
    check_witness(facts, witness)
    row, col, weight = witness.row.cpu().long(), witness.col.cpu().long(), witness.weight.cpu().double()
    n, f64 = facts.n_facts, facts.to(device="cpu", dtype=torch.float64)
    # Keys and values of the witness at size 1, so that squares stay in range; the bounds are scaled back.
    used = f64.keys[row], f64.values[torch.cat([f64.targets[row], col])]
    k_scale, v_scale = (float(x.abs().max()) or 1.0 for x in used)
    K, V = f64.keys / k_scale, f64.values / v_scale
    weight = weight / weight.max()
    order = row.argsort(stable=True)
    row, col, weight = row[order], col[order], weight[order]
    right = torch.zeros(n, dtype=torch.float64).index_add_(0, row, weight)
    lifted = right[:, None] * V[f64.targets] - weighted_rows(V, row, col, weight, n)
    G = lifted.T @ K
    length, away = norm(K, 1), norm(V[f64.targets[row]] - V[col], 1)
    # Every entry of G is a sum of at most 2·len(row) + N products of three factors, whatever the order.
    terms = gamma(2 * len(row) + n + 8, UNIT64)
    norms = norm(V, 1)
    error = terms * float((weight * length[row] * (norms[f64.targets[row]] + norms[col])).sum())
    top = SLACK * (float(norm(G)) + error) + (UNDERFLOW if error else 0.0)
    # Differences of values cancel; what is left of one is right to the rounding of both.
    sizes = float((weight * length[row] * away).sum()) - 4 * error
    absolute = top / float(weight.sum()) * k_scale * v_scale
    return MarginBound(absolute, top / sizes if sizes > 0 else 0.0 if _all_zero(f64, row, col) else math.inf)


def _all_zero(facts: Associations, row: Tensor, col: Tensor) -> bool:
    """Whether every constraint is 0 itself: a key that is 0, or a value equal to that of the target."""
    zero_key = (facts.keys == 0).all(1)[row]
    same = (facts.values[facts.targets[row]] == facts.values[col]).all(1)
    return bool((zero_key | same).all())


def check_witness(facts: Associations, witness: Witness) -> None:
    """Raise WitnessError unless every multiplier of ``witness`` weighs a constraint of ``facts``."""
    row, col, weight = (x.cpu() for x in (witness.row, witness.col, witness.weight))
    shapes = tuple(row.shape), tuple(col.shape), tuple(weight.shape)
    if len(set(shapes)) > 1 or row.dim() != 1:
        raise WitnessError(f"row, col and weight of a witness are lists of one length, got shapes {shapes}")
    if not len(row):
        raise WitnessError("a witness without entries proves nothing; give at least one multiplier")
    for name, x in (("row", row), ("col", col)):
        if x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
            raise WitnessError(f"{name} of a witness holds whole numbers, got {x.dtype}")
    n, m = facts.n_facts, facts.n_outputs
    target = facts.targets.cpu()[row.long().clamp(0, n - 1)]
    for wrong, what in (
        ((row < 0) | (row >= n), f"row is that of a fact: rows are from 0 up and below {n}"),
        ((col < 0) | (col >= m), f"col is an output: columns are from 0 up and below {m}"),
        (col == target, "col is the target of that row itself, whose constraint is 0 and bounds nothing"),
        (~weight.isfinite(), "weight is a finite number"),
        (~(weight > 0), "weight is a number above 0; leave entries that weigh nothing out"),
    ):
        if bool(wrong.any()):
            i = int(wrong.nonzero()[0])
            entry = f"row {int(row[i])}, col {int(col[i])}, weight {float(weight[i])}"
            raise WitnessError(f"entry {i} of the witness is ({entry}), but {what}")


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
