"""What is read off a model while it learns, and the stages found in it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from factweights.dynamics.population import Array
from factweights.dynamics.systems import Cells
from factweights.errors import SettingError
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOLERANCE = 0.05  # nats: so near to the relation-only predictor counts as hallucination
GOAL = 0.01  # nats: so low a loss counts as learnt
ROLES = ("subject", "relation", "noise", "eos")


@dataclass(frozen=True)
class Trace(Shown):
    """Readings, one entry for each time.

    Attributes:
        times: t of the flow; learning rate × step of a descent, or steps.
        loss: cross-entropy in nats over all facts by their probability.
        relation_loss: its relation part −ln p̂(A_r): does the answer lie in the relation's answer set?
        subject_loss: its subject part −ln p̂(a | A_r). Both add up to ``loss``.
        kl: KL(p(·|r) ‖ p̂(·|s,r)) in nats, weighted by the facts' probabilities (their mean over facts where
            all are asked equally often): how far from the relation-only predictor.
        grad_norm: ‖∇ loss‖ over all trained weights.
        attention: for each of subject, relation, noise and eos what attention gives them in a mean prompt: w
            of a linear model (noise: T − 3 times it), the share of a softmax one.
        accuracy: share of facts whose answer scores above every other one. Not what stages are told by.
    """

    times: tuple[float, ...]
    loss: tuple[float, ...]
    relation_loss: tuple[float, ...]
    subject_loss: tuple[float, ...]
    kl: tuple[float, ...]
    grad_norm: tuple[float, ...]
    attention: dict[str, tuple[float, ...]]
    accuracy: tuple[float, ...]

    @classmethod
    def of_rows(
        cls,
        times: Sequence[float],
        rows: Sequence[Sequence[float]],
        attention: Sequence[np.ndarray],
    ) -> "Trace":
        """From rows (loss, relation part, subject part, KL, gradient norm, accuracy) and attention."""
        loss, relation, subject, kl, grad, accuracy = (
            tuple(map(float, column)) for column in zip(*rows, strict=True)
        )
        by_role = {role: tuple(map(float, x)) for role, x in zip(ROLES, np.stack(attention, 1), strict=True)}
        return cls(tuple(map(float, times)), loss, relation, subject, kl, grad, by_role, accuracy)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return asdict(self)

    def to_pandas(self) -> Any:
        """One row per time (needs the extra [data])."""
        import pandas as pd

        columns = {k: v for k, v in self.to_dict().items() if k != "attention"}
        return pd.DataFrame({**columns, **{f"attention_{k}": v for k, v in self.attention.items()}})

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Loss and its parts over time; written to ``path`` too if there is one."""
        from factweights.plots.results import over

        return over(
            "readings",
            "time",
            self.times,
            {"loss": self.loss, "relation loss": self.relation_loss, "KL": self.kl},
            path,
        )

    def lines(self) -> list[tuple[str, str]]:
        """Where it begins and ends."""
        return [
            ("time", f"{self.times[0]:g} to {self.times[-1]:,.4g}, {len(self.times):,} readings"),
            ("loss", f"{self.loss[0]:.4g} to {self.loss[-1]:.4g} nats"),
            ("smallest KL", f"{min(self.kl):.4g} nats at {self.times[int(np.argmin(self.kl))]:,.4g}"),
        ]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: ``initial``, ``hallucination`` or ``convergence``.
        start, end: times; the end is None where it was not seen.
    """

    name: str
    start: float
    end: float | None

    def to_dict(self) -> dict[str, Any]:
        """Name, start and end."""
        return asdict(self)


@dataclass(frozen=True)
class Plateau:
    """The stillest moment of the hallucination stage.

    Attributes:
        time: where ‖∇ loss‖ is smallest within the stage; where KL is smallest if there is no such stage.
        loss: there, in nats.
        kl: KL(p(·|r) ‖ p̂) there, in nats.
        grad_norm: ‖∇ loss‖ there.
    """

    time: float
    loss: float
    kl: float
    grad_norm: float


class Watched(Shown):
    """What has readings and stages found in them: a flow, a descent, a training."""

    trace: Trace
    stages: tuple[Stage, ...]
    plateau: Plateau
    relation_entropy: float
    seconds: float

    def readings(self) -> dict[str, Any]:
        """The part of ``to_dict`` that they share."""
        return {
            "stages": [s.to_dict() for s in self.stages],
            "plateau_loss": self.plateau.loss,
            "plateau_time": self.plateau.time,
            "kl_at_plateau": self.plateau.kl,
            "relation_entropy": self.relation_entropy,
            "trace": self.trace.to_dict(),
            "seconds": self.seconds,
        }

    def to_pandas(self) -> Any:
        """The readings, one row per time (needs the extra [data])."""
        return self.trace.to_pandas()

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Loss and divergence over time with the stages; written to ``path`` too if there is one."""
        from factweights.plots.results import learning

        return learning("stages of learning", self.readings(), path)

    def stage_lines(self, time: str = "t =") -> list[tuple[str, str]]:
        """When each stage began and ended."""
        return [(s.name, f"{time} {_when(s.start)} to {_when(s.end)}") for s in self.stages]


