"""The matrix with every right answer above the average of its strongest competitors, or the proof of none."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights import theory
from factweights.certificates import (
    Witness,
    averaged,
    bound_margins,
    least_tail_margins,
    margin_bound,
    tail_margins,
)
from factweights.domains import Count, OpenShare
from factweights.errors import SettingError
from factweights.facts import Associations
from factweights.memories import LinearMemory, Memory
from factweights.methods.base import Attempt, Method, check_facts
from factweights.methods.lbfgs import minimise
from factweights.methods.whiten import Whitened
from factweights.progress import OnProgress, Progress, silent
from factweights.threads import one_thread_if_small

BLOCK = 1 << 21  # scores held at once, 16 MiB in float64
LEVELS = 60  # Newton steps for the level: about six are taken, and halving alone would need so many
CLOSER = 0.3  # part of the bound that is asked for next where the given coordinates are not yet convinced
REPORT_EVERY = 20  # evaluations


@dataclass(frozen=True)
class TailEvaluation:
    """The loss at one matrix.

    Attributes:
        loss: ½ Σ λ_i².
        gradient: ``(d_out, d_in)``.
        margins: ``(N,)`` lower bounds of the tail-average margins, which no smoothing moves above.
        force: Σ λ_i, the normaliser of a refutation.
        pull: ``(N,)`` the λ_i.
        level: ``(N,)`` the scores from which competitors count.
    """

    loss: float
    gradient: Float[Tensor, "d_out d_in"]
    margins: Float[Tensor, " n"]
    force: float
    pull: Float[Tensor, " n"]
    level: Float[Tensor, " n"]


class TailLoss:
    """½ Σ_i (1 − z_f + h(z))₊² with h a smooth mean of the k best competitors.

    h(z) = max {⟨w, z⟩ − ½ k ‖w‖² : 0 ≤ w ≤ 1/k, Σ w = 1}, at most ½ below the mean itself. The maximiser is
    w = clip(z − t, 0, 1)/k with t such that the weights add up to 1. So the gradient of h is 1/k-Lipschitz,
    a loss of 0 leaves a tail-average margin of ½ at least, and λ_i w_iy with λ_i = (1 − z_f + h)₊ are
    multipliers of Gordan's alternative at every W, which cancel at a minimum.
    """

    def __init__(
        self,
        keys: Float[Tensor, "n d_in"],
        values: Float[Tensor, "m d_out"],
        targets: Int[Tensor, " n"],
        k: float,
    ) -> None:
        self.keys, self.values, self.targets, self.k = keys, values, targets, k
        rows = max(1, BLOCK // len(values))
        self.blocks = [slice(i, min(i + rows, len(keys))) for i in range(0, len(keys), rows)]

    def __call__(self, W: Float[Tensor, "d_out d_in"]) -> TailEvaluation:
        """Evaluate at ``W``, one block of facts at a time."""
        gradient = torch.zeros_like(W)
        margins, pull, level = (self.keys.new_empty(len(self.keys)) for _ in range(3))
        for rows in self.blocks:
            z, right = self.scores(W, rows)
            level[rows] = t = _level(z, self.k)
            w = (z - t[:, None]).clamp_(0, 1)  # (n, m), k times the weights
            smooth = ((w * z).sum(1) - 0.5 * w.square().sum(1)) / self.k
            # The mean of the k best is min_t t + Σ (z − t)₊/k: any t bounds it, this one is near the best.
            mean = t + 0.5 + (z - t[:, None] - 0.5).clamp_(min=0).sum(1) / self.k
            margins[rows] = right - mean
            pull[rows] = force = (1 - right + smooth).clamp_min(0)
            away = (w * (force / self.k)[:, None]) @ self.values - force[:, None] * self._own(rows)
            gradient.addmm_(away.T, self.keys[rows])
        loss = 0.5 * float(pull @ pull)
        return TailEvaluation(loss, gradient, margins, float(pull.sum()), pull, level)

    def scores(self, W: Tensor, rows: slice) -> tuple[Float[Tensor, "n m"], Float[Tensor, " n"]]:
        """Scores of the competitors, the target's own far below all, and the target's apart."""
        z = (self.keys[rows] @ W.T) @ self.values.T
        at = self.targets[rows][:, None]
        right = z.gather(1, at)[:, 0]
        low = z.amin(1, keepdim=True) - 2  # below every level, and finite, as it is multiplied by 0
        return z.scatter_(1, at, low), right

    def _own(self, rows: slice) -> Float[Tensor, "n d_out"]:
        return self.values[self.targets[rows]]

    def multipliers(self, W: Tensor, e: TailEvaluation) -> tuple[Tensor, Tensor, Tensor]:
        """(rows, columns, weights) of the constraints that push at ``W``: λ_i w_iy."""
        row, col, weight = [], [], []
        for rows in self.blocks:
            z, _ = self.scores(W, rows)
            w = (z - e.level[rows][:, None]).clamp_(0, 1) * (e.pull[rows] / self.k)[:, None]
            i, y = w.nonzero(as_tuple=True)
            row.append(i + rows.start)
            col.append(y)
            weight.append(w[i, y])
        return torch.cat(row), torch.cat(col), torch.cat(weight)


def _level(z: Float[Tensor, "n m"], k: float) -> Float[Tensor, " n"]:
    """t with Σ_y clip(z_y − t, 0, 1) = k in every row, by Newton's steps kept inside a bracket."""
    low, high = z.amin(1) - 1, z.amax(1)  # the sums there: m and 0
    t = (low + high) / 2
    for _ in range(LEVELS):
        u = (z - t[:, None]).clamp_(0, 1)
        over = u.sum(1) - k
        if float(over.abs().max()) <= 1e-11 * k:
            break
        low, high = torch.where(over >= 0, t, low), torch.where(over <= 0, t, high)
        slope = ((u > 0) & (u < 1)).sum(1)
        step = t + over / slope
        inside = (slope > 0) & (step > low) & (step < high)
        t = torch.where(inside, step, (low + high) / 2)
    return t


