"""The paper's recipe, made numerically stable: the baseline everything else is compared with."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from factweights import theory
from factweights.domains import Count, Norm, Rate, Share
from factweights.facts import Associations
from factweights.memories import LinearMemory, Memory
from factweights.methods.base import Method
from factweights.progress import OnProgress


@final
@dataclass(frozen=True)
class PaperAdam(Method[LinearMemory]):
    """Full-batch AdamW on the cross-entropy of the logits V W k until recall passes the goal.

    The published rate is 1000 with −log(softmax), which turns to NaN in float32. With log-softmax rates from
    1 to 10 work. Weight decay is 1e-4, the default of the original's optimiser; torch's own would be 1e-2.

    Attributes:
        learning_rate: AdamW's.
        max_steps: give up after this many steps.
        recall: stop as soon as this share of facts is right (the paper: 0.99).
        weight_decay: AdamW's.
    """

    learning_rate: Rate = 10.0
    max_steps: Count = 4096
    recall: Share = 0.99
    weight_decay: Norm = 1e-4

    name: ClassVar[str] = "paper-adam"
    reference: ClassVar[str] = "recipe of the public code of arXiv 2412.06538, stabilised"

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> LinearMemory:
        """Train on ``facts`` in float32 from a start drawn with ``seed``."""
        generator = torch.Generator().manual_seed(seed)
        K, V, f = facts.keys.float(), facts.values.float(), facts.targets
        first = torch.randn(facts.d_out, facts.d_in, generator=generator) / facts.d_in**0.5
        W = nn.Parameter(first.to(K))
        optimiser = torch.optim.AdamW([W], lr=self.learning_rate, weight_decay=self.weight_decay)
        for _ in range(self.max_steps):
            logits = (K @ W.T) @ V.T
            if float((logits.argmax(1) == f).double().mean()) >= self.recall:
                break
            optimiser.zero_grad()
            cross_entropy(logits, f).backward()
            optimiser.step()
        return LinearMemory.from_weight(W.detach().to(facts.keys.dtype))

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """d_in · d_out."""
        return d_in * d_out

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """The law of the best matrix at recall 1.0, which gradient descent approaches from below."""
        return theory.where_it_applies(theory.linear_capacity, d_in, d_out, outputs)

    def for_recall(self, recall: float) -> "PaperAdam":
        """The same recipe stopping at ``recall``."""
        return replace(self, recall=recall)
