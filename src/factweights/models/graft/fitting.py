"""Fit what is read: states of prompts, words of prompts, and a hinge."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.models.graft.architecture import Architecture
from factweights.models.graft.cues import Cues, reach_of
from factweights.models.graft.prompts import ASIDE, Prompt
from factweights.models.graft.reading import Reading
from factweights.models.graft.turns import CUE_WINDOW, FORGOTTEN, around
from factweights.models.seam import LanguageModel
from factweights.progress import OnProgress, Progress, silent

DEPTH = 0.75  # of the model, where relations are read
ELSEWHERE = 4  # other positions of each prompt that are shown as "nothing is due here"
TOKENS = 2048  # of one batch
PLENTY = 30.0  # how much louder words are than states, in standard deviations
STATE_DECAY, DUE_DECAY = 0.1, 0.01  # weight of Σ w²
THRESHOLD, DUE_THRESHOLD = -0.6, -0.1  # of a margin of 1 on both sides
LIKELY = -0.8
SPARE = 0.2  # by which a fact's own prompt shall be above the thresholds
AGAIN, TIMES = 4, 3  # rounds in which such prompts are added to the fit, and how often each counts
SOFT = 0.1
ROUNDS = 150  # of L-BFGS


@dataclass(frozen=True)
class Seen:
    """What is read at some positions of prompts.

    Attributes:
        states: ``(n, d)`` after the norm, times typical / ρ.
        shares: ``(n, words)`` of words within the window.
        relation: ``(n,)`` number of the relation asked there, or −1.
        due: ``(n,)`` whether an answer is due.
        last: ``(n,)`` whether it is a prompt's last position.
        wording: of the prompt.
    """

    states: Float[Tensor, "n d"]
    shares: Float[Tensor, "n w"]
    relation: Int[Tensor, " n"]
    due: Tensor
    last: Tensor
    wording: tuple[str, ...]


@dataclass(frozen=True)
class Position:
    """One position to read at."""

    prompt: int
    at: int
    relation: int
    due: bool
    last: bool


def read_layer(arch: Architecture) -> int:
    """Which layer is read; two more follow it."""
    return max(0, min(round(DEPTH * arch.layers), arch.layers - 4))


def positions(
    prompts: Sequence[Prompt], encode: Callable[[str], list[int]], seed: int, elsewhere: int = ELSEWHERE
) -> tuple[list[list[int]], list[Position]]:
    """Tokens of every prompt with its tail, and where they are read.

    The last position asks. Earlier ones ask nothing, except the two before the last, of which one cannot
    tell.
    Behind the prompt, within the answer, nothing is asked.
    """
    rng = np.random.default_rng(seed)
    ids, found = [], []
    for number, p in enumerate(prompts):
        asked = encode(p.text)
        whole = encode(p.text + p.tail) if p.tail else asked
        begins = len(encode(p.text[: p.begins])) if p.begins else 1
        end = len(asked) - 1
        if p.story:
            ids.append(asked)
            found += [Position(number, at, -1, due=False, last=False) for at in range(1, len(asked))]
            continue
        due = not (p.relation < 0 and p.wording in ASIDE["nothing"])
        found.append(Position(number, end, p.relation, due, last=True))
        room = list(range(begins, end - 2))
        for at in rng.choice(room, min(elsewhere, len(room)), replace=False) if room else ():
            found.append(Position(number, int(at), -1, due=False, last=False))
        same = whole[: len(asked)] == asked
        found += [
            Position(number, at, -1, due=False, last=False) for at in range(len(asked), len(whole)) if same
        ]
        ids.append(whole)
    return ids, found


class _EnoughError(Exception):
    """The layers behind are not needed."""


@torch.no_grad()
def states(
    lm: LanguageModel,
    ids: Sequence[Sequence[int]],
    layer: int,
    wanted: Sequence[Sequence[int]],
    tell: OnProgress = silent,
) -> tuple[list[Tensor], list[Tensor]]:
    """For each text, the normed input of an MLP at some positions ``(k, d)``, and ρ there ``(k,)``."""
    seen: dict[str, Tensor] = {}

    def keep(_: object, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen["x"], seen["size"] = output, inputs[0].float().square().mean(-1).sqrt()
        raise _EnoughError

    hook = lm.model.model.layers[layer].post_attention_layernorm.register_forward_hook(keep)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    x: list[Tensor] = [torch.empty(0)] * len(ids)
    size = list(x)
    done = 0
    try:
        while done < len(order):
            rows = max(1, TOKENS // len(ids[order[min(done + 15, len(order) - 1)]]))
            batch = order[done : done + rows]
            longest = max(len(ids[i]) for i in batch)
            padded = torch.zeros(len(batch), longest, dtype=torch.int64)  # later tokens change nothing before
            for row, i in enumerate(batch):
                padded[row, : len(ids[i])] = torch.tensor(list(ids[i]))
            with contextlib.suppress(_EnoughError):
                lm.model.model(input_ids=padded.to(lm.device), use_cache=False)
            for row, i in enumerate(batch):
                at = torch.tensor(list(wanted[i]), dtype=torch.int64)
                x[i], size[i] = seen["x"][row, at].float().cpu(), seen["size"][row, at].cpu()
            done += len(batch)
            tell(
                Progress(done, len(order), f"reading the model's states: {done:,} of {len(order):,} prompts")
            )
    finally:
        hook.remove()
    return x, size


def see(
    lm: LanguageModel,
    arch: Architecture,
    prompts: Sequence[Prompt],
    cues: Cues,
    *,
    typical: float | None = None,
    elsewhere: int = ELSEWHERE,
    seed: int = 0,
    tell: OnProgress = silent,
) -> tuple[Seen, float]:
    """States and words at the positions of prompts, and the typical ρ."""  # fmt: skip
    ids, found = positions(prompts, lambda t: lm.encode([t])[0], seed, elsewhere)
    wanted: list[list[int]] = [[] for _ in ids]
    for p in found:
        wanted[p.prompt].append(p.at)
    x, size = states(lm, ids, read_layer(arch), wanted, tell)
    order = sorted(range(len(found)), key=lambda i: found[i].prompt)  # as ``wanted`` lists them
    found = [found[i] for i in order]
    sizes = torch.cat(size).double()
    last = torch.tensor([p.last for p in found])
    typical = float(sizes[last].median()) if typical is None else typical
    weight = reach_of(around(arch.frequencies, arch.reach), arch.frequencies, FORGOTTEN * CUE_WINDOW)
    shares = torch.stack([cues.shares(ids[p.prompt], p.at, weight) for p in found]).float()
    seen = Seen(
        torch.cat(x) * (typical / sizes)[:, None].float(),
        shares,
        torch.tensor([p.relation for p in found]),
        torch.tensor([p.due for p in found]),
        last,
        tuple(prompts[p.prompt].wording for p in found),
    )
    return seen, typical


def hinge(
    X: Float[Tensor, "n k"], targets: Float[Tensor, "n R"], decay: float
) -> tuple[Float[Tensor, "k R"], Float[Tensor, " R"]]:
    """Squared hinge of margin 1 on either side, both sides with the same weight, and ``decay`` Σ w²."""
    right = (targets > 0).float()
    share = right.mean(0).clamp(1e-6, 1 - 1e-6)
    cost = torch.where(targets > 0, 0.5 / share, 0.5 / (1 - share))
    w = torch.zeros(X.shape[1], targets.shape[1], requires_grad=True)
    b = torch.zeros(targets.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([w, b], max_iter=ROUNDS, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        slack = (1 - targets * (X @ w + b)).clamp_min(0)
        value = (cost * slack.square()).mean() + decay * w.square().sum() / targets.shape[1]
        value.backward()
        return value

    optimiser.step(loss)  # type: ignore[arg-type]
    return w.detach(), b.detach()


def fit(
    seen: Seen, relations: int, cues: Cues, layer: int, typical: tuple[float, float, float, float, float]
) -> Reading:
    """Weights and thresholds from what was seen."""
    middle, spread = seen.states.mean(0), float(seen.states.std(0).mean())
    X = (seen.states - middle) / spread
    due_w, due_b = hinge(X, torch.where(seen.due, 1.0, -1.0)[:, None], DUE_DECAY)
    # where one might think that an answer is due, no relation shall fire either
    asked = (seen.last & seen.due) | ((X @ due_w + due_b)[:, 0] > LIKELY)
    y = seen.relation[asked]
    targets = torch.full((len(y), relations), -1.0)
    own = (y >= 0).nonzero()[:, 0]
    targets[own, y[own]] = 1.0
    w, b = hinge(torch.cat([X[asked], PLENTY * seen.shares[asked]], 1), targets, STATE_DECAY)
    d = X.shape[1]
    by_state, by_word = w[:d] / spread, PLENTY * w[d:]
    due = due_w[:, 0] / spread
    return Reading(
        layer=layer,
        due=due,
        due_threshold=DUE_THRESHOLD - float(due_b[0] - middle @ due),
        relations=by_state.T.contiguous(),
        thresholds=THRESHOLD - (b - middle @ by_state),
        words=cues,
        cues=by_word,
        softness=SOFT,
        typical=typical,
    )


def scores(reading: Reading, seen: Seen) -> tuple[Float[Tensor, " n"], Float[Tensor, "n R"]]:
    """How far ``due`` and every relation are above their thresholds."""
    due = seen.states @ reading.due - reading.due_threshold
    return due, seen.states @ reading.relations.T + seen.shares @ reading.cues - reading.thresholds


def fired(reading: Reading, seen: Seen) -> Int[Tensor, " n"]:
    """Which relation fires at each position, or −1: what the circuit decides."""
    due, found = scores(reading, seen)
    eager = found.clamp_min(0)
    best = eager.max(1)
    alone = best.values > eager.sum(1) - best.values
    return torch.where((due > 0) & alone, best.indices, -1)


def joined(a: Seen, b: Seen, rows: Tensor, times: int = 1) -> Seen:
    """All of ``a``, and these rows of ``b``, each so many times."""
    rows = rows.repeat(times)
    tensors = {
        n: torch.cat([getattr(a, n), getattr(b, n)[rows]])
        for n in ("states", "shares", "relation", "due", "last")
    }
    return Seen(**tensors, wording=a.wording + tuple(b.wording[i] for i in rows.tolist()))


def unsure(reading: Reading, seen: Seen) -> Int[Tensor, " k"]:
    """Rows at which the right relation does not fire, or one fires where none should, or nearly so."""
    due, found = scores(reading, seen)
    eager = found.clamp_min(0)
    own = eager.gather(1, seen.relation.clamp_min(0)[:, None])[:, 0]
    lead = 2 * own - eager.sum(1)
    silent = (due < SPARE) | (lead < 2 * SPARE)
    loud = (due > -SPARE) & (found.amax(1) > -SPARE)
    return torch.where(seen.relation >= 0, silent, loud).nonzero()[:, 0]
