"""The paper's recipe for the recall transformer: Adam on prompts drawn anew at every step."""

import math
import time
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates.margins import margins_of
from factweights.domains import Count, CountOrNone, Dimension, Heads, Rate, Share, WidthOrNone
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.draws import normal
from factweights.methods.recall.base import RecallMethod, drawn_model
from factweights.methods.recall.training import Drawing, Outcome, Trained, Training
from factweights.progress import OnProgress, Progress, silent
from factweights.seeds import streams
from factweights.threads import one_thread_if_small

LOOK_FACTS = 4096  # facts asked at a look; all of them before the goal counts as reached


@final
@dataclass(frozen=True)
class PaperAdamTransformer(RecallMethod):
    """Adam on the cross-entropy, 1,024 fresh prompts for each of at most 2^14 steps, float32.

    Embeddings and unembeddings N(0, 1/d), kept. Weights begin at N(0, 1/fan-in), the dimension that each
    matrix reads: 1/d for K, Q, V and the first layer, 1/(H d_h) for O, 1/m for the second layer; biases at 0.
    The recipe is known from the paper, its initial weights are not, so these are ours. Training goes through
    the transformer's own forward on token counts, which changes nothing but the time it takes.

    Attributes:
        d, heads, head_dim, width: sizes of the model.
        learning_rate: Adam's, constant (the paper tries 1e-3, 3e-3 and 1e-2).
        steps: at most.
        batch: prompts for each step, facts drawn by the task's probabilities.
        recall: stop when this share of facts is right at a look (the paper: 0.99).
        look_every: steps between two looks.
    """

    d: Dimension
    heads: Heads
    head_dim: Dimension
    width: WidthOrNone
    learning_rate: Rate = 3e-3
    steps: CountOrNone = 2**14
    batch: Count = 1024
    recall: Share = 0.99
    look_every: Count = 64

    name: ClassVar[str] = "paper-adam"
    reference: ClassVar[str] = "recipe of arXiv 2412.06538, section 3 and appendix"

    def solve(self, task: RecallTask, *, seed: int = 0, on_progress: OnProgress = silent) -> Trained:
        """Train on ``task``.

        Returns the weights that reached the goal, else the last ones, or the last finite ones of a look.
        """
        model, begun = self.start(task, seed=seed), time.perf_counter()
        training, looks = (Drawing(task, rng) for rng in streams(seed, f"{self.name}-prompts", 2))
        weights = [p.requires_grad_(True) for p in model.parameters() if p.numel()]
        adam = torch.optim.Adam(weights, lr=float(self.learning_rate))
        good = [p.detach().clone() for p in weights]
        rows: list[tuple[int, float, float, float]] = []
        outcome: Outcome | None = None
        with one_thread_if_small(self.batch * task.n_answers), torch.enable_grad():
            for step in range(self.steps + 1):
                facts = torch.from_numpy(training.facts(self.batch))
                logs = _logits(model, task, training.prompts(facts)).log_softmax(-1)  # (B, A)
                loss = -logs.gather(1, task.target[facts][:, None]).mean()
                if step % self.look_every == 0 or step == self.steps:
                    total, relation = _parts(task, logs.detach().double(), facts)
                    recall = self._recall(model, task, looks)
                    rows.append((step, total, relation, recall))
                    on_progress(Progress(step, self.steps, f"recall {recall:.3f}, loss {total:.3f}"))
                    outcome = self._outcome(rows[-1])
                    if outcome:
                        break
                    good = [p.detach().clone() for p in weights]
                adam.zero_grad()
                loss.backward()
                adam.step()
        for p, last in zip(weights, good, strict=True):
            p.requires_grad_(False)
            p.grad = None
            if outcome == "not finite":
                p.copy_(last)
        return Trained(model, rows[-1][0], _record(rows, outcome, time.perf_counter() - begun))

    def _outcome(self, row: tuple[int, float, float, float]) -> Outcome | None:
        """Why training ends at this look; None where it goes on."""
        step, loss, _, recall = row
        if not math.isfinite(loss):
            return "not finite"
        if recall >= self.recall:
            return "recall reached"
        return "steps used up" if step == self.steps else None

    @torch.no_grad()
    def _recall(self, model: RecallTransformer, task: RecallTask, looks: Drawing) -> float:
        """Share of facts right, one fresh prompt each: of LOOK_FACTS, and of all where that decides."""
        n = len(task)
        every = torch.arange(n)
        some = every if n <= LOOK_FACTS else torch.from_numpy(looks.rng.choice(n, LOOK_FACTS, replace=False))
        found = _share_right(model, task, looks, some, self.batch)
        decides = found >= self.recall and n > LOOK_FACTS
        return _share_right(model, task, looks, every, self.batch) if decides else found

    def start(self, task: RecallTask, *, seed: int) -> RecallTransformer:
        """The model before the first step."""
        model = drawn_model(
            task, d=self.d, heads=self.heads, head_dim=self.head_dim, width=self.width, seed=seed
        )
        inner, names = self.heads * self.head_dim, ("key", "query", "value", "output", "read", "write")
        fan_in = {"output": inner, "write": max(1, self.width)}
        for name, rng in zip(names, streams(seed, self.name, len(names)), strict=True):
            p = getattr(model, name).data
            rows = p.numel() // p.shape[-1]
            p.copy_(normal(rng, rows, p.shape[-1], p).view_as(p) / fan_in.get(name, self.d) ** 0.5)
        return model


def _parts(task: RecallTask, logs: Float[Tensor, "b a"], facts: Int[Tensor, " b"]) -> tuple[float, float]:
    """Mean −log p(a) and −log p(A_r) from log-probabilities, in nats."""
    own = logs.gather(1, task.target[facts][:, None])
    inside = task.answer_sets[task.relation[facts]]  # (B, A), whether the answer is one of the relation's
    return -float(own.mean()), -float(logs.masked_fill(~inside, -torch.inf).logsumexp(1).mean())


def _share_right(
    model: RecallTransformer, task: RecallTask, looks: Drawing, facts: Int[Tensor, " n"], block: int
) -> float:
    tokens, target = looks.prompts(facts), task.target[facts]
    parts = zip(tokens.split(block), target.split(block), strict=True)
    right = sum(int((margins_of(_logits(model, task, t), f) > 0).sum()) for t, f in parts)
    return right / len(facts)


def _logits(model: RecallTransformer, task: RecallTask, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b a"]:
    """Scores of all answers, through token counts."""
    return model.logits(model(task.count(tokens).to(model.dtype)))


def _record(rows: list[tuple[int, float, float, float]], outcome: Outcome | None, seconds: float) -> Training:
    steps, total, relation, recall = (tuple(column) for column in zip(*rows, strict=True))
    subject = tuple(a - b for a, b in zip(total, relation, strict=True))
    return Training(steps, total, relation, subject, recall, outcome or "steps used up", seconds)
