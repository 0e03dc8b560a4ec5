"""The best matrix there is, or the proof that there is none."""

import math
import time
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights import theory
from factweights.certificates import Witness, margins
from factweights.domains import Count, OpenShare, Share
from factweights.errors import ShapeError
from factweights.facts import Associations
from factweights.memories import LinearMemory, Memory
from factweights.methods.base import Method, check_facts, check_start
from factweights.methods.cone import Active, ConeLoss, Evaluation
from factweights.methods.lbfgs import minimise
from factweights.methods.whiten import Whitened
from factweights.progress import OnProgress, Progress, silent
from factweights.threads import one_thread_if_small

FLOAT64_SCORES = 1 << 20  # up to this many scores float64 costs next to nothing
FLOAT32_FLOOR = 3e-5  # ‖G‖ / Σλ at which float32 rounding begins to show
SETTLED = 3e-4  # ‖G‖ / Σλ at which the facts that push hardest no longer change
SWAPS = 4
REPORT_EVERY = 2.0  # seconds
WIDEN = 10  # evaluations spent at least on a larger margin
LARGE = 2048  # parameters from which a longer memory pays for itself near the threshold


@dataclass(frozen=True)
class LinearSolution:
    """What a solve found.

    Attributes:
        memory: the best matrix; it carries the witness, if any, as ``memory.witness``.
        storable: True with a matrix in hand that reaches the recall asked for; False when the witness
            refutes every matrix; None when the evaluations ran out (or, below recall 1, nothing was found).
        witness: multipliers of the refutation.
        evaluations: of the loss and its gradient over all facts.
    """

    memory: LinearMemory
    storable: bool | None
    witness: Witness | None
    evaluations: int


@final
@dataclass(frozen=True)
class ExactLinear(Method[LinearMemory]):
    """Decide whether any matrix stores the facts, with a certificate on both sides.

    L-BFGS in white coordinates on the squared distance of the scores to the cone of right answers
    (:mod:`factweights.methods.cone`), from the Hebbian matrix. A positive margin proves the facts storable.
    Otherwise the residuals at the minimum are the multipliers of Gordan's alternative: they bound the margin
    of every matrix of norm 1 by ‖G‖_F / Σλ, and the facts count as refuted once that is below ``tolerance``
    times the typical norm of a constraint.

    Below recall 1 the question is no longer convex. The problem is first solved for all facts; the ones that
    push hardest there (largest multipliers) are given up, as many as the recall allows, and the rest is
    solved again from that point; facts given up that come out right anyway make room for others.

    Attributes:
        recall: share of facts that must be right.
        stop: ``first`` stops at the first matrix that decides, for capacity searches; ``margin`` goes on as
            long again for a larger margin, for matrices to keep.
        tolerance: relative margin below which the facts count as not storable.
        max_evaluations: undecided after this many.
    """

    recall: Share = 1.0
    stop: Literal["margin", "first"] = "margin"
    tolerance: OpenShare = 1e-6
    max_evaluations: Count = 3000

    name: ClassVar[str] = "exact-linear"
    reference: ClassVar[str] = "convex feasibility with Gordan certificates; theory.md section 1"
    warm_starts: ClassVar[bool] = True
    reports: ClassVar[bool] = True

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> LinearMemory:
        """Write ``facts``; ``seed`` changes nothing. Use :meth:`solve` for the verdict as well."""
        if start is not None and not isinstance(start, LinearMemory):
            raise ShapeError(f"start is a {type(start).__name__}, the solve needs a LinearMemory")
        return self.solve(facts, start=start, on_progress=on_progress).memory

    def solve(
        self,
        facts: Associations,
        *,
        start: LinearMemory | None = None,
        on_progress: OnProgress = silent,
    ) -> LinearSolution:
        """Decide ``facts``, from the Hebbian matrix or from ``start``.

        Raises:
            ShapeError: ``start`` has other dimensions than the facts.
        """
        check_facts(facts)
        if start is not None:
            check_start(start, facts)
        with one_thread_if_small(len(facts) * facts.n_outputs):
            return _Solve(self, facts, start, on_progress).run()

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """d_in · d_out."""
        return d_in * d_out

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """N δ(M) = d_in · min(d_out, M − 1), at recall 1.0 and a lower bound below it."""
        return theory.linear_capacity(d_in, d_out, outputs)

    def for_recall(self, recall: float) -> "ExactLinear":
        """The same method aiming at ``recall``."""
        return replace(self, recall=recall)


