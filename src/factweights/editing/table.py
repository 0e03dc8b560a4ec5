"""A table of facts with some of them changed, and the changes themselves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from factweights.errors import ConflictError, FactsError, NewNameError, nearest
from factweights.facts import FactTable
from factweights.facts.cells import text
from factweights.facts.layout import changes
from factweights.facts.readers import read_sheet
from factweights.facts.reading import Reading
from factweights.facts.rows import Row, checked, raise_unknown

Pair = tuple[str, str]
SHOWN = 5  # of many new names, how many are listed


@dataclass(frozen=True)
class TableEdit:
    """What a list of changes comes to.

    Attributes:
        before: the table as it was.
        table: the table after. Facts that stay keep their order, new ones come last.
        replaced: rows of ``before`` that get another answer.
        removed: rows of ``before`` that are left out.
        added: how many facts at the end of ``table`` are new.
        unchanged: rows of ``before`` that were to be set to the answer they have.
    """

    before: FactTable
    table: FactTable
    replaced: tuple[int, ...]
    removed: tuple[int, ...]
    added: int
    unchanged: tuple[int, ...]

    @cached_property
    def written(self) -> tuple[int, ...]:
        """Rows of ``table`` that differ: the replaced facts and the new ones."""
        gone, shift, at = set(self.removed), 0, {}
        for row in range(len(self.before)):
            at[row] = row - shift
            shift += row in gone
        new = range(len(self.table) - self.added, len(self.table))
        return (*(at[row] for row in self.replaced), *new)

    @cached_property
    def untouched(self) -> tuple[int, ...]:
        """Rows of ``table`` that are as they were."""
        written = set(self.written)
        return tuple(row for row in range(len(self.table)) if row not in written)

    @cached_property
    def new_subjects(self) -> tuple[str, ...]:
        """Subjects that ``before`` does not have, in the order of ``table``."""
        return _new(self.table.subjects, self.before.subjects)

    @cached_property
    def new_relations(self) -> tuple[str, ...]:
        """Relations that ``before`` does not have, likewise."""
        return _new(self.table.relations, self.before.relations)

    @cached_property
    def new_answers(self) -> tuple[str, ...]:
        """Answers that ``before`` does not have, likewise."""
        return _new(self.table.answers, self.before.answers)

    def new_names(self) -> dict[str, list[str]]:
        """The three, ready for JSON."""
        return {
            "new_subjects": list(self.new_subjects),
            "new_relations": list(self.new_relations),
            "new_answers": list(self.new_answers),
        }

    def said_new(self) -> list[tuple[str, str]]:
        """A line for each kind of name that is new, with the known names that look like it."""
        kinds = (
            ("new subjects", self.new_subjects, self.before.subjects),
            ("new relations", self.new_relations, self.before.relations),
            ("new answers", self.new_answers, self.before.answers),
        )
        return [(what, _listed(new, known, "looks like")) for what, new, known in kinds if new]

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return bool(self.replaced or self.removed or self.added)


def edit_table(
    table: FactTable,
    *,
    set: Iterable[Iterable[object]] = (),
    remove: Iterable[Iterable[object]] = (),
    add: bool = False,
) -> TableEdit:
    """Set and remove facts by name.

    A misspelt name must not become a fact of its own, and so a subject or a relation that the table does not
    have is refused unless ``add`` says that it is meant. Answers may be new: most changes are about them.

    Args:
        table: left as it is.
        set: (subject, relation, answer) triples. A known fact gets this answer; a subject and a relation of
            the table that have no fact together get one.
        remove: (subject, relation) pairs.
        add: whether ``set`` may bring in subjects and relations that the table does not have.

    Raises:
        ConflictError: two changes of one fact that differ.
        NewNameError: ``set`` names a subject or relation that is not there, with the nearest names that are.
        UnknownNameError: a fact to remove that is not there, with the nearest name that is.
        FactsError: rows that are no triples or pairs, empty cells, no fact left.
    """
    wanted = _wanted(set, remove)
    index = {(s, r): i for i, (s, r, _) in enumerate(table)}
    for pair, answer in wanted.items():
        if answer is None and pair not in index:
            raise_unknown(*pair, index)
    if not add:
        _no_new_names(table, [pair for pair, answer in wanted.items() if answer is not None])
    removed = tuple(sorted(index[pair] for pair, answer in wanted.items() if answer is None))
    known = {index[pair]: a for pair, a in wanted.items() if a is not None and pair in index}
    added: list[Row] = [(*pair, a) for pair, a in wanted.items() if a is not None and pair not in index]
    gone = frozenset(removed)
    rows = [(s, r, known.get(i, a)) for i, (s, r, a) in enumerate(table) if i not in gone]
    if not rows and not added:
        raise FactsError(f"all {len(table):,} facts would be removed; a table has at least one")
    return TableEdit(
        before=table,
        table=FactTable.from_rows([*rows, *added]),
        replaced=tuple(sorted(i for i, a in known.items() if a != table.answer[i])),
        removed=removed,
        added=len(added),
        unchanged=tuple(sorted(i for i, a in known.items() if a == table.answer[i])),
    )


def read_changes(
    path: str | Path,
    *,
    encoding: str | None = None,
    columns: Mapping[str, str] | None = None,
    header: bool = True,
    on_reading: Callable[[Reading], None] | None = None,
) -> tuple[list[Row], list[Pair]]:
    """The facts to set and the pairs to remove, from a table with columns subject, relation and answer.

    A row without an answer removes that fact. Files as in :meth:`FactTable.read`, one fact per row.

    Args:
        path: the file.
        encoding, columns, header: as in :meth:`FactTable.read`.
        on_reading: told how the file was read.

    Raises:
        FileNotFoundError, FileFormatError, UnknownNameError, SettingError: as :meth:`FactTable.read`.
        FactsError: a column is missing or twice there, a row without subject or relation.
    """
    rows, reading = changes(read_sheet(path, encoding, header=header), columns)
    if on_reading is not None:
        on_reading(reading)
    return [(s, r, a) for _, s, r, a in rows if a], [(s, r) for _, s, r, a in rows if not a]


def _wanted(set_: Iterable[Iterable[object]], remove: Iterable[Iterable[object]]) -> dict[Pair, str | None]:
    """What shall become of every pair named: its answer, or None to remove it."""
    wanted: dict[Pair, str | None] = {}
    said: list[tuple[Pair, str | None]] = [((s, r), a) for _, s, r, a in checked(set_)]
    said += [(pair, None) for pair in _pairs(remove)]
    for pair, answer in said:
        if wanted.setdefault(pair, answer) != answer:
            both = [f"set to {a!r}" if a is not None else "removed" for a in (wanted[pair], answer)]
            raise ConflictError(f"{pair[0]!r}, {pair[1]!r} is {' and '.join(both)}; keep one of the two")
    return wanted


def _no_new_names(table: FactTable, pairs: list[Pair]) -> None:
    subjects = _new((s for s, _ in pairs), table.subjects)
    relations = _new((r for _, r in pairs), table.relations)
    kinds = (("subject", subjects, table.subjects), ("relation", relations, table.relations))
    said = [
        f"no {kind} named {_listed(new, known, 'did you mean', '?')}" for kind, new, known in kinds if new
    ]
    if not said:
        return
    crosswise = set(subjects).intersection(table.relations) and set(relations).intersection(table.subjects)
    order = ". The order is subject, relation, answer" if crosswise else ""
    raise NewNameError(" and ".join(said) + order)


def _new(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    there = frozenset(known)
    return tuple(name for name in dict.fromkeys(names) if name not in there)


def _listed(new: tuple[str, ...], known: tuple[str, ...], like: str, mark: str = "") -> str:
    """The first few names, each with the known one that it may be meant for."""
    said = []
    for name in new[:SHOWN]:
        near = nearest(name, known, n=1)
        said.append(f"{name!r}" + (f" ({like} {near[0]!r}{mark})" if near else ""))
    more = f" and {len(new) - SHOWN:,} more" if len(new) > SHOWN else ""
    return ", ".join(said) + more


def _pairs(rows: Iterable[Iterable[object]]) -> Iterable[Pair]:
    for i, row in enumerate(rows, start=1):
        cells = [row] if isinstance(row, str) else list(row)
        if len(cells) != 2 or not all(map(text, cells)):
            raise FactsError(
                f"row {i} to remove is {row!r:.80}; give (subject, relation), neither of them empty"
            )
        yield text(cells[0]), text(cells[1])
