"""The paper's recipe for MLPs, made numerically stable: the baseline of figures 1 and 6."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from factweights import theory
from factweights.domains import Count, Rate, Share, Width
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.memories.mlp import MLPMemory
from factweights.methods.base import Method
from factweights.methods.draws import normal
from factweights.progress import OnProgress
from factweights.seeds import streams


@final
@dataclass(frozen=True)
class PaperAdamMLP(Method[MLPMemory]):
    """Full-batch AdamW on the cross-entropy of V · V₂ᵀ relu(W₁ k + b) until recall passes the goal.

    As in the public code: entries of both layers N(0, 1/fan-in), biases from 0, no weight decay, float32;
    log-softmax in the place of −log(softmax).

    Attributes:
        width: m, hidden neurons.
        learning_rate: AdamW's.
        max_steps: give up after this many steps.
        recall: stop as soon as this share of facts is right (the paper: 0.99).
        check_every: steps between two looks at recall, the last step included (the paper: 256).
    """

    width: Width
    learning_rate: Rate = 3e-2
    max_steps: Count = 2**15
    recall: Share = 0.99
    check_every: Count = 32

    name: ClassVar[str] = "paper-adam-mlp"
    reference: ClassVar[str] = "recipe of the public code of arXiv 2412.06538, stabilised"

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> MLPMemory:
        """Train on ``facts`` in float32 from a start drawn with ``seed``.

        Returns the weights of the last look: those that reached the goal, or the last of all.
        """
        K, V, f = facts.keys.float(), facts.values.float(), facts.targets
        read, bias, write = layers = self._start(facts, seed)
        optimiser = torch.optim.AdamW(layers, lr=self.learning_rate, weight_decay=0.0)
        for step in range(self.max_steps + 1):
            logits = (torch.relu(K @ read.T + bias) @ write.T) @ V.T
            if step % self.check_every == 0 or step == self.max_steps:
                right = (logits.detach().argmax(1) == f).double().mean()
                if float(right) >= self.recall:
                    break
            if step < self.max_steps:
                optimiser.zero_grad()
                cross_entropy(logits, f).backward()
                optimiser.step()
        dtype = facts.keys.dtype
        return MLPMemory.from_weights(read.detach(), write.detach(), bias.detach()).to(dtype)

    def _start(self, facts: Associations, seed: int) -> list[Tensor]:
        like = facts.keys.float()
        first, second = streams(seed, self.name, 2)
        read = normal(first, self.width, facts.d_in, like) / facts.d_in**0.5
        write = normal(second, facts.d_out, self.width, like) / self.width**0.5
        return [nn.Parameter(x) for x in (read, like.new_zeros(self.width), write)]

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """Every weight: m (d_in + 1 + d_out). The paper counts m·d."""
        return theory.mlp_count(d_in, self.width, d_out)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """The paper's guide through its figures, injective facts or 32 outputs at recall 0.99; else None."""
        if d_in != d_out or outputs not in (None, 32) or recall != 0.99:
            return None
        return theory.mlp_guide_capacity(d_in * self.width, outputs)

    def for_recall(self, recall: float) -> "PaperAdamMLP":
        """The same recipe stopping at ``recall``."""
        return replace(self, recall=recall)
