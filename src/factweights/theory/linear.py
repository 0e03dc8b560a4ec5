"""How many facts one matrix holds: F(k) = W k, keys and values uniform on the unit sphere.

Natural logarithms throughout. Every law names its criterion: *every* fact right (recall 1.0), recall ≥ 0.99,
or a *typical* fact right.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from factweights.errors import LawError, SettingError, UnknownNameError
from factweights.theory.checks import at_least, between
from factweights.theory.delta import delta

Criterion = Literal["every", "typical", "0.99"]


def linear_capacity(d_in: int, d_out: int, outputs: int | None = None) -> float:
    """Largest N that some matrix W ``(d_out, d_in)`` recalls in full: N δ(M) = d_in · min(d_out, M − 1).

    Injective facts (``outputs`` None) have M = N. Conjecture, checked in tests/test_scaling.py: certified
    medians lie 2 to 8 % above it from d = 11 to 256, and within 8 % for M from 2 to 128 at d = 32. Most of
    that is because facts share their competitors, see :func:`theory.shared_capacity`. For competitors drawn
    afresh for every fact it is an exact conic phase transition, and at M = 2 it is Cover's 2 d_in.

    The law counts degrees of freedom and knows nothing of what linear algebra gives at once
    (:func:`linear_floor`). Where it says less than that it does not apply: for d_out small against M, about
    M above e^{d_out/2}, for matrices much wider than high, and whenever the answer is N < d_in. Nor does it
    where the dimensions are too small for keys or values on a sphere to differ: with d_in = 1 unit keys are
    ±1, with d_out = 1 unit values are, and M must be 2.

    Args:
        d_in: dimension of the keys.
        d_out: dimension of the values.
        outputs: M, or None for injective facts.

    Returns:
        N, not rounded.

    Raises:
        LawError: sizes to which the law does not apply.
        SettingError: a dimension below 1, or M below 2.
    """
    _check(d_in, d_out, outputs)
    if d_in == 1:
        raise LawError(
            "d_in is 1: unit keys are ±1, two of them at most, and the law says nothing; use d ≥ 2"
        )
    if d_out == 1 and outputs != 2:
        raise LawError(
            f"d_out is 1 and outputs is {outputs}: on a line only outputs=2 can be told apart; use d_out ≥ 2"
        )
    return within(by_degrees(d_in, d_out, outputs), linear_floor(d_in, d_out, outputs), "any matrix")


def by_degrees(d_in: int, d_out: int, outputs: int | None) -> float:
    """N with N δ(M) = d_in · min(d_out, M − 1), wherever it lies."""
    return _facts(lambda m: d_in * min(d_out, m - 1), outputs, most=d_in * d_out)


def where_it_applies(law: Callable[..., float], *sizes: int | None) -> float | None:
    """What ``law`` says of these sizes, None where it does not apply."""
    try:
        return law(*sizes)
    except LawError:
        return None


def linear_floor(d_in: int, d_out: int, outputs: int | None = None) -> int:
    """Facts that some matrix recalls whatever the draw, by linear algebra alone.

    Independent keys can be sent to their values exactly: d_in facts. Injective facts can have V W equal to
    the keys up to a shift common to all outputs, and a key is nearest to itself: d_out + 1 facts. One fact
    where d_in or d_out is 1, since there keys or values may coincide.

    Raises:
        SettingError: a dimension below 1, or M below 2.
    """
    _check(d_in, d_out, outputs)
    if min(d_in, d_out) == 1:
        return 1
    return max(d_in, 0 if outputs else d_out + 1)


def within(law: float, floor: int, what: str) -> float:
    """``law`` where it is not below ``floor``.

    Raises:
        LawError: it is.
    """
    if law < floor - 1e-9:
        raise LawError(
            f"the law says {law:.3g} facts where linear algebra alone gives {floor:,} for {what}: values of "
            "too small a dimension against the number of outputs or the keys; linear_floor is a lower bound"
        )
    return law


def smallest_d(n_facts: int, outputs: int | None = None, most_shared: int = 1) -> int:
    """Smallest d at which a d × d matrix recalls ``n_facts`` in full, by the law or by :func:`linear_floor`.

    Args:
        n_facts: N.
        outputs: M, or None for injective facts.
        most_shared: facts that share the most frequent answer. They put that many keys on one side of a
            hyperplane for every other answer, and random keys allow that up to 2 d of them (Cover), so
            d ≥ most_shared / 2 whatever the law says.

    Raises:
        SettingError: no facts, or M below 2.
    """
    at_least("the number of facts N", n_facts, 1)
    if n_facts <= 2:  # on a line unit keys are ±1, and two of them are equal half of the time
        return 1 if n_facts == 1 and outputs in (None, 2) else 2
    m = n_facts if outputs is None else outputs
    budget = n_facts * delta(m) * (1 - 1e-10)  # δ is good to about that much: no d more for its rounding
    for_law = max(math.isqrt(math.ceil(budget) - 1) + 1, math.ceil(budget / (m - 1)))
    needed = max(for_law, math.ceil(most_shared / 2))
    return min(needed, n_facts if outputs else n_facts - 1)


def bits_per_parameter(outputs: int) -> float:
    """log2(M) / δ(M): bits per degree of freedom of W at capacity, 2 at M = 2, falling to 1/(2 ln 2) = 0.72.

    The denominator is d_in · min(d_out, M − 1), which is all of W once M > d_out.

    Raises:
        SettingError: M below 2.
    """
    cost = delta(outputs)
    return math.log2(outputs) / cost


def asymptotic_capacity(d: int) -> float:
    """N with 2 N ln N = d²: injective facts, best W, recall 1.0, in the limit of large d.

    Conjecture of arXiv 2605.05189; p ln p / d² = 1/2 in arXiv 2605.10795. At d = 64 it gives 350 where
    :func:`linear_capacity` gives 564: use it for exponents, not for sizes.

    Raises:
        SettingError: d below 1.
    """
    at_least("the dimension d", d, 1)
    return solve_n_log_n(d**2 / 2)


def paper_guide(d: int) -> float:
    """N with 1.3 N ln N = d²: the dashed line the paper draws through its figure 1, left.

    A guide to the eye (public code of arXiv 2412.06538) for recall ≥ 0.99 under its training recipe, which
    looks for N between d and d²/2.

    Raises:
        SettingError: d below 1.
    """
    at_least("the dimension d", d, 1)
    return solve_n_log_n(d**2 / 1.3)


def hebbian_capacity(d: int, criterion: Criterion = "every") -> float:
    """Injective facts that the outer-product matrix Σ v kᵀ of size d × d recalls.

    ``every``: all facts right, 8 N ln N = d². ``typical``: a given fact right, 2 N ln N = d². Both are
    limits of large d, after arXiv 2605.05189 (the order d² ≳ N polylog N after Thm 1 of arXiv 2412.06538).
    ``0.99``: recall ≥ 0.99, N = 0.026 d², a fit to 26, 109, 451 and 1699 facts at d = 32, 64, 128 and 256,
    within 6 % of each, checked in tests/test_theory.py; do not carry it far outside that range.

    Raises:
        SettingError: d below 1.
        UnknownNameError: no such criterion.
    """
    at_least("the dimension d", d, 1)
    if criterion == "0.99":
        return 0.026 * d**2
    constants = {"every": 8, "typical": 2}
    if criterion not in constants:
        raise UnknownNameError("criterion", str(criterion), [*constants, "0.99"], "(every, typical or 0.99)")
    return solve_n_log_n(d**2 / constants[criterion])


def hebbian_noise(n_facts: int, d: int, sharing: int = 1) -> float:
    """Variance of the score of the right answer around 1 in an outer-product matrix of N facts.

    (N − N_y)/d² + (N_y − 1)/d with N_y = ``sharing`` keys on that answer: exact, as two unit vectors have
    inner products of variance 1/d and no two terms correlate. Checked in tests/test_theory.py. A wrong
    answer's score varies by (N − N_y' − 1)/d² + (N_y' + 1)/d around 0.

    Raises:
        SettingError: d below 1, or not 1 ≤ N_y ≤ N.
    """
    at_least("the dimension d", d, 1)
    at_least("sharing (keys with this answer)", sharing, 1)
    at_least("the number of facts N", n_facts, sharing, "they include the keys that share the answer")
    return (n_facts - sharing) / d**2 + (sharing - 1) / d


def low_rank_fraction(kappa: int | float, aspect: int | float = 1.0) -> float:
    """w(κ): the part of its squared norm that a random p × q matrix keeps in its top κ p singular directions.

    The upper end of the Marchenko-Pastur law of ratio c = ``aspect`` = p/q. On x = 1 + c + 2√c cos θ the mass
    above x is ∫ (2/π) sin²θ/x dθ and its share of the norm (θ − ½ sin 2θ)/π.

    Args:
        kappa: rank over p, in (0, 1].
        aspect: shorter side over longer side, in (0, 1].

    Raises:
        SettingError: an argument outside its range.
    """
    between("kappa", kappa, 0, 1)
    between("aspect", aspect, 0, 1)
    if kappa == 1:
        return 1.0
    nodes, weights = np.polynomial.legendre.leggauss(64)

    def mass(theta: float) -> float:
        s = theta / 2 * (nodes + 1)
        x = 1 + aspect + 2 * math.sqrt(aspect) * np.cos(s)
        return float(theta / math.pi * (weights @ (np.sin(s) ** 2 / x)))

    theta = _root(lambda s: mass(s) - kappa, 0.0, math.pi)
    return (theta - math.sin(2 * theta) / 2) / math.pi


def low_rank_capacity(d: int, rank: int, outputs: int | None = None) -> float:
    """Largest N that some d × d matrix of this rank recalls in full: N δ(M) = d p w(rank/p, p/d).

    p = min(d, M − 1), and M = N for injective facts. Conjecture, checked numerically by fits of
    two factors at d = 32 and 48: they stop within some 10 % of it at d/16 = rank and above, further below at
    smaller ranks (57 facts where the law says 100 at d = 48, rank 3), as that problem is not convex.

    Raises:
        LawError: it says less than the ``rank`` facts that linear algebra alone gives, or d is 1.
        SettingError: d below 1, rank not in 1 … d, or M below 2.
    """
    _check(d, d, outputs)
    between("rank", rank, 0, d)

    def budget(m: float) -> float:
        p = min(d, m - 1)
        return d * p * (low_rank_fraction(rank / p, p / d) if rank < p else 1.0)

    if d == 1:
        raise LawError("d is 1: unit keys and values are ±1, and the law says nothing; use d ≥ 2")
    return within(_facts(budget, outputs, most=d**2), rank, f"rank {rank}")


def feature_capacity(d_out: int, width: int, outputs: int | None = None) -> float:
    """Largest N that a trained readout of ``width`` random features recalls in full: N δ(M) = m · d_out.

    The law of :func:`linear_capacity` with the width m as d_in, and outside the same sizes. Conjecture,
    checked numerically with random ReLU and bilinear features; ridge readouts reach about a tenth of it.

    Raises:
        LawError: sizes to which the law does not apply.
        SettingError: a size below 1, or M below 2.
    """
    _check(width, d_out, outputs)
    if width == 1 or (d_out == 1 and outputs != 2):
        raise LawError(f"width is {width} and d_out {d_out}: on a line the law says nothing; use 2 or more")
    law = _facts(lambda m: width * min(d_out, m - 1), outputs, most=width * d_out)
    return within(law, width if d_out > 1 else 1, f"{width} features")


def facts_for_budget(budget: int | float, outputs: int | None = None) -> float:
    """N with N δ(M) = ``budget`` (M = N for injective facts): facts that so many degrees of freedom pay for.

    Raises:
        SettingError: a budget that is not positive, or M below 2.
    """
    if not budget > 0:
        raise SettingError(f"a budget of degrees of freedom is positive, got {budget}")
    if outputs is not None:
        at_least("the number of outputs M", outputs, 2, "with one output there is nothing to confuse")
    return _facts(lambda _: float(budget), outputs, most=math.ceil(budget))


def solve_n_log_n(value: float) -> float:
    """The N ≥ 1 with N ln N = ``value`` ≥ 0."""
    from scipy.special import lambertw

    return value / float(lambertw(value).real) if value > 0 else 1.0


def _facts(budget: Callable[[float], float], outputs: int | None, *, most: int) -> float:
    """N with N δ(M) = budget(M); for injective facts the N with N δ(N) = budget(N), δ linear in between."""
    if outputs is not None:
        return budget(float(outputs)) / delta(outputs)

    def excess(n: float) -> float:
        below = int(n)
        between = delta(below) + (n - below) * (delta(below + 1) - delta(below))
        return math.log(n * between / budget(n))

    if excess(2.0) >= 0:
        return 2.0
    # δ ≥ ½ keeps the root below 2·budget.
    return math.exp(_root(lambda x: excess(math.exp(x)), math.log(2), math.log(2 * most + 1)))


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(f, low, high, xtol=1e-12))  # type: ignore[arg-type]


def _check(d_in: int, d_out: int, outputs: int | None) -> None:
    at_least("the dimension of the keys", d_in, 1)
    at_least("the dimension of the values", d_out, 1)
    if outputs is not None:
        at_least("the number of outputs M", outputs, 2, "with one output there is nothing to confuse")
