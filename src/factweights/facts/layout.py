"""Which column of a sheet means what: long tables, wide ones, triples without a header."""

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from factweights.errors import FactsError, SettingError, UnknownNameError
from factweights.facts.added import by_a_program, labelled, whole, without_added
from factweights.facts.cells import WORDS, missing, nested
from factweights.facts.kinds import Column, known, place
from factweights.facts.reading import Reading
from factweights.facts.roles import ROLES, aliases
from factweights.facts.sheet import Sheet

_MANY = 200  # column names among which misspelt ones are looked for

Triple = tuple[int, str, str, str]


class Facts(NamedTuple):
    """Every fact of a sheet with the number of its row, and how the sheet was read."""

    triples: list[Triple]
    reading: Reading


def triples(sheet: Sheet, *, wide: bool | None = None, columns: Mapping[str, str] | None = None) -> Facts:
    """Every fact of the sheet with the number of its row.

    Args:
        sheet: the cells.
        wide: one row per subject and one column per relation (True), the columns subject, relation and
            answer (False), or whatever the header says (None).
        columns: what the sheet calls ``subject``, ``relation`` and ``answer``, where it is not that: a name,
            a path into nested cells such as ``target.str``, or a number where there is no header.

    Raises:
        FactsError: columns missing or twice there, empty cells where none may be, a header that may mean two
            things.
        UnknownNameError: ``columns`` names a column that is not there.
        SettingError: settings that contradict each other.
    """
    columns = dict(columns or {})
    _must_fit(sheet, wide, columns)
    sheet = without_added(labelled(sheet), {c.strip().casefold() for c in columns.values()})
    found = _find(sheet, columns)
    if not sheet.headed:
        return _by_position(sheet, found)
    if wide:
        return _wide(sheet, found)
    given = {role: found[role] for role in columns}
    if len(found) == len(ROLES) and (given or _plain(sheet, found)):
        return _long(sheet, found)
    if (facts := _known(sheet, given)) is not None:
        return facts
    if (other := aliases(sheet.header)) is not None:
        return _long(sheet, {role: (i, ()) for role, i in other.items()} | given)
    if wide is None and _looks_wide(sheet, found, columns):
        return _wide(sheet, found, guessed=True)
    if len(found) < len(ROLES):
        raise _lacking(sheet, found)
    return _long(sheet, found)


def changes(sheet: Sheet, columns: Mapping[str, str] | None = None) -> Facts:
    """Rows of subject, relation and perhaps an answer; arguments and errors as in :func:`triples`."""
    columns = dict(columns or {})
    _must_fit(sheet, None, columns)
    found = _find(sheet, columns)
    if not found and not sheet.headed and len(sheet.header) == len(ROLES):
        found = {role: (i, ()) for i, role in enumerate(ROLES)}
    if len(found) < len(ROLES) and (other := aliases(sheet.header)) is not None:
        found = {role: (i, ()) for role, i in other.items()}
    if len(found) < len(ROLES):
        lacking = next(role for role in ROLES if role not in found)
        raise FactsError(
            f"{sheet.source} has 0 columns named {lacking!r}, only {_listed(sheet.header)}; a table of "
            f"changes has one each of {', '.join(ROLES)}, and an empty answer removes the fact"
        )
    rows = list(zip(sheet.numbers, *(sheet.texts(*found[role]) for role in ROLES), strict=True))
    for where, subject, relation, _ in rows:
        if not subject or not relation:
            lacking = "relation" if subject else "subject"
            raise FactsError(
                f"{sheet.source}, {sheet.unit} {where}: no {lacking}; fill it in or remove the row"
            )
    names = tuple(_named(sheet, found[role]) for role in ROLES)
    return Facts(rows, _reading(sheet, "long" if sheet.headed else "triples", names, rows))


