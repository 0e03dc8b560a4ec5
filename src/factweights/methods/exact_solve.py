"""One exact linear solve: the point, the loss at it, and its stages until something is proved."""

import math
import time
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.certificates import Witness, bound_margins, least_margins, margins
from factweights.facts import Associations
from factweights.memories import LinearMemory
from factweights.methods.cone import ConeLoss, Evaluation
from factweights.methods.contradictions import contradiction
from factweights.methods.lbfgs import minimise
from factweights.methods.programme import small_enough, solve_programme
from factweights.methods.whiten import Whitened
from factweights.progress import OnProgress, Progress

FLOAT64_SCORES = 1 << 20  # up to this many scores float64 costs next to nothing
FLOAT32_FLOOR = 3e-5  # ‖G‖ / Σλ at which float32 rounding begins to show
SETTLED = 3e-4  # ‖G‖ / Σλ at which the facts that push hardest no longer change
SWAPS = 4  # times that the facts which push hardest are given up anew
REPORT_EVERY = 2.0  # seconds
WIDEN = 10  # evaluations spent at least on a larger margin
LARGE = 2048  # parameters from which a longer memory pays for itself near the threshold
CLOSER = 0.3  # part of ‖G‖ that is asked for next where the given coordinates are not yet convinced
FIRST, WIDER = 1e-12, 30.0  # margins asked for next, of the loss's 1, where rounding could undo the last
UNEVEN = 10.0  # longest over shortest key from which they are solved at length 1 as well
SHORT = 200  # evaluations for a matrix where the facts are refuted anyway
TINY = 30_000  # entries of a programme that is asked even where the multipliers refute


@dataclass(frozen=True)
class Asked:
    """The settings of :class:`ExactLinear`."""

    recall: float
    stop: Literal["margin", "first"]
    tolerance: float
    max_evaluations: int


@dataclass(frozen=True)
class LinearSolution:
    """What a solve found.

    Attributes:
        memory: the best matrix; it carries the witness, if any, as ``memory.witness``.
        storable: True with a matrix in hand that reaches the recall asked for, in its own arithmetic and, by
            margins beyond rounding, in exact arithmetic; False when the witness refutes every matrix; None
            when neither was proved.
        witness: multipliers of the refutation.
        evaluations: of the loss and its gradient over all facts.
        reason: why, in words.
        relative_bound: of the witness, or the best bound found where the question stays open.
    """

    memory: LinearMemory
    storable: bool | None
    witness: Witness | None
    evaluations: int
    reason: str = field(default="", compare=False)
    relative_bound: float | None = None


