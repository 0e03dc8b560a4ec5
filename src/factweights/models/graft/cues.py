"""Words that name a relation, token by token."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from factweights.models.graft.turns import Turn

COMMON = frozenset(  # words that say nothing of a relation
    {
        "a", "about", "after", "an", "and", "answer", "are", "as", "assistant", "at", "be", "been",
        "before", "being", "but", "by", "can", "could", "did", "do", "does", "down", "for", "from", "had",
        "has", "have", "he", "her", "here", "his", "how", "i", "if", "in", "into", "is", "it", "its", "me",
        "my", "name", "no", "not", "of", "on", "one", "or", "our", "out", "over", "please", "question",
        "re", "s", "she", "should", "so", "t", "tell", "than", "that", "the", "their", "them", "then",
        "there", "they", "this", "to", "under", "up", "us", "user", "was", "we", "what", "when", "where",
        "which", "while", "who", "will", "with", "would", "you", "your",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Cues:
    """Which tokens are looked at, and as which word.

    Attributes:
        words: the words, sorted.
        word_of: ``(v,)`` number of the word that a token is, or −1.
    """

    words: tuple[str, ...]
    word_of: Tensor

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """Every token that is one of the words."""
        return tuple((self.word_of >= 0).nonzero()[:, 0].tolist())

    def shares(self, ids: Sequence[int], at: int, weight: Float[Tensor, " n"]) -> Float[Tensor, " w"]:
        """What a head that looks at these words alone brings to position ``at``: each word's share.

        Args:
            ids: tokens of the text.
            at: position.
            weight: e^H(Δ) for Δ = 0, 1, …
        """
        first = max(0, at + 1 - len(weight))
        found = self.word_of[torch.tensor(list(ids[first : at + 1]))].flip(0)  # by distance
        out = torch.zeros(len(self.words), dtype=torch.float64)
        marked = found >= 0
        if marked.any():
            share = weight[: len(found)][marked]
            out.index_add_(0, found[marked], share / (share.sum() + float((~marked).sum())))
        return out


def vocabulary(tokenizer: Any, size: int) -> list[str]:
    """The word that each token is, without case, space and signs; '' for most pieces of words."""
    texts = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    return [_plain(t) for t in texts] + [""] * max(0, size - len(tokenizer))


def _plain(token: str | None) -> str:
    if token is None:
        return ""
    word = re.sub(r"[^\w]", "", token.replace("Ġ", "").replace("Ċ", "").replace("▁", "")).casefold()
    return word if len(word) > 1 else ""


def find_cues(
    tokenizer: Any, templates: Iterable[str], sure: Iterable[str], general: Iterable[str], size: int
) -> Cues:
    """Content words of ``templates`` that are not in the ``general`` ones; those of ``sure`` in any case."""
    plain = vocabulary(tokenizer, size)
    words = (_words(tokenizer, templates, plain) - _words(tokenizer, general, plain)) | _words(
        tokenizer, sure, plain
    )
    ordered = tuple(sorted(words - COMMON))
    number = {w: i for i, w in enumerate(ordered)}
    return Cues(ordered, torch.tensor([number.get(w, -1) for w in plain]))


def _words(tokenizer: Any, templates: Iterable[str], plain: list[str]) -> set[str]:
    texts = [" " + t.replace("{subject}", " ").replace("{relation}", " ") for t in templates]
    if not texts:
        return set()
    found: set[str] = {plain[i] for ids in tokenizer(texts, add_special_tokens=False).input_ids for i in ids}
    return found - {""}


def reach_of(turn: Turn, frequencies: Sequence[float], distance: int) -> Float[Tensor, " n"]:
    """e^H(Δ) for Δ < ``distance``."""
    return torch.from_numpy(np.exp(turn.score(frequencies, np.arange(distance))))


def token_values(cues: Cues, weights: Mapping[int, Float[Tensor, " w"]] | Float[Tensor, "w R"]) -> Tensor:
    """``(v, R)`` what each token says for each relation."""
    table = torch.cat([weights, torch.zeros(1, weights.shape[1], dtype=weights.dtype)])  # type: ignore[union-attr,list-item]
    return table[cues.word_of]
