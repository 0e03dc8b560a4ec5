"""Is it there? Exact margins over all facts and all outputs, streamed, and what follows from them."""

import math
import time
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

from factweights import theory
from factweights.certificate import Certificate, Missed, Witness
from factweights.errors import SettingError, ShapeError
from factweights.facts import Associations
from factweights.memories import Memory

ROWS, COLUMNS = 2048, 2048  # one block of scores: 16 MiB in float32, 32 MiB in float64
LISTED_MISSES = 100


def verify(
    memory: Memory,
    facts: Associations,
    *,
    noise: Sequence[float] = (),
    top_k: Sequence[int] = (),
    witness: Witness | None = None,
    seed: int = 0,
) -> Certificate:
    """Check every fact against every output on the memory's real forward pass.

    Scores are computed in the dtype of the memory's weights, in blocks; no N×M matrix is ever held.

    Args:
        memory: any memory; facts are moved to its device and dtype.
        facts: what should be recalled.
        noise: norms ε (in units of the keys themselves) at which to measure recall under key noise.
        top_k: values of k for which to measure recall among the k best outputs.
        witness: multipliers of a refutation, checked in float64 here; ``memory.witness`` where it has one.
        seed: of the key noise.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
        SettingError: a negative noise norm or a k below 1.
    """
    begun = time.perf_counter()
    _check_request(memory, facts, noise, top_k)
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        margins, size, rank = _margins(memory, moved, moved.keys, ranked=bool(top_k))
        wrong = ~(margins > _rounding(moved) * size)
        noisy = {float(e): _noisy_recall(memory, moved, float(e), seed) for e in noise}
        missed = _describe_misses(memory, moved, margins, wrong)
    n, n_missed = len(facts), int(wrong.sum())
    bits = theory.fano_bits(n, facts.n_outputs, n_missed / n)
    witness = witness if witness is not None else getattr(memory, "witness", None)
    return Certificate(
        facts=n,
        outputs=facts.n_outputs,
        recall=(n - n_missed) / n,
        min_margin=float(margins.min()),
        min_relative_margin=float(_relative(margins, size).min()),
        weight_norm=math.sqrt(sum(float(w.double().square().sum()) for w in memory.state_dict().values())),
        n_missed=n_missed,
        missed=missed,
        top_k={k: float((rank <= k).double().mean()) for k in top_k},
        noise_recall=noisy,
        parameters=memory.n_parameters,
        parameter_groups=memory.count_parameters(),
        bits=bits,
        bits_per_parameter=bits / memory.n_parameters,
        margin_bound=None if witness is None else margin_bound(facts, witness),
        dtype=str(memory.dtype).removeprefix("torch."),
        device=str(memory.device),
        facts_hash=facts.hash,
        weights_hash=memory.hash,
        seed=seed,
        seconds=time.perf_counter() - begun,
    )


