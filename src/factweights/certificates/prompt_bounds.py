"""A margin that no prompt of a recall transformer falls below, in the arithmetic of its dtype.

A prompt for fact (s, r) holds s, r, EOS and T − 3 noise tokens, and noise enters through attention alone.
With A = Σ over s, r and EOS of e^{score}, head h writes

    o = (1 − ρ) o_clean + ρ · (an average of the noise tokens' values),

where ρ ≤ (T − 3) w / (A + (T − 3) w) with w the largest e^{score} of a noise token. For every linear
functional g therefore g(o) ≥ g(o_clean) + ρ · min(0, min_z g(value of z) − g(o_clean)), and the bounds of the
heads add up. They bound what an MLP reads neuron by neuron; each neuron's answer then lies in an interval,
and so does the margin. Nothing is sampled. From the
margin so found goes what rounding can take (:mod:`factweights.certificates.prompt_rounding`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates.prompt_rounding import Rounding
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.memories.activations import activate

BLOCK = 1 << 22  # numbers held at once
LOWEST = {"gelu": -0.7517915, "silu": -1.2784645}  # where these activations turn; they fall to the left of it


@dataclass(frozen=True)
class Clean:
    """Noise-free attention in float64 for every fact, and how far noise can move it.

    Attributes:
        seen: ``(N, H, e)`` what each head sees without noise.
        share: ``(N, H)`` largest ρ.
        noise: ``(n_noise, H, e)`` values of the noise tokens.
        out: ``(H, e, d)`` what each head writes of them.
        x: ``(N, d)`` residual stream without noise.
        attention: ``(N, 3, H)`` of subject, relation and EOS without noise.
        tokens: ``(N, 3)`` these.
    """

    seen: Tensor
    share: Tensor
    noise: Tensor
    out: Tensor
    x: Tensor
    attention: Tensor
    tokens: Tensor

    def moved(self, g: Float[Tensor, "k d"], rows: slice) -> tuple[Tensor, Tensor]:
        """How far down and up noise can move ⟨g, x⟩ for some facts, each ``(n, k)``."""
        read = torch.einsum("hed,kd->hek", self.out, g)
        clean = torch.einsum("nhe,hek->nhk", self.seen[rows], read)
        of_noise = torch.einsum("zhe,hek->zhk", self.noise, read)
        share = self.share[rows][:, :, None]
        down = (share * (of_noise.amin(0) - clean).clamp_max(0)).sum(1)
        up = (share * (of_noise.amax(0) - clean).clamp_min(0)).sum(1)
        return down, up


@torch.no_grad()
def prompt_bounds(
    model: RecallTransformer, task: RecallTask
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], float]:
    """For every fact a lower bound of its margin over all prompts, twice, and the largest share of noise.

    The first holds as the model's dtype rounds, the second for these weights in exact arithmetic and in
    float64. They are the same for a model in float64.
    """
    clean = _without_noise(model, task)
    U = model.unembeddings.cpu().double()
    weights = {k: v.detach().cpu().double() for k, v in model.state_dict().items()}
    n, answers = len(task), task.n_answers
    size = max(1, BLOCK // (answers * (model.width + model.heads + 1) + model.heads * model.d))
    roundings = Rounding(model, task, model.dtype), Rounding(model, task, torch.float64)
    bounds = torch.empty(2, n, dtype=torch.float64)
    for rows in (slice(i, min(i + size, n)) for i in range(0, n, size)):
        bounds[:, rows] = _margin_bounds(model, weights, clean, U, task.target[rows], rows, roundings)
    return bounds[0], bounds[1], float(clean.share.max())


def _margin_bounds(
    model: RecallTransformer,
    weights: dict[str, Tensor],
    clean: Clean,
    U: Tensor,
    target: Int[Tensor, " n"],
    rows: slice,
    roundings: Sequence[Rounding],
) -> Float[Tensor, "k n"]:
    """min over wrong answers y of (clean direct margin + its worst move + worst of the MLP's part).

    One row for each of ``roundings``, which is taken off.
    """
    scores = clean.x[rows] @ U.T
    down, up = clean.moved(U, rows)
    f = target[:, None]
    margin = (scores + down).gather(1, f) - (scores + up)
    if model.width:
        low, high = _neurons(model, weights, clean, rows)
        middle, radius = (low + high) / 2, (high - low) / 2
        push = weights["write"] @ U.T  # what each neuron adds to each score
        margin += (middle @ push).gather(1, f) - middle @ push
        spread = (push[:, target].T[:, :, None] - push[None]).abs_()
        margin -= torch.einsum("nm,nma->na", radius, spread)
    found: list[Tensor] = []
    for rounding in roundings:
        stream = rounding.after_heads(clean.attention[rows], clean.tokens[rows], clean.share[rows])
        error = rounding.of_scores(rounding.after_mlp(stream) if model.width else stream)
        least = (margin - error.gather(1, f) - error).scatter(1, f, math.inf).amin(1)
        found.append(least - 2 * rounding.by.u * least.abs())
    return torch.stack(found)


def _neurons(
    model: RecallTransformer, weights: dict[str, Tensor], clean: Clean, rows: slice
) -> tuple[Tensor, Tensor]:
    """The interval in which each neuron's output lies, ``(n, m)`` twice."""

    def before(name: str) -> tuple[Tensor, Tensor]:
        at = clean.x[rows] @ weights[name].T
        if name == "read" and model.mlp != "gated":
            at = at + weights["bias"]
        down, up = clean.moved(weights[name], rows)
        return at + down, at + up

    low, high = before("read")
    if model.mlp != "gated":
        return _activated(model.mlp, low, high)
    g_low, g_high = _activated("silu", *before("gate"))
    corners = torch.stack([low * g_low, low * g_high, high * g_low, high * g_high])
    return corners.amin(0), corners.amax(0)


def _activated(name: str, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The range of σ over [low, high]: σ falls up to one point, if anywhere, and rises after it."""
    at_low, at_high = activate(name, low), activate(name, high)
    least = torch.minimum(at_low, at_high)
    if name in LOWEST:
        turn = torch.full_like(low, LOWEST[name])
        least = torch.where((low < turn) & (turn < high), activate(name, turn) - 1e-12, least)
    return least, torch.maximum(at_low, at_high)


def _without_noise(model: RecallTransformer, task: RecallTask) -> Clean:
    double = RecallTransformer(**model.config()).double()
    double.load_state_dict({k: v.detach().cpu().double() for k, v in model.state_dict().items()})
    scores, values = double.scores(), double.head_values().expand(-1, model.heads, -1)
    tokens = torch.stack([task.subject, task.relation_token, torch.full_like(task.subject, task.eos)], 1)
    signal = scores[tokens]  # (N, 3, H)
    attention = signal.softmax(1)
    seen = torch.einsum("nth,nthe->nhe", attention, values[tokens])
    noise = task.noise_tokens
    spare = task.length - 3
    if spare and task.n_noise:
        mass = math.log(spare) + scores[noise].amax(0) - signal.logsumexp(1)
        share = mass.sigmoid()
        of_noise = values[noise]
    else:
        share, of_noise = torch.zeros(len(task), model.heads, dtype=torch.float64), seen[:1]
    if model.values == "identity":
        out = torch.eye(model.d, dtype=torch.float64).expand(model.heads, -1, -1)
    else:
        out = double.output.detach()
    x = torch.einsum("nhe,hed->nd", seen, out)
    x = x + double.embeddings[-1] if model.residual else x
    return Clean(seen, share, of_noise, out, x, attention, tokens)
