"""Attention copies subject and relation to the last position, and an MLP holds the facts."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from factweights.domains import Count, Dimension, Heads, Positive, WidthOrNone
from factweights.errors import NotStorableError, SettingError
from factweights.facts import RecallTask
from factweights.methods.recall.assembly import heads_for
from factweights.methods.recall.attention_only import USUAL_HEAD_DIM
from factweights.methods.recall.base import RecallMethod
from factweights.methods.recall.constructions import SHARPNESS, Built, Plan, build, smallest
from factweights.progress import OnProgress, silent


@final
@dataclass(frozen=True)
class AttentionMLP(RecallMethod):
    """After Thm 4 of arXiv 2412.06538: H d_h ≳ S + R and m d ≳ S R suffice, up to logarithms.

    Every head looks for a group of at most d_h subjects, or of relations, and writes what stands for the one
    it finds; all layers of the MLP are then fitted to the S R sums p_s + p_r and the scores U (x + MLP(x)).
    Why not a closed form: sums that share a relation are correlated, and read-outs of random features that
    ignore this never come to recall 1.0.

    Attributes:
        lookup: what stands for a token: ``raw``, its embedding, projected on one subspace for subjects and
            another for relations; ``optimised``, fitted together with the MLP.
        d: of the residual stream; None looks for the smallest that recalls every fact in every prompt.
        width: m; None looks for the smallest. One of the two has to be given; 0 is attention alone.
        heads: H; None takes as many as S and R ask for.
        head_dim: d_h.
        mlp: ``relu``, ``gelu`` or ``gated``.
        sharpness: β of the attention.
        max_evaluations: of the loss over all facts, at each width.
    """

    lookup: Literal["optimised", "raw"] = "optimised"
    d: Dimension | None = 64
    width: WidthOrNone | None = None
    heads: Heads | None = None
    head_dim: Dimension = USUAL_HEAD_DIM
    mlp: Literal["relu", "gelu", "gated"] = "relu"
    sharpness: Positive = SHARPNESS
    max_evaluations: Count = 2000

    name: ClassVar[str] = "attention-mlp"
    reference: ClassVar[str] = "after Thm 4 of arXiv 2412.06538; fitted read-outs are ours"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width is None and self.d is None:
            raise SettingError(
                "give d or width; the smallest of the other is looked for", fields=("d", "width")
            )

    def solve(self, task: RecallTask, *, seed: int = 0, on_progress: OnProgress = silent) -> Built:
        """Build at the given width and d, or at the smallest that hold.

        Raises:
            NotStorableError: too few heads, or (with a size to be found) none holds.
        """
        heads, needed = self.heads or heads_for(task, self.head_dim), heads_for(task, self.head_dim)
        if heads < needed:
            raise NotStorableError(
                f"{heads} heads of {self.head_dim} dimensions; {task.n_subjects} subjects and "
                f"{task.n_relations} relations need {needed} (H d_h ≥ S + R), or larger heads"
            )
        plan = Plan(self.name, self.lookup, self.mlp, self.sharpness, self.max_evaluations)

        def at(d: int, width: int) -> Built:
            return build(
                task,
                plan,
                d=d,
                heads=heads,
                head_dim=self.head_dim,
                width=width,
                seed=seed,
                on_progress=on_progress,
            )

        d, width = self.d, self.width
        if d is None and width is not None:
            guess = math.ceil(len(task) / (needed * self.head_dim / 2 + width))
            return smallest("d", lambda size: at(size, width), guess, self.head_dim + 1)
        if d is not None and width is None:
            return smallest("width", lambda size: at(d, size), math.ceil(len(task) / d), 1)
        return at(d or 0, width or 0)
