"""The population gradient flow of a recall task: its system, its solver, how far it is followed."""

import time
from functools import partial
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from scipy.integrate import OdeSolution, solve_ivp

from factweights import theory
from factweights.domains import OpenShare, Positive, Seed, checked
from factweights.dynamics.classes import Classes
from factweights.dynamics.flow import Flow
from factweights.dynamics.population import Array, Population
from factweights.dynamics.rates import theory_rates
from factweights.dynamics.reading import conservation_error, rates_in_stages, read
from factweights.dynamics.starts import start_weights
from factweights.dynamics.systems import FullSystem, ReducedSystem, System
from factweights.dynamics.trace import GOAL, TOLERANCE, find_plateau, find_stages
from factweights.errors import FactweightsError, SettingError, UnknownNameError
from factweights.facts import RecallTask
from factweights.progress import OnProgress, Progress, silent

Solver = Literal["auto", "LSODA", "DOP853", "Radau", "BDF"]
SOLVERS: tuple[str, ...] = get_args(Solver)
STIFF_UP_TO = 256  # variables: below, LSODA's Jacobians cost nothing; above, they cost more than small steps
PATIENCE = 100.0  # times the slowest growth time, then the flow is left


class FlowError(FactweightsError):
    """A flow that the solver could not follow."""


@checked
def gradient_flow(
    task: RecallTask,
    *,
    start: str = "balanced",
    init: Positive = 1e-5,
    goal: Positive = GOAL,
    tolerance: Positive = TOLERANCE,
    end: Positive | None = None,
    rtol: OpenShare = 1e-8,
    solver: str = "auto",
    reduce: bool = True,
    seed: Seed = 0,
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
    if solver not in SOLVERS:
        raise UnknownNameError("solver", solver, SOLVERS, f"(there are {', '.join(SOLVERS)})")
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
        rates=rates_in_stages(system, solution, stages, (at_start, on_plateau), size),
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


def _times(p: Population, at_start: np.ndarray, on_plateau: np.ndarray, init: float) -> dict[str, float]:
    means = float(at_start[p.n_subjects : p.eos].mean()), float(on_plateau[: p.n_subjects].mean())
    return {
        name: theory.growth_time(rate, init, p.n_answers)
        for name, rate in zip(("relation", "subject"), means, strict=True)
    }
