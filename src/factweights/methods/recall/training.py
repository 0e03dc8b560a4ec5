"""How a training went, and the prompts it draws."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from factweights.facts import RecallTask
from factweights.methods.recall.base import RecallSolution
from factweights.show import Shown

Outcome = Literal["recall reached", "steps used up", "not finite"]


@dataclass(frozen=True)
class Training(Shown):
    """How a training went, one entry for each look.

    Attributes:
        steps: updates made before the look.
        loss: mean cross-entropy in nats on that step's prompts, which training has not seen before.
        relation_loss: its relation part −log p(A_r): does the answer lie in the relation's answer set?
        subject_loss: its subject part −log p(a | A_r): which member of the set? Both add up to ``loss``.
        recall: share of facts right, each asked once with fresh noise; of 4,096 random facts where there are
            more, except where it decides that the goal is reached.
        outcome: why training ended.
        seconds: wall time.
    """

    steps: tuple[int, ...]
    loss: tuple[float, ...]
    relation_loss: tuple[float, ...]
    subject_loss: tuple[float, ...]
    recall: tuple[float, ...]
    outcome: Outcome
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def to_pandas(self) -> Any:
        """One row per look (needs the extra [data])."""
        import pandas as pd

        columns = ("steps", "loss", "relation_loss", "subject_loss", "recall")
        return pd.DataFrame({name: getattr(self, name) for name in columns})

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        split = f"{self.relation_loss[-1]:.4g} relation + {self.subject_loss[-1]:.4g} subject"
        return [
            ("outcome", f"{self.outcome} after {self.steps[-1]:,} steps"),
            ("recall", f"{self.recall[-1]:.4f}"),
            ("loss", f"{self.loss[-1]:.4g} nats = {split}"),
            ("seconds", f"{self.seconds:.3g}"),
        ]


@dataclass(frozen=True)
class Trained(RecallSolution):
    """A transformer and how it was trained."""

    training: Training


class Drawing:
    """Prompts of a task from one numpy generator: the same on every machine."""

    def __init__(self, task: RecallTask, rng: np.random.Generator) -> None:
        self.task, self.rng = task, rng
        uniform = task.alpha == 0 and task.beta == 0
        self._below = None if uniform else np.cumsum(task.probability.numpy())

    def facts(self, n: int) -> np.ndarray:
        """``(n,)`` facts drawn by their probability."""
        if self._below is None:
            return self.rng.integers(0, len(self.task), size=n)
        found = np.searchsorted(self._below, self.rng.random(n) * self._below[-1], side="right")
        return np.minimum(found, len(self.task) - 1)

    def prompts(self, facts: Int[Tensor, " n"]) -> Int[Tensor, "n t"]:
        """One prompt for each fact, ``(n, T)``: subject, relation, fresh noise, EOS; no order is drawn."""
        task = self.task
        parts = [task.subject[facts, None], task.relation_token[facts, None]]  # each (n, columns)
        if task.n_noise:
            short = np.uint16 if task.n_noise < 1 << 16 else np.int64
            noise = self.rng.integers(0, task.n_noise, size=(len(facts), task.length - 3), dtype=short)
            parts.append(torch.from_numpy(noise.astype(np.int64)) + task.noise_tokens.start)
        parts.append(torch.full((len(facts), 1), task.eos))
        return torch.cat(parts, 1)