def _must_fit(sheet: Sheet, wide: bool | None, columns: Mapping[str, object]) -> None:
    if odd := [k for k in columns if k not in ROLES]:
        raise SettingError(
            f"columns names {odd[0]!r}; it says what the file calls subject, relation and answer: "
            f"columns={{'subject': {odd[0]!r}}}"
        )
    if bad := [c for c in columns.values() if not isinstance(c, str)]:
        raise SettingError(f"columns gives {bad[0]!r}; name a column by text")
    if wide and not sheet.headed:
        raise SettingError(
            "a wide table has its relations in the header; leave out wide=True or header=False"
        )
    if wide and (role := next((r for r in ("relation", "answer") if r in columns), None)):
        raise SettingError(f"a wide table has no column of the {role}; leave out wide=True or columns of it")


def _find(sheet: Sheet, columns: dict[str, str]) -> dict[str, Column]:
    """Where every role is that is there."""
    found: dict[str, Column] = {}
    for role in ROLES:
        wanted = columns.get(role, role).strip()
        hits = [i for i, name in enumerate(sheet.header) if name == wanted]
        hits = hits or [i for i, name in enumerate(sheet.header) if name.casefold() == wanted.casefold()]
        if len(hits) > 1:
            raise FactsError(f"{sheet.source} has {len(hits)} columns named {wanted!r}; keep one")
        if hits:
            found[role] = (hits[0], ())
        elif role in columns:
            column = place(sheet, wanted)
            if column is None or not any(not missing(c) for c in sheet.inside(*column)):
                raise UnknownNameError(
                    "column", wanted, sheet.header, f"({sheet.source} has {_listed(sheet.header)})"
                )
            found[role] = column
    return found


def _plain(sheet: Sheet, found: dict[str, Column]) -> bool:
    """Whether the columns hold text, not records of their own."""
    return not sheet.typed or not any(
        nested(c) for column in found.values() for c in sheet.inside(*column)[:1]
    )


# -- long --------------------------------------------------------------------------------------------------


def _long(sheet: Sheet, found: dict[str, Column], layout: Literal["long", "triples"] = "long") -> Facts:
    picked = [found[role] for role in ROLES]
    names = [_named(sheet, column) for column in picked]
    cells = [sheet.texts(*column) for column in picked]
    rows = list(zip(sheet.numbers, *cells, strict=True))
    for where, *row in rows:
        if not all(row):
            empty = names[row.index("")]
            raise FactsError(
                f"{sheet.source}, {sheet.unit} {where}: {empty!r} is empty; fill it in or remove the row"
            )
    return Facts(rows, _reading(sheet, layout, tuple(names), rows))


def _named(sheet: Sheet, column: Column) -> str:
    return ".".join((sheet.header[column[0]], *column[1]))


def _by_position(sheet: Sheet, found: dict[str, Column]) -> Facts:
    """Facts without a header: three columns in their order, or those that are named by their numbers."""
    if not found and len(sheet.header) == len(ROLES):
        found = {role: (i, ()) for i, role in enumerate(ROLES)}
    if len(found) < len(ROLES):
        raise FactsError(
            f"{sheet.source} has {len(sheet.header)} columns and no header; say which are subject, relation "
            "and answer by their numbers: columns={'subject': '1', 'relation': '2', 'answer': '3'}"
        )
    return _long(sheet, found, "triples")


def _known(sheet: Sheet, given: dict[str, Column]) -> Facts | None:
    facts = known(sheet, given)
    if facts is None:
        return None
    rows = list(zip(sheet.numbers, facts.subject, facts.relation, facts.answer, strict=True))
    for where, *row in rows:
        if not all(row):
            empty = facts.columns[row.index("")]
            raise FactsError(
                f"{sheet.source}, {sheet.unit} {where}: {empty!r} is empty; fill it in or remove the record"
            )
    reading = _reading(sheet, "long", facts.columns, rows)
    more = () if f"answer={facts.columns[2]})" in facts.kind.more else (facts.kind.more,)
    notes = (*reading.notes, *filter(None, more))
    return Facts(rows, replace(reading, kind=facts.kind.name, notes=notes))


