"""Is it there, in every prompt? Recall over drawn prompts, and a margin that no prompt falls below.

A prompt for fact (s, r) holds s, r, EOS and T − 3 noise tokens, and noise enters through attention alone.
With A = Σ over s, r and EOS of e^{score}, head h writes

    o = (1 − ρ) o_clean + ρ · (an average of the noise tokens' values),

where ρ ≤ (T − 3) w / (A + (T − 3) w) with w the largest e^{score} of a noise token. For every linear
functional g therefore g(o) ≥ g(o_clean) + ρ · min(0, min_z g(value of z) − g(o_clean)), and the bounds of the
heads add up. They bound what an MLP reads neuron by neuron; each neuron's answer then lies in an interval,
and so does the margin. Nothing is sampled. Bounds are in float64 and leave out its rounding.
"""

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.errors import SettingError, ShapeError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.memories.activations import activate
from factweights.show import Shown

BLOCK = 1 << 22  # numbers held at once
LOWEST = {"gelu": -0.7517915, "silu": -1.2784645}  # where these activations turn; they fall to the left of it


@dataclass(frozen=True)
class PromptCertificate(Shown):
    """What :func:`verify_prompts` found.

    Attributes:
        facts: N.
        prompts: drawn in all, each fact equally often.
        recall: share of drawn prompts answered right; ties are wrong.
        always_right: share of facts right in every prompt drawn for them.
        min_margin: smallest margin over the drawn prompts.
        margin_all_prompts: lower bound of the margin over all prompts of this length, the worst fact's; None
            for linear attention, where none is given.
        facts_proved: facts whose bound is positive: no prompt of this length is answered wrong.
        noise_attention: largest share of any head's attention that noise can take, over all prompts.
        parameters, parameter_groups: scalars that hold facts, and all scalars by group.
        bits: Σ over facts of log2 |A_r|, as if answers were independent.
        map_bits: log2 of the number of tables that give every answer as often as this one does.
        bits_per_parameter, map_bits_per_parameter: these over ``parameters``, biases counted. All four speak
            of the whole table, whatever is recalled of it.
        dtype, task_hash, weights_hash, seed, seconds: how and on what this was measured.
    """

    facts: int
    prompts: int
    recall: float
    always_right: float
    min_margin: float
    margin_all_prompts: float | None
    facts_proved: int
    noise_attention: float | None
    parameters: int
    parameter_groups: dict[str, int]
    bits: float
    bits_per_parameter: float
    map_bits: float
    map_bits_per_parameter: float
    dtype: str
    task_hash: str
    weights_hash: str
    seed: int
    seconds: float = field(compare=False)

    @property
    def proved(self) -> bool:
        """Whether every fact is recalled in every prompt of this length."""
        return self.facts_proved == self.facts

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        groups = ", ".join(f"{k} {v:,}" for k, v in self.parameter_groups.items())
        lines = [
            ("facts", f"{self.facts:,}, each in {self.prompts // self.facts} drawn prompts"),
            ("recall", f"{self.recall:.6g} of prompts; {self.always_right:.6g} of facts always"),
            ("min margin", f"{self.min_margin:.4g} over the drawn prompts"),
        ]
        if self.margin_all_prompts is not None:
            proof = (
                "so every prompt is answered right" if self.proved else f"{self.facts_proved:,} facts proved"
            )
            lines.append(("all prompts", f"margin at least {self.margin_all_prompts:.4g}: {proof}"))
            lines.append(("noise", f"takes at most {self.noise_attention:.3g} of any head's attention"))
        lines.append(("parameters", f"{self.parameters:,} ({groups})"))
        free = f"{self.bits_per_parameter:.4g} if answers were independent"
        lines.append(("bits per parameter", f"{self.map_bits_per_parameter:.4g} of the table; {free}"))
        return [*lines, ("measured", f"{self.dtype} in {self.seconds:.3g} s")]


