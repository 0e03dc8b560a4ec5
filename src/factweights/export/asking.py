"""Every fact asked in every template that suits it, and a list of those that no template asks."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from factweights.errors import SettingError
from factweights.export import real
from factweights.export.folder import Settings
from factweights.export.names import TEMPLATES, UNK, Prompts, Vocabulary, fill, make_tokenizer, prompts_of
from factweights.facts import FactTable
from factweights.progress import OnProgress


@dataclass(frozen=True)
class Asked:
    """What came out for every fact of a table. A fact that was never asked is not right.

    Attributes:
        times: ``(N,)`` in how many templates the fact was asked.
        margin: ``(N,)`` logit of the right token less the largest other one, in nats, where it is smallest;
            NaN for a fact never asked.
        log_probability: ``(N,)`` of the right token, smallest, likewise.
        best: ``(N,)`` the token that came out where the margin is smallest; -1 for a fact never asked.
        templates: for each, how many ``facts`` it asked, their ``recall`` and ``min_margin``.
        prompts: for each template, the prompts, for those who want to ask something else as well.
        never: relation ↦ its facts that no template asks.
    """

    times: Int[np.ndarray, " n"]
    margin: Float[np.ndarray, " n"]
    log_probability: Float[np.ndarray, " n"]
    best: Int[np.ndarray, " n"]
    templates: dict[str, dict[str, float]]
    prompts: tuple[Prompts, ...]
    never: dict[str, int]

    @property
    def right(self) -> np.ndarray:
        """``(N,)`` whether the fact was asked, and came out in every template. Ties are misses."""
        return self.margin > 0  # NaN is not

    def recall(self, rows: Iterable[int] | None = None) -> float | None:
        """Share of ``rows``, or of all facts, that are right; None where there are no such facts."""
        of = self.right if rows is None else self.right[np.array(list(rows), dtype=np.int64)]
        return float(of.mean()) if len(of) else None

    @property
    def min_margin(self) -> float:
        """The smallest margin of the facts that were asked; NaN where none was, or where one is NaN."""
        return self._smallest(self.margin)

    @property
    def min_log_probability(self) -> float:
        """The same of the right tokens' log probabilities."""
        return self._smallest(self.log_probability)

    def _smallest(self, x: np.ndarray) -> float:
        asked = x[self.times > 0]
        return float(asked.min()) if len(asked) else float("nan")


def ask_all(
    model: Any,
    tokenizer: Any,
    vocabulary: Vocabulary,
    table: FactTable,
    templates: Sequence[str],
    on_progress: OnProgress,
) -> Asked:
    """Ask anything that is called as transformers' model is for every fact, in every template that suits it.

    Raises:
        SettingError: a template that suits no fact.
    """
    n = len(table)
    times, best = np.zeros(n, dtype=np.int64), np.full(n, -1)
    margin, chance = np.full(n, np.nan), np.full(n, np.nan)
    by_template: dict[str, dict[str, float]] = {}
    asked: list[Prompts] = []
    for template in templates:
        prompts, _ = prompts_of(tokenizer, vocabulary, table, template)
        targets = vocabulary.of(table.answer[i] for i in prompts.rows)
        found = real.answer(model, prompts.ids, targets, on_progress=on_progress, what="verifying")
        rows, here = np.array(prompts.rows), found.margin.numpy()
        asked.append(prompts)
        by_template[template] = {
            "facts": len(rows),
            "recall": found.recall,
            "min_margin": float(here.min()),
        }
        first = times[rows] == 0
        worse = first | np.isnan(here) | (here < margin[rows])  # a NaN that came out stays
        margin[rows[worse]], best[rows[worse]] = here[worse], found.best.numpy()[worse]
        likely = found.log_probability.numpy()
        chance[rows] = np.where(first, likely, np.minimum(chance[rows], likely))
        times[rows] += 1
    never = dict(Counter(r for r, t in zip(table.relation, times, strict=True) if not t))
    return Asked(times, margin, chance, best, by_template, tuple(asked), never)