# -- wide --------------------------------------------------------------------------------------------------


def _looks_wide(sheet: Sheet, found: dict[str, Column], columns: dict[str, str]) -> bool:
    if "relation" in columns or "answer" in columns:
        return False
    names = sheet.header
    if (likely := aliases(names, two=True)) is not None:
        guess = {role: names[i] for role, i in likely.items()}
        raise FactsError(
            f"{sheet.source} has the columns {_listed(names)}, which look like facts under other names; say "
            f"columns={guess} (and 'subject' if it is not called that), or wide=True if each is a relation"
        )
    lower = [n.casefold() for n in names]
    for role in ("relation", "answer"):
        if role in found or difflib.get_close_matches(role, lower[:_MANY], n=1, cutoff=0.8):
            raise _lacking(sheet, found)
    if len(names) < 2:
        return False
    plain = [i for i in range(len(names)) if not _holds_others(sheet, i)]
    if len(plain) == len(ROLES) and "subject" not in found and not _no_facts(sheet, plain[1:]):
        _relations(sheet, plain[0])  # a column without a name is worth saying first
        raise _ask(sheet, [names[i] for i in plain])
    return True


def _no_facts(sheet: Sheet, columns: list[int]) -> bool:
    """Whether the cells say that these are no relations and answers: gaps, or relations that are no text."""
    if not sheet.typed:
        return False
    values = sheet.cells(columns[0])
    return any(missing(v) for i in columns for v in sheet.cells(i)) or any(
        type(v).__name__ not in ("str", "str_") for v in values
    )


def _ask(sheet: Sheet, names: list[str]) -> FactsError:
    a, b, c = (n[:60] for n in names)
    header = "header=False if the first line is a fact as well; " if not sheet.typed else ""
    return FactsError(
        f"{sheet.source} has the three columns {_listed(names)}, which may be facts or relations; say "
        f"{header}columns={{'subject': {a!r}, 'relation': {b!r}, 'answer': {c!r}}} if every "
        f"row is a fact; wide=True if {b!r} and {c!r} are relations of {a!r}"
    )


def _wide(sheet: Sheet, found: dict[str, Column], guessed: bool = False) -> Facts:
    names = sheet.header
    if len(names) < 2:
        raise FactsError(
            f"{sheet.source} has one column, {_listed(names)}; a table has subject, relation and answer, or "
            "one row per subject and one column per relation"
        )
    subject, inside = found.get("subject", (_first_plain(sheet), ()))
    if "subject" not in found:
        _must_be_no_index(sheet, subject)
    relations, notes = _relations(sheet, subject)
    subjects = sheet.texts(subject, inside)
    cells = [sheet.texts(i) for i in relations]
    rows = _wide_rows(sheet, subjects, [names[i] for i in relations], cells)
    if guessed and not sheet.typed and relations:
        _must_have_a_header(sheet, relations[0], cells[0])
    reading = _reading(sheet, "wide", (names[subject],), rows, tuple(names[i] for i in relations))
    return Facts(rows, replace(reading, notes=(*notes, *reading.notes)))


def _first_plain(sheet: Sheet) -> int:
    """The first column that does not hold records."""
    return next((i for i in range(len(sheet.header)) if not _holds_others(sheet, i)), 0)


def _must_be_no_index(sheet: Sheet, subject: int) -> None:
    name = sheet.header[subject]
    if len(sheet.header) > 2 and by_a_program(name) and whole([str(c) for c in sheet.cells(subject)]):
        raise FactsError(
            f"{sheet.source}: the first column, {name!r}, holds whole numbers under no name of its own: row "
            "numbers or subjects? Remove it, or give it a name"
        )


