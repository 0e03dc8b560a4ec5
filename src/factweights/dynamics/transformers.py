"""The recall transformer's own training seen through the same readings as the flow."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from factweights.domains import Count, CountOrNone, Positive, Rate, Seed, checked
from factweights.dynamics.descent import LOOK_DRAWS, counts_of, draw
from factweights.dynamics.population import Array, Population
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
from factweights.errors import SettingError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.progress import OnProgress, Progress, silent
from factweights.seeds import numbered


@dataclass(frozen=True, eq=False)
class WatchedTraining(Watched):
    """A training with its readings; times are steps.

    Attributes:
        memory: the transformer after the last step.
        trace, stages, plateau: as of a flow.
        relation_entropy: H(a|r) in nats.
        seconds: wall time.
    """

    memory: RecallTransformer
    trace: Trace
    stages: tuple[Stage, ...]
    plateau: Plateau
    relation_entropy: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers; the weights are left out."""
        return self.readings()

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        near = f"loss {self.plateau.loss:.4f}, KL {self.plateau.kl:.2g}; H(a|r) = {self.relation_entropy:.4f}"
        return [
            *self.stage_lines("step"),
            ("plateau", near),
            ("loss", f"{self.trace.loss[-1]:.4g} nats at the end"),
            ("accuracy", f"{self.trace.accuracy[-1]:.4f}"),
            ("seconds", f"{self.seconds:.3g}"),
        ]


@checked
def watch_training(
    model: RecallTransformer,
    task: RecallTask,
    *,
    rate: Rate = 3e-3,
    steps: CountOrNone = 2048,
    batch: Count = 1024,
    look_every: Count = 16,
    tolerance: Positive = TOLERANCE,
    goal: Positive = GOAL,
    seed: Seed = 0,
    on_progress: OnProgress = silent,
) -> WatchedTraining:
    """Train a copy of ``model`` by Adam on fresh prompts, as ``PaperAdamTransformer`` does, and read it.

    Args:
        model: where training begins, for instance ``PaperAdamTransformer(…).start(task, seed=0)``.
        task: whose prompts.
        rate: learning rate of Adam.
        steps, batch: updates, and prompts for each.
        look_every: steps between readings, which are taken on 8 fixed prompts of every fact.
        tolerance, goal: of the stages, in nats.
        seed: of the prompts.
        on_progress: hears of every reading.

    Raises:
        SettingError: counts below 1 or a rate that is not above 0.
    """
    if min(steps, batch, look_every) < 1 or not rate > 0:
        raise SettingError(
            f"steps, batch and look_every are at least 1 and rate above 0, got {steps}, {batch}, "
            f"{look_every} and {rate}"
        )
    begun = time.perf_counter()
    memory = RecallTransformer(**model.config()).to(device=model.device, dtype=model.dtype)
    memory.load_state_dict(model.state_dict())
    trained = [p for p in memory.parameters() if p.numel()]
    for p in trained:
        p.requires_grad_(True)
    adam = torch.optim.Adam(trained, lr=rate)
    rng, target = numbered(seed, 2), task.target.to(model.device)
    facts = np.repeat(np.arange(len(task)), LOOK_DRAWS)
    fixed = counts_of(task, facts, numbered(seed, 3)), facts
    weight = task.probability.numpy()[facts] / LOOK_DRAWS
    cells = Cells.of_facts(Population.of(task), facts, weight)
    times, rows, attention = [], [], []
    for step in range(steps + 1):
        if step % look_every == 0 or step == steps:
            row = _reading(memory, trained, fixed, weight, target, cells)
            times.append(float(step))
            rows.append(row)
            attention.append(_attention(memory, task, fixed[0], weight))
            on_progress(Progress(step, steps, f"step {step:,}, loss {row[0]:.3f}"))
        if step < steps:
            counts, asked, share = draw(task, batch, rng)
            adam.zero_grad()
            _loss(memory, counts, asked, share, target)[0].backward()
            adam.step()
    for p in trained:
        p.requires_grad_(False)
        p.grad = None
    trace = Trace.of_rows(times, rows, attention)
    return WatchedTraining(
        memory,
        trace,
        find_stages(trace, tolerance=tolerance, goal=goal),
        find_plateau(trace, tolerance=tolerance),
        task.relation_entropy,
        time.perf_counter() - begun,
    )


def _loss(
    memory: RecallTransformer, counts: np.ndarray, facts: np.ndarray, weight: np.ndarray, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted cross-entropy, and ln p̂ ``(B, A)``."""
    like = {"device": memory.device, "dtype": memory.dtype}
    shares = memory.logits(memory(torch.from_numpy(counts).to(**like))).log_softmax(-1)
    own = shares.gather(1, target[torch.from_numpy(facts).to(memory.device)][:, None])[:, 0]
    return -(torch.from_numpy(weight).to(**like) @ own), shares


def _reading(
    memory: RecallTransformer,
    trained: list[torch.nn.Parameter],
    fixed: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    target: torch.Tensor,
    cells: Cells,
) -> tuple[float, ...]:
    value, shares = _loss(memory, *fixed, weight, target)
    slopes = torch.autograd.grad(value, trained)
    grad = float(torch.stack([s.double().square().sum() for s in slopes]).sum().sqrt())
    found = shares.detach().double().cpu().numpy().ravel()
    loss, relation, kl, accuracy = losses(cells, found)
    return loss, relation, loss - relation, kl, grad, accuracy


@torch.no_grad()
def _attention(
    memory: RecallTransformer, task: RecallTask, counts: np.ndarray, weight: np.ndarray
) -> Float[Array, " roles"]:
    """What subject, relation, noise and EOS get in the mean over prompts and heads."""
    scores = memory.scores().double().cpu().numpy().T  # (H, V)
    by_token = np.zeros(task.n_tokens)
    for s in scores:
        if memory.attention == "linear":
            by_token += (weight @ counts) * s
        else:
            e = counts * np.exp(s - s.max())
            by_token += weight @ (e / e.sum(1, keepdims=True))
    by_token /= len(scores)
    S, R = task.n_subjects, task.n_relations
    parts = by_token[:S], by_token[S : S + R], by_token[S + R : -1], by_token[-1:]
    return np.array([part.sum() for part in parts])
