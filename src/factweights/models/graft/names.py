"""How subjects are spelt in tokens, and which spelling lies within another."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from factweights.errors import FactsError
from factweights.facts import FactTable
from factweights.models.graft.architecture import NotGraftableError

BEFORE = ("", " ", "the ", "\n", '"', "(", "of ", ": ")  # what may stand before a name
AFTER = ("", "'s", ",", ".", "?", " is", "\n", ":", '"', ")")  # and behind it
LISTED = 5  # pairs of names in an error

Spelling = tuple[int, ...]


@dataclass(frozen=True)
class Names:
    """Every spelling of every subject.

    Attributes:
        subjects: in the order of their numbers, sorted.
        spellings: tokens ↦ number of the subject, in sorted order.
        inside: spelling ↦ the longest other spelling that it ends with; the longer one wins.
    """

    subjects: tuple[str, ...]
    spellings: Mapping[Spelling, int]
    inside: Mapping[Spelling, Spelling]

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """Every token of a name, sorted."""
        return tuple(sorted({t for s in self.spellings for t in s}))

    @cached_property
    def lengths(self) -> dict[int, int]:
        """Tokens of a spelling ↦ how many there are."""
        found: dict[int, int] = {}
        for s in self.spellings:
            found[len(s)] = found.get(len(s), 0) + 1
        return found

    @property
    def nested(self) -> list[tuple[str, str]]:
        """Subjects that lie within a longer one, each with it."""
        pairs = {(self.spellings[short], self.spellings[long]) for long, short in self.inside.items()}
        return sorted((self.subjects[a], self.subjects[b]) for a, b in pairs if a != b)


def spell(
    tokenizer: Any, subjects: Iterable[str], aliases: Mapping[str, Sequence[str]] | None = None
) -> Names:
    """Tokenise every name where it may stand: within a sentence, at its beginning, in quotes, before signs.

    Args:
        tokenizer: a fast one of transformers.
        subjects: their names.
        aliases: subject ↦ other names of it.

    Raises:
        NotGraftableError: two subjects have the same tokens.
    """
    chosen = tuple(sorted(set(subjects)))
    number = {s: i for i, s in enumerate(chosen)}
    owners: dict[Spelling, set[int]] = {}
    for subject in chosen:
        for name in (subject, *(aliases or {}).get(subject, ())):
            for spelling in spellings(tokenizer, name):
                owners.setdefault(spelling, set()).add(number[subject])
    if clash := [sorted(o) for o in owners.values() if len(o) > 1]:
        pairs = sorted({" and ".join(repr(chosen[i]) for i in o) for o in clash})
        raise NotGraftableError(
            f"the tokenizer writes {'; '.join(pairs[:LISTED])} alike, so that no circuit can "
            "tell them apart; rename or leave out one of each, or drop the alias they share"
        )
    if not owners:
        raise NotGraftableError("the tokenizer has no tokens for these names")
    ordered = {s: next(iter(owners[s])) for s in sorted(owners)}
    inside = {s: short for s in ordered if (short := _within(s, ordered)) is not None}
    return Names(chosen, ordered, inside)


def _within(spelling: Spelling, known: Mapping[Spelling, int]) -> Spelling | None:
    return next((spelling[i:] for i in range(1, len(spelling)) if spelling[i:] in known), None)


def spellings(tokenizer: Any, name: str) -> list[Spelling]:
    """The different token sequences of one name; without a space before it only where it begins no word.

    A name that begins with a small letter is not looked for right behind another letter: "iron" is no part of
    "environment". One with a capital may stand anywhere.
    """
    found: dict[Spelling, None] = {}
    texts = [(before, before + name + after) for before in BEFORE for after in AFTER]
    encoded = tokenizer([t for _, t in texts], add_special_tokens=False, return_offsets_mapping=True)
    for (before, _), ids, offsets in zip(texts, encoded.input_ids, encoded.offset_mapping, strict=True):
        start, stop = len(before), len(before) + len(name)
        rows = [i for i, (a, b) in enumerate(offsets) if b > start and a < stop and b > a]
        if not rows or offsets[rows[-1]][1] != stop or offsets[rows[0]][0] < start - 1:
            continue  # a token runs over the name's edge here
        if offsets[rows[0]][0] < start and before and not before[-1].isspace():
            continue
        if name[0].islower() and not before.endswith(" "):
            continue
        found[tuple(ids[i] for i in rows)] = None
    return list(found)


def read_aliases(path: str | Path) -> dict[str, list[str]]:
    """A table with the columns subject and alias.

    Raises:
        FactsError: it has no such columns; others as of ``FactTable.read``.
    """
    sheet = FactTable.read(path, wide=True, columns={"subject": "subject"})
    if sheet.relations != ("alias",):
        raise FactsError(f"{path} must have the columns subject and alias, got {', '.join(sheet.relations)}")
    return aliases_from((s, a) for s, _, a in sheet)


def aliases_from(rows: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """(subject, alias) pairs as a mapping."""
    found: dict[str, list[str]] = {}
    for subject, alias in rows:
        found.setdefault(subject, []).append(alias)
    return found