def _relations(sheet: Sheet, subject: int) -> tuple[list[int], list[str]]:
    """The columns that are relations, and what is said of the others."""
    others = [i for i in range(len(sheet.header)) if i != subject]
    inner = {i: None for i in others if _holds_others(sheet, i)}
    kept = [i for i in others if i not in inner]
    for i in kept:
        if by_a_program(sheet.header[i]):
            raise FactsError(
                f"{sheet.source}: column {i + 1} has no name; it would be the name of a relation"
            )
    twice = [name for name, n in Counter(sheet.header[i] for i in kept).items() if n > 1]
    if twice:
        raise FactsError(f"{sheet.source} has two columns named {twice[0]!r}; rename or remove one")
    if not kept:
        raise FactsError(f"{sheet.source} has no column of text beside {sheet.header[subject]!r}")
    said = f"left out, as their cells hold lists or objects: {_listed([sheet.header[i] for i in inner])}"
    return kept, [said] if inner else []


def _holds_others(sheet: Sheet, i: int) -> bool:
    """Whether no cell of a column is text, a number or a date, but some are lists, objects or bytes."""
    if not sheet.typed:
        return False
    there = [c for c in sheet.cells(i) if not missing(c)]
    return bool(there) and all(map(nested, there))


def _wide_rows(sheet: Sheet, subjects: list[str], names: list[str], cells: list[list[str]]) -> list[Triple]:
    rows: list[Triple] = []
    for where, subject, *row in zip(sheet.numbers, subjects, *cells, strict=True):
        if not subject and any(row):
            raise FactsError(
                f"{sheet.source}, {sheet.unit} {where}: no subject; fill it in or remove the row"
            )
        rows += [(where, subject, name, cell) for name, cell in zip(names, row, strict=True) if cell]
    return rows


def _must_have_a_header(sheet: Sheet, relation: int, cells: list[str]) -> None:
    """Facts without a header look wide, the first of them being the header: its relation soon comes again."""
    name = sheet.header[relation]
    if len(sheet.header) > 2 and name in cells:
        where = sheet.numbers[cells.index(name)]
        raise FactsError(
            f"{sheet.source}, {sheet.unit} {where}: {name!r} is also the name of its column; is the header "
            "missing? Say header=False, begin with subject,relation,answer, or read it with "
            "wide=True"
        )


# -- words -------------------------------------------------------------------------------------------------


def _reading(
    sheet: Sheet,
    layout: Literal["long", "wide", "triples"],
    columns: tuple[str, ...],
    rows: list[Triple],
    relations: tuple[str, ...] = (),
) -> Reading:
    words = Counter(cell for _, *row in rows for cell in row if len(cell) < 5 and cell.casefold() in WORDS)
    notes = sheet.notes
    if words:
        n = words.total()
        listed = ", ".join(f"{word!r} {count:,}" for word, count in words.most_common(8))
        many = "1 cell that looks" if n == 1 else f"{n:,} cells that look"
        notes = (*notes, f"{many} like a missing value, kept as text: {listed}")
    return Reading(sheet.source, sheet.form, layout, columns, relations, None, notes)


def _lacking(sheet: Sheet, found: dict[str, Column]) -> FactsError:
    names, taken = sheet.header, [i for i, _ in found.values()]
    lacking = [role for role in ROLES if role not in found]
    free = [n for i, n in enumerate(names) if i not in taken]
    lower = {n.casefold(): n for n in free}
    near = {
        r: lower[m[0]]
        for r in lacking
        if (m := difflib.get_close_matches(r, list(lower)[:_MANY], n=1, cutoff=0.6))
    }
    hint = f"perhaps columns={near}" if near else f"say what it is called: columns={{{lacking[0]!r}: 'NAME'}}"
    return FactsError(
        f"{sheet.source} has no column {' and no column '.join(map(repr, lacking))}, only {_listed(names)}; "
        f"{hint}. A table with one column per relation is read with wide=True"
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(repr(n[:60]) for n in names[:8]) + more
