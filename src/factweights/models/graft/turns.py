"""Scores that depend on the distance alone, made of rotary pairs.

A query (q cos φ, −q sin φ) and a key (k, 0) in the pair with frequency θ score q k cos(θ Δ − φ) at the
distance Δ. So constant queries and keys give any H(Δ) = Σ_f a_f cos θ_f Δ + b_f sin θ_f Δ, and a small linear
programme finds the one with the widest gaps for its size Σ |a| + |b|.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import linprog

from factweights.models.graft.architecture import NotGraftableError

SHARP = 60.0  # nats by which the wanted distance wins
LOUDER = 4  # times as many where keys may be weaker than they should
WINDOW = 96  # tokens after its name within which a subject is remembered
FORGOTTEN = 3  # windows after which it is not
NEAREST, NEAR = 8, 32  # distances within which two names one token apart are told apart best, and well
SLOPES = (16.0, 6.0, 2.0)  # nats a token, within either and beyond
CUE_WINDOW = 32  # tokens back within which a word may name the relation
FLAT = 0.2  # nats by which words within it may differ
KEPT = 25.0  # nats above no name at all, at the end of the window


@dataclass(frozen=True)
class Turn:
    """Coefficients of H.

    Attributes:
        cosine, sine: ``(head_dim / 2,)`` of every pair, in nats.
        gap: nats by which the wanted distance wins over every other.
    """

    cosine: tuple[float, ...]
    sine: tuple[float, ...]
    gap: float

    def score(self, frequencies: Sequence[float], distance: np.ndarray) -> np.ndarray:
        """H(Δ) in nats."""
        angles = np.multiply.outer(np.asarray(distance, float), np.asarray(frequencies))
        return np.cos(angles) @ np.array(self.cosine) + np.sin(angles) @ np.array(self.sine)

    def at(self, shift: int, frequencies: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients of Δ ↦ H(Δ − shift)."""
        c, s, a = np.array(self.cosine), np.array(self.sine), np.asarray(frequencies) * shift
        return c * np.cos(a) - s * np.sin(a), c * np.sin(a) + s * np.cos(a)


def _solve(rows: list[np.ndarray], bounds: list[np.ndarray], n: int) -> np.ndarray | None:
    """Coefficients of least Σ|·| with rows · x ≤ bounds."""
    eye, zero = np.eye(n), np.zeros((1, n))
    A = [np.c_[r, np.repeat(zero, len(r), 0)] for r in rows] + [np.c_[eye, -eye], np.c_[-eye, -eye]]
    b = np.concatenate([*bounds, np.zeros(2 * n)])
    cost = np.r_[np.zeros(n), np.ones(n)]
    found = linprog(cost, A_ub=np.vstack(A), b_ub=b, bounds=[(None, None)] * (2 * n), method="highs")
    return None if found.x is None else found.x[:n]


def _distances(dense: int, reach: int) -> np.ndarray:
    """Every distance up to ``dense``, then ever fewer: H turns slowly where only slow pairs are in use."""
    dense = min(dense, reach)
    return np.unique(np.r_[np.arange(1, dense), np.arange(dense, reach, max(1, reach // 4096)), reach])


@lru_cache(maxsize=32)
def previous(frequencies: tuple[float, ...], reach: int) -> Turn:
    """H(0) − H(Δ) ≥ :data:`SHARP` for all Δ ≠ 0 within reach: the head for Δ = δ is this one, shifted.

    Every key is there with the same strength.
    """
    n = len(frequencies)
    angles = np.outer(_distances(8192, reach), frequencies)
    x = _solve([np.cos(angles) - 1], [np.full(len(angles), -SHARP)], n)
    if x is None:
        raise NotGraftableError("no head can tell a distance: its rotary pairs turn too slowly")
    return Turn(tuple(x), (0.0,) * n, SHARP)


@lru_cache(maxsize=32)
def exactly(frequencies: tuple[float, ...], reach: int) -> Turn:
    """H(0) ≥ g, H(Δ) ≤ −g for all Δ ≠ 0: a marked key is seen there and only there.

    Keys without the mark score 0.
    """
    n = len(frequencies)
    angles = np.outer(_distances(8192, reach), frequencies)
    rows = [-np.ones((1, n)), np.cos(angles)]
    gap = LOUDER * SHARP
    x = _solve(rows, [np.array([-gap]), np.full(len(angles), -gap)], n)
    if x is None:
        raise NotGraftableError("no head can tell a distance: its rotary pairs turn too slowly")
    return Turn(tuple(x), (0.0,) * n, gap)


@lru_cache(maxsize=32)
def latest(frequencies: tuple[float, ...], reach: int) -> Turn:
    """Falls with the distance; above 0 within :data:`WINDOW`, below 0 from :data:`FORGOTTEN` windows on.

    Keys without a mark score 0, so the most recent name wins while it is near, and none once it is far.
    """
    n = len(frequencies)
    window = min(WINDOW, max(2, reach // 4))

    def basis(distance: np.ndarray) -> np.ndarray:
        angles = np.outer(distance, frequencies)
        return np.c_[np.cos(angles), np.sin(angles)]

    near, far = np.arange(window + 1), _distances(8192, reach)
    falls = basis(near)[1:] - basis(near)[:-1]
    slope = np.select([near[:-1] < NEAREST, near[:-1] < NEAR], SLOPES[:2], SLOPES[2])
    last, gone = basis(near[-1:]), basis(far[far >= FORGOTTEN * window])
    between = basis(np.arange(window + 1, FORGOTTEN * window)) - last
    rows = [falls, -last, gone, between]
    bounds = [-slope, np.array([-KEPT]), np.full(len(gone), -KEPT), np.zeros(len(between))]
    x = _solve(rows, bounds, 2 * n)
    if x is None:
        raise NotGraftableError("no head can prefer the nearer name: its rotary pairs turn too slowly")
    return Turn(tuple(x[:n]), tuple(x[n:]), SLOPES[-1])


@lru_cache(maxsize=32)
def around(frequencies: tuple[float, ...], reach: int) -> Turn:
    """Nearly flat within :data:`CUE_WINDOW` tokens, below 0 from three times as far on."""
    n = len(frequencies)
    window = min(CUE_WINDOW, max(2, reach // 4))

    def basis(distance: np.ndarray) -> np.ndarray:
        angles = np.outer(distance, frequencies)
        return np.c_[np.cos(angles), np.sin(angles)]

    near, far = basis(np.arange(window)), basis(_far(reach, FORGOTTEN * window))
    between = basis(np.arange(window, min(FORGOTTEN * window, reach)))
    rows = [-near, near, far, between]
    bounds = [
        np.full(len(near), -KEPT),
        np.full(len(near), KEPT + FLAT),
        np.full(len(far), -KEPT),
        np.full(len(between), KEPT),
    ]
    x = _solve(rows, bounds, 2 * n)
    if x is None:
        raise NotGraftableError("no head can look at the last words alone: its rotary pairs turn too slowly")
    return Turn(tuple(x[:n]), tuple(x[n:]), KEPT)


def _far(reach: int, start: int) -> np.ndarray:
    distances = _distances(8192, reach)
    return distances[distances >= start]
