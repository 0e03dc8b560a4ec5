"""A training step of the recall transformer, token counts against positions: `make bench`.

One step is forward, backward and Adam's update on the same 1,024 prompts of 32 tokens, float32, one thread,
at the three sizes for which the paper's JAX code was timed (two cores of another machine). Three plain forms
stand beside ours:

- *every position*: keys and values at all 32 positions, as attention is usually written and as the paper's
  code does it; autograd and ``torch.optim.Adam``.
- ``read_tokens``: still attention over positions, but the score projections are moved to the query and the
  values taken after the sum, so that no position is projected.
- ``forward``: token counts, by autograd.

Ours is :class:`StackedTransformers`, the count form with its backward pass by hand. Times are processor time
of the thread, in rounds of a few steps of each form in turn, the best round of each: others on the machine
make rounds longer, never shorter. Drawing the prompts is timed apart.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall import PaperAdamTransformer, StackedTransformers
from factweights.methods.recall.batches import Drawing
from factweights.methods.recall.training import FlatAdam

BATCH, STEPS, ROUNDS = 1024, 5, 20
SIZES = {  # (H, d_h, d, m, S = R, D): milliseconds of the paper's code
    (8, 4, 32, 32, 32, 8): 6.0,
    (8, 8, 64, 64, 64, 8): 37.0,
    (8, 16, 128, 128, 100, 8): 68.0,
}


def best_ms(works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Milliseconds of one call of each, best of all rounds."""
    best = dict.fromkeys(works, math.inf)
    for _ in range(ROUNDS):
        for name, work in works.items():
            begun = time.thread_time()
            for _ in range(STEPS):
                work()
            best[name] = min(best[name], (time.thread_time() - begun) / STEPS * 1e3)
    return best


def every_position(model: RecallTransformer, tokens: Tensor) -> Tensor:
    """F with keys and values of all positions."""
    x = model.embeddings[tokens]
    flat, heads = (-1, model.heads * model.head_dim), (model.heads, model.head_dim)
    key, query, value = (w.transpose(0, 1).reshape(flat) for w in (model.key, model.query, model.value))
    k, v = ((x @ w).unflatten(-1, heads) for w in (key, value))
    q = (x[:, -1] @ query).unflatten(-1, heads) / math.sqrt(model.head_dim)
    weights = torch.einsum("bthe,bhe->bht", k, q).softmax(-1)
    seen = torch.einsum("bht,bthe->bhe", weights, v)
    return model.after_attention(seen.flatten(1) @ model.output.flatten(0, 1))


def by_autograd(
    model: RecallTransformer, forward: Callable[[], Tensor], target: Tensor
) -> Callable[[], Tensor]:
    """A training step that returns the loss before it."""
    for p in model.parameters():
        p.requires_grad_(True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = cross_entropy(model.logits(forward()), target)
        loss.backward()
        optimiser.step()
        return loss.detach()

    return step


def by_counts(stack: StackedTransformers, batch: Any) -> Callable[[], Tensor]:
    """The same for a stack."""
    adam = FlatAdam(stack, [1e-3] * len(stack))

    def step() -> Tensor:
        losses = stack.backward(batch)
        adam.step(stack.flat, stack.gradient)
        return losses.total.mean()

    return step


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_training_step_in_the_count_form(benchmark, size):
    heads, head_dim, d, width, subjects, answers = size
    task = RecallTask.random(subjects, subjects, answers)
    recipe = PaperAdamTransformer(d, heads, head_dim, width)
    models = [recipe.start(task, seed=seed) for seed in range(4)]
    alone = [StackedTransformers([model], [task]) for model in models]
    together = StackedTransformers(models, [task] * 4)
    drawings = [Drawing(task, together.layout, np.random.default_rng(seed)) for seed in range(4)]

    def draw(stack: StackedTransformers) -> Any:
        facts = [drawing.facts(BATCH) for drawing in drawings[: len(stack)]]
        tokens = [x.prompts(f) for x, f in zip(drawings, facts, strict=False)]
        return stack.layout.batch(np.stack(tokens), np.stack(facts))

    prompts = task.draw(BATCH, seed=0)
    tokens, target = prompts.tokens, task.target[prompts.facts]
    batch = alone[0].layout.batch(tokens.numpy().astype(np.uint16)[None], prompts.facts.numpy()[None])
    counts, four = task.count(tokens), draw(together)
    plain = [recipe.start(task, seed=0) for _ in range(3)]
    generator = torch.Generator().manual_seed(0)
    separate = [by_counts(stack, batch) for stack in alone]
    works = {
        "every position": by_autograd(plain[0], lambda: every_position(plain[0], tokens), target),
        "read_tokens": by_autograd(plain[1], lambda: plain[1].read_tokens(tokens), target),
        "forward": by_autograd(plain[2], lambda: plain[2](counts), target),
        "ours": separate[0],
        "four, one by one": lambda: [step() for step in separate],
        "four, stacked": by_counts(together, four),
        "draw tokens": lambda: task.prompts(task.draw_facts(BATCH, generator), generator),
        "draw counts": lambda: task.counts(task.draw_facts(BATCH, generator), generator),
        "draw ours": lambda: draw(alone[0]),
    }
    losses = [float(works[name]()) for name in ("every position", "read_tokens", "forward", "ours")]
    ms = best_ms(works)
    benchmark.pedantic(works["ours"], rounds=5, iterations=1)
    print("\n" + report(size, ms))
    assert max(losses) - min(losses) < 1e-5
    assert ms["ours"] < ms["forward"] < ms["every position"]


def report(size: tuple[int, ...], ms: dict[str, float]) -> str:
    """The table of one size."""
    ours = ms["ours"]
    lines = [f"(H, d_h, d, m, S = R, D) = {size}; the paper's code on two cores {SIZES[size]:g} ms"]
    for name in ("every position", "read_tokens", "forward", "ours"):
        lines.append(f"  {name:<16} {ms[name]:8.2f} ms  {ms[name] / ours:5.1f}x")
    with_draw = {"every position": "draw tokens", "read_tokens": "draw tokens", "forward": "draw counts"}
    ratios = ", ".join(
        f"{(ms[name] + ms[draw]) / (ours + ms['draw ours']):.1f}x {name}" for name, draw in with_draw.items()
    )
    drawing = ", ".join(
        f"{ms[name]:.2f} ms {name[5:]}" for name in ("draw tokens", "draw counts", "draw ours")
    )
    four, stacked = ms["four, one by one"], ms["four, stacked"]
    lines += [
        f"  drawing          {drawing}; with it {ratios}",
        f"  four models      {four:8.2f} ms one by one, {stacked:.2f} ms stacked: {four / stacked:.2f}x",
    ]
    return "\n".join(lines)
