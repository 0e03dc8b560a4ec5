"""The paper's training: Adam through the transformer's forward on token counts, prompts drawn each step."""

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from factweights.certificates.margins import margins_of
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.draws import streams
from factweights.methods.recall.base import RecallSolution
from factweights.progress import OnProgress, Progress
from factweights.show import Shown
from factweights.threads import one_thread_if_small

LOOK_FACTS = 4096  # facts asked at a look; all of them before the goal counts as reached

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
    """Prompts of a task as token counts, from one numpy generator: the same on every machine."""

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

    def counts(self, facts: np.ndarray, dtype: torch.dtype) -> Float[Tensor, "n v"]:
        """How often each token stands in one prompt for each fact: subject, relation, fresh noise, EOS."""
        task, n = self.task, len(facts)
        counts = torch.zeros(n, task.n_tokens, dtype=dtype)
        if task.n_noise:
            short = np.uint16 if task.n_noise < 1 << 16 else np.int64
            noise = self.rng.integers(0, task.n_noise, size=(n, task.length - 3), dtype=short)
            at = torch.from_numpy(noise.astype(np.int64)) + task.noise_tokens.start
            counts.scatter_add_(1, at, torch.ones((), dtype=dtype).expand(at.shape))
        rows, asked = torch.arange(n), torch.from_numpy(facts)
        counts[rows, task.subject[asked]] = 1
        counts[rows, task.relation_token[asked]] = 1
        counts[:, task.eos] = 1
        return counts


@dataclass(frozen=True)
class Schedule:
    """What a training is given.

    Attributes:
        rate: learning rate of Adam.
        steps: updates at most.
        batch: prompts for each of them.
        look_every: steps between two looks, the last step included.
        goal: recall at which training stops.
        name: of the method, part of the seed of the prompts.
    """

    rate: float
    steps: int
    batch: int
    look_every: int
    goal: float
    name: str


def train(
    model: RecallTransformer, task: RecallTask, plan: Schedule, *, seed: int, on_progress: OnProgress
) -> Trained:
    """Train ``model`` where it stands, until it recalls what it should.

    Args:
        model: float32 or float64; its weights are changed.
        task: whose prompts, drawn with ``seed``.
        plan: the settings.
        seed: of the prompts.
        on_progress: hears of every look.

    Returns:
        The model with the weights that reached the goal, else the last ones; where the loss is no longer
        finite, those of the last look at which it was.
    """
    begun = time.perf_counter()
    training, looks = (Drawing(task, rng) for rng in streams(seed, f"{plan.name}-prompts", 2))
    weights = [p.requires_grad_(True) for p in model.parameters() if p.numel()]
    adam = torch.optim.Adam(weights, lr=plan.rate)
    good = [p.detach().clone() for p in weights]
    rows: list[tuple[int, float, float, float]] = []
    outcome: Outcome | None = None
    with one_thread_if_small(plan.batch * task.n_answers), torch.enable_grad():
        for step in range(plan.steps + 1):
            facts = training.facts(plan.batch)
            loss, relation = _losses(
                model, task, training.counts(facts, model.dtype), torch.from_numpy(facts)
            )
            if step % plan.look_every == 0 or step == plan.steps:
                total, part = float(loss.detach()), float(relation)
                recall = _recall(model, task, looks, plan)
                rows.append((step, total, part, recall))
                on_progress(Progress(step, plan.steps, f"recall {recall:.3f}, loss {total:.3f}"))
                if not math.isfinite(total):
                    outcome = "not finite"
                    _put(weights, good)
                elif recall >= plan.goal:
                    outcome = "recall reached"
                elif step == plan.steps:
                    outcome = "steps used up"
                if outcome:
                    break
                good = [p.detach().clone() for p in weights]
            adam.zero_grad()
            loss.backward()
            adam.step()
    for p in weights:
        p.requires_grad_(False)
        p.grad = None
    steps, totals, relations, recalls = (tuple(column) for column in zip(*rows, strict=True))
    subjects = tuple(a - b for a, b in zip(totals, relations, strict=True))
    seconds = time.perf_counter() - begun
    record = Training(steps, totals, relations, subjects, recalls, outcome or "steps used up", seconds)
    return Trained(model, steps[-1], record)


def _losses(
    model: RecallTransformer, task: RecallTask, counts: Float[Tensor, "b v"], facts: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean −log p(a) with its graph, and mean −log p(A_r) without."""
    logs = model.logits(model(counts)).log_softmax(-1)  # (B, A)
    loss = -logs.gather(1, task.target[facts][:, None]).mean()
    inside = task.answer_sets[task.relation[facts]]  # (B, A), whether the answer is one of the relation's
    relation = -logs.detach().double().masked_fill(~inside, -torch.inf).logsumexp(1).mean()
    return loss, relation


@torch.no_grad()
def _recall(model: RecallTransformer, task: RecallTask, looks: Drawing, plan: Schedule) -> float:
    """Share of facts right, one fresh prompt each: of LOOK_FACTS, and of all where that decides."""
    n = len(task)
    some = np.arange(n) if n <= LOOK_FACTS else looks.rng.choice(n, LOOK_FACTS, replace=False)
    found = _share_right(model, task, looks, some, plan.batch)
    if found >= plan.goal and n > LOOK_FACTS:
        return _share_right(model, task, looks, np.arange(n), plan.batch)
    return found


def _share_right(
    model: RecallTransformer, task: RecallTask, looks: Drawing, facts: np.ndarray, block: int
) -> float:
    right = 0
    for begin in range(0, len(facts), block):
        asked = facts[begin : begin + block]
        scores = model.logits(model(looks.counts(asked, model.dtype)))  # (B, A)
        right += int((margins_of(scores, task.target[torch.from_numpy(asked)]) > 0).sum())
    return right / len(facts)


@torch.no_grad()
def _put(weights: list[Tensor], values: list[Tensor]) -> None:
    for p, value in zip(weights, values, strict=True):
        p.copy_(value)
