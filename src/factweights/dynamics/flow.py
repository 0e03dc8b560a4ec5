"""The gradient flow of a recall task, solved."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from scipy.integrate import OdeSolution, solve_ivp

from factweights import theory
from factweights.dynamics.classes import Classes
from factweights.dynamics.population import Array, Population, softmax
from factweights.dynamics.rates import Rate, measured_rates, theory_rates
from factweights.dynamics.starts import start_weights
from factweights.dynamics.systems import FullSystem, ReducedSystem, System
from factweights.dynamics.trace import (
    GOAL,
    TOLERANCE,
    Plateau,
    Stage,
    Trace,
    crossing,
    find_plateau,
    find_stages,
    losses,
)
from factweights.errors import FactweightsError, SettingError, UnknownNameError
from factweights.facts import RecallTask
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown

Solver = Literal["auto", "LSODA", "DOP853", "Radau", "BDF"]
SOLVERS: tuple[str, ...] = get_args(Solver)
STIFF_UP_TO = 256  # variables: below, LSODA's Jacobians cost nothing; above, they cost more than small steps
PATIENCE = 100.0  # times the slowest growth time, then the flow is left
READINGS = 400  # times at which a flow is read, at least
CHECKS = 64  # times at which conservation is checked


class FlowError(FactweightsError):
    """A flow that the solver could not follow."""


@dataclass(frozen=True, eq=False)
class Flow(Shown):
    """A solved flow, readable at any time between 0 and ``end``.

    Attributes:
        task: whose flow it is.
        start, init, seed: where it began.
        trace: readings.
        stages: see :func:`find_stages`.
        plateau: the stillest moment of the hallucination stage, see :func:`find_plateau`.
        relation_entropy: H(a|r) of the table in nats, which that predictor reaches.
        rates: of relations and subjects, measured and by theory.
        times_theory: λ⁻¹ ln(1/(α√A)) for relations and subjects.
        conservation_error: largest |Δ(w² − ‖O‖²)| / (w² + ‖O‖²) of any token at any time checked.
        variables, weights: of the system solved, and of the model that it stands for.
        solver, evaluations: what it took.
        seconds: wall time of all of it.
    """

    task: RecallTask
    start: str
    init: float
    seed: int
    trace: Trace
    stages: tuple[Stage, ...]
    plateau: Plateau
    relation_entropy: float
    rates: dict[str, Rate]
    times_theory: dict[str, float]
    conservation_error: float
    variables: int
    weights_total: int
    solver: str
    evaluations: int
    seconds: float
    system: System = field(repr=False)
    solution: OdeSolution = field(repr=False)

    @property
    def end(self) -> float:
        """The last time."""
        return self.trace.times[-1]

    @property
    def converged(self) -> bool:
        """Whether the loss came down to its goal."""
        return self.stages[-1].name == "convergence" and self.stages[-1].end is not None

    def weights(self, t: float) -> tuple[Float[Array, " z"], Float[Array, "z a"]]:
        """w ``(Z,)`` and O ``(Z, A)`` at time t; tokens are subjects, relations, EOS and one noise token.

        Raises:
            SettingError: a time outside the solved interval.
        """
        if not 0 <= t <= self.end:
            raise SettingError(f"t is {t}; the flow was solved from 0 to {self.end:g}")
        return self.system.unpack(np.asarray(self.solution(t)))

    def probabilities(self, t: float) -> Float[Array, "n a"]:
        """p̂(·|s,r) of every fact at time t, ``(N, A)``."""
        return softmax(self.system.population.logits(*self.weights(t)))

    def loss_at(self, times: Sequence[float]) -> Float[Array, " t"]:
        """The loss at any times of the solved interval, in nats."""
        return np.array([self.system.loss(np.asarray(self.solution(t))) for t in times])

    def telling_times(self) -> list[float]:
        """The start, the ends of the stages, the plateau, half of it: enough to see what happens."""
        half = crossing(self.trace.times, self.trace.loss, self.plateau.loss / 2)
        ends = [s.end for s in self.stages[:-1] if s.end is not None]
        return sorted({0.0, *ends, self.plateau.time, self.end if half is None else half, self.end})

    def spread_times(self, n: int) -> list[float]:
        """``n`` times, half of them by the clock and half by how far the probabilities move.

        Raises:
            SettingError: fewer than two.
        """
        if n < 2:
            raise SettingError(f"an animation has at least 2 frames, got {n}")
        grid = np.linspace(0.0, self.end, max(128, 2 * n))
        walked, last = [0.0], self.probabilities(0.0)
        for t in grid[1:]:
            here = self.probabilities(float(t))
            walked.append(walked[-1] + float(np.linalg.norm(here - last)))
            last = here
        even = np.array(walked) / max(walked[-1], 1e-300) + grid / self.end
        return np.interp(np.linspace(0, even[-1], n), even, grid).tolist()

    def frames(self, times: Sequence[float]) -> dict[str, Any]:
        """Probabilities at these times, as :mod:`factweights.plots.frames` draws them."""
        return {
            "figure": "frames",
            "times": list(times),
            "probabilities": [self.probabilities(t) for t in times],
            "relation": self.task.relation.tolist(),
            "stages": [s.to_dict() for s in self.stages],
            "loss": list(zip(self.trace.times, self.trace.loss, strict=True)),
            "relation_entropy": self.relation_entropy,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers; the loss as pairs (time, loss)."""
        return {
            "stages": [s.to_dict() for s in self.stages],
            "loss": list(zip(self.trace.times, self.trace.loss, strict=True)),
            "plateau_loss": self.plateau.loss,
            "plateau_time": self.plateau.time,
            "relation_entropy": self.relation_entropy,
            "kl_at_plateau": self.plateau.kl,
            "rates": {name: rate.to_dict() for name, rate in self.rates.items()},
            "times_theory": self.times_theory,
            "conservation_error": self.conservation_error,
            "converged": self.converged,
            "start": self.start,
            "init": self.init,
            "variables": self.variables,
            "weights": self.weights_total,
            "solver": self.solver,
            "evaluations": self.evaluations,
            "trace": self.trace.to_dict(),
            "seconds": self.seconds,
        }

    def to_pandas(self) -> Any:
        """The readings, one row per time (needs the extra [data])."""
        return self.trace.to_pandas()

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        stages = [(s.name, f"t = {s.start:,.4g} to {_time(s.end)}") for s in self.stages]
        plateau = f"loss {self.plateau.loss:.4f} at t = {self.plateau.time:,.4g}"
        nearest = f"H(a|r) = {self.relation_entropy:.4f}, KL {self.plateau.kl:.2g} nats"
        rates = [(f"{name} rate", _rate(rate, self.times_theory[name])) for name, rate in self.rates.items()]
        solved = f"{self.variables:,} variables for {self.weights_total:,} weights, {self.solver}"
        return [
            ("start", f"{self.start}, {self.init:g}"),
            *stages,
            ("plateau", f"{plateau}; {nearest}"),
            *rates,
            ("conservation", f"kept to {self.conservation_error:.1g}"),
            ("solved", f"{solved}, {self.evaluations:,} evaluations, {self.seconds:.3g} s"),
        ]


