"""What is read off a solved flow: losses, attention, conserved quantities, growth rates."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.integrate import OdeSolution

from factweights.dynamics.population import Population
from factweights.dynamics.rates import Rate, measured_rates
from factweights.dynamics.systems import ReducedSystem, System
from factweights.dynamics.trace import Stage, Trace, losses

READINGS = 400  # times at which a flow is read, at least
CHECKS = 64  # times at which conservation is checked


def read(system: System, solution: OdeSolution, readings: int = READINGS) -> Trace:
    """Readings at the solver's own times and on an even grid between them."""
    own = np.asarray(solution.ts)
    own = own[:: max(1, len(own) // readings)]
    times = np.unique(np.concatenate([own, np.linspace(own[0], solution.t_max, readings)]))
    p = system.population
    of_roles = _role_means(p)
    rows, attention = [], []
    for y in np.asarray(solution(times)).T:
        loss, relation, kl, accuracy = losses(system.cells, system.log_shares(y))
        slope = system.field(y)
        grad = math.sqrt(float(system.copies @ slope**2))
        rows.append((loss, relation, loss - relation, kl, grad, accuracy))
        attention.append(of_roles @ _w(system, y))
    return Trace.of_rows(times.tolist(), rows, attention)


def conservation_error(system: System, solution: OdeSolution, checks: int = CHECKS) -> float:
    """Largest |Δ(w² − ‖O‖²)| / (w² + ‖O‖²) over tokens and times."""
    first = None
    worst = 0.0
    for t in np.linspace(solution.t_min, solution.t_max, checks):
        w, O = system.unpack(np.asarray(solution(t)))
        square = np.einsum("za,za->z", O, O)
        kept = w**2 - square
        first = kept if first is None else first
        worst = max(worst, float((np.abs(kept - first) / (w**2 + square)).max()))
    return worst


def _w(system: System, y: np.ndarray) -> np.ndarray:
    if isinstance(system, ReducedSystem):
        return y[: system.n_w][system.classes.w]
    return y[: system.population.n_tokens]


def _role_means(p: Population) -> np.ndarray:
    """``(4, Z)`` mean count of each token in a prompt, by ROLES."""
    mean = np.asarray(p.probability @ p.counts)
    roles = np.zeros((4, p.n_tokens))
    for k, part in enumerate(
        (slice(0, p.n_subjects), slice(p.n_subjects, p.eos), slice(p.eos + 1, None), slice(p.eos, p.eos + 1))
    ):
        roles[k, part] = mean[part]
    return roles


def rates_in_stages(
    system: System,
    solution: OdeSolution,
    stages: Sequence[Stage],
    known: tuple[np.ndarray, np.ndarray],
    first: float,
) -> dict[str, Rate]:
    """Growth rates of relations up to the plateau and of subjects on it, beside the known ones."""
    p = system.population
    learnt = stages[0].end or solution.t_max
    between = next(((s.start, s.end) for s in stages if s.name == "hallucination"), (0.0, learnt))
    plateau = (between[0], between[1] or solution.t_max)

    def weights(times: Sequence[float]) -> np.ndarray:
        return np.stack([_w(system, y) for y in np.asarray(solution(np.asarray(times))).T], 1)

    relations, subjects = slice(p.n_subjects, p.eos), slice(0, p.n_subjects)
    return {
        "relation": measured_rates(weights, relations, known[0], (0.0, learnt), first),
        "subject": measured_rates(weights, subjects, known[1], plateau, first),
    }
