"""Exact margins over all facts and all outputs, streamed, and which of them lie beyond rounding."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from factweights.certificates import rounding
from factweights.errors import SettingError, ShapeError, WrongTypeError
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.typed import norm as lengths
from factweights.typed import row_classes

ROWS, COLUMNS = 2048, 2048  # one block of scores: 16 MiB in float32, 32 MiB in float64


def margins(memory: Memory, facts: Associations) -> Float[Tensor, " n"]:
    """Every fact's margin, in the memory's dtype and on its device.

    A fact whose value another output has too is tied, and its margin at most 0, however the scores round.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
    """
    check_request(memory, facts, (), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        return streamed_margins(memory, moved, moved.keys).margin


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
        found = streamed_margins(memory, moved, moved.keys)
        return relative(found.margin, found.size)


def least_margins(memory: Memory, facts: Associations) -> Float[Tensor, " n"] | None:
    """A lower bound of every fact's margin in exact arithmetic and in any evaluation in the memory's dtype.

    Float64, by the model of :mod:`factweights.certificates.rounding`; a positive one proves the fact
    recalled. None for a kind of memory whose rounding is not bounded there.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
    """
    check_request(memory, facts, (), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        return beyond_rounding(memory, facts, moved, streamed_margins(memory, moved, moved.keys))


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


def check_request(memory: object, facts: object, noise: Sequence[float], top_k: Sequence[int]) -> None:
    """Raise unless the memory fits the facts and the extras asked for mean something."""
    if not isinstance(memory, Memory):
        swapped = isinstance(facts, Memory)
        hint = "first the memory, then its facts" if swapped else "what a method's store returned"
        raise WrongTypeError("memory", memory, "a memory", hint)
    if not isinstance(facts, Associations):
        hint = "make some with Associations.from_tensors, or table.to_associations(d) of a table"
        raise WrongTypeError("facts", facts, "Associations", hint)
    if (memory.d_in, memory.d_out) != (facts.d_in, facts.d_out):
        raise ShapeError(
            f"the memory maps R^{memory.d_in} to R^{memory.d_out}, the facts need "
            f"R^{facts.d_in} to R^{facts.d_out}; were they stored in another memory?"
        )
    if bad := [e for e in noise if not (e >= 0 and math.isfinite(e))]:
        raise SettingError(f"key noise is a norm ≥ 0, got {bad[0]}")
    if bad := [k for k in top_k if k < 1]:
        raise SettingError(f"top_k counts outputs from 1 up, got {bad[0]}")
    if bad := [k for k in top_k if k > facts.n_outputs]:
        raise SettingError(
            f"every answer is among the {bad[0]} best of {facts.n_outputs}; ask for a top_k of at most that"
        )


@dataclass(frozen=True)
class Streamed:
    """What one pass over all scores finds.

    Attributes:
        margin: ``(N,)`` in the memory's dtype; NaN where a score is.
        size: ``(N,)`` ‖F(k_i)‖ max_y ‖v_y‖.
        rank: ``(N,)`` outputs that score at least as high as the right one, itself included; M + 1 where the
            right score is NaN. Only where asked for.
    """

    margin: Float[Tensor, " n"]
    size: Float[Tensor, " n"]
    rank: Int[Tensor, " n"] | None


def streamed_margins(memory: Memory, facts: Associations, keys: Tensor, *, ranked: bool = False) -> Streamed:
    """Margins of ``facts`` (in the memory's dtype, on its device) asked by ``keys``, block by block."""
    n = len(keys)
    margin, size = keys.new_empty(n), keys.new_empty(n)
    rank = torch.zeros(n, dtype=torch.int64, device=keys.device)
    longest = lengths(facts.values, 1).max()
    buffer = keys.new_empty(min(ROWS, n), min(COLUMNS, facts.n_outputs))
    for start in range(0, n, ROWS):
        rows = slice(start, min(start + ROWS, n))
        out, f = memory(keys[rows]), facts.targets[rows]
        right, top = _right_and_top(out, f, facts.values, buffer)
        margin[rows] = right - top
        size[rows] = longest * lengths(out, 1)
        if ranked:
            for scores, _ in _score_blocks(out, facts.values, buffer):
                rank[rows] += (~(scores < right[:, None])).sum(1)  # NaN counts as above
            rank[rows] += right.isnan()
    tied = _twins(facts.values)[facts.targets]
    # Equal values score alike in exact arithmetic; kernels that round differently must not part them.
    margin = torch.where(tied, margin.clamp_max(0), margin)
    return Streamed(margin, size, torch.where(tied, rank.clamp_min(2), rank) if ranked else None)


def beyond_rounding(
    memory: Memory, given: Associations, moved: Associations, found: Streamed
) -> Float[Tensor, " n"] | None:
    """Lower bounds of all margins, see :func:`least_margins`; ``moved`` is what the memory sees."""
    if not rounding.known(memory):
        return None
    if given.n_outputs == 1:  # nothing to confuse: margins are infinite, or NaN
        return found.margin.double()
    by = rounding.Arithmetic.of(memory.dtype)
    given = given.to(device=memory.device)
    off = (moved.values.double() - given.values.double()).abs()
    error = found.margin.new_empty(len(moved), dtype=torch.float64)
    for start in range(0, len(moved), ROWS):
        rows = slice(start, start + ROWS)
        x = moved.keys[rows].double()
        keys = rounding.Bounded(x, (x - given.keys[rows].double()).abs())
        error[rows] = rounding.score_error(rounding.outputs(memory, keys), moved.values, off, by)
    return rounding.least_margin(found.margin, error, by)


def relative(margin: Tensor, size: Tensor) -> Tensor:
    """Margins over sizes, 0 where the output is 0."""
    return torch.where(size == 0, torch.zeros_like(margin), margin / size)


def noisy_recall(memory: Memory, facts: Associations, norm: float, seed: int, draws: int = 1) -> float:
    """Recall under key noise of facts in the memory's dtype."""
    generator, right = torch.Generator().manual_seed(seed), 0
    for _ in range(draws):
        step = torch.randn(facts.keys.shape, generator=generator, dtype=torch.float64)
        step = (norm * step / lengths(step, 1)[:, None]).to(facts.keys)
        right += int((streamed_margins(memory, facts, facts.keys + step).margin > 0).sum())
    return right / (draws * len(facts))


def _twins(values: Float[Tensor, "m d"]) -> Bool[Tensor, " m"]:
    """Which values another output has too."""
    which, count = row_classes(values + 0.0)
    return count[which] > 1


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
