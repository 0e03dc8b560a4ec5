"""The best matrix there is, or the proof that there is none."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

from factweights import theory
from factweights.domains import Count, OpenShare, Share
from factweights.errors import ShapeError
from factweights.facts import Associations
from factweights.memories import LinearMemory, Memory
from factweights.methods.base import Method, check_facts, check_start
from factweights.methods.exact_solve import Asked, LinearSolution, Solve
from factweights.progress import OnProgress, silent
from factweights.threads import one_thread_if_small


@final
@dataclass(frozen=True)
class ExactLinear(Method[LinearMemory]):
    """Decide whether any matrix stores the facts, with a certificate on both sides.

    L-BFGS in white coordinates on the squared distance of the scores to the cone of right answers
    (:mod:`factweights.methods.cone`), from the Hebbian matrix. Positive margins beyond rounding prove the
    facts storable. Otherwise the residuals at the minimum are the multipliers of Gordan's alternative. They
    refute every matrix once, *in the given coordinates* and with the rounding of that sum added,
    ‖Σ λ_iy (v_f(i) − v_y) k_iᵀ‖_F ≤ ``tolerance`` · Σ λ_iy ‖v_f(i) − v_y‖ ‖k_i‖: no W of norm 1 satisfies all
    constraints by more than that part of a typical constraint's norm, "typical" being the mean over the
    witness. Facts with a smaller margin than that may be called not storable; no others are.

    Facts that contradict each other in pairs are refuted at once (:mod:`factweights.methods.contradictions`).
    Where directions were left out or keys are of very different lengths, the solve goes on with unit keys and
    every direction, and small problems are settled by a linear programme. What stays open is undecided.

    Below recall 1 the question is no longer convex. The problem is first solved for all facts; the ones that
    push hardest there (largest multipliers) are given up, as many as the recall allows, and the rest is
    solved again from that point; facts given up that come out right anyway make room for others.

    Attributes:
        recall: share of facts that must be right.
        stop: ``first`` stops at the first matrix that decides, for capacity searches; ``margin`` goes on as
            long again for a larger margin, for matrices to keep.
        tolerance: margin, in units of a typical constraint, below which the facts count as not storable.
        max_evaluations: undecided after this many.
    """

    recall: Share = 1.0
    stop: Literal["margin", "first"] = "margin"
    tolerance: OpenShare = 1e-6
    max_evaluations: Count = 3000

    name: ClassVar[str] = "exact-linear"
    reference: ClassVar[str] = "convex feasibility with Gordan certificates; docs/exact-linear.md"
    warm_starts: ClassVar[bool] = True
    refutes: ClassVar[bool] = True

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
            asked = Asked(self.recall, self.stop, self.tolerance, self.max_evaluations)
            return Solve(asked, facts, start, on_progress).run()

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """d_in · d_out."""
        return d_in * d_out

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """N δ(M) = d_in · min(d_out, M − 1), at recall 1.0, a lower bound below it; None outside."""
        return theory.where_it_applies(theory.linear_capacity, d_in, d_out, outputs)

    def for_recall(self, recall: float) -> "ExactLinear":
        """The same method aiming at ``recall``."""
        return replace(self, recall=recall)

    def for_verdict(self, recall: float) -> "ExactLinear":
        """The same method, stopping at the first memory that decides."""
        return replace(self, stop="first", recall=recall)
