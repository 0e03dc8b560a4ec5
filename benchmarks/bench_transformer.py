"""A training step of the recall transformer, token counts against positions: `make bench`.

One step is forward, backward and Adam's update on the same 1,024 prompts of 32 tokens, float32, one thread,
at the three sizes for which the paper's JAX code was timed (two cores of another machine). Three forms, each
with autograd and ``torch.optim.Adam``:

- *every position*: keys and values at all 32 positions, as attention is usually written and as the paper's
  code does it.
- ``read_tokens``: still attention over positions, but the score projections are moved to the query and the
  values taken after the sum, so that no position is projected.
- ``forward``: token counts, which is what ``paper-adam`` trains through.

Times are processor time of the thread, in rounds of a few steps of each form in turn, the best round of
each: others on the machine make rounds longer, never shorter. Drawing the prompts is timed apart.
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
from factweights.methods.recall import PaperAdamTransformer
from factweights.methods.recall.training import Drawing

BATCH, STEPS, ROUNDS = 1024, 5, 20
FORMS = ("every position", "read_tokens", "forward")
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
    prompts, drawing = task.draw(BATCH, seed=0), Drawing(task, np.random.default_rng(0))
    tokens, target = prompts.tokens, task.target[prompts.facts]
    counts = task.count(tokens)
    plain = [recipe.start(task, seed=0) for _ in range(3)]
    generator = torch.Generator().manual_seed(0)
    works = {
        "every position": by_autograd(plain[0], lambda: every_position(plain[0], tokens), target),
        "read_tokens": by_autograd(plain[1], lambda: plain[1].read_tokens(tokens), target),
        "forward": by_autograd(plain[2], lambda: plain[2](counts), target),
        "draw tokens": lambda: task.prompts(task.draw_facts(BATCH, generator), generator),
        "draw counts": lambda: task.count(drawing.prompts(torch.from_numpy(drawing.facts(BATCH)))),
    }
    losses = [float(works[name]()) for name in FORMS]
    ms = best_ms(works)
    benchmark.pedantic(works["forward"], rounds=5, iterations=1)
    print("\n" + report(size, ms))
    assert max(losses) - min(losses) < 1e-5
    assert ms["forward"] < ms["every position"]


def report(size: tuple[int, ...], ms: dict[str, float]) -> str:
    """The table of one size."""
    ours = ms["forward"]
    lines = [f"(H, d_h, d, m, S = R, D) = {size}; the paper's code on two cores {SIZES[size]:g} ms"]
    lines += [f"  {name:<16} {ms[name]:8.2f} ms  {ms[name] / ours:5.1f}x" for name in FORMS]
    lines.append(f"  drawing          {ms['draw tokens']:.2f} ms tokens, {ms['draw counts']:.2f} ms counts")
    return "\n".join(lines)
