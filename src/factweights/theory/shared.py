"""The capacity law when all facts share their competitors.

The law N δ(M) = d² draws fresh competitors for every fact. In a real memory the M values are the same for
all facts and lie in R^{d_out}: fact i is right when W k_i lies in C_f = {x : ⟨v_f − v_y, x⟩ ≥ 0 for all y}.
The kinematic argument then charges each fact the statistical dimension of the polar of *that* cone,

    δ_d(V) = E ‖x − proj_{C_f} x‖²,  x ~ N(0, I_{d_out}),  f uniform,        Σ_i δ_d = d_in · d_out,

which is a few per cent below δ(M) at d = 16 to 128, because M > d values in R^d are not independent
directions. It is still a conjecture (the N cones turn together with one W, not each on its own), checked
against certified capacities in tests/test_shared.py and the lab log.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from factweights.errors import SettingError
from factweights.seeds import numbered
from factweights.theory.linear import by_degrees

PASSES = 3  # of N inside its own logarithm, which hardly depends on it


def shared_delta(values: ArrayLike, *, samples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean squared distance of a standard normal x to the cone of a random value, and its standard error.

    Each distance is exact (non-negative least squares); the mean over x and f is Monte Carlo.

    Args:
        values: ``(M, d_out)``, centred or not (a common shift changes nothing).

    Raises:
        SettingError: fewer than two values or two samples.
    """
    from scipy.optimize import nnls

    V: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if V.ndim != 2 or len(V) < 2 or samples < 2:
        raise SettingError(f"values are (M, d) with M ≥ 2 and samples ≥ 2, got {V.shape} and {samples}")
    rng = np.random.default_rng(seed)
    squared, d = np.empty(samples), len(V[0])
    for i in range(samples):
        f = rng.integers(len(V))
        x = rng.standard_normal(d)
        edges = (np.delete(V, f, axis=0) - V[f]).T
        squared[i] = x @ x - nnls(edges, x, maxiter=50 * d)[1] ** 2
    return float(squared.mean()), float(squared.std(ddof=1) / math.sqrt(samples))


def shared_capacity(
    d: int, outputs: int | None = None, *, samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Facts N with N δ_d = d², spherical values shared by all facts, and the standard error of N.

    Injective facts (``outputs`` None) have M = N, found by iterating from :func:`linear_capacity`.

    Raises:
        SettingError: d below 2 or M below 2.
    """
    if d < 2:
        raise SettingError(f"d is {d}; shared competitors need d ≥ 2")
    n = by_degrees(d, d, outputs)
    error = math.inf
    for i in range(1 if outputs else PASSES):
        rng = numbered(seed, i)
        drawn = rng.standard_normal((outputs or max(2, round(n)), d))
        V = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        last = outputs is not None or i == PASSES - 1
        cost, cost_error = shared_delta(V, samples=samples if last else max(100, samples // 4), seed=seed)
        n, error = d * d / cost, d * d * cost_error / cost**2
    return n, error
