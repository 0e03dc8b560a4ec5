"""Random embeddings that are the same, to the last bit, on every machine.

Rows are drawn in order from one numpy generator, so the first n rows do not depend on how many are
drawn: a set of facts is a prefix of every larger set with the same seed. Sums are taken by a fixed tree of
element-wise additions, because the order of a library's own sum depends on the processor.
"""

from typing import Literal

import numpy as np

from factweights.errors import SettingError

Kind = Literal["spherical", "gaussian", "orthonormal", "spiked"]
KINDS: tuple[Kind, ...] = ("spherical", "gaussian", "orthonormal", "spiked")


def embed(
    kind: Kind,
    rng: np.random.Generator,
    n: int,
    d: int,
    *,
    strength: float = 8.0,
    rank: int = 1,
    mean: float = 0.0,
) -> np.ndarray:
    """``n`` embeddings in R^d, float64.

    Args:
        kind: ``spherical`` rows uniform on the unit sphere; ``gaussian`` entries N(0, 1/d);
            ``orthonormal`` rows orthonormal (n ≤ d); ``spiked`` rows on the unit sphere whose covariance
            before normalisation is I + ``strength`` on ``rank`` directions, around a common ``mean``
            (in units of a row's typical norm √d).
    """
    if n < 1 or d < 1:
        raise SettingError(f"embeddings need n ≥ 1 and d ≥ 1, got n = {n}, d = {d}")
    if kind == "spherical":
        return _unit(rng.standard_normal((n, d)))
    if kind == "gaussian":
        return rng.standard_normal((n, d)) / np.sqrt(d)
    if kind == "orthonormal":
        return _orthonormal(rng, n, d)
    if kind == "spiked":
        return _spiked(rng, n, d, strength, rank, mean)
    raise SettingError(f"unknown embedding kind {kind!r}; use one of {', '.join(KINDS)}")


def draw_rows(rng: np.random.Generator, rows: int, n: int) -> np.ndarray:
    """``n`` different rows of ``rows`` in random order, the first of any larger draw."""
    if not 1 <= n <= rows:
        raise SettingError(f"{n:,} different embeddings cannot be drawn from a table of {rows:,}")
    return rng.permutation(rows)[:n]


def _spiked(rng: np.random.Generator, n: int, d: int, strength: float, rank: int, mean: float) -> np.ndarray:
    if not 0 <= rank <= d or strength < 0:
        raise SettingError(f"spiked embeddings need 0 ≤ rank ≤ d and strength ≥ 0, got {rank=}, {strength=}")
    x = rng.standard_normal((n, d))
    x[:, :rank] *= np.sqrt(1.0 + strength)
    x[:, -1] += mean * np.sqrt(d)
    return _unit(x)


def _orthonormal(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Gram-Schmidt, twice per row, in a fixed order of operations."""
    if n > d:
        raise SettingError(
            f"at most d orthonormal embeddings fit in R^d, got n = {n} > d = {d}; use spherical ones"
        )
    q = np.zeros((n, d))
    for i in range(n):
        x = rng.standard_normal(d)
        for _ in range(2):
            if i:
                c = tree_sum(q[:i] * x, axis=1)
                x = x - tree_sum(c[:, None] * q[:i], axis=0)
        q[i] = _unit(x[None])[0]
    return q


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(tree_sum(x * x, axis=1))[:, None]


def tree_sum(x: np.ndarray, axis: int) -> np.ndarray:
    """Sum by halving: the same roundings on every processor."""
    x = np.moveaxis(x, axis, 0)
    while (n := x.shape[0]) > 1:
        half = n // 2
        paired = x[:half] + x[half : 2 * half]
        x = np.concatenate([paired, x[2 * half :]]) if n % 2 else paired
    return x[0]
