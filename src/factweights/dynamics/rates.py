"""How fast tokens grow: what a table's own drive says, and what the flow did."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from factweights.dynamics.population import Array, Population

ABOVE, BELOW = 20.0, 0.1  # w is read between 20 times its start and 0.1: past the transient, still linear
SHORTEST = 0.5  # over less than that much growth of ln w no rate is read


@dataclass(frozen=True)
class Rate:
    """The growth rate of one kind of tokens, per unit of time.

    Attributes:
        measured: mean of d ln w/dt over the tokens it could be read of; None where there are none.
        theory: mean of ‖g(z)‖ over the same tokens, or over all.
        worst: largest relative deviation of a token from its own theory.
        tokens: how many it was read of.
    """

    measured: float | None
    theory: float
    worst: float | None
    tokens: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return dict(vars(self))


def drive_norms(population: Population, predictor: Float[Array, "n a"]) -> Float[Array, " z"]:
    """‖g(z)‖ of every token while the model predicts ``predictor``: the rate at which w(z) grows from ≈ 0."""
    rho = -predictor.copy()
    rho[np.arange(len(rho)), population.target] += 1
    return np.linalg.norm(population.drive(rho), axis=1)


def theory_rates(population: Population) -> tuple[Float[Array, " z"], Float[Array, " z"]]:
    """Rates of all tokens ``(Z,)`` from the start, where p̂ is uniform, and on the plateau, p̂ = p(·|r)."""
    shape = (len(population.target), population.n_answers)
    at_start = drive_norms(population, np.full(shape, 1 / population.n_answers))
    return at_start, drive_norms(population, population.of_relation[population.relation])


def measured_rates(
    weights: Callable[[Sequence[float]], Float[Array, "z t"]],
    tokens: slice,
    theory: Float[Array, " z"],
    span: tuple[float, float],
    first: float,
) -> Rate:
    """Compare tokens with theory over the part of ``span`` where their growth is linear.

    Args:
        weights: times to w, ``(Z, times)``.
        tokens: which of them.
        theory: ``(Z,)`` their rates.
        span: times between which the drive is what theory says.
        first: size of w at the start.
    """
    grid = np.linspace(*span, 2001)
    w = np.abs(weights(grid.tolist())[tokens])
    expected = theory[tokens]
    found, own = [], []
    for row, rate in zip(w, expected, strict=True):
        inside = np.flatnonzero((row >= ABOVE * first) & (row <= BELOW))
        if len(inside) < 3 or rate <= 0:
            continue
        low, high = inside[0], inside[-1]
        grown = math.log(row[high] / row[low])
        if grown >= SHORTEST:
            found.append(grown / (grid[high] - grid[low]))
            own.append(rate)
    if not found:
        return Rate(None, float(np.mean(expected)) if len(expected) else math.nan, None, 0)
    f, o = np.array(found), np.array(own)
    return Rate(float(f.mean()), float(o.mean()), float(np.abs(f / o - 1).max()), len(f))
