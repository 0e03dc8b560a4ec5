"""The one model of rounding behind every "proved", "positive" and "refuted".

Floating-point arithmetic of unit roundoff u gives fl(a ∘ b) = (a ∘ b)(1 + δ) + η with |δ| ≤ u and |η| ≤ the
smallest normal number (results that underflow may be flushed to zero). A sum of n products then errs by at
most γ_n Σ |a_j||b_j| + n η, γ_n = n u / (1 − n u), *in whatever order it is summed*, with fused multiply-adds
or without, and accumulated in this arithmetic or a finer one (Higham, Accuracy and Stability of Numerical
Algorithms, chapter 3). u is that of the dtype in which the memory is used: 2⁻⁵³, 2⁻²⁴, 2⁻¹¹, 2⁻⁸ for float64,
float32, float16, bfloat16; where PyTorch is told to multiply float32 matrices in fewer bits, that of those.
Exponentials and error functions are taken to be right to ULPS units in the last place.

Every quantity is carried as (x, e): a value in float64, and e ≥ |z − x| for z the exact value as well as what
any evaluation in that arithmetic may give; e includes float64's own rounding. Layer by layer, for z = A z_in:

    e = |A| e_in + (γ_n(u) + γ_n(u₆₄)) |A| (|x_in| + e_in) + n η,

so what cancels inside a forward pass is charged at its full size. Two evaluations differ by up to 2e. Where a
sum could overflow, nothing is claimed: e is infinite.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.memories import GatedMemory, LinearMemory, LowRankMemory, Memory, MLPMemory
from factweights.memories.activations import activate
from factweights.typed import norm

ULPS = 8  # in the last place, of exponentials and error functions: taken as given, see above
SLACK = 1 + 1e-6  # the bounds are float64 sums of non-negative terms, right to far better than this
UNIT64 = 2.0**-53  # unit roundoff of float64
FEWER_BITS = {"highest": 2.0**-24, "high": 2.0**-11, "medium": 2.0**-8}  # TF32, bfloat16
SLOPE = {"identity": 1.0, "relu": 1.0, "gelu": 1.13, "silu": 1.1}  # the largest |σ'|


def gamma(n: int, u: float) -> float:
    """γ_n = n u / (1 − n u), infinite where that many roundings may leave no digit."""
    return n * u / (1 - n * u) if n * u < 1 else math.inf


@dataclass(frozen=True)
class Arithmetic:
    """Unit roundoff ``u``, smallest normal and largest number of the arithmetic that a memory is used in."""

    u: float
    tiny: float
    most: float

    @classmethod
    def of(cls, dtype: torch.dtype) -> "Arithmetic":
        """That of matrix products in ``dtype``, by PyTorch's present setting where it is float32."""
        info = torch.finfo(dtype)
        u = info.eps / 2
        if dtype == torch.float32:
            u = max(u, FEWER_BITS[torch.get_float32_matmul_precision()])
        return cls(u, info.tiny, info.max)

    def sums(self, n: int) -> float:
        """γ_n of this arithmetic and of the float64 that the reference is computed in, together."""
        return gamma(n, self.u) + gamma(n, UNIT64)

    def bounded(self, e: Tensor, size: Tensor) -> Tensor:
        """``e`` where terms that add up to ``size`` in absolute value cannot overflow, infinite elsewhere."""
        return torch.where(size < self.most / 2, SLACK * e, math.inf)


@dataclass(frozen=True)
class Bounded:
    """Values in float64, and how far any evaluation (and the exact value) can be from them; same shapes."""

    x: Float[Tensor, "..."]
    e: Float[Tensor, "..."]

    @property
    def size(self) -> Float[Tensor, "..."]:
        """The largest absolute value that any evaluation can see."""
        return self.x.abs() + self.e


def product(at: Bounded, A: Float[Tensor, "k n"], by: Arithmetic, bias: Tensor | None = None) -> Bounded:
    """A z (+ bias) for every row z of ``at``."""
    exact = A.double()
    size = exact.abs()
    n = A.shape[1] + 1
    x, total = at.x @ exact.T, at.size @ size.T
    if bias is not None:
        x, total = x + bias.double(), total + bias.double().abs()
    e = at.e @ size.T + by.sums(n) * total + n * by.tiny
    return Bounded(x, by.bounded(e, total))