@dataclass(frozen=True)
class TailSolution:
    """What a solve found.

    Attributes:
        memory: the last matrix; it carries the witness, if any, as ``memory.witness``.
        storable: True where every tail-average margin is above 0 beyond rounding; False where the witness
            refutes every matrix; None where neither was proved.
        witness: multipliers of the refutation; no fact's exceed the k-th part of their sum.
        evaluations: of the loss.
    """

    memory: LinearMemory
    storable: bool | None
    witness: Witness | None
    evaluations: int


@final
@dataclass(frozen=True)
class TailAverage(Method[LinearMemory]):
    """Decide whether any matrix lifts every right answer above the mean of its strongest competitors.

    Listwise recall: at level r a fact counts as stored when its answer scores above the mean of the best
    share r of the other outputs, hence among the best ⌈r (M − 1)⌉. That is concave in W. L-BFGS in white
    coordinates on :class:`TailLoss` ends at a matrix with positive margins beyond rounding, or at multipliers
    that refute every matrix in the given coordinates (Gordan). It does not aim at the answer coming first:
    ``verify(top_k=…)`` says how often it is among k.

    Attributes:
        share: r, the part of a fact's competitors that is averaged. Where it is one or less, the answer has
            to come first.
        tolerance: margin, in units of a typical constraint, below which the facts count as not storable.
        max_evaluations: undecided after this many.
    """

    share: OpenShare = 0.1
    tolerance: OpenShare = 1e-6
    max_evaluations: Count = 1000

    refutes: ClassVar[bool] = True
    name: ClassVar[str] = "tail-average"
    reference: ClassVar[str] = "tail-average margin after arXiv 2605.05189, with Gordan certificates"

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> LinearMemory:
        """Write ``facts``; ``seed`` changes nothing. Use :meth:`solve` for the verdict as well."""
        return self.solve(facts, on_progress=on_progress).memory

    def solve(self, facts: Associations, *, on_progress: OnProgress = silent) -> TailSolution:
        """Decide ``facts``, from the Hebbian matrix.

        Raises:
            WrongTypeError: ``facts`` are something else.
        """
        check_facts(facts)
        with one_thread_if_small(len(facts) * facts.n_outputs):
            return _Solve(self, facts, on_progress).run()

    def attempt(self, facts: Associations, *, noise: float = 0.0, seed: int = 0) -> Attempt:
        """Recall here is the share of facts with a tail-average margin above 0.

        Raises:
            SettingError: ``noise`` above 0, under which such margins are not asked.
        """
        if noise:
            raise SettingError(
                f"{self.name} is not asked under key noise; leave noise out", fields=("noise",)
            )
        found = self.solve(facts)
        recall = float((tail_margins(found.memory, facts, self.share) > 0).double().mean())
        bound = None if found.witness is None else margin_bound(facts, found.witness)
        return Attempt(recall, True, found.storable is False, bound)

    def unmet(self, memory: Memory, facts: Associations, *, seed: int = 0) -> dict[str, float]:
        """By how much the smallest tail-average margin lies below 0; empty where all are above it."""
        least = float(tail_margins(memory, facts, self.share).min())
        return {} if least > 0 else {"tail-average margin": -least}

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """d_in · d_out."""
        return d_in * d_out

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """N = d_in d_out / E[(κ_r − G)₊²], every fact listwise; None where r (M − 1) is below 1."""
        return theory.where_it_applies(
            lambda *sizes: theory.tail_average_capacity(d_in, d_out, self.share, outputs)
        )


