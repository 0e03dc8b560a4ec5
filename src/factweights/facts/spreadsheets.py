"""Excel workbooks: the one sheet that has cells, its first row as the header."""

import zipfile
from datetime import datetime, time
from pathlib import Path
from typing import Any

from factweights.errors import FactsError, FileFormatError, MissingExtraError
from factweights.facts.sheet import CELLS, Sheet, must_be_of_size, names

UNPACKED = 1 << 30  # bytes of a workbook at most: it is a ZIP file, and a small one can hold a huge one
_DAMAGE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, zipfile.BadZipFile)


def spreadsheet_sheet(path: Path, *, header: bool = True) -> Sheet:
    """The sheet of an XLSX file; formulas count as what they last came to.

    Args:
        path: the file.
        header: whether the first row names the columns; without, they are called 1, 2, ….

    Raises:
        MissingExtraError: no openpyxl.
        FileFormatError: foreign or damaged contents, or no cells.
        FactsError: several sheets with cells, or one that is too large.
    """
    try:
        import openpyxl
    except ImportError as e:
        raise MissingExtraError("reading Excel workbooks", "data") from e
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(member.file_size for member in packed.infolist())
        if size > UNPACKED:
            limit = f"at most {UNPACKED:,} are read: save it as CSV"
            raise FactsError(f"{path} unpacks to {size:,} bytes; {limit}")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        found = {sheet.title: rows for sheet in book.worksheets if (rows := _rows(path, sheet))}
        book.close()
    except FactsError:
        raise
    except _DAMAGE as e:
        raise FileFormatError(f"{path} is not a whole Excel workbook ({e}); save it again, or as CSV") from e
    if not found:
        raise FileFormatError(f"{path} has no cells")
    if len(found) > 1:
        raise FactsError(f"{path} has facts on the sheets {', '.join(found)}; save the one you mean as CSV")
    ((title, rows),) = found.items()
    return _sheet(path, title, rows, header)


def _rows(path: Path, sheet: Any) -> list[tuple[int, tuple[Any, ...]]]:
    """Rows that are not empty, with their numbers as Excel shows them."""
    kept: list[tuple[int, tuple[Any, ...]]] = []
    cells = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if any(cell is not None for cell in row):
            kept.append((number, row))
            cells += len(row)
        if cells > CELLS:
            must_be_of_size(str(path), max(len(r) for _, r in kept), len(kept))
    return kept


def _sheet(path: Path, title: str, rows: list[tuple[int, tuple[Any, ...]]], header: bool) -> Sheet:
    width = max(len(row) for _, row in rows)
    while width and all(len(row) < width or row[width - 1] is None for _, row in rows):
        width -= 1
    body = rows[1:] if header else rows
    first = [*rows[0][1], *[None] * width][:width]
    named = ["" if cell is None else cell for cell in first] if header else range(1, width + 1)

    def column(i: int) -> list[Any]:
        cells = ["" if i >= len(row) or row[i] is None else row[i] for _, row in body]
        times = [c for c in cells if isinstance(c, datetime)]
        if any(c.time() != time() for c in times):
            return cells
        return [c.date() if isinstance(c, datetime) else c for c in cells]  # Excel has no dates of their own

    return Sheet(
        str(path),
        "row",
        names(str(path), named),
        [number for number, _ in body],
        column,
        f"Excel workbook, sheet {title!r}",
        headed=header,
        typed=False,
    )