def margins(memory: Memory, facts: Associations) -> Float[Tensor, " n"]:
    """Every fact's margin, in the memory's dtype and on its device.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
    """
    _check_request(memory, facts, (), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        return _margins(memory, moved, moved.keys, ranked=False)[0]


def relative_margins(memory: Memory, facts: Associations) -> Float[Tensor, " n"]:
    """Every fact's margin over the length of its output and of the longest value.

    γ_i = min_{y ≠ f(i)} ⟨v_f(i) − v_y, F(k_i)⟩ / (‖F(k_i)‖ max_y ‖v_y‖), in [-2, 2], 0 where F(k_i) is 0.
    With unit values it is the cosine between output and right value less the best cosine to another. It does
    not change when the weights or the values are scaled, and an error of the output below γ_i ‖F(k_i)‖ / 2
    changes no answer.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
    """
    _check_request(memory, facts, (), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        return _relative(*_margins(memory, moved, moved.keys, ranked=False)[:2])


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
    _check_request(memory, facts, (norm,), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        return _noisy_recall(memory, moved, norm, seed, math.ceil(at_least / len(facts)))


def margin_bound(facts: Associations, witness: Witness) -> float:
    """The largest margin any W with ‖W‖_F = 1 can have, by ``witness`` (Gordan), in float64.

    The bound includes the rounding error of its own evaluation.

    Raises:
        ShapeError: rows or columns that the facts do not have, or negative multipliers.
    """
    row, col, weight = witness.row.cpu(), witness.col.cpu(), witness.weight.cpu().double()
    n, m = facts.n_facts, facts.n_outputs
    if not len(row) or int(row.max()) >= n or int(col.max()) >= m or float(weight.min()) < 0:
        raise ShapeError(
            f"a witness for {n} facts and {m} outputs needs rows below {n}, columns below {m}, weights ≥ 0"
        )
    f64 = facts.to(device="cpu", dtype=torch.float64)
    K, V = f64.keys, f64.values
    weight = weight / weight.sum()
    order = row.argsort(stable=True)
    row, col, weight = row[order], col[order], weight[order]
    right = torch.zeros(n, dtype=torch.float64).index_add_(0, row, weight)
    lifted = right[:, None] * V[f64.targets] - weighted_rows(V, row, col, weight, n)
    G = lifted.T @ K
    size = float(K.norm(dim=1).max()) * float(V.norm(dim=1).max())
    rounding = 4 * torch.finfo(torch.float64).eps * math.sqrt(len(row)) * size
    return float(G.norm()) + rounding


def weighted_rows(
    values: Float[Tensor, "m d"],
    row: Int[Tensor, " a"],
    col: Int[Tensor, " a"],
    weight: Float[Tensor, " a"],
    n: int,
) -> Float[Tensor, "n d"]:
    """Σ weight · values[col] for each of ``n`` rows: a sparse matrix times ``values``; ``row`` is sorted."""
    counts = torch.bincount(row, minlength=n)
    return embedding_bag(col, values, counts.cumsum(0) - counts, mode="sum", per_sample_weights=weight)


def _check_request(memory: Memory, facts: Associations, noise: Sequence[float], top_k: Sequence[int]) -> None:
    if (memory.d_in, memory.d_out) != (facts.d_in, facts.d_out):
        raise ShapeError(
            f"the memory maps R^{memory.d_in} to R^{memory.d_out}, the facts need "
            f"R^{facts.d_in} to R^{facts.d_out}; were they stored in another memory?"
        )
    if bad := [e for e in noise if not (e >= 0 and math.isfinite(e))]:
        raise SettingError(f"key noise is a norm ≥ 0, got {bad[0]}")
    if bad := [k for k in top_k if k < 1]:
        raise SettingError(f"top_k counts outputs from 1 up, got {bad[0]}")


def _margins(
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


def _rounding(facts: Associations) -> float:
    """The rounding error of a margin, in units of ‖F(k_i)‖ max_y ‖v_y‖."""
    return 2 * (facts.d_out + 2) * torch.finfo(facts.keys.dtype).eps


def _relative(margin: Tensor, size: Tensor) -> Tensor:
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


def _noisy_recall(memory: Memory, facts: Associations, norm: float, seed: int, draws: int = 1) -> float:
    generator, right = torch.Generator().manual_seed(seed), 0
    for _ in range(draws):
        step = torch.randn(facts.keys.shape, generator=generator, dtype=torch.float64)
        step = (norm * step / step.norm(dim=1, keepdim=True)).to(facts.keys)
        margin, size, _ = _margins(memory, facts, facts.keys + step, ranked=False)
        right += int((margin > _rounding(facts) * size).sum())
    return right / (draws * len(facts))


def _describe_misses(
    memory: Memory, facts: Associations, margin: Tensor, wrong: Tensor
) -> tuple[Missed, ...]:
    rows = wrong.nonzero()[:, 0]
    rows = rows[margin[rows].argsort()][:LISTED_MISSES]
    if not len(rows):
        return ()
    out = memory(facts.keys[rows])
    scores = out @ facts.values.T
    scores[torch.arange(len(rows)), facts.targets[rows]] = -math.inf
    answered = scores.argmax(1)
    keys, values = facts.key_names, facts.value_names
    return tuple(
        Missed(
            row=i,
            key=f"key {i}" if keys is None else " ".join(keys[i]),
            expected=f"value {f}" if values is None else values[f],
            answered=f"value {a}" if values is None else values[a],
            margin=m,
        )
        for i, f, a, m in zip(
            rows.tolist(),
            facts.targets[rows].tolist(),
            answered.tolist(),
            margin[rows].tolist(),
            strict=True,
        )
    )