class Solve:
    """One run."""

    def __init__(
        self, asked: Asked, facts: Associations, start: LinearMemory | None, on_progress: OnProgress
    ) -> None:
        self.asked, self.facts, self.on_progress, self.told = asked, facts, on_progress, time.monotonic()
        self.white = Whitened.of(facts)
        self.need = math.ceil(asked.recall * len(facts) - 1e-9)
        self.every = self.need == len(facts)
        self.W = self.white.hebbian() if start is None else self.white.forth(start.weight)
        self.first_step = 0.05 if start is None else 0.01
        self.used, self.budget = 0, asked.max_evaluations
        self.least = 0.0  # margins of the loss count from here
        self.last: Evaluation | None = None
        self.witness: Witness | None = None
        self.bound = math.inf
        self.small = len(facts) * facts.n_outputs <= FLOAT64_SCORES

    def run(self) -> LinearSolution:
        """Stage by stage until one decides."""
        if self.facts.n_outputs == 1:
            reason = "there is one output, so nothing can be confused"
            return LinearSolution(self._memory(self.W), True, None, 0, reason)
        if self.every and (found := contradiction(self.facts, self.asked.tolerance)):
            return self._contradicted(*found)
        for stage in (self._as_given, self._whole, self._programme):
            if (solution := stage()) is not None:
                return solution
        return self._undecided()

    # -- stages ------------------------------------------------------------------------------------------

    def _as_given(self) -> LinearSolution | None:
        """In white coordinates of the keys as they are; large problems in float32 first."""
        length = self.facts.keys.double().norm(dim=1)
        self.uneven = self.white.dropped or float(length.max()) > UNEVEN * float(length.min())
        self.budget = self.asked.max_evaluations // (2 if self.uneven and self.every else 1)
        for dtype in [torch.float64] if self.small else [torch.float32, torch.float64]:
            if (solution := self._solve(ConeLoss(*self.white.to(dtype)))) is not None:
                return solution
        return None

    def _whole(self) -> LinearSolution | None:
        """With keys of length 1 and no direction left out, where that makes a difference."""
        if not (self.uneven and self.every):
            return None
        self.white = Whitened.whole(self.facts)
        self.W, self.first_step, self.least, self.last = self.white.hebbian(), 0.05, 0.0, None
        self.budget = self.asked.max_evaluations
        return self._solve(ConeLoss(*self.white.to(torch.float64)))

    def _programme(self) -> LinearSolution | None:
        """As a linear programme, where it is small."""
        if not (self.every and small_enough(self.facts)):
            return None
        white = self.white if self.uneven else Whitened.whole(self.facts)
        found = solve_programme(white, self.facts)
        if found is None:
            return None
        W, witness = found
        if (memory := self._proved(white.back(W))) is not None:
            return LinearSolution(memory, True, None, self.used, "margins beyond rounding")
        if witness is not None and self._refutes(witness):
            return self._refuted()
        return None

    def _solve(self, loss: ConeLoss) -> LinearSolution | None:
        """Descend, and go on for wider margins as long as rounding could undo what was found."""
        while True:
            if not (self._descend(loss) if self.every else self._trim(loss)):
                return None
            if not self._enough():
                return self._refuted() if self.witness is not None else None
            if (memory := self._confirmed(loss)) is not None:
                return LinearSolution(memory, True, None, self.used, "margins beyond rounding")
            self.least = max(FIRST, WIDER * self.least)
            if self.least > 1 or not self.every or loss.keys.dtype != torch.float64:
                return None

    # -- verdicts ----------------------------------------------------------------------------------------

    def _refutes(self, witness: Witness) -> bool:
        """Whether ``witness`` refutes in the given coordinates; the best one is kept."""
        relative = bound_margins(self.facts, witness).relative
        self.bound = min(self.bound, relative)
        if relative > self.asked.tolerance:
            return False
        self.witness = witness
        return True

    def _refuted(self) -> LinearSolution | None:
        """The refutation, unless a small programme finds a matrix within the tolerance."""
        memory, witness = self._memory(self.W), self.witness
        if small_enough(self.facts, TINY):
            white = Whitened.whole(self.facts)
            found = solve_programme(white, self.facts)
            if found is not None and (better := self._proved(white.back(found[0]))) is not None:
                return LinearSolution(better, True, None, self.used, "margins beyond rounding")
        memory.witness = witness
        reason = f"no matrix of norm 1 has margins above {self.bound:.1e} of a typical constraint"
        return LinearSolution(memory, False, witness, self.used, reason, self.bound)

    def _contradicted(self, witness: Witness, reason: str) -> LinearSolution:
        """Refuted before the first evaluation; a matrix for the other facts is looked for all the same."""
        if self.asked.stop == "margin":
            self.budget = min(SHORT, self.asked.max_evaluations)
            self._minimise(ConeLoss(*self.white.to(torch.float64 if self.small else torch.float32)), SETTLED)
        memory = self._memory(self.W)
        memory.witness = witness
        bound = bound_margins(self.facts, witness).relative
        return LinearSolution(memory, False, witness, self.used, reason, bound)

    def _undecided(self) -> LinearSolution:
        memory = self._memory(self.W)
        right = int((margins(memory, self.facts) > 0).sum())
        if not self.every:
            reason = f"{right:,} of the {self.need:,} facts asked for were found right"
        elif self.used >= self.asked.max_evaluations:
            reason = f"undecided after {self.used:,} evaluations"
        else:
            reason = "neither a margin nor a refutation stands out from rounding"
        bound = None if math.isinf(self.bound) else self.bound
        return LinearSolution(memory, None, None, self.used, reason, bound)

    def _proved(self, W: Float[Tensor, "d_out d_in"]) -> LinearMemory | None:
        """The memory of ``W`` in the facts' dtype, if it recalls enough there and in exact arithmetic."""
        memory = LinearMemory.from_weight(W.to(self.facts.keys.dtype))
        if int((margins(memory, self.facts) > 0).sum()) < self.need:
            return None
        least = least_margins(LinearMemory.from_weight(memory.weight.double()), self.facts)
        return memory if least is not None and int((least > 0).sum()) >= self.need else None

    # -- descent -----------------------------------------------------------------------------------------

    def _descend(self, loss: ConeLoss) -> bool:
        """Minimise until enough facts are right or refuted; says whether either came about.

        In float32 until rounding begins to show: then float64 goes on.
        """
        coarse = loss.keys.dtype != torch.float64
        settled = max(self.asked.tolerance, FLOAT32_FLOOR) if coarse else self.asked.tolerance
        return self._minimise(loss, settled, check=not coarse)

    def _minimise(self, loss: ConeLoss, settled: float, *, check: bool = False) -> bool:
        """L-BFGS until enough facts are right or ‖G‖ ≤ ``settled`` · Σλ, there or (``check``) as given."""

        def evaluate(x: Tensor) -> tuple[float, Tensor, bool]:
            nonlocal settled
            self.last = e = loss(x.view(self.W.shape))
            self._report(e)
            size = float(e.gradient.norm())
            done = self._enough() or size <= settled * e.force
            if done and check and e.force and not self._enough():
                done = self._refutes(self._witness(e)) or self.white.dropped
                settled = CLOSER * size / e.force
            return e.loss, e.gradient.reshape(-1), done

        budget = self.budget - self.used
        if budget < 1:
            return False
        result = minimise(
            evaluate,
            self.W.to(loss.keys.dtype).reshape(-1),
            max_evaluations=budget,
            first_step=self.first_step,
            memory=40 if self.W.numel() >= LARGE else 20,
        )
        self.W, self.first_step = result.x.view(self.W.shape), 0.01
        self.used += result.evaluations
        return result.decided

    def _witness(self, e: Evaluation) -> Witness:
        """The residuals as multipliers of the given constraints."""
        row, col = e.active.row.cpu(), e.active.col.cpu()
        weight = e.active.weight.double().cpu() / self.white.lengths.cpu()[row]
        used = weight > 0
        return Witness(row[used], col[used], weight[used], self.facts.hash)

    def _report(self, e: Evaluation) -> None:
        """Where the solve stands, at most every REPORT_EVERY seconds."""
        if (now := time.monotonic()) - self.told >= REPORT_EVERY:
            self.told, right = now, int((e.margins > 0).sum())
            bound = float(e.gradient.norm()) / e.force if e.force else 0.0
            text = f"{right:,} of {len(self.facts):,} facts right"
            # how many more it takes is not known, so no total: a share of right facts would mislead
            self.on_progress(Progress(right, None, f"{text}, bound {bound:.1e}"))

    def _enough(self) -> bool:
        e = self.last
        if e is None:
            return False
        if self.every:
            return e.min_margin > self.least
        return int((e.margins > self.least).sum()) >= self.need

    def _trim(self, loss: ConeLoss) -> bool:
        """Give up the facts that push hardest, as many as recall allows, and solve the rest."""
        given_up = torch.zeros(len(self.facts), dtype=torch.bool, device=loss.keys.device)
        for _ in range(1 + SWAPS):
            self._minimise(loss, SETTLED)
            if self._enough():
                return True
            e, spare = self.last, len(self.facts) - self.need
            if e is None or spare == 0:
                return False
            push = e.margins.new_zeros(len(e.margins)).index_add_(0, e.active.row, e.active.weight)
            push = torch.where(given_up, torch.where(e.margins > 0, 0.0, torch.inf).to(push), push)
            chosen = torch.zeros_like(given_up)
            chosen[push.topk(spare).indices] = True
            if bool((chosen == given_up).all()):
                return False
            given_up = chosen
            loss.weights = (~given_up).to(loss.keys.dtype)
        return False

    def _confirmed(self, loss: ConeLoss) -> LinearMemory | None:
        """The matrix in the facts' own coordinates and dtype, if it recalls enough there beyond rounding."""
        candidates = [self.W]
        if self.asked.stop == "margin":
            candidates.insert(0, self._widened(loss))
        for W in candidates:
            if (memory := self._proved(self.white.back(W))) is not None:
                return memory
        return None

    def _widened(self, loss: ConeLoss) -> Float[Tensor, "r_out r_in"]:
        """Go on for as many evaluations as it took, and keep the best margin per norm."""
        best = (-math.inf, self.W)

        def evaluate(x: Tensor) -> tuple[float, Tensor, bool]:
            nonlocal best
            e = loss(x.view(self.W.shape))
            self.used += 1
            kth = e.min_margin if self.every else _kth_largest(e.margins, self.need)
            best = max(best, (kth / (float(x.norm()) or 1.0), x.view(self.W.shape)), key=lambda b: b[0])
            return e.loss, e.gradient.reshape(-1), e.loss == 0.0

        budget = max(WIDEN, self.used)
        minimise(evaluate, self.W.reshape(-1), max_evaluations=budget, first_step=self.first_step)
        return best[1]

    def _memory(self, W: Tensor) -> LinearMemory:
        return LinearMemory.from_weight(self.white.back(W).to(self.facts.keys.dtype))


def _kth_largest(x: Tensor, k: int) -> float:
    return float(x.kthvalue(len(x) - k + 1).values)
