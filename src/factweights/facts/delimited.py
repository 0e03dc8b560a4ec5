"""Text with delimiters: CSV, TSV and what spreadsheets, R and databases make of them."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from factweights.errors import FileFormatError
from factweights.facts.cells import text
from factweights.facts.preamble import Preamble, preamble
from factweights.facts.records import term
from factweights.facts.sheet import Sheet, must_be_of_size, names

OURS = "subject,relation,answer"  # how our own files begin: nothing is guessed of them
_DELIMITERS = "\t;|,"  # where two fit equally well, the one that text has less use for
_NAMES = {"\t": "tabs", " ": "spaces"}
_SAMPLE, _CHARACTERS = 200, 1 << 20  # records and characters by which the delimiter is told
_SPARQL = re.compile(r"\?\w+(?:\t\?\w+)*\r?\n")
_SPACED = re.compile(r'"[^"\r\n]*"(?: "[^"\r\n]*")+[\r\n]')  # write.table of R
_HEADERS = (
    {"subject", "relation", "answer"},
    {"subject", "predicate", "object"},
    {"head", "relation", "tail"},
)


@dataclass(frozen=True)
class Dialect:
    """How cells are parted and quoted."""

    delimiter: str
    quote: str = '"'

    @cached_property
    def cell(self) -> re.Pattern[str]:
        """One cell: quoted, perhaps between spaces, or free of delimiters and not beginning with a quote."""
        d, q = re.escape(self.delimiter), self.quote
        space = {"\t": " *+", " ": ""}.get(self.delimiter, r"[ \t]*+")
        return re.compile(rf"{space}{q}((?:[^{q}]++|{q}{q})*+){q}{space}|(?!{space}{q})([^{d}\r\n]*+)")


class Record(NamedTuple):
    """Cells of one record.

    Attributes:
        line: where it begins.
        cells: as they are, unquoted.
        raw: the lines it was read from.
        marked: whether a byte order mark stands before it: another file was joined on here.
    """

    line: int
    cells: list[str]
    raw: str
    marked: bool


def delimited_sheet(path: Path, decoded: str, header: bool, encoding: str) -> Sheet:
    """The sheet in a text with delimiters.

    Args:
        path: what errors name; .tsv and .tab prefer tabs.
        decoded: the contents.
        header: whether the first record names the columns. Without, they are named 1, 2, ….
        encoding: for people.

    Raises:
        FileFormatError: an empty file, ragged records, quotes that do not close.
    """
    first = decoded.lstrip("\ufeff\r\n").partition("\n")[0]
    must_be_of_size(str(path), 1 + max(map(first.count, _DELIMITERS)), 0)  # before it is looked at closely
    if header and _SPARQL.match(decoded):
        return _sparql(path, decoded, encoding)
    ours = decoded.startswith((OURS + "\n", OURS + "\r\n"))
    before = Preamble(0, 1) if ours else preamble(decoded)
    body = decoded[before.end :]
    dialect = Dialect(",") if ours else _dialect(path, body, before)
    if before.remarks and not ours:
        _must_be_no_header(path, before, dialect, body)
    found = [r for r in _records(path, body, dialect, before.line) if _filled(r.cells)]
    if not found:
        raise FileFormatError(f"{path} is empty; a table has a header and at least one row")
    notes = [before.said] if before.said else []
    head, rows = (found[0].cells, found[1:]) if header else (_numbered(found[0].cells), found)
    rows = _without_headers(rows, found[0] if header else None, notes)
    if header and _row_names(found[0], rows):
        head = ["", *head]
    rows = _even(path, head, rows, notes, remarks=bool(before.remarks))
    cells = [r.cells for r in rows]
    return Sheet(
        str(path),
        "line",
        names(str(path), head),
        [r.line for r in rows],
        lambda i: [c[i] for c in cells],
        f"text with {_NAMES.get(dialect.delimiter, repr(dialect.delimiter))} between cells, {encoding}",
        headed=header,
        notes=tuple(notes),
    )


def _sparql(path: Path, decoded: str, encoding: str) -> Sheet:
    """The TSV of SPARQL endpoints: variables and RDF terms, in which tabs and line ends are escaped."""
    head, *lines = decoded.splitlines()
    numbered = [(i, line.split("\t")) for i, line in enumerate(lines, start=2) if line.strip()]
    names_ = [v.removeprefix("?") for v in head.split("\t")]
    for i, cells in numbered:
        if len(cells) != len(names_):
            raise FileFormatError(f"{path}, line {i}: {len(cells)} cells but the header has {len(names_)}")
    rows = [[term(c) for c in cells] for _, cells in numbered]
    return Sheet(
        str(path),
        "line",
        names(str(path), names_),
        [i for i, _ in numbered],
        lambda i: [row[i] for row in rows],
        f"results of a SPARQL query, {encoding}",
        wikidata=True,
    )


# -- records -----------------------------------------------------------------------------------------------


def _records(path: Path, body: str, dialect: Dialect, line: int) -> Iterator[Record]:
    """Every record, by the csv module; what that refuses but can only mean one thing, by hand."""
    pulled: list[str] = []
    marked = False

    def lines() -> Iterator[str]:
        nonlocal marked
        for raw in io.StringIO(body, newline=""):
            clean = raw
            if not pulled and raw.startswith(
                "\ufeff"
            ):  # never inside a record, where it may be part of a cell
                clean, marked = raw.lstrip("\ufeff"), True
            pulled.append(clean)
            yield clean

    source = lines()
    reader = csv.reader(
        source, delimiter=dialect.delimiter, quotechar=dialect.quote, skipinitialspace=True, strict=True
    )
    while True:
        pulled.clear()
        marked = False
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as e:  # spaces behind a quote, or a cell beyond the limit that the module has
            cells = _by_hand(path, dialect, pulled, source, line, e)
        yield Record(line, cells, "".join(pulled), marked)
        line += len(pulled)


def _by_hand(
    path: Path, dialect: Dialect, pulled: list[str], source: Iterator[str], line: int, error: csv.Error
) -> list[str]:
    """The cells of one record, whose lines so far are in ``pulled``."""
    quotes = sum(raw.count(dialect.quote) for raw in pulled)
    while quotes % 2:  # a record has an even number of quotes, or a cell goes on in the next line
        raw = next(source, None)
        if raw is None:
            raise FileFormatError(
                f"{path}, line {line}: unexpected end of data; a quote is never closed, or the file is cut "
                "short"
            ) from error
        quotes += raw.count(dialect.quote)
    cells = split("".join(pulled), dialect)
    if cells is None:
        raise FileFormatError(f'{path}, line {line}: {error}; quote cells as "a ""b"" c"') from error
    return cells


def split(record: str, dialect: Dialect, strict: bool = False) -> list[str] | None:
    """The cells of a record, or None where it is none.

    Args:
        record: its text with the end of its last line.
        dialect: how cells are parted and quoted.
        strict: allow quotes around cells only.
    """
    record = record.rstrip("\r\n") if record.count(dialect.quote) % 2 == 0 else record
    cells: list[str] = []
    at, q = 0, dialect.quote
    while True:
        m = dialect.cell.match(record, at)
        if m is None:
            return None
        quoted, plain = m[1], m[2]
        if strict and plain and q in plain:
            return None
        cells.append(plain if quoted is None else quoted.replace(q + q, q))
        at = m.end()
        if at == len(record):
            return cells
        if record[at] != dialect.delimiter:
            return None
        at += 1


def _filled(cells: list[str]) -> bool:
    # Spreadsheets leave rows of commas at the end.
    return any(c and not c.isspace() for c in cells)


# -- which delimiter ---------------------------------------------------------------------------------------


def _dialect(path: Path, body: str, before: Preamble) -> Dialect:
    """The delimiter that cuts the records into equally many cells, quotes standing around cells only."""
    if before.delimiter:
        return Dialect(before.delimiter)
    sample = body[:_CHARACTERS]
    quote = _quote(sample)
    whole = len(sample) == len(body)
    best, best_score = Dialect(",", quote), (0.0, 0.0)
    spaced = _SPACED.match(sample) is not None
    for delimiter in _DELIMITERS + " " * spaced:
        dialect = Dialect(delimiter, quote)
        score = _fit(_sampled(path, sample, dialect, whole), dialect)
        if score > best_score:
            best, best_score = dialect, score
        if delimiter == "\t" and score > (0.0, 0.0) and path.suffix.lower() in (".tsv", ".tab"):
            break
    return best


def _quote(sample: str) -> str:
    """A single quote where every cell of the header stands in single quotes, else the usual one."""
    first = sample.lstrip("\ufeff \t\r\n").splitlines()[:1]
    return "'" if first and re.fullmatch(r"'[^'\"]*'(?:[\t;|,] *'[^'\"]*')+\s*", first[0]) else '"'


def _sampled(path: Path, sample: str, dialect: Dialect, whole: bool) -> list[Record]:
    found: list[Record] = []
    try:
        for record in _records(path, sample, dialect, 1):
            if _filled(record.cells):
                found.append(record)
            if len(found) > _SAMPLE:
                break
        else:
            if not whole and len(found) > 1:
                found.pop()  # cut short by the end of the sample
    except FileFormatError:
        pass  # not in this dialect; how far it came decides
    return found


def _fit(found: list[Record], dialect: Dialect) -> tuple[float, float]:
    """Whether the header is one that everybody writes, and the share of records as wide as it is."""
    if not found or len(found[0].cells) < 2:
        return 0.0, 0.0
    width = len(found[0].cells)
    known = {c.strip().casefold() for c in found[0].cells}
    fits = [_fits(r, width) and split(r.raw, dialect, strict=True) is not None for r in found]
    return float(any(h <= known for h in _HEADERS)), sum(fits) / len(fits)


def _fits(record: Record, width: int) -> bool:
    n = len(record.cells)
    # One more: a delimiter at the end of the row, or the row names of R, which have no header.
    return n == width or (n == width + 1 and (not record.cells[-1].strip() or record.cells[0].isdecimal()))


# -- rows --------------------------------------------------------------------------------------------------


def _numbered(cells: list[str]) -> list[str]:
    return [str(i) for i in range(1, len(cells) + 1)]


def _without_headers(rows: list[Record], head: Record | None, notes: list[str]) -> list[Record]:
    """Rows less the headers of files that were joined on; our own writer sees to it that no fact is one."""
    if head is None:
        return rows
    wanted = [text(c) for c in head.cells]
    again = [r for r in rows if wanted[0] in r.cells[0] and [text(c) for c in r.cells] == wanted]
    if again:
        lines = ", ".join(str(r.line) for r in again[:5]) + (", …" if len(again) > 5 else "")
        notes.append(f"the header stands there again in line {lines}: joined files")
        gone = {r.line for r in again}
        rows = [r for r in rows if r.line not in gone]
    return rows


def _row_names(head: Record, rows: list[Record]) -> bool:
    """Whether R wrote this: its header has no name for the row names, which are "1", "2", …, in quotes."""
    quoted = all(r.raw.startswith('"') for r in (head, *rows))
    return bool(rows) and quoted and all(len(r.cells) == len(head.cells) + 1 for r in rows)


def _even(
    path: Path, head: list[str], rows: list[Record], notes: list[str], *, remarks: bool
) -> list[Record]:
    """Rows as wide as the header: without the empty cells behind it."""
    width = len(head)
    kept: list[Record] = []
    skipped: list[int] = []
    for r in rows:
        cells = r.cells
        while len(cells) > width and not cells[-1].strip():
            cells = cells[:-1]
        if len(cells) == width:
            kept.append(r if cells is r.cells else Record(r.line, cells, r.raw, r.marked))
        elif remarks and cells[0].startswith("#"):
            skipped.append(r.line)
        else:
            raise FileFormatError(
                f"{path}, line {r.line}: {len(cells)} cells but the header has {width}; quote cells that "
                f"hold the delimiter, starting here: {cells[0][:40]!r}"
            )
    if skipped:
        notes.append(f"{len(skipped)} more lines with # skipped, first line {skipped[0]}")
    while width > 2 and not head[-1].strip() and not any(r.cells[width - 1].strip() for r in kept):
        width -= 1  # every line ends with a delimiter
        head.pop()
    return [r if len(r.cells) == width else Record(r.line, r.cells[:width], r.raw, r.marked) for r in kept]


def _must_be_no_header(path: Path, before: Preamble, dialect: Dialect, body: str) -> None:
    """Refuse a last remark that may be the header, as #country,capital is in the files of some fields."""
    last = before.remarks[-1]
    if last[1:2] in ("", " ", "\t"):
        return
    first = next(iter(_sampled(path, body[:_CHARACTERS], dialect, True)), None)
    cells = split(last, dialect)
    if first and cells and len(cells) == len(first.cells) > 1:
        raise FileFormatError(
            f"{path}: the line {last[:60]!r} is a remark or the header of the {len(cells)} columns below; "
            "remove its '#' or the line"
        )
