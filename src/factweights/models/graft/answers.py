"""How answers are spelt in tokens, and the direction of the hidden state that says a token."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import SettingError
from factweights.models.graft.architecture import NotGraftableError

Stop = Literal[".", "newline", "eos", "none"]
STOPS = (".", "newline", "eos", "none")

BLOCK = 256  # tokens whose directions are found at once
RIVALS = 96  # tokens that a direction is bent away from
ROUNDS = 3  # times the rivals are looked up anew
STEPS = 60  # of the search for a direction; chosen, not tuned
LISTED = 5  # tokens in an error


@dataclass(frozen=True)
class Answers:
    """Every answer once, sorted, with its tokens and the stop.

    Attributes:
        texts: the answers.
        ids: for each, its tokens behind a prompt, then the stop's if there is one.
        stop: the stop's token, or None.
    """

    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    stop: int | None

    @cached_property
    def number(self) -> Mapping[str, int]:
        """Answer ↦ its number."""
        return {a: i for i, a in enumerate(self.texts)}

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """Every token that is to be said, sorted."""
        return tuple(sorted({t for ids in self.ids for t in ids}))

    @cached_property
    def places(self) -> tuple[int, ...]:
        """For each place, from the first token on, how many answers have a token there."""
        longest = max(map(len, self.ids))
        return tuple(sum(len(ids) > j for ids in self.ids) for j in range(longest))


def spell_answers(tokenizer: Any, answers: Iterable[str], stop: Stop) -> Answers:
    """Tokenise answers as they stand behind a word and a space.

    Raises:
        SettingError: a stop that there is not, or ``eos`` with a tokenizer that has none.
        NotGraftableError: an answer without tokens.
    """
    texts = tuple(sorted(set(answers)))
    last = _stop(tokenizer, stop)
    ids = []
    for text in texts:
        found = _behind(tokenizer, text)
        if not found:
            raise NotGraftableError(
                f"the tokenizer has no tokens for the answer {text!r}; rename or leave it out"
            )
        ids.append(found if last is None else (*found, last))
    return Answers(texts, tuple(ids), last)


def _behind(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Tokens of ``text`` behind "is ": all that begin at or after the space."""
    before = "is"
    found = tokenizer(f"{before} {text}", add_special_tokens=False, return_offsets_mapping=True)
    pairs = zip(found.input_ids, found.offset_mapping, strict=True)
    return tuple(i for i, (a, b) in pairs if b > len(before) and a >= len(before) and b > a)


def _stop(tokenizer: Any, stop: str) -> int | None:
    if stop not in STOPS:
        raise SettingError(f"stop is one of {', '.join(STOPS)}; got {stop!r}")
    if stop == "none":
        return None
    if stop == "eos":
        if tokenizer.eos_token_id is None:
            raise SettingError("the tokenizer has no end-of-text token; choose another stop")
        return int(tokenizer.eos_token_id)
    text = "\n" if stop == "newline" else stop
    found = tokenizer(f"a{text}", add_special_tokens=False, return_offsets_mapping=True)
    for i, (a, b) in zip(found.input_ids, found.offset_mapping, strict=True):
        if a == 1 and b == 2:
            return int(i)
    raise SettingError(f"the tokenizer has no token of its own for the stop {text!r}; choose another stop")


@dataclass(frozen=True)
class Directions:
    """Unit vectors of the hidden state that say a token.

    Attributes:
        row: token ↦ row of ``vectors``.
        vectors: ``(n, d)``, each of length 1.
        margins: ``(n,)`` logit of the token less the largest other one, where the state is the vector alone,
            in nats.
    """

    row: Mapping[int, int]
    vectors: Float[Tensor, "n d"]
    margins: Float[Tensor, " n"]

    def of(self, token: int) -> Float[Tensor, " d"]:
        """The vector that says ``token``."""
        return self.vectors[self.row[token]]


@torch.no_grad()
def directions(
    unembedding: Float[Tensor, "v d"], norm: Float[Tensor, " d"], tokens: Iterable[int]
) -> Directions:
    """The direction with the widest margin over every other token, for each of ``tokens``.

    With G the unembedding times the final norm's weights, the state √d u has the logits √d G u. The widest
    margin is a small convex problem for each token; it is solved among the rivals that the last round found.

    Raises:
        NotGraftableError: tokens that no direction of the hidden state says.
    """
    chosen = tuple(dict.fromkeys(tokens))
    G = unembedding.float() * norm.float()
    middle = G.mean(0)
    spread = (G - middle).T @ (G - middle) / len(G)
    spread += 0.05 * spread.diagonal().mean() * torch.eye(len(spread))
    start = torch.linalg.solve(spread, (G[list(chosen)] - middle).T).T
    blocks = [
        _widest(G, torch.tensor(chosen[i : i + BLOCK]), start[i : i + BLOCK])
        for i in range(0, len(chosen), BLOCK)
    ]
    vectors, margins = torch.cat([v for v, _ in blocks]), torch.cat([m for _, m in blocks])
    if bad := [chosen[i] for i in (~(margins > 0)).nonzero()[:LISTED, 0].tolist()]:
        raise NotGraftableError(
            f"no state of the model says the tokens {bad}; leave out answers that hold them"
        )
    return Directions({t: i for i, t in enumerate(chosen)}, vectors, margins)


def _widest(
    G: Float[Tensor, "v d"], tokens: Tensor, start: Float[Tensor, "b d"]
) -> tuple[Float[Tensor, "b d"], Float[Tensor, " b"]]:
    """Rivals by a full pass, then the widest margin against them, a few times; the best seen is kept."""
    length = G.shape[1] ** 0.5
    u = start / start.norm(dim=1, keepdim=True)
    best, width = u.clone(), torch.full((len(u),), -torch.inf)
    for step in range(ROUNDS + 1):
        logits = u @ G.T  # (b, v)
        own = logits.gather(1, tokens[:, None])
        logits.scatter_(1, tokens[:, None], -torch.inf)
        top = logits.topk(min(RIVALS, G.shape[0] - 1), dim=1)
        margin = (own[:, 0] - top.values[:, 0]) * length
        better = margin > width
        best[better], width[better] = u[better], margin[better]
        if step < ROUNDS:
            u = _bent(G[tokens][:, None] - G[top.indices], u)
    return best, width


def _bent(apart: Float[Tensor, "b r d"], u: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """Ascend the smallest of ⟨apart, u⟩ / ‖u‖, softened ever less."""
    for i in range(STEPS):
        margins = torch.einsum("brd,bd->br", apart, u)
        scale = margins.std(1, keepdim=True) + 1e-6
        share = (-margins / scale * (2 + 8 * i / STEPS)).softmax(1)
        pull = torch.einsum("br,brd->bd", share, apart)
        pull = pull / (pull.norm(dim=1, keepdim=True) + 1e-12)
        u = u + 0.15 * (1 - i / STEPS) * pull
        u = u / u.norm(dim=1, keepdim=True)
    return u
