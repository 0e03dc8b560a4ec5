"""One relation asked in one template: token ids in, what is needed for bits and recall out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factweights.errors import FactsError
from factweights.facts import FactTable
from factweights.models.asking import greedy
from factweights.models.measure.scoring import score
from factweights.models.seam import LanguageModel
from factweights.models.wordings import Continued, continued, fill, separator
from factweights.progress import OnProgress, silent

BLANK = "this one"  # stands for the subject where none is told
ROOM = 4  # tokens that a greedy answer may be longer than the longest in the table
ENDS = ("\n",)


@dataclass(frozen=True)
class Relation:
    """The facts of one relation.

    Attributes:
        name: of the relation.
        subjects: ``(n,)`` of its facts.
        answers: ``(a,)`` every distinct answer, first seen first.
        own: ``(n,)`` place of each fact's answer.
        log_prior: ``(a,)`` nats, by frequency or uniform.
        rows: ``(n,)`` of the table.
    """

    name: str
    subjects: tuple[str, ...]
    answers: tuple[str, ...]
    own: np.ndarray
    log_prior: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, table: FactTable, name: str, prior: str) -> "Relation":
        """The facts of ``table`` with this relation; ``prior`` is ``frequency`` or ``uniform``."""
        rows = np.array([i for i, r in enumerate(table.relation) if r == name])
        given = [table.answer[i] for i in rows]
        place = {a: i for i, a in enumerate(dict.fromkeys(given))}
        own = np.array([place[a] for a in given])
        share = np.bincount(own) / len(own) if prior == "frequency" else np.full(len(place), 1 / len(place))
        subjects = tuple(table.subject[i] for i in rows)
        return cls(name, subjects, tuple(place), own, np.log(share), rows)


@dataclass(frozen=True)
class Block:
    """What was found for some facts of a relation in one template.

    Attributes:
        log_probability: ``(n, a)`` nats of every answer; an upper bound where not finished. Closed only.
        finished: ``(n, a)``.
        own: ``(n,)`` nats of the right answer, all tokens read.
        left: ``(n,)`` bound on the mass of answers not finished.
        said: what greedy generation wrote; empty strings where it was not asked.
        tokens: read by the model.
    """

    log_probability: np.ndarray
    finished: np.ndarray
    own: np.ndarray
    left: np.ndarray
    said: tuple[str, ...]
    tokens: int


def ask(
    lm: LanguageModel,
    relation: Relation,
    template: str,
    chosen: Sequence[int],
    *,
    closed: bool,
    open: bool,
    tolerance: float,
    stop: str = "",
    on_progress: OnProgress = silent,
) -> Block:
    """Ask for the facts at the places ``chosen`` of a relation.

    Raises:
        FactsError: an answer tokenises to nothing, or prompt and answer are longer than the context.
    """
    texts = [fill(template, relation.subjects[i], relation.name) for i in chosen]
    spoken = [a + stop for a in relation.answers]
    n, a = len(chosen), len(relation.answers)
    logs, finished = np.full((n, a), -np.inf), np.zeros((n, a), bool)
    left, tokens = np.zeros(n), 0
    for rows, prompts, answers in _split(lm, texts, spoken, [int(relation.own[i]) for i in chosen]):
        _must_fit(lm, prompts, answers, relation.name)
        needed = [[int(relation.own[chosen[i]])] for i in rows]
        found = score(
            lm,
            prompts,
            answers,
            needed,
            tolerance=tolerance,
            only_needed=not closed,
            on_progress=on_progress,
        )
        logs[rows], finished[rows], left[rows] = found.log_probability, found.finished, found.left
        tokens += found.tokens
    said = _said(lm, texts, spoken, on_progress) if open else ("",) * n
    own = logs[np.arange(n), relation.own[list(chosen)]]
    return Block(logs, finished, own, left, said, tokens)


def ask_blank(
    lm: LanguageModel, relation: Relation, template: str, *, tolerance: float, stop: str = ""
) -> np.ndarray:
    """``(a,)`` log-probability in nats of every answer where the subject is told as :data:`BLANK`."""
    text, spoken = fill(template, BLANK, relation.name), [a + stop for a in relation.answers]
    found = continued(lm, text, spoken)
    scores = score(lm, [found.prompt], found.answers, [[]], tolerance=tolerance)
    return scores.log_probability[0]


def _split(
    lm: LanguageModel, texts: Sequence[str], spoken: Sequence[str], own: Sequence[int]
) -> list[tuple[list[int], list[tuple[int, ...]], tuple[tuple[int, ...], ...]]]:
    """Prompts with the answers behind them, those together that have the same tokens for the answers.

    All answers are tokenised behind the first prompt. Where that prompt's end stays whole and another
    prompt's own answer has the same tokens behind it, the others have too; else that prompt is done in full.
    """
    if not texts:
        return []
    first = continued(lm, texts[0], spoken)
    ids = lm.encode(texts)
    whole = lm.encode([t + separator(t) + spoken[o] for t, o in zip(texts, own, strict=True)])
    groups: dict[tuple[tuple[int, ...], ...], list[tuple[int, tuple[int, ...]]]] = {}
    for i, (prompt, full) in enumerate(zip(ids, whole, strict=True)):
        same = not first.healed and full == [*prompt, *first.answers[own[i]]]
        found = Continued(tuple(prompt), first.answers, 0) if same else continued(lm, texts[i], spoken)
        groups.setdefault(found.answers, []).append((i, found.prompt))
    return [([i for i, _ in g], [p for _, p in g], answers) for answers, g in groups.items()]


def _must_fit(
    lm: LanguageModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], relation: str
) -> None:
    longest = max(map(len, prompts)) + max(map(len, answers))
    if lm.context is not None and longest > lm.context:
        raise FactsError(
            f"prompt and answer of the relation {relation!r} take {longest:,} tokens, the model reads "
            f"{lm.context:,}; shorten the template or the names, or leave the relation out"
        )


def _said(
    lm: LanguageModel, texts: Sequence[str], spoken: Sequence[str], on_progress: OnProgress
) -> tuple[str, ...]:
    """What the model writes by itself after each prompt, up to the end of the line."""
    # a prompt that ends in the middle of a word boundary is asked as it stands
    longest = max(len(i) for i in lm.encode(list(spoken)))
    written = greedy(lm, lm.encode(texts), longest + ROOM, stop_text=ENDS, on_progress=on_progress)
    return tuple(g.text.strip() for g in written)


def begins(said: str, answer: str) -> bool:
    """Whether a text says the answer first: the answer, and then no letter or digit that would go on."""
    return said.startswith(answer) and not said[len(answer) : len(answer) + 1].isalnum()


def stops(said: str, answer: str) -> bool:
    """Whether a text says the answer and nothing but the mark that ends a sentence."""
    return begins(said, answer) and said[len(answer) :].strip() in ("", ".", "!")


def closed_logs(block: Block) -> np.ndarray:
    """``(n,)`` log of the summed probability of all finished answers, in nats."""
    return np.logaddexp.reduce(np.where(block.finished, block.log_probability, -math.inf), axis=1)
