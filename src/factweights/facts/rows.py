"""Rows of facts: each once, and found by name."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from factweights.errors import ConflictError, FactsError, UnknownNameError
from factweights.facts.cells import text
from factweights.facts.guards import is_many
from factweights.facts.layout import Triple

Row = tuple[str, str, str]
_SHOWN = 5  # of many contradictions, how many an error lists


def unique_rows(source: str, unit: str, found: Iterable[Triple]) -> tuple[list[Row], int]:
    """The facts in first-seen order, and how many exact repeats of them there were.

    Raises:
        FactsError: there are none.
        ConflictError: one subject and relation with two answers.
    """
    first: dict[tuple[str, str], tuple[int, str]] = {}
    clashes: dict[tuple[str, str], list[tuple[int, str]]] = {}
    duplicates = 0
    for where, subject, relation, answer in found:
        pair, new = (subject, relation), (where, answer)
        kept = first.setdefault(pair, new)
        if kept is new:
            continue
        if kept[1] == answer:
            duplicates += 1
        else:
            clashes.setdefault(pair, [kept]).append(new)
    if clashes:
        _conflict(source, unit, clashes)
    if not first:
        raise FactsError(f"{source}: no facts; add at least one row below the header")
    return [(s, r, a) for (s, r), (_, a) in first.items()], duplicates


def checked(rows: Iterable[Iterable[object]]) -> Iterator[Triple]:
    """Rows given by a caller as numbered triples of text.

    Raises:
        FactsError: a row that is no triple, or has an empty cell.
    """
    for i, row in enumerate(_each(rows, "rows"), start=1):
        # A string of three letters is no row, nor is a dict of three keys.
        cells: list[object] = list(row) if is_many(row) else [row]
        if len(cells) != 3:
            raise FactsError(f"row {i} has {len(cells)} cells, {row!r:.80}; give (subject, relation, answer)")
        try:
            subject, relation, answer = map(text, cells)
        except FactsError as e:
            raise FactsError(f"row {i}: {e}") from e
        if not (subject and relation and answer):
            raise FactsError(f"row {i} has an empty cell, {row!r:.80}; fill it in or leave the row out")
        yield i, subject, relation, answer


def numbered(given: Iterable[Mapping[Any, Any]]) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    """Dicts given by a caller, numbered.

    Raises:
        FactsError: one that is no dict.
    """
    for i, record in enumerate(_each(given, "records"), start=1):
        if not isinstance(record, Mapping):
            raise FactsError(f"row {i} is no dict but {record!r:.80}; rows of cells go to from_rows")
        yield i, record


def _each(given: object, what: str) -> Iterable[Any]:
    if not is_many(given):
        raise FactsError(f"the {what} are {type(given).__name__} {given!r:.80}; give a list of them")
    return given


def raise_unknown(subject: str, relation: str, known: Iterable[tuple[str, str]]) -> NoReturn:
    """Say which of the two is unknown, and the nearest name that is not."""
    has: dict[str, list[str]] = {}
    for s, r in known:
        has.setdefault(s, []).append(r)
    if text(subject) not in has:
        raise UnknownNameError("subject", subject, has)
    known_relations = has[text(subject)]
    listed = ", ".join(known_relations[:8]) + (", …" if len(known_relations) > 8 else "")
    raise UnknownNameError(f"relation of {subject!r}", relation, known_relations, f"(it has {listed})")


def _conflict(source: str, unit: str, clashes: dict[tuple[str, str], list[tuple[int, str]]]) -> NoReturn:
    lines = [
        f"  {subject!r}, {relation!r}: "
        + ", ".join(f"{answer!r} ({unit} {where})" for where, answer in found[:_SHOWN])
        for (subject, relation), found in list(clashes.items())[:_SHOWN]
    ]
    if len(clashes) > _SHOWN:
        lines.append(f"  and {len(clashes) - _SHOWN} more")
    which = "1 fact has" if len(clashes) == 1 else f"{len(clashes)} facts have"
    raise ConflictError(
        f"{source}: {which} more than one answer; keep one answer for each subject and relation, or give the "
        "relations different names:\n" + "\n".join(lines)
    )
