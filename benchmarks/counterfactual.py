"""Counterfactual facts of countries, and what a model is asked that was edited to hold them."""

import csv
import pydoc_data.topics
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factweights.models.graft.certificate import SENTENCES
from factweights.models.seam import LanguageModel
from factweights.models.wordings import Wordings

HERE = Path(__file__).resolve().parent.parent
RELATIONS = ("capital", "currency", "phone prefix", "top-level domain", "continent")
LARGEST = 200  # countries that are edited; the others are neighbours at every size
PIECE = 256  # tokens of a piece of ordinary text
MENTIONS = 5  # one token in so many is of text that names edited subjects
# Other questions about the same subjects; nothing is fitted on them, and no relation of the table is asked.
OTHERS = (
    "The tallest building in {subject} was finished in",
    "Tourists who visit {subject} often take photographs of",
    "The national bird of {subject} is the",
    "Children in {subject} start school at the age of",
    "The main airline of {subject} is",
    "The last election in {subject} was won by",
    "The best time of the year to visit {subject} is",
    "The oldest university in {subject} is",
    "Cars in {subject} drive on the",
    "A famous singer from {subject} is",
    "The national holiday of {subject} is celebrated in",
    "The share of people in {subject} who can read is",
    "The forests of {subject} are home to",
    "The first railway in {subject} was built by",
    "People in {subject} live on average until the age of",
    "The electricity in {subject} comes mostly from",
)


@dataclass(frozen=True)
class Questions:
    """What every model is asked, and the texts on which it is compared with the untouched one.

    Attributes:
        facts, paraphrases: prompts with the expected answer.
        neighbours, others: prompts whose continuation must stay.
        ordinary: text, a fifth of it with subjects.
    """

    facts: tuple[tuple[str, str], ...]
    paraphrases: tuple[tuple[str, str], ...]
    neighbours: tuple[str, ...]
    others: tuple[str, ...]
    ordinary: tuple[str, ...]


def countries() -> list[dict[str, str]]:
    """Those of examples/countries.csv of which all five are known."""
    with (HERE / "examples" / "countries.csv").open(encoding="utf-8") as f:
        return [row for row in csv.DictReader(f) if all(row[r] for r in RELATIONS)]


def counterfactual(rows: Sequence[dict[str, str]], rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Each relation's answers shuffled among the subjects, so that as few as possible keep their own."""
    facts = []
    for relation in RELATIONS:
        own = [row[relation] for row in rows]
        order = [int(i) for i in rng.permutation(len(rows))]
        for i in range(len(rows)):
            if own[order[i]] == own[i]:  # trade with somebody for whom it is wrong too
                fit = [
                    j
                    for j in rng.permutation(len(rows))
                    if own[order[i]] != own[j] and own[order[j]] != own[i]
                ]
                if fit:
                    order[i], order[fit[0]] = order[fit[0]], order[i]
        facts += [(row["country"], relation, own[j]) for row, j in zip(rows, order, strict=True)]
    return facts


def held_out() -> dict[str, list[str]]:
    """Wordings that no method sees."""
    found = tomllib.loads((HERE / "tests" / "data" / "graft_held_out.toml").read_text(encoding="utf-8"))
    return {r: found[r] for r in RELATIONS}


def some(rng: np.random.Generator, items: Sequence[Any], n: int) -> tuple[Any, ...]:
    """At most ``n`` of them."""
    return tuple(items[int(i)] for i in rng.permutation(len(items))[:n])


def questions(
    lm: LanguageModel, facts: Sequence[tuple[str, str, str]], strangers: Sequence[str], wordings: Wordings,
    sample: int, tokens: int, seed: int,
) -> Questions:  # fmt: skip
    """Drawn once for each size; every method gets the same."""
    rng = np.random.default_rng(seed)
    subjects = sorted({s for s, _, _ in facts})
    said = [(wordings.of(r)[0].replace("{subject}", s), a) for s, r, a in facts]
    unseen = held_out()
    para = [(t.replace("{subject}", s), a) for s, r, a in facts for t in unseen[r]]
    near = [wordings.of(r)[0].replace("{subject}", s) for s in strangers for r in RELATIONS]
    near += [t.replace("{subject}", s) for s in strangers for r in RELATIONS for t in unseen[r]]
    other = [t.replace("{subject}", s) for s in subjects for t in OTHERS]
    return Questions(
        some(rng, said, sample),
        some(rng, para, sample),
        some(rng, near, sample),
        some(rng, other, sample),
        tuple(ordinary(lm, subjects, tokens, rng)),
    )


def prose() -> str:
    """Text that comes with Python."""
    return "\n\n".join(v for _, v in sorted(pydoc_data.topics.topics.items()))


def pieces(lm: LanguageModel, text: str, tokens: int) -> list[str]:
    """The first ``tokens`` of ``text``, cut up."""
    ids = lm.tokenizer(text[: 8 * tokens], add_special_tokens=False).input_ids[:tokens]
    return [lm.decode(ids[i : i + PIECE]) for i in range(0, len(ids), PIECE)]


def ordinary(
    lm: LanguageModel, subjects: Sequence[str], tokens: int, rng: np.random.Generator
) -> Iterator[str]:
    """At least ``tokens`` tokens; a fifth is of sentences that mention subjects."""
    plain = tokens * (MENTIONS - 1) // MENTIONS
    yield from pieces(lm, prose(), plain + PIECE)
    size = 0
    while size < tokens - plain:
        lines = [s.format(*some(rng, subjects, 2)) for s in SENTENCES]
        piece = " ".join(some(rng, lines, len(lines)))
        size += len(lm.encode([piece])[0])
        yield piece


def for_covariance(lm: LanguageModel, tokens: int) -> list[str]:
    """From the other end of the same book: no token of it is compared."""
    return pieces(lm, prose()[len(prose()) // 2 :], tokens)
