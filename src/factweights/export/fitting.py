"""Facts written where the layout has room for them: an MLP on exact keys, or lookups in attention."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights import theory
from factweights.facts import Associations
from factweights.memories import GatedMemory
from factweights.methods.candidates import Listed, Sampled, fit_by_candidates, hardest
from factweights.methods.flat import FlatLoss
from factweights.methods.layers import GatedLayers
from factweights.methods.lbfgs import Descent
from factweights.methods.whiten import Whitened
from factweights.progress import OnProgress, Progress, silent
from factweights.seeds import streams

ALL_SCORES = 1 << 25  # facts × answers up to which every step scores them all
EVALUATIONS = 300  # of such a step
RESERVE = 0.5  # share of the hinge's margin kept, so that rounding finds every fact right
LOAD = 0.6  # N δ(M) per parameter: comfortable; one start reaches 2 (lab log)
MARGIN = 0.02  # cosine between output and right answer less the best cosine to another
GROUPS = ("read", "gate", "write")
LISTED, ROUNDS, POLISH = 32, 6, 25

Write = Callable[[Tensor], Tensor]
"""Flat weights ↦ outputs of all facts."""


def _on_sphere(write: Write, radius: float, back: Tensor | None) -> Write:
    """Outputs put on a sphere of this radius, on which a margin of 1 is a cosine margin of 1 / ``radius``.

    Their length is taken in the coordinates that ``back`` leads to.
    """

    def directed(x: Float[Tensor, " p"]) -> Float[Tensor, "n d_out"]:
        out = write(x)
        length = out if back is None else out @ back.T
        return out * (radius / length.norm(dim=1, keepdim=True).clamp_min(1e-12))

    return directed


def comfortable_width(facts: int, answers: int, d_in: int, d_out: int, load: float = LOAD) -> int:
    """Neurons at which a fit is quick: N δ(M) = load · parameters."""
    return max(8, math.ceil(facts * theory.delta(max(2, answers)) / load / (2 * d_in + d_out)))


def fit_mlp(
    facts: Associations,
    width: int,
    *,
    seed: int = 0,
    start: GatedMemory | None = None,
    margin: float = MARGIN,
    on_progress: OnProgress = silent,
) -> GatedMemory:
    """B[(A k) ⊙ SiLU(G k)] that recalls ``facts``, if it can, by ``margin``, as far as it goes.

    L-BFGS on the pairwise hinge until every fact is right, then on the same hinge of the outputs' directions
    against each fact's hardest competitors. Whether it worked is for ``verify`` to say.

    Args:
        facts: keys as the MLP meets them, values as the answers' rows have them.
        width: neurons.
        seed: of the first weights.
        start: weights of nearly the same facts to go on from.
        margin: see :data:`MARGIN`.
        on_progress: told after every few evaluations.
    """
    white = Whitened.of(facts)
    keys, values, targets = white.to(torch.float32)
    layers = GatedLayers(width, keys.shape[1], values.shape[1], "silu")
    rng = streams(seed, "compiled", 1)[0]

    def write(x: Tensor) -> Tensor:
        parts = layers.split(x)
        return layers.hidden(parts, keys) @ parts[-1]

    scale = 1.0
    if start is None:
        x = layers.random(rng, keys, values)
    else:
        scale = _met(start(facts.keys), facts.values, facts.targets)
        x = layers.from_memory(_times(start, scale), white).float()
    if len(keys) * len(values) > ALL_SCORES:
        x = fit_by_candidates(layers, keys, values, targets, x, rng=rng, recall=1.0, on_progress=on_progress)[
            0
        ]
    else:
        x = _right(write, values, targets, x, on_progress)
    x = _wide(write, white.from_values, values, targets, x, _radius(facts.values, margin), on_progress)
    memory = layers.memory(layers.split(x), white)
    found = GatedMemory.from_weights(*(memory.get_parameter(n) for n in GROUPS), activation="silu")
    return balanced(found) if start is None else _times(found, 1 / scale)


def behind(out: Float[Tensor, "n d"], values: Tensor, targets: Tensor) -> Float[Tensor, " n"]:
    """By how much the right answer scores above the best other one."""
    nearest = hardest(out, values, targets, 1)[0][:, 0]
    return (out * (values[targets] - values[nearest])).sum(1)


def _met(out: Tensor, values: Tensor, targets: Tensor) -> float:
    """By how much outputs are to be multiplied for the facts that are right to be so by the hinge's goal."""
    ahead = behind(out, values, targets)
    right = ahead[ahead > 0]
    return 1.0 if not len(right) else 1 / float(right.kthvalue(1 + len(right) // 100).values)


def _times(memory: GatedMemory, scale: float) -> GatedMemory:
    return GatedMemory.from_weights(
        memory.read.double(), memory.gate.double(), scale * memory.write.double(), activation="silu"
    )


@dataclass(frozen=True)
class NamedLookups:
    """p_z for every subject and relation: attention writes p_s + p_r, which scores the answers.

    Attributes:
        subjects: ``(S, d_out)``.
        relations: ``(R, d_out)``.
    """

    subjects: Float[Tensor, "s d_out"]
    relations: Float[Tensor, "r d_out"]


def fit_lookups(
    pairs: tuple[Int[Tensor, " n"], Int[Tensor, " n"]],
    values: Float[Tensor, "m d_out"],
    targets: Int[Tensor, " n"],
    names: tuple[int, int],
    *,
    start: NamedLookups | None = None,
    margin: float = MARGIN,
    on_progress: OnProgress = silent,
) -> NamedLookups:
    """Lookups with ⟨u_a, p_s + p_r⟩ largest for the right answer, where there are any: the hinge is convex.

    Args:
        pairs: subject and relation of each fact.
        values: u of the answers.
        targets: the right ones.
        names: how many subjects and relations there are; one without facts keeps its lookup.
        start: lookups to go on from.
        margin: see :data:`MARGIN`.
        on_progress: told after every few evaluations.
    """
    s, r = pairs
    (n_s, n_r), d = names, values.shape[1]
    v, scale = values.float(), 1.0

    def write(x: Tensor) -> Tensor:
        p = x.view(n_s + n_r, d)
        return p[s] + p[n_s + r]

    if start is None:
        p = torch.zeros(n_s + n_r, d).index_add_(0, s, v[targets]).index_add_(0, n_s + r, v[targets])
        p /= p.norm(dim=1, keepdim=True).clamp_min(1e-12)
    else:
        p = torch.zeros(n_s + n_r, d)
        p[: len(start.subjects)] = start.subjects.float()
        p[n_s : n_s + len(start.relations)] = start.relations.float()
        scale = _met(p[s] + p[n_s + r], v, targets)
        p *= scale
    x = _right(write, v, targets, p.reshape(-1), on_progress)
    p = (
        _wide(write, None, v, targets, x, _radius(values, margin), on_progress).double().view(n_s + n_r, d)
        / scale
    )
    return NamedLookups(p[:n_s], p[n_s:])


def _radius(values: Tensor, margin: float) -> float:
    return 1 / (margin * float(values.norm(dim=1).max()))


def _right(write: Write, values: Tensor, targets: Tensor, x: Tensor, on_progress: OnProgress) -> Tensor:
    """Every fact above every other answer."""
    loss = Sampled(values, targets, torch.arange(len(values)))
    problem = FlatLoss(write, loss, len(targets), RESERVE)
    descent = Descent(problem, x, first_step=0.05, memory=20)
    while not (descent.decided or descent.stalled) and descent.evaluations < EVALUATIONS:
        descent.run(min(EVALUATIONS, descent.evaluations + 10))
        on_progress(Progress(descent.evaluations, None, f"fitting: {problem.counted:.2%} of the facts clear"))
    return descent.x


def _wide(
    write: Write,
    back: Tensor | None,
    values: Tensor,
    targets: Tensor,
    x: Tensor,
    radius: float,
    on_progress: OnProgress,
) -> Tensor:
    """The same with a cosine margin of 1 / ``radius``, against lists of competitors, as far as it goes."""
    lists: Tensor | None = None
    kept, best, directed = x, -math.inf, _on_sphere(write, radius, None if back is None else back.to(x.dtype))
    for round_ in range(ROUNDS + 1):
        with torch.no_grad():
            out = directed(x)
            new, _ = hardest(out, values, targets, min(LISTED, len(values) - 1))
            reached = float((out * (values[targets] - values[new[:, 0]])).sum(1).min())
        on_progress(Progress(round_, None, f"margin {reached / radius:.4f}, asked {1 / radius:.4f}"))
        kept, best = (x, reached) if reached > best else (kept, best)
        if reached >= 0.9 or round_ == ROUNDS:
            break
        lists = new if lists is None else torch.cat([new, lists[:, : 2 * LISTED]], 1)
        problem = FlatLoss(directed, Listed(values, targets, lists), len(targets), 0.05)
        x = Descent(problem, x, first_step=0.01, memory=10).run(POLISH).x
    return kept


def balanced(memory: GatedMemory) -> GatedMemory:
    """The same map with each neuron's reading and writing weights of one length: no underflow in 16 bits."""
    read, gate, write = memory.read.double(), memory.gate.double(), memory.write.double()
    lengths = write.norm(dim=0), read.norm(dim=1)
    scale = (lengths[0] / lengths[1].clamp_min(1e-30)).sqrt()
    scale = torch.where((lengths[0] > 0) & (lengths[1] > 0), scale, torch.ones_like(scale))
    return GatedMemory.from_weights(read * scale[:, None], gate, write / scale, activation="silu")


def conflicts(
    subject: np.ndarray, relation: np.ndarray, target: np.ndarray
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Two pairs of facts that no lookups can hold: (s, r) ↦ a, (s, r') ↦ b, (t, r) ↦ b, (t, r') ↦ a.

    Summed up, their four conditions read 0 > 0. Returns the rows, or None where there are none such.
    """
    seen: dict[tuple[int, int, int, int], tuple[int, int]] = {}
    of: dict[int, list[int]] = {}
    for row, s in enumerate(subject.tolist()):
        of.setdefault(s, []).append(row)
    for rows in of.values():
        for i in rows:
            for j in rows:
                if relation[i] < relation[j] and target[i] != target[j]:
                    r, q, a, b = (int(v) for v in (relation[i], relation[j], target[i], target[j]))
                    if (r, q, b, a) in seen:
                        return seen[r, q, b, a], (i, j)
                    seen.setdefault((r, q, a, b), (i, j))
    return None
