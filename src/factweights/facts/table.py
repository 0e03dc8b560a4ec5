"""Named facts: rows of subject, relation and answer."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch

from factweights import theory
from factweights.errors import FactsError, MissingExtraError, SettingError, UnknownNameError
from factweights.facts.associations import Associations
from factweights.facts.cells import text
from factweights.facts.embeddings import Kind, embed
from factweights.facts.layout import Triple, triples
from factweights.facts.readers import frame_sheet, read_sheet
from factweights.facts.reading import Reading
from factweights.facts.records import exploded
from factweights.facts.rows import Row, checked, numbered, raise_unknown, unique_rows
from factweights.facts.sheet import Sheet, records_sheet
from factweights.facts.writers import write_table
from factweights.seeds import generators
from factweights.show import in_html

_SHOWN = 5  # rows in a notebook


@final
@dataclass(frozen=True, repr=False)
class FactTable:
    """Facts by name, each (subject, relation) once. Make one with :meth:`read` or :meth:`from_rows`.

    Attributes:
        subject: ``(N,)`` what each fact is about.
        relation: ``(N,)`` what is said of it.
        answer: ``(N,)`` what it is.
        duplicates: how many exact repeats were dropped on the way in.
        reading: how the file, frame or records were read; None where rows were given.

    Raises:
        FactsError: no rows, columns of different lengths, a cell that is empty or not stripped NFC text,
            a (subject, relation) twice.
    """

    subject: tuple[str, ...]
    relation: tuple[str, ...]
    answer: tuple[str, ...]
    duplicates: int = field(default=0, compare=False)
    reading: Reading | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        sizes = {len(self.subject), len(self.relation), len(self.answer)}
        if len(sizes) > 1:
            n = ", ".join(str(len(c)) for c in (self.subject, self.relation, self.answer))
            raise FactsError(f"columns of {n} cells; give a subject, a relation and an answer per fact")
        if sizes == {0}:
            raise FactsError("no facts; a table has at least one row")
        if bad := [c for c in {*self.subject, *self.relation, *self.answer} if not c or text(c) != c]:
            raise FactsError(
                f"the cell {bad[0]!r} is empty or not plain text; make it with FactTable.from_rows"
            )
        if len(self._index) < len(self.subject):
            raise FactsError("a subject and relation stand there twice; FactTable.from_rows says which")

    # -- makers ------------------------------------------------------------------------------------------

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        wide: bool | None = None,
        columns: Mapping[str, str] | None = None,
        encoding: str | None = None,
        header: bool = True,
    ) -> "FactTable":
        """Read CSV, TSV, JSON, JSON Lines or Parquet (extra ``[data]``); the suffix says which it is.

        A long table has the columns subject, relation and answer (in any case and order; others are
        ignored), or names that are usual for them, such as head, relation, tail. A wide one has a row per
        subject, in the column of that name or else the first, and a column per relation; its empty cells are
        no facts. Three columns that may be either are refused, with the settings that decide. Records of
        CounterFact, zsRE, LAMA and T-REx and results of Wikidata queries are read as they are; row numbers
        that a program added are left out. Cells are stripped and brought to Unicode NFC. What was decided is
        in :attr:`reading`; docs/tables.md has the rules.

        Args:
            path: the file.
            wide: which of the two it is; None looks at the header.
            columns: other names for the three, as ``{"answer": "capital city"}``, a path into nested cells,
                as ``{"answer": "requested_rewrite.target_new.str"}``, or a number where there is no header.
            encoding: of a text file; None reads UTF-8, or UTF-16 and UTF-32 with a byte order mark.
            header: False where the first line is a fact, not the names of the columns.

        Raises:
            FileNotFoundError: no such file.
            FileFormatError: foreign, truncated, ragged or undecodable contents, with the line.
            FactsError: no facts, a missing column, an empty cell in a long table, a header with two meanings.
            ConflictError: one subject and relation with two answers.
            UnknownNameError: ``columns`` names a column that is not there.
            SettingError: an unknown encoding, settings that contradict each other.
            MissingExtraError: Parquet without pyarrow.
        """
        return cls._from_sheet(read_sheet(path, encoding, header=header), wide, columns)

    @classmethod
    def from_rows(cls, rows: Iterable[Iterable[object]]) -> "FactTable":
        """A table of (subject, relation, answer) triples; exact repeats are dropped and counted.

        Raises:
            FactsError: no rows, a row that is no triple, an empty cell; ConflictError: as in :meth:`read`.
        """
        return cls._collect("the rows given", "row", checked(rows))

    @classmethod
    def from_records(
        cls,
        records: Iterable[Mapping[str, Any]],
        *,
        wide: bool | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> "FactTable":
        """A table of dicts, long, wide or of a known kind; arguments and errors as in :meth:`read`."""
        sheet = records_sheet("the records given", "row", exploded(numbered(records)))
        return cls._from_sheet(sheet, wide, columns)

    @classmethod
    def from_pandas(
        cls, frame: Any, *, wide: bool | None = None, columns: Mapping[str, str] | None = None
    ) -> "FactTable":
        """A table of a DataFrame's columns; arguments and errors as in :meth:`read`.

        An index with a name, or of words, comes before the columns; one of row numbers does not count.
        Columns that pandas numbers 0, 1, 2 have no header. Arrow tables and what Arrow understands will do
        as well.
        """
        return cls._from_sheet(frame_sheet(frame), wide, columns)

    @classmethod
    def _from_sheet(cls, sheet: Sheet, wide: bool | None, columns: Mapping[str, str] | None) -> "FactTable":
        found, reading = triples(sheet, wide=wide, columns=columns)
        return cls._collect(sheet.source, sheet.unit, found, reading)

    @classmethod
    def _collect(
        cls, source: str, unit: str, found: Iterable[Triple], reading: Reading | None = None
    ) -> "FactTable":
        rows, duplicates = unique_rows(source, unit, found)
        return cls(*_columns(rows), duplicates=duplicates, reading=reading)

    # -- looking -----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.subject)

    def __iter__(self) -> Iterator[Row]:
        return zip(self.subject, self.relation, self.answer, strict=True)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, in first-seen order."""
        return tuple(dict.fromkeys(self.subject))

    @cached_property
    def relations(self) -> tuple[str, ...]:
        """Every relation once, in first-seen order."""
        return tuple(dict.fromkeys(self.relation))

    @cached_property
    def answers(self) -> tuple[str, ...]:
        """Every answer once, in first-seen order."""
        return tuple(dict.fromkeys(self.answer))

    @cached_property
    def _index(self) -> dict[tuple[str, str], int]:
        return {pair: i for i, pair in enumerate(zip(self.subject, self.relation, strict=True))}

    def lookup(self, subject: str, relation: str) -> str:
        """The answer in the table: the plain reference that every memory is compared with.

        Raises:
            UnknownNameError: no such subject, or it has no such relation.
        """
        row = self._index.get((text(subject), text(relation)))
        if row is None:
            raise_unknown(subject, relation, self._index)
        return self.answer[row]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the rows in their order: equal tables, equal hash, on any machine."""
        cells = "\0".join(cell for row in self for cell in row)  # no cell holds a NUL
        return hashlib.sha256(b"factweights.table.1\0" + cells.encode()).hexdigest()

    # -- parts -------------------------------------------------------------------------------------------

    def select(
        self,
        relations: str | Iterable[str] | None = None,
        subjects: str | Iterable[str] | None = None,
    ) -> "FactTable":
        """The facts with these relations and these subjects, in their order here.

        Raises:
            UnknownNameError: a name that is not in the table.
            FactsError: no fact has both.
        """
        wanted = _named("relation", relations, self.relations), _named("subject", subjects, self.subjects)
        rows = [row for row in self if row[1] in wanted[0] and row[0] in wanted[1]]
        if not rows:
            raise FactsError(f"no fact has one of the relations {relations!r} and one of the subjects given")
        return FactTable(*_columns(rows), reading=self.reading)

    def head(self, n: int) -> "FactTable":
        """The first ``n`` facts, or all where there are fewer."""
        if n < 1:
            raise SettingError(f"a table has at least one fact, got head({n}); ask for 1 or more")
        return FactTable(self.subject[:n], self.relation[:n], self.answer[:n], reading=self.reading)

    # -- becoming something else -------------------------------------------------------------------------

    def to_associations(
        self,
        d: int,
        *,
        d_out: int | None = None,
        seed: int = 0,
        kind: Kind = "spherical",
        dtype: torch.dtype = torch.float64,
        **shape: Any,
    ) -> Associations:
        """One random key ``(d,)`` per row and one random value ``(d_out,)`` per distinct answer.

        Arguments as in :meth:`Associations.random`. The keys of a table are the first keys of any longer one.
        """
        key_rng, value_rng = generators(seed, 2)
        index = {answer: i for i, answer in enumerate(self.answers)}
        keys = embed(kind, key_rng, len(self), d, **shape)
        values = embed(kind, value_rng, len(index), d if d_out is None else d_out, **shape)
        spec = {
            "source": "table",
            "table_hash": self.hash,
            "kind": kind,
            "d": d,
            "d_out": d_out,
            "seed": seed,
        }
        return Associations(
            torch.as_tensor(keys).to(dtype),
            torch.as_tensor(values).to(dtype),
            torch.tensor([index[a] for a in self.answer], dtype=torch.int64),
            key_names=tuple(zip(self.subject, self.relation, strict=True)),
            value_names=self.answers,
            spec=spec | shape,
        )

    def write(self, path: str | Path) -> Path:
        """Write a long table as CSV, TSV, JSON Lines or Parquet, by the suffix; whole or not at all.

        Raises:
            SettingError: another suffix; OutputError: it could not be written; MissingExtraError: no pyarrow.
        """
        return write_table(Path(path), self.to_dict())

    def to_dict(self) -> dict[str, list[str]]:
        """The three columns."""
        return {
            "subject": list(self.subject),
            "relation": list(self.relation),
            "answer": list(self.answer),
        }

    def to_pandas(self) -> Any:
        """A DataFrame with the columns subject, relation and answer; needs the extra ``[data]``."""
        try:
            import pandas as pd
        except ImportError as e:
            raise MissingExtraError("to_pandas()", "data") from e
        return pd.DataFrame(self.to_dict())

    def summary(self) -> dict[str, dict[str, int]]:
        """For every relation, how many ``facts`` and how many distinct ``answers`` it has."""
        answers: dict[str, list[str]] = {}
        for _, relation, answer in self:
            answers.setdefault(relation, []).append(answer)
        return {r: {"facts": len(a), "answers": len(set(a))} for r, a in answers.items()}

    @cached_property
    def map_bits(self) -> float:
        """log2 of how many tables give, within each relation, every answer as often as this one does.

        See :func:`factweights.theory.map_bits`: what is to be known of a table whose answers are dealt out.
        """
        counts: dict[str, Counter[str]] = {}
        for _, relation, answer in self:
            counts.setdefault(relation, Counter())[answer] += 1
        return sum(theory.map_bits(list(c.values())) for c in counts.values())

    def __repr__(self) -> str:
        dropped = f"; {self.duplicates:,} repeated rows dropped" if self.duplicates else ""
        return (
            f"FactTable({len(self):,} facts, {len(self.subjects):,} subjects, "
            f"{len(self.relations):,} relations, {len(self.answers):,} answers{dropped})"
        )

    def _repr_html_(self) -> str:
        rows = [("subject", "relation", "answer"), *self.head(_SHOWN)]
        cells = ("".join(f"<td>{in_html(c)}</td>" for c in row) for row in rows)
        body = "".join(f"<tr>{c}</tr>" for c in cells).replace("td>", "th>", 6)
        return f"<p>{in_html(repr(self))}</p><table>{body}</table>"


def _columns(rows: list[Row]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    subjects, relations, answers = zip(*rows, strict=True)
    return subjects, relations, answers


def _named(kind: str, names: str | Iterable[str] | None, known: tuple[str, ...]) -> set[str]:
    if names is None:
        return set(known)
    wanted = {text(n) for n in ([names] if isinstance(names, str) else names)}
    for name in sorted(wanted.difference(known)):
        raise UnknownNameError(kind, name, known)
    return wanted
