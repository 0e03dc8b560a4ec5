"""Questions without answers: which subject and which relation, from a file or as people write them."""

from collections.abc import Iterable
from pathlib import Path

from factweights.errors import FactsError, UnknownNameError
from factweights.facts.cells import text
from factweights.facts.readers import read_sheet

Pair = tuple[str, str]
ROLES = ("subject", "relation")


def read_questions(path: str | Path, encoding: str | None = None) -> list[Pair]:
    """The pairs in the columns ``subject`` and ``relation`` of a table; other columns are not looked at.

    Raises:
        UnknownNameError: there is no such column, with the nearest; others as of :func:`read_sheet`.
        FactsError: no rows, or an empty cell.
    """
    sheet = read_sheet(path, encoding)
    if missing := [role for role in ROLES if role not in sheet.header]:
        raise UnknownNameError("column", missing[0], sheet.header, f"(it has {', '.join(sheet.header)})")
    subjects, relations = (sheet.texts(sheet.header.index(role)) for role in ROLES)
    pairs = [(text(s), text(r)) for s, r in zip(subjects, relations, strict=True)]
    if not pairs:
        raise FactsError(f"{path} asks nothing; give it rows under subject and relation")
    for number, pair in zip(sheet.numbers, pairs, strict=True):
        if not all(pair):
            raise FactsError(f"{path}, {sheet.unit} {number}: an empty cell; give a subject and a relation")
    return pairs


class Spelling:
    """Names as they are stored, found whatever their case.

    Args:
        known: all pairs that are stored.
    """

    def __init__(self, known: Iterable[Pair]) -> None:
        self._known: dict[Pair, list[Pair]] = {}
        for pair in known:
            self._known.setdefault(_folded(pair), []).append(pair)

    def of(self, subject: str, relation: str) -> Pair:
        """The stored pair that is spelt so; as it stands if it is stored, or if none is like it.

        Raises:
            FactsError: several are spelt so in another case.
        """
        pair = text(subject), text(relation)
        found = self._known.get(_folded(pair), [pair])
        if pair in found:
            return pair
        if len(found) > 1:
            said = ", ".join(f"{s}, {r}" for s, r in found[:4])
            raise FactsError(f"{subject!r}, {relation!r} may be {said}; give one as it stands there")
        return found[0]


def _folded(pair: Pair) -> Pair:
    return pair[0].casefold(), pair[1].casefold()
