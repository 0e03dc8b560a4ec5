"""Stacks of recall transformers trained by Adam, each until it recalls what it should."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import SettingError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.draws import streams
from factweights.methods.recall.batches import Batch, Drawing, Layout
from factweights.methods.recall.record import Outcome, Trained, Training
from factweights.methods.recall.stacked import Losses, StackedTransformers
from factweights.progress import OnProgress, Progress, silent
from factweights.threads import one_thread_if_small

LOOK_FACTS = 4096  # facts asked at a look; all of them before a model counts as having reached its goal
BETAS, EPS = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Schedule:
    """What models trained together share.

    Attributes:
        steps: updates at most.
        batch: prompts for each of them.
        look_every: steps between two looks, the last step included.
        name: of the method, part of the seed of the prompts.
    """

    steps: int
    batch: int
    look_every: int
    name: str


def train(
    models: Sequence[RecallTransformer],
    tasks: Sequence[RecallTask],
    plan: Schedule,
    *,
    rates: Sequence[float],
    goals: Sequence[float],
    seeds: Sequence[int],
    on_progress: OnProgress = silent,
) -> list[Trained]:
    """Train all ``models`` as one stack from where they stand; a model leaves it when it has its recall.

    Prompts depend on a model's task and seed alone, so that a model learns the same beside others as alone,
    up to rounding.

    Args:
        models: float32 or float64; they are not changed.
        tasks: one for each model, prompts of one length.
        plan: what they share.
        rates: learning rates.
        goals: recall at which each stops.
        seeds: of the prompts.
        on_progress: hears of every look.

    Raises:
        SettingError: lists of different lengths, or what :class:`StackedTransformers` refuses.
    """
    if not len(models) == len(tasks) == len(rates) == len(goals) == len(seeds):
        counts = ", ".join(str(len(x)) for x in (models, tasks, rates, goals, seeds))
        raise SettingError(f"models, tasks, rates, goals and seeds come in equal numbers, got {counts}")
    scores = len(models) * plan.batch * max((task.n_answers for task in tasks), default=0)
    with torch.no_grad(), one_thread_if_small(scores):
        return _Run(models, tasks, plan, rates, goals, seeds, on_progress).finish()


@final
class FlatAdam:
    """Adam on the flat weights of a stack, one learning rate for each model."""

    def __init__(self, stack: StackedTransformers, rates: Sequence[float]) -> None:
        self.taken = 0
        self.mean, self.square = torch.zeros_like(stack.flat), torch.zeros_like(stack.flat)
        self._scratch = torch.empty_like(stack.flat)
        self.rate = self._laid_out(stack, rates)

    def step(self, weights: Float[Tensor, " p"], gradient: Float[Tensor, " p"]) -> None:
        """One update in place; where the gradient has always been 0 nothing moves."""
        self.taken += 1
        first, second = BETAS
        self.mean.lerp_(gradient, 1 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        lift = math.sqrt(1 - second**self.taken)
        below = torch.sqrt(self.square, out=self._scratch).add_(EPS * lift).div_(self.rate)
        weights.addcdiv_(self.mean, below, value=-lift / (1 - first**self.taken))

    def kept(
        self, old: StackedTransformers, new: StackedTransformers, stay: Sequence[int], rates: Sequence[float]
    ) -> None:
        """Go on with the models ``stay`` of ``old``, which now make up ``new``."""
        for name in ("mean", "square"):
            parts = old.padding.unpack(getattr(self, name))
            setattr(self, name, new.padding.pack([parts[g] for g in stay]))
        self._scratch, self.rate = torch.empty_like(new.flat), self._laid_out(new, rates)

    def _laid_out(self, stack: StackedTransformers, rates: Sequence[float]) -> Tensor | float:
        if len(set(rates)) == 1:
            return rates[0]
        flat = torch.empty_like(stack.flat)
        for x in stack.padding.views(flat).values():
            x.copy_(torch.tensor(rates, dtype=flat.dtype).view(-1, 1, 1).expand_as(x))
        return flat


class _Source:
    """Prompts that models with the same task and seed share."""

    def __init__(self, task: RecallTask, seed: int, name: str) -> None:
        self.task = task
        self._generators = streams(seed, f"{name}-prompts", 2)

    def lay_out(self, layout: Layout) -> None:
        """Go on drawing in the ids of ``layout``."""
        self._training, self._looks = (Drawing(self.task, layout, rng) for rng in self._generators)

    def batch(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """``n`` prompts for training and the facts they ask for."""
        facts = self._training.facts(n)
        return self._training.prompts(facts), facts

    def look(self, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """One prompt for each of ``limit`` different facts, or for all if there are no more."""
        n = len(self.task)
        facts = np.arange(n) if n <= limit else self._generators[1].choice(n, limit, replace=False)
        return self._looks.prompts(facts), facts


class _Run:
    """One call of :func:`train`."""

    def __init__(
        self,
        models: Sequence[RecallTransformer],
        tasks: Sequence[RecallTask],
        plan: Schedule,
        rates: Sequence[float],
        goals: Sequence[float],
        seeds: Sequence[int],
        tell: OnProgress,
    ) -> None:
        self.plan, self.rates, self.goals, self.tell = plan, rates, goals, tell
        self.begun = time.perf_counter()
        self.alive = list(range(len(models)))
        keys = [(task.hash, seed) for task, seed in zip(tasks, seeds, strict=True)]
        own = {key: (task, seed) for key, task, seed in zip(keys, tasks, seeds, strict=True)}
        self.sources = {key: _Source(task, seed, plan.name) for key, (task, seed) in own.items()}
        self.keys = keys
        self.stack = StackedTransformers(models, tasks)
        self.adam = FlatAdam(self.stack, rates)
        self.good = self.stack.flat.clone()
        self.rows: list[list[tuple[int, float, float, float]]] = [[] for _ in models]
        self.out: dict[int, Trained] = {}
        self._lay_out()

    def finish(self) -> list[Trained]:
        """Train until every model is done."""
        for step in range(self.plan.steps + 1):
            look = step % self.plan.look_every == 0 or step == self.plan.steps
            losses = self.stack.backward(self._batch(), split=look)
            left = self._look(step, losses) if look else []
            if len(left) == len(self.alive):
                break
            self.adam.step(self.stack.flat, self.stack.gradient)
            if left:
                self._go_on_without(left)
        return [self.out[i] for i in range(len(self.rows))]

    def _lay_out(self) -> None:
        """Find the sources in use, and which of them each model draws from."""
        keys = list(dict.fromkeys(self.keys[i] for i in self.alive))
        place = {key: k for k, key in enumerate(keys)}
        self.used, self.of = [self.sources[key] for key in keys], [place[self.keys[i]] for i in self.alive]
        for source in self.used:
            source.lay_out(self.stack.layout)

    def _batch(self) -> Batch:
        tokens, facts = zip(*(source.batch(self.plan.batch) for source in self.used), strict=True)
        return self.stack.layout.batch(np.stack(tokens), np.stack(facts), self.of)

    # -- looks -------------------------------------------------------------------------------------------

    def _look(self, step: int, losses: Losses) -> list[int]:
        """Record where every model stands; returns the places in the stack of those that are done."""
        relation_part = losses.total if losses.relation is None else losses.relation
        total, relation = (x.double().mean(1).tolist() for x in (losses.total, relation_part))
        recall = _recall(self.stack, self.used, self.of, LOOK_FACTS, self.plan.batch)
        finite = [math.isfinite(x) for x in total]
        left = []
        for g, i in enumerate(self.alive):
            if finite[g] and recall[g] >= self.goals[i]:
                recall[g] = self._confirmed(g, recall[g])
            self.rows[i].append((step, total[g], relation[g], recall[g]))
            outcome: Outcome | None = None
            if not finite[g]:
                outcome = "not finite"
            elif recall[g] >= self.goals[i]:
                outcome = "recall reached"
            elif step == self.plan.steps:
                outcome = "steps used up"
            if outcome:
                left.append(g)
                model = self._model(g, self.stack.flat if finite[g] else self.good)
                self.out[i] = _trained(model, self._record(i, outcome))
        self.good = self.stack.flat.clone()
        self._report(step, total, recall)
        return left

    def _confirmed(self, g: int, recall: float) -> float:
        """Recall of all facts where a look asks only some."""
        task = self.stack.layout.tasks[g]
        if len(task) <= LOOK_FACTS:
            return recall
        alone, source = StackedTransformers([self._model(g, self.stack.flat)], [task]), self.used[self.of[g]]
        source.lay_out(alone.layout)
        found = _recall(alone, [source], [0], len(task), self.plan.batch)[0]
        source.lay_out(self.stack.layout)
        return found

    def _model(self, g: int, flat: Float[Tensor, " p"]) -> RecallTransformer:
        return self.stack.padding.unstack(flat, only=[g])[0]

    def _record(self, i: int, outcome: Outcome) -> Training:
        steps, total, relation, recall = (tuple(column) for column in zip(*self.rows[i], strict=True))
        subject = tuple(a - b for a, b in zip(total, relation, strict=True))
        seconds = time.perf_counter() - self.begun
        return Training(steps, total, relation, subject, recall, outcome, seconds)

    def _report(self, step: int, total: list[float], recall: list[float]) -> None:
        text = f"recall {_span(recall)}, loss {_span(total)}"
        if len(self.rows) > 1:
            text = f"{len(self.alive)} of {len(self.rows)} models, {text}"
        self.tell(Progress(step, self.plan.steps, text))

    def _go_on_without(self, left: Sequence[int]) -> None:
        """A stack of the models that are not done, padded no more than these need."""
        stay = [g for g in range(len(self.alive)) if g not in left]
        old, self.alive = self.stack, [self.alive[g] for g in stay]
        tasks = [old.layout.tasks[g] for g in stay]
        self.stack = StackedTransformers(old.padding.unstack(old.flat, only=stay), tasks)
        self.adam.kept(old, self.stack, stay, [self.rates[i] for i in self.alive])
        good = old.padding.unpack(self.good)
        self.good = self.stack.padding.pack([good[g] for g in stay])
        self._lay_out()


def _recall(
    stack: StackedTransformers, sources: Sequence[_Source], of: Sequence[int], limit: int, block: int
) -> list[float]:
    """Share of facts right for each model, on one fresh prompt for each of at most ``limit`` facts."""
    drawn = [source.look(limit) for source in sources]
    sizes = [len(facts) for _, facts in drawn]
    right = np.zeros(len(of))
    for begin in range(0, max(sizes), block):
        n = min(block, max(sizes) - begin)
        rows = [np.minimum(np.arange(begin, begin + n), size - 1) for size in sizes]
        tokens = np.stack([t[r] for (t, _), r in zip(drawn, rows, strict=True)])
        facts = np.stack([f[r] for (_, f), r in zip(drawn, rows, strict=True)])
        found = stack.losses(stack.layout.batch(tokens, facts, of)).right
        inside = np.stack([np.arange(begin, begin + n) < sizes[k] for k in of])
        if found is not None:
            right += (found.numpy() & inside).sum(1)
    return [float(hits / sizes[k]) for hits, k in zip(right, of, strict=True)]


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"


def _trained(memory: RecallTransformer, training: Training) -> Trained:
    return Trained(memory, training.steps[-1], training)
