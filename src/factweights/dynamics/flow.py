"""The gradient flow of a recall task, as solved."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.integrate import OdeSolution

from factweights.dynamics.population import Array, softmax
from factweights.dynamics.rates import Rate
from factweights.dynamics.systems import System
from factweights.dynamics.trace import Plateau, Stage, Trace, Watched, crossing
from factweights.errors import SettingError
from factweights.facts import RecallTask


@dataclass(frozen=True, eq=False)
class Flow(Watched):
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

        Between the solver's steps weights are interpolated. Where those of DOP853 are as long as stability
        allows, in the middle of a long plateau, that is good to about 1e-4 and not to ``rtol`` (measured on
        figure 5's task, t = 300); ``solver="LSODA"`` keeps 1e-7 there.

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
            **self.readings(),
            "loss": list(zip(self.trace.times, self.trace.loss, strict=True)),
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
        }

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        plateau = f"loss {self.plateau.loss:.4f} at t = {self.plateau.time:,.4g}"
        nearest = f"H(a|r) = {self.relation_entropy:.4f}, KL {self.plateau.kl:.2g} nats"
        rates = [(f"{name} rate", _rate(rate, self.times_theory[name])) for name, rate in self.rates.items()]
        solved = f"{self.variables:,} variables for {self.weights_total:,} weights, {self.solver}"
        return [
            ("start", f"{self.start}, {self.init:g}"),
            *self.stage_lines(),
            ("plateau", f"{plateau}; {nearest}"),
            *rates,
            ("conservation", f"kept to {self.conservation_error:.1g}"),
            ("solved", f"{solved}, {self.evaluations:,} evaluations, {self.seconds:.3g} s"),
        ]


def _rate(rate: Rate, when: float) -> str:
    found = "not read" if rate.measured is None else f"{rate.measured:.5f}"
    return f"{found}, theory {rate.theory:.5f}; of order one by t = {when:,.4g}"
