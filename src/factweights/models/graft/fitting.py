"""Fit what is read: states of prompts, words of prompts, and a hinge."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2
from torch import Tensor

from factweights.models.graft.architecture import Architecture
from factweights.models.graft.circuit import DECIDING
from factweights.models.graft.cues import Cues, reach_of
from factweights.models.graft.prompts import ASIDE, Prompt
from factweights.models.graft.reading import Reading
from factweights.models.graft.space import OTHERS
from factweights.models.graft.turns import CUE_WINDOW, FORGOTTEN, around
from factweights.models.seam import LanguageModel, fork
from factweights.progress import OnProgress, Progress, silent

DEPTHS = (0.6, 0.75, 0.87)  # of the model, where relations are read
ELSEWHERE = 4  # other positions of each prompt that are shown as "nothing is due here"
TOKENS = 2048  # of one batch
PLENTY = 10.0  # how much louder words are than states, in standard deviations
STATE_DECAY, DUE_DECAY = 0.1, 0.03  # weight of Σ w²
THRESHOLD, DUE_THRESHOLD, OTHER_THRESHOLD = -0.2, -0.3, 0.6  # of a margin of 1 on both sides
LIKELY = -0.8  # score of an answer being due from which a position takes part in the fit of relations
SPARE = 0.2  # by which a fact's own prompt shall be above the thresholds
AGAIN, TIMES = 6, 3  # rounds in which such prompts are added to the fit; each counts TIMES^round
SOFT = 0.1  # half-width of the step between silence and firing, in units
ROUNDS = 150  # of L-BFGS
NAMED = 10  # tokens behind a relation's name within which running text may ask for it


@dataclass(frozen=True)
class Seen:
    """What is read at some positions of prompts.

    Attributes:
        states: ``(n, L, d)`` after the norms, times typical / ρ.
        shares: ``(n, words)`` of words within the window.
        relation: ``(n,)`` number of the relation asked there, or −1.
        due: ``(n,)`` whether an answer is due.
        last: ``(n,)`` whether it is a prompt's last position.
        wording: of the prompt.
    """

    states: Float[Tensor, "n L d"]
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


def read_layers(arch: Architecture) -> tuple[int, ...]:
    """Which layers are read; those that decide follow them."""
    last = arch.layers - DECIDING - 1
    return tuple(sorted({max(0, min(round(depth * arch.layers), last)) for depth in DEPTHS}))


@dataclass(frozen=True)
class Text:
    """Tokens of a prompt, behind ``shared`` ones that many prompts have before them.

    Attributes:
        shared: its tokens, () for none.
        ids: the others.
    """

    shared: tuple[int, ...]
    ids: list[int]

    @property
    def whole(self) -> list[int]:
        """All tokens."""
        return [*self.shared, *self.ids]


def positions(
    prompts: Sequence[Prompt],
    encode: Callable[[str], list[int]],
    seed: int,
    elsewhere: int = ELSEWHERE,
    sure: frozenset[int] = frozenset(),
) -> tuple[list[Text], list[Position]]:
    """Tokens of every prompt with its tail, and where they are read, counted from the whole text's beginning.

    The last position asks. Earlier ones ask nothing, except the two before the last, of which one cannot
    tell. Behind the prompt, within the answer, nothing is asked. In running text nothing is asked anywhere,
    except that close behind one of the ``sure`` tokens one cannot tell.
    """
    rng = np.random.default_rng(seed)
    texts, found = [], []
    shared = {p.shared: tuple(encode(p.shared)) for p in prompts if p.shared}
    for number, p in enumerate(prompts):
        asked = encode(p.shared + p.text)
        whole = encode(p.shared + p.text + p.tail) if p.tail else asked
        before = shared.get(p.shared, ())
        before = before if tuple(whole[: len(before)]) == before else ()
        begins = len(encode(p.shared + p.text[: p.begins])) if p.begins or p.shared else 1
        end = len(asked) - 1
        if p.story:
            texts.append(Text((), asked))
            named = [at for at, i in enumerate(asked) if i in sure]
            found += [
                Position(number, at, -1, due=False, last=False)
                for at in range(begins, len(asked))
                if not any(n <= at < n + NAMED for n in named)
            ]
            continue
        due = not (p.relation < 0 and p.wording in ASIDE["nothing"])
        found.append(Position(number, end, p.relation, due, last=True))
        room = list(range(max(begins, len(before)), end - 2))
        for at in rng.choice(room, min(elsewhere, len(room)), replace=False) if room else ():
            found.append(Position(number, int(at), -1, due=False, last=False))
        same = whole[: len(asked)] == asked
        found += [
            Position(number, at, -1, due=False, last=False) for at in range(len(asked), len(whole)) if same
        ]
        texts.append(Text(before, whole[len(before) :]))
    return texts, found


class _EnoughError(Exception):
    """The layers behind are not needed."""


@torch.no_grad()
def states(
    lm: LanguageModel,
    texts: Sequence[Text],
    layers: Sequence[int],
    wanted: Sequence[Sequence[int]],
    on_progress: OnProgress = silent,
) -> tuple[list[Tensor], list[Tensor]]:
    """For each text, the normed inputs of MLPs at some positions ``(k, L, d)``, and ρ there ``(k, L)``."""
    seen: dict[int, tuple[Tensor, Tensor]] = {}

    def keep(layer: int) -> Callable[[object, tuple[Tensor, ...], Tensor], None]:
        def hook(_: object, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[layer] = output, inputs[0].float().square().mean(-1).sqrt()
            if layer == layers[-1]:
                raise _EnoughError

        return hook

    body = lm.model.model
    x: list[Tensor] = [torch.empty(0)] * len(texts)
    size = list(x)
    done = 0
    pasts: dict[tuple[int, ...], Any] = {}
    if lm.caches:
        for shared in {t.shared for t in texts if t.shared}:
            ids = torch.tensor([shared], device=lm.device)
            pasts[shared] = body(input_ids=ids, use_cache=True).past_key_values
    hooks = [body.layers[i].post_attention_layernorm.register_forward_hook(keep(i)) for i in layers]
    try:
        for batch in _batches(texts, bool(pasts)):
            shared = texts[batch[0]].shared if pasts else ()
            rows = [texts[i].ids if pasts else texts[i].whole for i in batch]
            padded = torch.zeros(len(batch), max(map(len, rows)), dtype=torch.int64)
            for row, ids in enumerate(rows):
                padded[row, : len(ids)] = torch.tensor(ids)  # later tokens change nothing before them
            more: dict[str, Any] = {"use_cache": False}
            if shared:
                repeated = torch.zeros(len(batch), dtype=torch.int64, device=lm.device)
                more = {"past_key_values": fork(pasts[shared], repeated), "use_cache": True}
            with contextlib.suppress(_EnoughError):
                body(input_ids=padded.to(lm.device), **more)
            for row, i in enumerate(batch):
                at = torch.tensor(list(wanted[i]), dtype=torch.int64) - len(shared)
                x[i] = torch.stack([seen[n][0][row, at].float().cpu() for n in layers], 1)
                size[i] = torch.stack([seen[n][1][row, at].cpu() for n in layers], 1)
            done += len(batch)
            on_progress(
                Progress(done, len(texts), f"reading the model's states: {done:,} of {len(texts):,} prompts")
            )
    finally:
        for hook in hooks:
            hook.remove()
    return x, size


def _batches(texts: Sequence[Text], apart: bool) -> Iterator[list[int]]:
    """Numbers of texts of about one length, with the same shared tokens where these are kept apart."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, t in enumerate(texts):
        groups.setdefault(t.shared if apart else (), []).append(i)
    for shared in sorted(groups):
        order = sorted(groups[shared], key=lambda i: len(texts[i].ids if apart else texts[i].whole))
        at = 0
        while at < len(order):
            longest = texts[order[min(at + 15, len(order) - 1)]]
            length = len(longest.ids if apart else longest.whole) + len(shared) // 8
            rows = max(1, TOKENS // max(1, length))
            yield order[at : at + rows]
            at += rows


def see(
    lm: LanguageModel,
    arch: Architecture,
    prompts: Sequence[Prompt],
    cues: Cues,
    *,
    typical: tuple[float, ...] | None = None,
    elsewhere: int = ELSEWHERE,
    sure: frozenset[int] = frozenset(),
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> tuple[Seen, tuple[float, ...]]:
    """States and words at the positions of prompts, and the typical ρ of every layer that is read."""
    texts, found = positions(prompts, lambda t: lm.encode([t])[0], seed, elsewhere, sure)
    wanted: list[list[int]] = [[] for _ in texts]
    for p in found:
        wanted[p.prompt].append(p.at)
    x, size = states(lm, texts, read_layers(arch), wanted, on_progress)
    order = sorted(range(len(found)), key=lambda i: found[i].prompt)  # as ``wanted`` lists them
    found = [found[i] for i in order]
    sizes = torch.cat([s for s in size if len(s)])  # (n, L)
    last = torch.tensor([p.last for p in found])
    if typical is None:
        typical = tuple(sizes[last].double().median(0).values.tolist())
    weight = reach_of(around(arch.frequencies, arch.reach), arch.frequencies, FORGOTTEN * CUE_WINDOW)
    whole = [t.whole for t in texts]
    shares = torch.stack([cues.shares(whole[p.prompt], p.at, weight) for p in found]).float()
    scale = torch.tensor(typical) / sizes
    seen = Seen(
        torch.cat([t for t in x if len(t)]) * scale[..., None],
        shares,
        torch.tensor([p.relation for p in found]),
        torch.tensor([p.due for p in found]),
        last,
        tuple(prompts[p.prompt].wording for p in found),
    )
    return seen, typical


Weights = tuple[Tensor, Tensor]  # (k, R) and (R,)


def hinge(
    X: Float[Tensor, "n k"], targets: Float[Tensor, "n R"], decay: float, start: Weights | None = None
) -> Weights:
    """Squared hinge of margin 1 on either side, both sides with the same weight, and ``decay`` Σ w²."""
    right = (targets > 0).float()
    share = right.mean(0).clamp(1e-6, 1 - 1e-6)
    cost = torch.where(targets > 0, 0.5 / share, 0.5 / (1 - share))
    w, b = start or (torch.zeros(X.shape[1], targets.shape[1]), torch.zeros(targets.shape[1]))
    w, b = w.clone().requires_grad_(), b.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([w, b], max_iter=ROUNDS, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        slack = (1 - targets * (X @ w + b)).clamp_min(0)
        value = (cost * slack.square()).mean() + decay * w.square().sum() / targets.shape[1]
        value.backward()
        return value

    optimiser.step(loss)  # type: ignore[arg-type]
    return w.detach(), b.detach()


@dataclass(frozen=True)
class Start:
    """What one fit found, of every layer, for the next one to start from."""

    dues: Sequence[Weights | None]
    classes: Sequence[Weights | None]


def fit(
    seen: Seen,
    relations: int,
    cues: Cues,
    layers: tuple[int, ...],
    typical: tuple[float, ...],
    others: int = OTHERS,
    start: Start | None = None,
) -> tuple[Reading, Start]:
    """Weights and thresholds from what was seen, and what another fit may start from.

    Each layer is fitted by itself, and their scores are averaged: fitted together they would agree on the
    prompts and share their mistakes. Questions about other things are sorted into ``others`` kinds, which
    compete with the relations.
    """
    n_layers, d = seen.states.shape[1:]
    middle, spread = seen.states.mean(0), seen.states.std(0) + 1e-6  # (L, d)
    X = (seen.states - middle) / spread
    right = torch.where(seen.due, 1.0, -1.0)[:, None]
    begun = start or Start([None] * n_layers, [None] * n_layers)
    dues = [hinge(X[:, j], right, DUE_DECAY, begun.dues[j]) for j in range(n_layers)]
    due_w = torch.stack([w[:, 0] for w, _ in dues]) / n_layers  # (L, d)
    due_b = sum(float(b[0]) for _, b in dues) / n_layers
    # where one might think that an answer is due, no relation shall fire either
    asked = (seen.last & seen.due) | (torch.einsum("nld,ld->n", X, due_w) + due_b > LIKELY)
    y = seen.relation[asked].clone()
    strange = seen.last[asked] & (y < 0)
    y[strange] = relations + kinds(X[asked][strange].flatten(1), others)
    targets = torch.full((len(y), relations + others), -1.0)
    own = (y >= 0).nonzero()[:, 0]
    targets[own, y[own]] = 1.0
    words = PLENTY * seen.shares[asked]
    fits = [
        hinge(torch.cat([X[asked, j], words], 1), targets, STATE_DECAY, begun.classes[j])
        for j in range(n_layers)
    ]
    w = torch.stack([w for w, _ in fits]) / n_layers  # (L, d + words, c)
    by_state = w[:, :d] / spread[..., None]
    due = due_w / spread
    goal = torch.tensor([THRESHOLD] * relations + [OTHER_THRESHOLD] * others)
    intercept = torch.stack([b for _, b in fits]).mean(0) - torch.einsum("ld,ldc->c", middle, by_state)
    reading = Reading(
        layers=layers,
        due=due,
        due_threshold=DUE_THRESHOLD - (due_b - float((middle * due).sum())),
        relations=by_state.transpose(1, 2).contiguous(),
        thresholds=goal - intercept,
        words=cues,
        cues=PLENTY * w[:, d:].sum(0),
        others=others,
        softness=SOFT,
        typical=typical,
    )
    return reading, Start(list(dues), list(fits))


def kinds(X: Float[Tensor, "n k"], n: int) -> Int[Tensor, " n"]:
    """A kind for every row, by k-means."""
    if len(X) < n or n < 2:
        return torch.zeros(len(X), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty kind is no harm
        _, label = kmeans2(X.double().numpy(), n, iter=30, minit="++", seed=0)  # pyright: ignore[reportCallIssue]
    return torch.from_numpy(label).long()


def scores(reading: Reading, seen: Seen) -> tuple[Float[Tensor, " n"], Float[Tensor, "n c"]]:
    """How far ``due`` and every class are above their thresholds."""
    due = torch.einsum("nld,ld->n", seen.states, reading.due) - reading.due_threshold
    by_state = torch.einsum("nld,lcd->nc", seen.states, reading.relations)
    return due, by_state + seen.shares @ reading.cues - reading.thresholds


def fired(reading: Reading, seen: Seen) -> Int[Tensor, " n"]:
    """Which relation fires at each position, or −1: what the circuit decides."""
    due, found = scores(reading, seen)
    eager = found.clamp_min(0)
    best = eager[:, : reading.real].max(1)
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
    loud = (due > -SPARE) & (found[:, : reading.real].amax(1) > -SPARE)
    return torch.where(seen.relation >= 0, silent, loud).nonzero()[:, 0]