def gradient_flow(
    task: RecallTask,
    *,
    start: str = "balanced",
    init: float = 1e-5,
    goal: float = GOAL,
    tolerance: float = TOLERANCE,
    end: float | None = None,
    rtol: float = 1e-8,
    solver: str = "auto",
    reduce: bool = True,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> Flow:
    """Solve the population gradient flow of linear attention over orthonormal embeddings, exactly.

    No prompts are drawn (see :class:`Population`). Weights that a symmetry of the table keeps equal become
    one variable (see :class:`Classes`). Up to 256 variables are solved by LSODA, which turns to stiff
    formulae where it must; more by DOP853, as the flow is only mildly stiff and a Jacobian of thousands of
    variables costs more than small steps.

    Args:
        task: facts, their probabilities, T and noise tokens.
        start: ``balanced``, ``uniform`` or ``random``, see :func:`start_weights`.
        init: α, its size.
        goal: loss in nats at which the flow is left, and which ends the convergence stage.
        tolerance: KL in nats that bounds the hallucination stage.
        end: time to stop at; None gives up after 100 times the slowest growth time. The goal ends it earlier.
        rtol: of the solver; its absolute tolerance is ``rtol × init / 100``.
        solver: ``auto`` or one of scipy's ``LSODA``, ``DOP853``, ``Radau``, ``BDF``.
        reduce: whether to use symmetries.
        seed: of a random start.
        on_progress: hears of the start and the end.

    Raises:
        UnknownNameError: another start or solver.
        SettingError: numbers that mean nothing.
        FlowError: the solver gave up.
    """
    begun = time.perf_counter()
    _check(goal, tolerance, rtol, end, solver)
    population = Population.of(task)
    w, O = start_weights(population, start, init, seed)
    system = _system(population, w, O, reduce)
    at_start, on_plateau = theory_rates(population)
    end = _horizon(population, at_start, on_plateau, init) if end is None else float(end)
    if solver == "auto":
        solver = "LSODA" if system.size <= STIFF_UP_TO else "DOP853"
    on_progress(Progress(0, None, f"solving {system.size:,} variables by {solver} up to t = {end:,.4g}"))
    solution, evaluations = _solve(system, system.pack(w, O), end, goal, rtol, init, solver)
    trace = read(system, solution)
    plateau = find_plateau(trace, tolerance=tolerance)
    stages = find_stages(trace, tolerance=tolerance, goal=goal * (1 + 1e-6))
    size = float(np.abs(w).max())
    flow = Flow(
        task=task,
        start=start,
        init=float(init),
        seed=seed,
        trace=trace,
        stages=stages,
        plateau=plateau,
        relation_entropy=population.relation_entropy,
        rates=_rates(system, solution, stages, (at_start, on_plateau), size),
        times_theory=_times(population, at_start, on_plateau, init),
        conservation_error=conservation_error(system, solution),
        variables=system.size,
        weights_total=(population.n_answers + 1) * round(float((1 / population.pace).sum())),
        solver=solver,
        evaluations=evaluations,
        seconds=time.perf_counter() - begun,
        system=system,
        solution=solution,
    )
    on_progress(Progress(1, 1, f"loss {trace.loss[-1]:.3g} at t = {flow.end:,.4g}"))
    return flow


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


def _check(goal: float, tolerance: float, rtol: float, end: float | None, solver: str) -> None:
    if solver not in SOLVERS:
        raise UnknownNameError("solver", solver, SOLVERS, f"(there are {', '.join(SOLVERS)})")
    if not (goal > 0 and tolerance > 0 and 0 < rtol < 1):
        raise SettingError(
            f"goal and tolerance are above 0 and rtol between 0 and 1, got {goal}, {tolerance}, {rtol}"
        )
    if end is not None and not 0 < end < math.inf:
        raise SettingError(f"end is {end}; give a time above 0")


def _system(p: Population, w: Float[Array, " z"], O: Float[Array, "z a"], reduce: bool) -> System:
    if reduce:
        classes = Classes.of(p, w, O)
        # a few merged weights are not worth the gathering
        if len(classes.first_w) + len(classes.first_o) <= (w.size + O.size) // 2:
            return ReducedSystem(p, classes)
    return FullSystem(p)


def _solve(
    system: System, y: Float[Array, " y"], end: float, goal: float, rtol: float, init: float, solver: str
) -> tuple[OdeSolution, int]:
    if system.loss(y) <= goal:
        raise SettingError(f"the loss is {system.loss(y):.3g} at the start, not above its goal {goal}")
    field_at = partial(_field, system)
    found = solve_ivp(
        field_at,
        (0.0, end),
        y,
        method=solver,
        rtol=rtol,
        atol=rtol * init / 100,
        events=_Above(system, goal),
        dense_output=True,
    )
    if found.status < 0 or not np.isfinite(found.y[:, -1]).all():
        raise FlowError(
            f"{solver} gave up at t = {found.t[-1]:.4g}: {found.message}; try another solver or rtol"
        )
    return found.sol, int(found.nfev)


class _Above:
    """Zero where the loss comes down to its goal, which ends the flow."""

    terminal = True

    def __init__(self, system: System, goal: float) -> None:
        self.system, self.goal = system, goal

    def __call__(self, _: float, y: np.ndarray) -> float:
        return self.system.loss(y) - self.goal


def _field(system: System, _: float, y: np.ndarray) -> np.ndarray:
    return system.field(y)


def _horizon(p: Population, at_start: np.ndarray, on_plateau: np.ndarray, init: float) -> float:
    rates = np.concatenate([at_start[p.n_subjects : p.eos], on_plateau[: p.n_subjects]])
    rates = rates[rates > 1e-12]
    if not len(rates):
        raise SettingError("the table has one answer: there is nothing to learn")
    slowest = float(rates.min())
    return PATIENCE * (theory.growth_time(slowest, init, p.n_answers) + 1 / slowest)


def _rates(
    system: System,
    solution: OdeSolution,
    stages: Sequence[Stage],
    known: tuple[np.ndarray, np.ndarray],
    first: float,
) -> dict[str, Rate]:
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


def _times(p: Population, at_start: np.ndarray, on_plateau: np.ndarray, init: float) -> dict[str, float]:
    means = float(at_start[p.n_subjects : p.eos].mean()), float(on_plateau[: p.n_subjects].mean())
    return {
        name: theory.growth_time(rate, init, p.n_answers)
        for name, rate in zip(("relation", "subject"), means, strict=True)
    }


def _time(t: float | None) -> str:
    return "not seen" if t is None else f"{t:,.4g}"


def _rate(rate: Rate, when: float) -> str:
    found = "not read" if rate.measured is None else f"{rate.measured:.5f}"
    return f"{found}, theory {rate.theory:.5f}; of order one by t = {when:,.4g}"
