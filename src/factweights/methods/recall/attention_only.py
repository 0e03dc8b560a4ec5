"""Value matrices that hold the facts: a transformer without an MLP."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from factweights.domains import Count, Dimension, Heads, Positive
from factweights.errors import NotStorableError
from factweights.facts import RecallTask
from factweights.methods.recall.assembly import heads_for
from factweights.methods.recall.base import RecallMethod
from factweights.methods.recall.constructions import MOST, SHARPNESS, Built, Plan, build, smallest
from factweights.progress import OnProgress, silent

USUAL_HEAD_DIM = 4  # if nothing is asked
RAW_D = 20  # d over max(R, D) at which raw sums begin to work
OPTIMISED_D = 1.6  # d over the harmonic mean of S and R at which optimised lookups do


@final
@dataclass(frozen=True)
class AttentionOnly(RecallMethod):
    """After Thm 3 of arXiv 2412.06538: H d_h ≳ S + R and d ≳ max(R, D) suffice, up to logarithms.

    Every head looks for a group of at most d_h subjects, or of relations, and writes the lookup p_z of the
    one it finds; scores are U (p_s + p_r). Why it is right: with raw sums p_s = Σ_r u_{a*(s,r)} and
    p_r = Σ_{a ∈ A_r} u_a the right answer is the only one in both sums, if the A_r are disjoint, and scores
    2 ± O(√((R + D)/d)) against 1 ± the same. Optimised lookups ask for no such structure: they minimise a
    convex loss whose value 0 means that every fact is right.

    Attributes:
        lookup: ``optimised`` or ``raw``.
        d: of the residual stream; None looks for the smallest that recalls every fact in every prompt.
        heads: H; None takes as many as S and R ask for.
        head_dim: d_h.
        sharpness: β of the attention.
        max_evaluations: of the loss of optimised lookups.
    """

    lookup: Literal["optimised", "raw"] = "optimised"
    d: Dimension | None = None
    heads: Heads | None = None
    head_dim: Dimension = USUAL_HEAD_DIM
    sharpness: Positive = SHARPNESS
    max_evaluations: Count = 2000

    name: ClassVar[str] = "attention-only"
    reference: ClassVar[str] = "after Thm 3 of arXiv 2412.06538; optimised lookups are ours"

    def solve(self, task: RecallTask, *, seed: int = 0, on_progress: OnProgress = silent) -> Built:
        """Build at the given d, or at the smallest that holds.

        Raises:
            NotStorableError: too few heads, or (with d to be found) no d holds.
        """
        heads = self.heads or heads_for(task, self.head_dim)
        plan = Plan(self.name, self.lookup, "relu", self.sharpness, self.max_evaluations)

        def at(d: int) -> Built:
            return build(
                task,
                plan,
                d=d,
                heads=heads,
                head_dim=self.head_dim,
                width=0,
                seed=seed,
                on_progress=on_progress,
            )

        needed = heads_for(task, self.head_dim)
        if heads < needed:
            raise NotStorableError(
                f"{heads} heads of {self.head_dim} dimensions; {task.n_subjects} subjects and "
                f"{task.n_relations} relations need {needed} (H d_h ≥ S + R), or larger heads"
            )
        if self.d is not None:
            return at(self.d)
        least, most = self.head_dim + 1, MOST
        if self.lookup == "optimised":  # beyond this a larger d gives no score that a smaller one cannot
            most = max(least, task.n_answers, task.n_tokens)
        try:
            return smallest("d", at, min(self._guess(task), most), least, most)
        except NotStorableError as e:
            if task.disjoint:
                raise
            raise NotStorableError(
                f"{e}. Some answers belong to several relations, and a sum of what subject and relation "
                "write may not be able to tell them apart: attention-mlp can"
            ) from e

    def _guess(self, task: RecallTask) -> int:
        S, R = task.n_subjects, task.n_relations
        if self.lookup == "raw":
            return RAW_D * max(R, math.ceil(task.n_answers / R))
        return math.ceil(OPTIMISED_D * 2 * S * R / (S + R))