def verify_prompts(
    model: RecallTransformer, task: RecallTask, *, draws: int = 16, seed: int = 0
) -> PromptCertificate:
    """Check drawn prompts on the plain forward over positions, and bound all prompts at once.

    Args:
        model: any recall transformer of the task's vocabulary.
        task: says which prompts there are.
        draws: prompts for each fact.
        seed: of the prompts.

    Raises:
        ShapeError: the model's vocabulary or answers are not the task's.
        SettingError: draws below 1 or a negative seed.
    """
    begun = time.perf_counter()
    if (model.n_tokens, model.n_answers) != (task.n_tokens, task.n_answers):
        raise ShapeError(
            f"the model has {model.n_tokens} tokens and {model.n_answers} answers, the task {task.n_tokens} "
            f"and {task.n_answers}"
        )
    if draws < 1 or seed < 0:
        raise SettingError(f"draws are at least 1 and a seed at least 0, got {draws} and {seed}")
    margins = _drawn_margins(model, task, draws, seed)
    bound, noise = (None, None) if model.attention == "linear" else _bounds(model, task)
    parameters = model.n_parameters
    return PromptCertificate(
        facts=len(task),
        prompts=margins.numel(),
        recall=float((margins > 0).double().mean()),
        always_right=float((margins > 0).all(1).double().mean()),
        min_margin=float(margins.min()),
        margin_all_prompts=None if bound is None else float(bound.min()),
        facts_proved=0 if bound is None else int((bound > 0).sum()),
        noise_attention=noise,
        parameters=parameters,
        parameter_groups=model.count_parameters(),
        bits=task.bits,
        bits_per_parameter=task.bits / parameters,
        map_bits=task.map_bits,
        map_bits_per_parameter=task.map_bits / parameters,
        dtype=str(model.dtype).removeprefix("torch."),
        task_hash=task.hash,
        weights_hash=model.hash,
        seed=seed,
        seconds=time.perf_counter() - begun,
    )


def prompt_margins(model: RecallTransformer, task: RecallTask) -> Float[Tensor, " n"]:
    """For every fact a margin that none of its prompts of length T falls below, float64.

    Raises:
        SettingError: the model has linear attention, for which there is no such bound.
    """
    if model.attention == "linear":
        raise SettingError("no bound over all prompts is known for linear attention")
    return _bounds(model, task)[0]


@torch.no_grad()
def _drawn_margins(model: RecallTransformer, task: RecallTask, draws: int, seed: int) -> Float[Tensor, "n k"]:
    generator = torch.Generator().manual_seed(seed)
    n = len(task)
    rows = max(1, BLOCK // (task.length * model.d + model.n_answers))
    margins = torch.empty(n, draws, dtype=torch.float64)
    for k in range(draws):
        for facts in torch.arange(n).split(rows):
            tokens = task.prompts(facts, generator).to(model.device)
            z = model.logits(model.read_tokens(tokens))
            f = task.target[facts].to(model.device)[:, None]
            right = z.gather(1, f)[:, 0]
            margins[facts, k] = (right - z.scatter(1, f, -math.inf).amax(1)).double().cpu()
    return margins


@dataclass(frozen=True)
class _Clean:
    """Noise-free attention in float64 for every fact, and how far noise can move it.

    Attributes:
        seen: ``(N, H, e)`` what each head sees without noise.
        share: ``(N, H)`` largest ρ.
        noise: ``(n_noise, H, e)`` values of the noise tokens.
        out: ``(H, e, d)`` what each head writes of them.
        x: ``(N, d)`` residual stream without noise.
    """

    seen: Tensor
    share: Tensor
    noise: Tensor
    out: Tensor
    x: Tensor

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
def _bounds(model: RecallTransformer, task: RecallTask) -> tuple[Float[Tensor, " n"], float]:
    clean = _without_noise(model, task)
    U = model.unembeddings.cpu().double()
    weights = {k: v.detach().cpu().double() for k, v in model.state_dict().items()}
    n, answers = len(task), task.n_answers
    size = max(1, BLOCK // (answers * (model.width + model.heads + 1)))
    bound = torch.empty(n, dtype=torch.float64)
    for rows in (slice(i, min(i + size, n)) for i in range(0, n, size)):
        bound[rows] = _margin_bound(model, weights, clean, U, task.target[rows], rows)
    return bound, float(clean.share.max())


def _margin_bound(
    model: RecallTransformer,
    weights: dict[str, Tensor],
    clean: _Clean,
    U: Tensor,
    target: Int[Tensor, " n"],
    rows: slice,
) -> Float[Tensor, " n"]:
    """min over wrong answers y of (clean direct margin + its worst move + worst of the MLP's part)."""
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
    return margin.scatter(1, f, math.inf).amin(1)


def _neurons(
    model: RecallTransformer, weights: dict[str, Tensor], clean: _Clean, rows: slice
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


def _without_noise(model: RecallTransformer, task: RecallTask) -> _Clean:
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
    return _Clean(seen, share, of_noise, out, x + double.embeddings[-1] if model.residual else x)