def _when(t: float | None) -> str:
    if t is None:
        return "not seen"
    return f"{t:,.0f}" if t >= 1000 else f"{t:.4g}"


def find_plateau(trace: Trace, *, tolerance: float = TOLERANCE) -> Plateau:
    """The stillest moment of the hallucination stage of :func:`find_stages`, or else the smallest KL."""
    kl = np.asarray(trace.kl)
    inside = kl <= tolerance
    at = int(np.argmin(kl))
    if inside.any():
        first = int(np.argmax(inside))
        left = np.flatnonzero(~inside[first:])
        last = first + int(left[0]) if len(left) else len(kl)
        at = first + int(np.argmin(trace.grad_norm[first:last]))
    return Plateau(trace.times[at], trace.loss[at], trace.kl[at], trace.grad_norm[at])


def find_stages(trace: Trace, *, tolerance: float = TOLERANCE, goal: float = GOAL) -> tuple[Stage, ...]:
    """Initial, hallucination and convergence, told by KL and loss, never by accuracy.

    *Hallucination* is where KL(p(·|r) ‖ p̂) ≤ ``tolerance``, the interval of theorem 6 of arXiv 2412.06538:
    from the first time on that this holds until it no longer does. *Initial* is before it. *Convergence*
    begins where it ends and is over when the loss is at most ``goal``. A model that is never so near to the
    relation-only predictor has no hallucination stage; its convergence begins where it is nearest. Times
    between readings are interpolated.

    Raises:
        SettingError: a tolerance or goal that is not above 0.
    """
    if not (tolerance > 0 and goal > 0):
        raise SettingError(f"tolerance and goal are above 0 nats, got {tolerance} and {goal}")
    t = trace.times
    begin = crossing(t, trace.kl, tolerance)
    if begin is None:
        nearest = t[int(np.argmin(trace.kl))]
        done = crossing(t, trace.loss, goal)
        return Stage("initial", t[0], nearest), Stage("convergence", nearest, done)
    end = crossing(t, trace.kl, tolerance, upwards=True, after=begin)
    stages = [Stage("initial", t[0], begin), Stage("hallucination", begin, end)]
    if end is not None:
        stages.append(Stage("convergence", end, crossing(t, trace.loss, goal, after=end)))
    return tuple(stages)


def crossing(
    times: Sequence[float],
    values: Sequence[float],
    level: float,
    *,
    upwards: bool = False,
    after: float = -math.inf,
) -> float | None:
    """The first time ≥ ``after`` at which positive values reach ``level``; None if they never do."""
    t, v = np.asarray(times), np.asarray(values)
    met = (v > level if upwards else v <= level) & (t >= after)
    if not met.any():
        return None
    at = int(np.argmax(met))
    if at == 0 or t[at - 1] < after:
        return float(max(t[at], after))
    low, high = np.log(np.maximum(v[at - 1 : at + 1], 1e-300))
    share = (math.log(level) - low) / (high - low) if high != low else 1.0
    return float(t[at - 1] + min(max(share, 0.0), 1.0) * (t[at] - t[at - 1]))


def losses(cells: Cells, log_shares: Float[Array, " q"]) -> tuple[float, float, float, float]:
    """Loss, relation part, KL from the relation-only predictor and accuracy, from ln p̂.

    An answer that ties with the right one makes the fact a miss. Scores closer than rounding are a tie.
    """
    loss = float(-cells.weight @ log_shares)
    kept = np.add.reduceat(cells.inside * np.exp(log_shares), cells.starts)
    relation = float(-cells.fact_weight @ np.log(np.maximum(kept, 1e-300)))
    some = cells.expected > 0
    kl = float(cells.expected[some] @ (np.log(cells.likely[some]) - log_shares[some]))
    right = cells.weight > 0
    best_wrong = np.maximum.reduceat(np.where(right, -math.inf, log_shares), cells.starts)
    own = np.maximum.reduceat(np.where(right, log_shares, -math.inf), cells.starts)
    accuracy = float(cells.fact_weight @ (own > best_wrong + 1e-12))
    return loss, min(relation, loss), max(kl, 1e-16), accuracy