class _Solve:
    """One run: the point, the loss at it, and the phases it goes through."""

    def __init__(
        self, method: ExactLinear, facts: Associations, start: LinearMemory | None, tell: OnProgress
    ) -> None:
        self.method, self.facts, self.tell, self.told = method, facts, tell, time.monotonic()
        self.white = Whitened.of(facts)
        self.need = math.ceil(method.recall * len(facts) - 1e-9)
        self.W = self.white.hebbian() if start is None else self.white.forth(start.weight)
        self.first_step = 0.05 if start is None else 0.01
        self.used = 0
        self.last: Evaluation | None = None
        self.small = len(facts) * facts.n_outputs <= FLOAT64_SCORES

    def run(self) -> LinearSolution:
        dtypes = [torch.float64] if self.small else [torch.float32, torch.float64]
        for dtype in dtypes:
            loss = ConeLoss(*self.white.to(dtype))
            if self.method.recall < 1:
                decided = self._trim(loss)
            else:
                floor = FLOAT32_FLOOR if dtype == torch.float32 else 0.0
                decided = self._descend(loss, max(self.method.tolerance, floor))
            if decided and self._enough() and (memory := self._confirmed(loss)) is not None:
                return LinearSolution(memory, True, None, self.used)
        return self._failed()

    def _descend(self, loss: ConeLoss, settled: float) -> bool:
        """Minimise until enough facts are right or ‖G‖ ≤ ``settled`` · Σλ; says whether either came about."""

        def evaluate(x: Tensor) -> tuple[float, Tensor, bool]:
            self.last = e = loss(x.view(self.W.shape))
            self._report(e)
            done = self._enough() or float(e.gradient.norm()) <= settled * e.force
            return e.loss, e.gradient.reshape(-1), done

        budget = self.method.max_evaluations - self.used
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

    def _report(self, e: Evaluation) -> None:
        """Where the solve stands, at most every REPORT_EVERY seconds."""
        if (now := time.monotonic()) - self.told >= REPORT_EVERY:
            self.told, right = now, int((e.margins > 0).sum())
            bound = float(e.gradient.norm()) / e.force if e.force else 0.0
            text = f"{right:,} of {len(self.facts):,} facts right"
            # how many more it takes is not known, so no total: a share of right facts would mislead
            self.tell(Progress(right, None, f"{text}, bound {bound:.1e}"))

    def _enough(self) -> bool:
        e = self.last
        if e is None:
            return False
        return e.min_margin > 0 if self.need == len(self.facts) else int((e.margins > 0).sum()) >= self.need

    def _trim(self, loss: ConeLoss) -> bool:
        """Give up the facts that push hardest, as many as recall allows, and solve the rest."""
        given_up = torch.zeros(len(self.facts), dtype=torch.bool, device=loss.keys.device)
        for _ in range(1 + SWAPS):
            self._descend(loss, SETTLED)
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
        """The matrix in the facts' own coordinates and dtype, if it still recalls enough there."""
        candidates = [self.W]
        if self.method.stop == "margin":
            candidates.insert(0, self._widened(loss))
        for W in candidates:
            memory = self._memory(W)
            if int((margins(memory, self.facts) > 0).sum()) >= self.need:
                return memory
        return None

    def _widened(self, loss: ConeLoss) -> Float[Tensor, "r_out r_in"]:
        """Go on for as many evaluations as it took, and keep the best margin per norm."""
        best = (-math.inf, self.W)

        def evaluate(x: Tensor) -> tuple[float, Tensor, bool]:
            nonlocal best
            e = loss(x.view(self.W.shape))
            self.used += 1
            kth = e.min_margin if self.method.recall == 1 else _kth_largest(e.margins, self.need)
            best = max(best, (kth / (float(x.norm()) or 1.0), x.view(self.W.shape)), key=lambda b: b[0])
            return e.loss, e.gradient.reshape(-1), e.loss == 0.0

        budget = max(WIDEN, self.used)
        minimise(evaluate, self.W.reshape(-1), max_evaluations=budget, first_step=self.first_step)
        return best[1]

    def _memory(self, W: Tensor) -> LinearMemory:
        return LinearMemory.from_weight(self.white.back(W).to(self.facts.keys.dtype))

    def _failed(self) -> LinearSolution:
        memory, e = self._memory(self.W), self.last
        if self.method.recall < 1 or e is None or not e.force:
            return LinearSolution(memory, None, None, self.used)
        if float(e.gradient.norm()) > self.method.tolerance * e.force:
            return LinearSolution(memory, None, None, self.used)
        memory.witness = _witness(e.active, self.facts)
        return LinearSolution(memory, False, memory.witness, self.used)


def _kth_largest(x: Tensor, k: int) -> float:
    return float(x.kthvalue(len(x) - k + 1).values)


def _witness(active: Active, facts: Associations) -> Witness:
    return Witness(active.row.cpu(), active.col.cpu(), active.weight.double().cpu(), facts.hash)
