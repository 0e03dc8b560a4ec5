"""Files as sheets of cells, before it is known which column means what."""

from pathlib import Path

from factweights.errors import FileFormatError, SettingError
from factweights.facts.columnar import frame_sheet, parquet_sheet
from factweights.facts.decoding import decode
from factweights.facts.delimited import delimited_sheet
from factweights.facts.records import json_sheet
from factweights.facts.sheet import Sheet, records_sheet
from factweights.facts.spreadsheets import spreadsheet_sheet

__all__ = ["JSON_LINES", "PARQUET", "Sheet", "frame_sheet", "read_sheet", "records_sheet"]

DELIMITED = (".csv", ".tsv", ".tab", ".txt", ".psv")
JSON_LINES = (".jsonl", ".ndjson")
JSON = (".json", ".srj")
PARQUET = (".parquet", ".pq")
EXCEL = (".xlsx", ".xlsm")
SUFFIXES = (*DELIMITED, *JSON_LINES, *JSON, *PARQUET, *EXCEL)


def read_sheet(path: str | Path, encoding: str | None = None, *, header: bool = True) -> Sheet:
    """Open a CSV, TSV, JSON, JSON Lines, Parquet or Excel file; the suffix says which it is.

    Args:
        path: the file.
        encoding: of a text file; None takes UTF-8, or what its byte order mark says.
        header: whether the first line names the columns; without, they are called 1, 2, ….

    Raises:
        FileNotFoundError: no such file.
        FileFormatError: foreign, truncated or undecodable contents.
        SettingError: an unknown encoding, a file of names and values without a header.
        MissingExtraError: Parquet without pyarrow, Excel without openpyxl.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder, not a table; a stored memory is opened by Bundle.load")
    if not path.exists():
        raise FileNotFoundError(f"no fact table at {path}")
    if suffix not in SUFFIXES:
        raise FileFormatError(
            f"{path}: tables are read from {', '.join(SUFFIXES)}, not from {suffix or 'no suffix'!r}; "
            "convert it"
        )
    if suffix in EXCEL:
        return spreadsheet_sheet(path, header=header)
    if suffix in PARQUET:
        sheet = parquet_sheet(path)
    else:
        decoded, codec = decode(path, encoding)
        if suffix in DELIMITED:
            return delimited_sheet(path, decoded, header, codec)
        sheet = json_sheet(path, decoded, header)
    if not header and sheet.headed:
        raise SettingError(f"{path} names its columns itself; leave out header=False")
    return sheet