def activated(at: Bounded, name: str, coefficients: Sequence[float], by: Arithmetic) -> Bounded:
    """σ(z), entry by entry."""
    if name == "hermite":
        return _hermite(at, coefficients, by)
    x = activate(name, at.x)
    if name in ("identity", "relu"):  # exact
        return Bounded(x, at.e)
    # z Φ(z) and z / (1 + e^{−z}): the second factor is at most 1 and right to a few units of its size 1
    own = ULPS * (by.u + UNIT64) * at.size + by.tiny
    return Bounded(x, SLACK * (SLOPE[name] * at.e + own))


def _hermite(at: Bounded, coefficients: Sequence[float], by: Arithmetic) -> Bounded:
    """Σ c_q h_q(z) by its recurrence; with all signs + it bounds h_q and h_q' = √q h_{q−1} alike."""
    X = at.size
    before, h = torch.zeros_like(X), torch.ones_like(X)
    e = torch.zeros_like(X)
    for q, c in enumerate(coefficients):
        slope = math.sqrt(q) * before
        e = e + abs(c) * (slope * at.e + by.sums(6 * (q + 1) + len(coefficients)) * h)
        before, h = h, (X * h + math.sqrt(q) * before) / math.sqrt(q + 1)
    terms = 6 * len(coefficients)
    e = e + terms * by.tiny * (1 + X)
    return Bounded(activate("hermite", at.x, coefficients), by.bounded(e, X.clamp_min(1) ** terms))


def times(a: Bounded, b: Bounded, by: Arithmetic) -> Bounded:
    """a b, entry by entry."""
    x = a.x * b.x
    size = a.size * b.size
    e = a.size * b.e + b.x.abs() * a.e + (by.u + UNIT64) * size + by.tiny
    return Bounded(x, by.bounded(e, size))


def _linear(memory: LinearMemory, at: Bounded, by: Arithmetic) -> Bounded:
    return product(at, memory.weight, by)


def _low_rank(memory: LowRankMemory, at: Bounded, by: Arithmetic) -> Bounded:
    return product(product(at, memory.read, by), memory.write, by)


def _mlp(memory: MLPMemory, at: Bounded, by: Arithmetic) -> Bounded:
    before = product(at, memory.read, by, memory.bias)
    return product(activated(before, memory.activation, memory.coefficients, by), memory.write, by)


def _gated(memory: GatedMemory, at: Bounded, by: Arithmetic) -> Bounded:
    gate = activated(product(at, memory.gate, by), memory.activation, memory.coefficients, by)
    return product(times(product(at, memory.read, by), gate, by), memory.write, by)


_FORWARDS: dict[type[Memory], Callable[..., Bounded]] = {
    LinearMemory: _linear,
    LowRankMemory: _low_rank,
    MLPMemory: _mlp,
    GatedMemory: _gated,
}


def known(memory: Memory) -> bool:
    """Whether the rounding of this kind of memory is bounded here."""
    return type(memory) in _FORWARDS


def outputs(memory: Memory, keys: Bounded) -> Bounded:
    """F(k) for every key; call it where :func:`known`."""
    return _FORWARDS[type(memory)](memory, keys, Arithmetic.of(memory.dtype))


def score_error(
    out: Bounded, values: Float[Tensor, "m d"], off: Float[Tensor, "m d"], by: Arithmetic
) -> Float[Tensor, " n"]:
    """How far any score ⟨v_y, F(k_i)⟩ can be from its reference, the largest over y; ``(N,)``.

    Args:
        out: F(k_i).
        values: as the memory's arithmetic sees them.
        off: by how much they differ from the given ones.
        by: the arithmetic.
    """
    v, off = values.double(), off.double()
    n = v.shape[1] + 1

    def most(rows: Tensor, z: Tensor) -> Tensor:
        """max_y ⟨|row_y|, z⟩ by Cauchy and Schwarz, or by the largest entry of each column."""
        return torch.minimum(norm(rows, 1).max() * norm(z, 1), z @ rows.abs().amax(0))

    seen = v.abs() + off.abs()
    size = most(seen, out.size)
    e = most(seen, out.e) + most(off, out.size) + by.sums(n) * size + n * by.tiny
    return by.bounded(e, size)


def least_margin(margin: Float[Tensor, " n"], error: Float[Tensor, " n"], by: Arithmetic) -> Tensor:
    """What no evaluation's margin, nor the exact one, falls below, given one evaluation's margin.

    Two scores, each of which two evaluations may see 2e apart, and the rounding of the difference.
    """
    return margin.double() - 4 * error - 2 * by.u * margin.double().abs()
