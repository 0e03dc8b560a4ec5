"""Gradient descent in steps, on the mean prompt or on prompts drawn anew, to compare with the flow.

Only v = W_KQ φ(EOS) and W = W_OV are trained, as in section 5 of arXiv 2412.06538. With token scores a = Φ v
and token values O = U W Φᵀ a batch of prompts is its token counts C alone:

    linear   logits = (C ⊙ a) Oᵀ        softmax   logits = (C ⊙ e^a) Oᵀ / (C e^a)

Time is learning rate × step: for small rates the steps follow the flow.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from factweights.domains import Count, Dimension, Positive, Rate, Seed, checked
from factweights.dynamics.population import Array, Population, log_softmax
from factweights.dynamics.starts import STARTS
from factweights.dynamics.systems import Cells
from factweights.dynamics.trace import (
    GOAL,
    TOLERANCE,
    Plateau,
    Stage,
    Trace,
    Watched,
    find_plateau,
    find_stages,
    losses,
)
from factweights.errors import UnknownNameError
from factweights.facts import RecallTask
from factweights.progress import OnProgress, Progress, silent
from factweights.seeds import numbered

Attention = Literal["linear", "softmax"]
Embeddings = Literal["one-hot", "random"]
LOOK_DRAWS = 8  # prompts for each fact that the readings are taken on


@dataclass(frozen=True, eq=False)
class Descent(Watched):
    """How a descent went; ``trace`` has time = learning rate × step.

    Attributes:
        task: what was learnt.
        rate: learning rate.
        steps: that were taken.
        batch: prompts for each; None for the mean prompt, or for one fixed set of prompts.
        attention, embeddings, d: the model.
        start, init, seed: where it began.
        trace: readings, on prompts kept apart.
        stages, plateau: found in them as in a flow.
        relation_entropy: H(a|r) in nats.
        seconds: wall time.
    """

    task: RecallTask
    rate: float
    steps: int
    batch: int | None
    attention: str
    embeddings: str
    d: int
    start: str
    init: float
    seed: int
    trace: Trace
    stages: tuple[Stage, ...]
    plateau: Plateau
    relation_entropy: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        kept = ("rate", "steps", "batch", "attention", "embeddings", "d", "start", "init", "seed")
        return {**{name: getattr(self, name) for name in kept}, **self.readings()}

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        how = "mean prompt" if self.batch is None else f"{self.batch:,} prompts a step"
        return [
            ("model", f"{self.attention} attention, {self.embeddings} embeddings, d = {self.d}"),
            ("descent", f"{self.steps:,} steps of {self.rate:g}, {how}; {self.start} start, {self.init:g}"),
            *self.stage_lines(),
            ("plateau", f"loss {self.plateau.loss:.4f}; H(a|r) = {self.relation_entropy:.4f}"),
            ("loss", f"{self.trace.loss[-1]:.4g} nats at the end"),
            ("seconds", f"{self.seconds:.3g}"),
        ]


@checked
def descend(
    task: RecallTask,
    *,
    rate: Rate = 0.1,
    steps: Count = 8192,
    batch: Count | None = 1024,
    attention: str = "linear",
    embeddings: str = "one-hot",
    d: Dimension | None = None,
    start: str = "uniform",
    init: Positive = 1e-5,
    look_every: Count = 16,
    tolerance: Positive = TOLERANCE,
    goal: Positive = GOAL,
    seed: Seed = 0,
    on_progress: OnProgress = silent,
) -> Descent:
    """Train by gradient descent, float64; the defaults are the run of figure 5 of arXiv 2412.06538.

    Args:
        task: what to learn.
        rate: learning rate, constant.
        steps: to take.
        batch: prompts drawn anew for every step; None for plain gradient descent on the mean prompt of every
            fact, or, where embeddings are random and noise tokens therefore differ, on 8 fixed prompts each.
        attention: ``linear`` or ``softmax``.
        embeddings: ``one-hot``, or ``random``: rows of Φ and U drawn from N(0, 1/d) and kept.
        d: dimension of random embeddings; as many as tokens if None.
        start: ``uniform``: all weights α; ``balanced``: W = α, v = α √(rows of W + 1); ``random``: N(0, α²).
        init: α.
        look_every: steps between readings.
        tolerance, goal: of the stages, in nats.
        seed: of embeddings, start and prompts.
        on_progress: hears of every 64th reading.

    Raises:
        UnknownNameError: an unknown start, attention or kind of embeddings.
        SettingError: numbers that mean nothing.
    """
    _check(attention, embeddings, start)
    begun = time.perf_counter()
    model = _Model(task, attention, embeddings, d, start, init, seed)
    looks = _Looks(task, model, seed)
    rng = numbered(seed, 2)
    fixed = looks.fixed if batch is None else None
    for step in range(steps + 1):
        if step % look_every == 0 or step == steps:
            looks.take(step * rate)
            if step // look_every % 64 == 0:
                on_progress(Progress(step, steps, f"step {step:,}, loss {looks.rows[-1][0]:.3f}"))
        if step < steps:
            counts, facts, weight = (
                draw(task, batch, rng) if fixed is None and batch else fixed or looks.fixed
            )
            model.step(counts, facts, weight, rate)
    trace = looks.trace()
    return Descent(
        task=task,
        rate=float(rate),
        steps=steps,
        batch=batch,
        attention=attention,
        embeddings=embeddings,
        d=model.phi.shape[1],
        start=start,
        init=float(init),
        seed=seed,
        trace=trace,
        stages=find_stages(trace, tolerance=tolerance, goal=goal),
        plateau=find_plateau(trace, tolerance=tolerance),
        relation_entropy=task.relation_entropy,
        seconds=time.perf_counter() - begun,
    )


def draw(
    task: RecallTask, n: int, rng: np.random.Generator
) -> tuple[Float[Array, "b v"], Int[Array, " b"], Float[Array, " b"]]:
    """``n`` prompts as token counts, the facts they ask for, drawn by probability, and weights 1/n."""
    if task.alpha == 0 and task.beta == 0:
        facts = rng.integers(0, len(task), size=n)
    else:
        facts = rng.choice(len(task), size=n, p=task.probability.numpy())
    return counts_of(task, facts, rng), facts, np.full(n, 1 / n)


def counts_of(
    task: RecallTask, facts: Int[Array, " b"], rng: np.random.Generator | None
) -> Float[Array, "b v"]:
    """Token counts ``(B, |V|)`` of one prompt for each fact; of the mean prompt without a generator."""
    b, spare, V = len(facts), task.length - 3, task.n_tokens
    rows = np.arange(b)
    if rng is not None and task.n_noise and spare:
        tokens = rng.integers(task.noise_tokens.start, task.eos, size=(b, spare), dtype=np.int32)
        flat = (tokens + (rows * V).astype(np.int32)[:, None]).ravel()
        counts = np.bincount(flat, minlength=b * V).astype(float).reshape(b, V)
    else:
        counts = np.zeros((b, V))
        if task.n_noise and spare:
            counts[:, task.noise_tokens] = spare / task.n_noise
    counts[rows, task.subject.numpy()[facts]] = 1
    counts[rows, task.relation_token.numpy()[facts]] = 1
    counts[:, task.eos] = 1
    return counts


class _Model:
    """v and W, and the steps they take."""

    def __init__(
        self,
        task: RecallTask,
        attention: str,
        embeddings: str,
        d: int | None,
        start: str,
        init: float,
        seed: int,
    ) -> None:
        self.task, self.attention = task, attention
        self.target = task.target.numpy()
        V, A = task.n_tokens, task.n_answers
        rng = numbered(seed, 1)
        self.one_hot = embeddings == "one-hot"
        d = V if self.one_hot or d is None else d
        self.phi = np.eye(V) if self.one_hot else rng.normal(size=(V, d)) / np.sqrt(d)
        self.u = np.eye(A) if self.one_hot else rng.normal(size=(A, d)) / np.sqrt(d)
        rows = self.u.shape[1]
        self.v, self.W = np.full(d, float(init)), np.full((rows, d), float(init))
        if start == "balanced":
            self.v *= np.sqrt(rows + 1)
        elif start == "random":
            self.v, self.W = init * rng.normal(size=d), init * rng.normal(size=(rows, d))

    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """a ``(V,)`` and O ``(A, V)``."""
        if self.one_hot:
            return self.v, self.W
        return self.phi @ self.v, self.u @ self.W @ self.phi.T

    def logits(self, counts: np.ndarray) -> np.ndarray:
        """``(B, A)``."""
        return self._forward(counts)[0]

    def _forward(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
        a, O = self.tokens()
        if self.attention == "linear":
            return counts @ (O * a).T, a, O, None
        e = np.exp(a - a.max())
        total = counts @ e
        return (counts @ (O * e).T) / total[:, None], e, O, total

    def gradient(
        self, counts: np.ndarray, facts: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """−∇ of the weighted cross-entropy by v and by W."""
        logits, e, O, total = self._forward(counts)
        rho = -np.exp(log_softmax(logits))
        rho[np.arange(len(facts)), self.target[facts]] += 1
        rho *= weight[:, None]
        if total is None:
            g = rho.T @ counts  # (A, V), by w(z) O(·, z)
            by_a, by_O = (O * g).sum(0), g * e
        else:
            scaled = rho / total[:, None]
            g = scaled.T @ counts
            by_e = (O * g).sum(0) - ((scaled * logits).sum(1) @ counts)
            by_a, by_O = by_e * e, g * e
        if self.one_hot:
            return by_a, by_O
        return self.phi.T @ by_a, self.u.T @ by_O @ self.phi

    def step(self, counts: np.ndarray, facts: np.ndarray, weight: np.ndarray, rate: float) -> None:
        """One step of gradient descent in place."""
        by_v, by_W = self.gradient(counts, facts, weight)
        self.v = self.v + rate * by_v
        self.W = self.W + rate * by_W

    def attention_of(self, counts: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """What attention gives to subject, relation, noise and EOS, in the mean over prompts."""
        a, _ = self.tokens()
        if self.attention == "linear":
            by_token = (weight @ counts) * a
        else:
            e = counts * np.exp(a - a.max())
            by_token = weight @ (e / e.sum(1, keepdims=True))
        S, R = self.task.n_subjects, self.task.n_relations
        parts = by_token[:S], by_token[S : S + R], by_token[S + R : -1], by_token[-1:]
        return np.array([part.sum() for part in parts])


class _Looks:
    """Readings of a model, on the mean prompts where noise tokens are alike, else on fixed prompts."""

    def __init__(self, task: RecallTask, model: _Model, seed: int) -> None:
        self.model = model
        rng = numbered(seed, 3)
        facts = np.arange(len(task)) if model.one_hot else np.repeat(np.arange(len(task)), LOOK_DRAWS)
        weight = task.probability.numpy()[facts] / (len(facts) // len(task))
        counts = counts_of(task, facts, None if model.one_hot else rng)
        self.fixed = counts, facts, weight
        self.cells = Cells.of_facts(Population.of(task), facts, weight)
        self.times: list[float] = []
        self.rows: list[tuple[float, ...]] = []
        self.attention: list[np.ndarray] = []

    def take(self, when: float) -> None:
        """Read the model as it stands."""
        counts, facts, weight = self.fixed
        loss, relation, kl, accuracy = losses(self.cells, log_softmax(self.model.logits(counts)).ravel())
        by_v, by_W = self.model.gradient(counts, facts, weight)
        grad = float(np.sqrt((by_v**2).sum() + (by_W**2).sum()))
        self.times.append(float(when))
        self.rows.append((loss, relation, loss - relation, kl, grad, accuracy))
        self.attention.append(self.model.attention_of(counts, weight))

    def trace(self) -> Trace:
        """All readings."""
        return Trace.of_rows(self.times, self.rows, self.attention)


def _check(attention: str, embeddings: str, start: str) -> None:
    for what, given, known in (
        ("start", start, STARTS),
        ("attention", attention, get_args(Attention)),
        ("kind of embeddings", embeddings, get_args(Embeddings)),
    ):
        if given not in known:
            raise UnknownNameError(what, given, known, f"(there are {', '.join(known)})")
