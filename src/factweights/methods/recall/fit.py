"""All weights of a recall transformer, fitted to the limit."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates import verify_prompts
from factweights.domains import Count, CountOrNone, Dimension, Heads, Share, WidthOrNone
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall.assembly import assemble, heads_for, selected_groups
from factweights.methods.recall.base import RecallMethod, RecallSolution, drawn_model
from factweights.methods.recall.constructions import SHARPNESS
from factweights.methods.recall.lookups import LookupFit, LookupShape
from factweights.methods.recall.mixed import MixedFit, mixed_directions, write_mixed
from factweights.methods.recall.polish import polish
from factweights.methods.recall.selectors import Selectors
from factweights.progress import OnProgress, silent
from factweights.seeds import apart, streams

BLUNT = 6.0  # sharpness to begin with where groups cannot be told apart: gradients must still reach them
TEST_DRAWS = 4  # prompts of each fact between stages; the last word is the certificate's
FEW_TRIES = 3  # groupings tried for each number of copying heads below all of them


@dataclass(frozen=True)
class Fitted(RecallSolution):
    """What a fit found; its steps are evaluations of the noise-free loss and of that over drawn prompts.

    Attributes:
        recall: share of fresh prompts that it answers right.
        storable: whether that is as asked; False proves nothing about other weights.
        clean: whether its heads could tell their groups from all other tokens, so that no noise was needed.
        lookup_recall: what the noise-free problem came to.
        polished: of the steps, those over drawn prompts.
    """

    recall: float
    storable: bool
    clean: bool
    lookup_recall: float
    polished: int


@final
@dataclass(frozen=True)
class TransformerFit(RecallMethod):
    """Attention first, facts second, noise last.

    1. Heads share out subjects and relations and each finds a direction that tells its own from all other
       tokens (:mod:`factweights.methods.recall.selectors`). Where that works, noise is gone.
       Where fewer heads than there are do, the others look for subjects and relations at once
       (:mod:`factweights.methods.recall.mixed`): what they write depends on the pair, as with an MLP.
    2. Codes, output matrices and MLP are fitted to the noise-free sums, all facts at once
       (:mod:`factweights.methods.recall.lookups`).
    3. Where noise was left and the facts fitted without it, all weights are fitted from there on redrawn
       prompts (:mod:`factweights.methods.recall.polish`) if recall on real ones falls short. Clean attention
       is saturated, and what step 2 could not fit has never been gained by this.

    Attributes:
        d, heads, head_dim, width: sizes of the transformer.
        recall: share of prompts that should be answered right.
        mlp: ``relu``, ``gelu`` or ``gated``.
        max_evaluations: of the noise-free loss.
        polish_evaluations: of the loss over drawn prompts; 0 leaves step 3 out.
    """

    d: Dimension
    heads: Heads
    head_dim: Dimension
    width: WidthOrNone
    recall: Share = 1.0
    mlp: Literal["relu", "gelu", "gated"] = "relu"
    max_evaluations: Count = 6000
    polish_evaluations: CountOrNone = 1500

    name: ClassVar[str] = "fit"
    reference: ClassVar[str] = "model of arXiv 2412.06538; the fit is measured in the lab log"

    def solve(self, task: RecallTask, *, seed: int = 0, on_progress: OnProgress = silent) -> Fitted:
        """Fit ``task`` from random weights."""
        model = drawn_model(
            task,
            d=self.d,
            heads=self.heads,
            head_dim=self.head_dim,
            width=self.width,
            seed=seed,
            mlp=self.mlp,
        )
        group, selectors = self._copying(task, model.embeddings, seed)
        clean = selectors.clean and self.heads > 1
        if len(selectors.directions) == self.heads:
            of_lookups, lookup_recall = self._copied(task, model, group, selectors, seed, on_progress)
        else:
            of_lookups, lookup_recall = self._mixed(task, model, selectors, seed, on_progress)
        recall, spent = self._recall(model, task, seed), 0
        worth = not clean and lookup_recall >= self.recall
        if recall < self.recall and self.polish_evaluations and worth:
            model, _, spent = polish(
                model,
                task,
                recall=self.recall,
                max_evaluations=self.polish_evaluations,
                seed=apart(seed, "polished"),
                on_progress=on_progress,
            )
            recall = self._recall(model, task, seed)
        return Fitted(model, of_lookups + spent, recall, recall >= self.recall, clean, lookup_recall, spent)

    def _copying(
        self, task: RecallTask, embeddings: Float[Tensor, "v d"], seed: int
    ) -> tuple[Int[Tensor, " z"], Selectors]:
        """Groups for as few heads as copy every token cleanly, so that the others may mix; or for all."""
        heads = heads_for(task, self.head_dim)
        while heads < self.heads:
            group, selectors = selected_groups(task, embeddings, heads, seed, FEW_TRIES)
            if selectors.clean:
                return group, selectors
            heads = math.ceil(1.5 * heads)
        return selected_groups(task, embeddings, self.heads, seed)

    def _copied(
        self,
        task: RecallTask,
        model: RecallTransformer,
        group: Int[Tensor, " z"],
        selectors: Selectors,
        seed: int,
        on_progress: OnProgress,
    ) -> tuple[int, float]:
        """Every head copies. Writes into ``model``; returns evaluations and noise-free recall."""
        shape = LookupShape(code=self._code(group), width=self.width, mlp=self.mlp)
        fit = LookupFit(task, model.unembeddings, group, shape, reserve=True, recall=self.recall)
        lookups = fit.solve(streams(seed, self.name, 1)[0], self.max_evaluations, on_progress)
        assemble(model, selectors, lookups, SHARPNESS if selectors.clean and self.heads > 1 else BLUNT)
        return lookups.evaluations, lookups.recall

    def _mixed(
        self,
        task: RecallTask,
        model: RecallTransformer,
        selectors: Selectors,
        seed: int,
        on_progress: OnProgress,
    ) -> tuple[int, float]:
        """As :meth:`_copied`, with heads left over that see subjects and relations at once."""
        others = self.heads - len(selectors.directions)
        mixing = mixed_directions(task, model.embeddings, others, seed)
        directions = SHARPNESS * torch.cat([selectors.directions, mixing])
        fit = MixedFit(task, model, directions, recall=self.recall)
        weights = fit.solve(streams(seed, self.name, 1)[0], self.max_evaluations, on_progress)
        write_mixed(model, directions, weights)
        return weights.evaluations, weights.recall

    def _code(self, group: Int[Tensor, " z"]) -> int | None:
        """Dimension of the codes; None where every token of a group has a dimension of its own."""
        return None if int(torch.bincount(group).max()) <= min(self.head_dim, self.d - 1) else self.head_dim

    def _recall(self, model: RecallTransformer, task: RecallTask, seed: int) -> float:
        return verify_prompts(model, task, draws=TEST_DRAWS, seed=apart(seed, "tested")).recall