class _Solve:
    """One run."""

    def __init__(self, asked: TailAverage, facts: Associations, on_progress: OnProgress) -> None:
        self.asked, self.facts, self.on_progress = asked, facts, on_progress
        self.white = Whitened.of(facts)
        keys, values, targets = self.white.to(torch.float64)
        self.loss = TailLoss(keys, values, targets, averaged(asked.share, facts.n_outputs))
        self.settled, self.evaluations = asked.tolerance, 0
        self.proved: LinearMemory | None = None
        self.witness: Witness | None = None

    def run(self) -> TailSolution:
        W = self.white.hebbian()
        if self.facts.n_outputs == 1:
            return TailSolution(self._memory(W), True, None, 0)
        shape = W.shape
        found = minimise(
            lambda x: self._evaluate(x.view(shape)),
            W.reshape(-1),
            max_evaluations=self.asked.max_evaluations,
            first_step=0.05,
        )
        if self.proved is not None:
            return TailSolution(self.proved, True, None, found.evaluations)
        memory = self._memory(found.x.view(shape))
        if self.witness is None:
            return TailSolution(memory, None, None, found.evaluations)
        memory.witness = self.witness
        return TailSolution(memory, False, self.witness, found.evaluations)

    def _evaluate(self, W: Tensor) -> tuple[float, Tensor, bool]:
        e, self.evaluations = self.loss(W), self.evaluations + 1
        size = float(e.gradient.norm())
        if self.evaluations % REPORT_EVERY == 0:
            right = int((e.margins > 0).sum())
            text = f"{right:,} of {len(self.facts):,} facts above, bound {size / max(e.force, 1e-300):.1e}"
            self.on_progress(Progress(self.evaluations, self.asked.max_evaluations, text))
        done = False
        if float(e.margins.min()) > 0:
            done = self._confirmed(W)
        elif size <= self.settled * e.force:
            done = self._refuted(W, e)
            self.settled = CLOSER * size / e.force
        return e.loss, e.gradient.reshape(-1), done

    def _confirmed(self, W: Tensor) -> bool:
        """Whether the margins stand in the facts' own coordinates and dtype, beyond rounding."""
        memory = self._memory(W)
        least = least_tail_margins(memory, self.facts, self.asked.share)
        if least is None or not float(least.min()) > 0:
            return False
        self.proved = memory
        return True

    def _refuted(self, W: Tensor, e: TailEvaluation) -> bool:
        """Whether the multipliers refute in the given coordinates."""
        row, col, weight = self.loss.multipliers(W, e)
        witness = Witness(row.cpu(), col.cpu(), weight.cpu(), self.facts.hash)
        if bound_margins(self.facts, witness).relative > self.asked.tolerance:
            return False
        self.witness = witness
        return True

    def _memory(self, W: Tensor) -> LinearMemory:
        return LinearMemory.from_weight(self.white.back(W).to(self.facts.keys.dtype))
