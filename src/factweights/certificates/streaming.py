"""Exact margins over all facts and all outputs, streamed."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import SettingError, ShapeError
from factweights.facts import Associations
from factweights.memories import Memory

ROWS, COLUMNS = 2048, 2048  # one block of scores: 16 MiB in float32, 32 MiB in float64


def margins(memory: Memory, facts: Associations) -> Float[Tensor, " n"]:
    """Every fact's margin, in the memory's dtype and on its device.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
    """
    check_request(memory, facts, (), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        return streamed_margins(memory, moved, moved.keys, ranked=False)[0]


def relative_margins(memory: Memory, facts: Associations) -> Float[Tensor, " n"]:
    """Every fact's margin over the length of its output and of the longest value.

    γ_i = min_{y ≠ f(i)} ⟨v_f(i) − v_y, F(k_i)⟩ / (‖F(k_i)‖ max_y ‖v_y‖), in [-2, 2], 0 where F(k_i) is 0.
    With unit values it is the cosine between output and right value less the best cosine to another. It does
    not change when the weights or the values are scaled, and an error of the output below γ_i ‖F(k_i)‖ / 2
    changes no answer.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
    """
    check_request(memory, facts, (), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        return relative(*streamed_margins(memory, moved, moved.keys, ranked=False)[:2])


def noise_recall(
    memory: Memory, facts: Associations, norm: float, *, seed: int = 0, at_least: int = 1000
) -> float:
    """Recall when every key is moved by a random vector of norm ``norm``, over several draws for few facts.

    Args:
        memory, facts, norm: as in :func:`verify`, which takes one draw.
        seed: of the noise.
        at_least: so many noisy keys are drawn in all.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
        SettingError: a negative norm.
    """
    check_request(memory, facts, (norm,), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        return noisy_recall(memory, moved, norm, seed, math.ceil(at_least / len(facts)))


def check_request(memory: Memory, facts: Associations, noise: Sequence[float], top_k: Sequence[int]) -> None:
    if (memory.d_in, memory.d_out) != (facts.d_in, facts.d_out):
        raise ShapeError(
            f"the memory maps R^{memory.d_in} to R^{memory.d_out}, the facts need "
            f"R^{facts.d_in} to R^{facts.d_out}; were they stored in another memory?"
        )
    if bad := [e for e in noise if not (e >= 0 and math.isfinite(e))]:
        raise SettingError(f"key noise is a norm ≥ 0, got {bad[0]}")
    if bad := [k for k in top_k if k < 1]:
        raise SettingError(f"top_k counts outputs from 1 up, got {bad[0]}")


def streamed_margins(
    memory: Memory, facts: Associations, keys: Tensor, *, ranked: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Margins, ‖F(k_i)‖ max_y ‖v_y‖ for each, and (where ``ranked``) the rank of the right answer from 1."""
    n = len(keys)
    margin, size = keys.new_empty(n), keys.new_empty(n)
    rank = torch.ones(n, dtype=torch.int64, device=keys.device)
    longest = facts.values.norm(dim=1).max()
    buffer = keys.new_empty(min(ROWS, n), min(COLUMNS, facts.n_outputs))
    for start in range(0, n, ROWS):
        rows = slice(start, min(start + ROWS, n))
        out, f = memory(keys[rows]), facts.targets[rows]
        right, top = _right_and_top(out, f, facts.values, buffer)
        margin[rows] = right - top
        size[rows] = longest * out.norm(dim=1)
        if ranked:
            for scores, _ in _score_blocks(out, facts.values, buffer):
                rank[rows] += (scores >= right[:, None]).sum(1)
            rank[rows] -= 1  # the right answer counted itself
    return margin, size, rank


def rounding(facts: Associations) -> float:
    """The rounding error of a margin, in units of ‖F(k_i)‖ max_y ‖v_y‖."""
    return 2 * (facts.d_out + 2) * torch.finfo(facts.keys.dtype).eps


def relative(margin: Tensor, size: Tensor) -> Tensor:
    return torch.where(size == 0, torch.zeros_like(margin), margin / size)


def _right_and_top(out: Tensor, f: Tensor, values: Tensor, buffer: Tensor) -> tuple[Tensor, Tensor]:
    """The right answer's score and the best of the others, from the same matrix products."""
    right = out.new_full((len(out),), math.nan)
    top = out.new_full((len(out),), -math.inf)
    for scores, first in _score_blocks(out, values, buffer):
        here = ((f >= first) & (f < first + scores.shape[1])).nonzero()[:, 0]
        col = f[here] - first
        right[here] = scores[here, col]
        scores[here, col] = -math.inf
        torch.maximum(top, scores.amax(1), out=top)
    return right, top


def _score_blocks(out: Tensor, values: Tensor, buffer: Tensor) -> Iterator[tuple[Tensor, int]]:
    flat = buffer.view(-1)
    for first in range(0, len(values), COLUMNS):
        block = values[first : first + COLUMNS]
        scores = flat[: len(out) * len(block)].view(len(out), len(block))
        yield torch.mm(out, block.T, out=scores), first


def noisy_recall(memory: Memory, facts: Associations, norm: float, seed: int, draws: int = 1) -> float:
    generator, right = torch.Generator().manual_seed(seed), 0
    for _ in range(draws):
        step = torch.randn(facts.keys.shape, generator=generator, dtype=torch.float64)
        step = (norm * step / step.norm(dim=1, keepdim=True)).to(facts.keys)
        margin, size, _ = streamed_margins(memory, facts, facts.keys + step, ranked=False)
        right += int((margin > rounding(facts) * size).sum())
    return right / (draws * len(facts))
