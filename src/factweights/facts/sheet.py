"""A table of unknown meaning: named columns of cells, each taken out only when it is asked for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from factweights.errors import FactsError
from factweights.facts.cells import Repeating, column_texts, nested, text
from factweights.facts.guards import is_mapping

Path_ = tuple[str, ...]  # keys and indices inside a cell


@dataclass(frozen=True)
class Sheet:
    """A table of unknown meaning.

    Attributes:
        source: what errors call it.
        unit: what errors call a row of it (``line`` or ``row``).
        header: the column names as text.
        numbers: the number of each row.
        column: index of a column to its cells, as many as there are rows.
        form: what kind of table it is, for people.
        headed: whether the header is one of the file's own, not numbers given here.
        typed: whether names and types of the columns are told apart from the cells.
        wikidata: whether this is the result of a Wikidata query.
        notes: what was left out on the way in.
    """

    source: str
    unit: str
    header: list[str]
    numbers: Sequence[int]
    column: Callable[[int], Sequence[Any]]
    form: str = "table"
    headed: bool = True
    typed: bool = False
    wikidata: bool = False
    notes: tuple[str, ...] = ()
    _kept: dict[int, Sequence[Any]] = field(
        default_factory=dict[int, Sequence[Any]], repr=False, compare=False
    )

    def __post_init__(self) -> None:
        must_be_of_size(self.source, len(self.header), len(self.numbers))

    def cells(self, index: int) -> Sequence[Any]:
        """The cells of a column, taken out once."""
        if index not in self._kept:
            self._kept[index] = self.column(index)
        return self._kept[index]

    def inside(self, index: int, path: Path_) -> list[Any]:
        """What lies under ``path`` in every cell of a column; None where it is not there."""
        return [within(cell, path) for cell in self.cells(index)] if path else list(self.cells(index))

    def texts(self, index: int, path: Path_ = ()) -> list[str]:
        """A column as text.

        Raises:
            FactsError: a cell that cannot be text, with its row.
        """
        return self.written(self.inside(index, path), ".".join((self.header[index], *path)))

    def written(self, values: Sequence[Any], name: str) -> list[str]:
        """Cells of the column ``name`` as text; errors as in :meth:`texts`."""

        def failed(i: int, e: FactsError) -> FactsError:
            return FactsError(
                f"{self.source}, {self.unit} {self.numbers[i]}: {e} (in {name!r}){_way(values[i], name)}"
            )

        return column_texts(values, failed)

    def select(self, indices: Sequence[int], header: Sequence[str] | None = None, note: str = "") -> "Sheet":
        """The sheet with these columns alone, perhaps under other names."""
        names = [self.header[i] for i in indices] if header is None else list(header)
        notes = (*self.notes, note) if note else self.notes

        def column(i: int) -> Sequence[Any]:
            return self.cells(indices[i])

        return replace(self, header=names, column=column, notes=notes, _kept={})


def within(cell: Any, path: Path_) -> Any:
    """What lies under keys and indices inside a cell of dicts and lists; None where it is not there."""
    for step in path:
        if isinstance(cell, Repeating):
            raise FactsError(
                f"an object on the way to {'.'.join(path)!r} has a key twice; keep one of the two"
            )
        if is_mapping(cell):
            cell = cell.get(step)
        elif nested(cell) and not isinstance(cell, (bytes, bytearray, memoryview, set, frozenset)):
            cell = cell[int(step)] if step.isdecimal() and len(step) < 10 and int(step) < len(cell) else None
        else:
            return None
    return cell


ROWS, COLUMNS, CELLS = 5_000_000, 100_000, 100_000_000  # a file of 2 kB may speak of any number of them


def must_be_of_size(source: str, columns: int, rows: int) -> None:
    """Refuse a table that no memory could hold and reading would take minutes for, before it is read.

    Raises:
        FactsError: too many rows, columns or cells, with the limit.
    """
    limits = (("rows", rows, ROWS), ("columns", columns, COLUMNS), ("cells", rows * columns, CELLS))
    for what, found, most in limits:
        if found > most:
            raise FactsError(f"{source} has {found:,} {what}; at most {most:,} are read: give a part of it")


def names(source: str, header: Iterable[Any]) -> list[str]:
    """Column names as text.

    Raises:
        FactsError: a name that is none.
    """
    given, out = list(header), list[str]()
    must_be_of_size(source, len(given), 0)
    for i, name in enumerate(given, start=1):
        try:
            out.append(text(name))
        except FactsError as e:
            raise FactsError(f"{source}: the name of column {i}: {e}") from e
    return out


def records_sheet(
    source: str,
    unit: str,
    records: Iterable[tuple[int, Mapping[Any, Any]]],
    form: str = "records",
    **more: Any,
) -> Sheet:
    """Dicts as a sheet: the header is every key in first-seen order, a missing key an empty cell."""
    numbered = list(records)
    keys = list(dict.fromkeys(k for _, record in numbered for k in record))
    return Sheet(
        source,
        unit,
        names(source, keys),
        [i for i, _ in numbered],
        lambda i: [record.get(keys[i]) for _, record in numbered],
        form,
        typed=True,
        **more,
    )


def _way(value: Any, name: str) -> str:
    """How to get at what is inside a nested cell."""
    if is_mapping(value) and value:
        return f"; name one of its keys by its path, as in '{name}.{next(iter(value))}'"
    if isinstance(value, (list, tuple)) and value:
        return f"; name one of its items by its path, as in '{name}.0'"
    return ""