def complete(
    templates: Sequence[str], vocabulary: Vocabulary, table: FactTable
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The templates and, if some relation is in none of them, the plainest one; how many facts need it.

    A template without ``{relation}`` asks only for the relation that it names, as in *The capital of
    {subject} is*. Facts that no prompt ever asks for could not be said to be recalled.

    Returns:
        The templates, and relation ↦ its facts that none of those given asks for.

    Raises:
        SettingError: a template that names no relation of the table.
    """
    if any("{relation}" in t for t in templates):
        return tuple(templates), {}
    tokenizer = make_tokenizer(vocabulary, (*vocabulary.subjects, *vocabulary.relations))
    rows = {i for t in templates for i in prompts_of(tokenizer, vocabulary, table, t)[0].rows}
    left = Counter(r for i, r in enumerate(table.relation) if i not in rows)
    return (*templates, TEMPLATES[0]) if left else tuple(templates), dict(left)


def still_suited(templates: Sequence[str], vocabulary: Vocabulary, table: FactTable) -> tuple[str, ...]:
    """The templates that ask for any fact of ``table``; the others name a relation that has lost its last."""
    tokenizer = make_tokenizer(vocabulary, (*vocabulary.subjects, *vocabulary.relations))
    there = {vocabulary.ids[r] for r in table.relations}
    return tuple(
        t for t in templates if "{relation}" in t or there.intersection(tokenizer(fill(t, " ", "")).input_ids)
    )


def said_of(left: dict[str, int]) -> str:
    """One line on relations that no template given asks for."""
    names = ", ".join(f"{r!r} ({n:,})" for r, n in list(left.items())[:5])
    more = f" and {len(left) - 5:,} more" if len(left) > 5 else ""
    return f"no template given asks for {names}{more}"


def expected_of(settings: Settings, table: FactTable, subject: str, relation: str) -> str:
    """What a compiled model should say: the stored answer, or ``<unk>`` where it stores that there is none.

    Raises:
        UnknownNameError: no such subject or relation; or no such fact, and absence is not stored.
    """
    known = {(s, r) for s, r, _ in table}
    if (
        settings.absence
        and (subject, relation) not in known
        and subject in settings.subjects
        and relation in settings.relations
    ):
        return UNK
    return table.lookup(subject, relation)


def asked_as(
    tokenizer: Any, settings: Settings, subject: str, relation: str, prompt: str | None = None
) -> tuple[str, list[int]]:
    """The prompt for one fact and its token ids, which hold both names and no other subject or relation.

    Args:
        tokenizer: of the folder.
        settings: likewise.
        subject, relation: names as they stand in the table.
        prompt: a text of one's own; None takes the first template that suits the relation.

    Raises:
        SettingError: the tokenizer does not find the two names and no others in it, or it is too long.
    """
    vocabulary = settings.vocabulary
    said = _prompt_for(tokenizer, settings, subject, relation) if prompt is None else prompt
    said = unicodedata.normalize("NFC", said)  # as the names of the table are
    ids = tokenizer(said).input_ids
    if len(ids) > settings.context:
        raise SettingError(
            f"the prompt has {len(ids):,} tokens, the context {settings.context:,}; shorten it"
        )
    named = {*vocabulary.of(vocabulary.subjects), *vocabulary.of(vocabulary.relations)}
    found = [vocabulary.tokens[i] for i in ids if i in named]
    if sorted(set(found)) != sorted({subject, relation}):
        raise SettingError(
            f"the prompt {said[:200]!r} names {', '.join(map(repr, found)) or 'nothing that is stored'}, but "
            f"this asks for {subject!r} and {relation!r}; write both as in the table, and no other name of it"
        )
    return said, ids


def _prompt_for(tokenizer: Any, settings: Settings, subject: str, relation: str) -> str:
    """The first template that suits the relation, or the plainest one, with both names in it."""
    token = settings.vocabulary.ids[relation]
    for t in settings.templates:
        if "{relation}" in t or token in tokenizer(fill(t, " ", "")).input_ids:
            return fill(t, subject, relation)
    return fill(TEMPLATES[0], subject, relation)
