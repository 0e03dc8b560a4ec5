"""Tables into files, each whole or not at all."""

import io
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from factweights.errors import FactsError, MissingExtraError, SettingError
from factweights.facts.readers import JSON_LINES, PARQUET
from factweights.folders import whole_file

Columns = dict[str, list[Any]]  # text, numbers or truth values; None where there is none


def write_table(path: Path, columns: Columns) -> Path:
    """Write columns of equal length as CSV, TSV, JSON Lines or Parquet, as the suffix says.

    Raises:
        SettingError: another suffix.
        OutputError: the file could not be written.
        MissingExtraError: Parquet without pyarrow.
    """
    suffix = path.suffix.lower()
    known: dict[str, Callable[[Columns], bytes]] = {".csv": _csv, ".tsv": _tsv, ".tab": _tsv}
    known |= dict.fromkeys(JSON_LINES, _json_lines) | dict.fromkeys(PARQUET, _parquet)
    if suffix not in known:
        raise SettingError(
            f"tables are written as {', '.join(known)}, not as {suffix or 'no suffix'!r}: {path}"
        )
    raw = known[suffix](columns)
    with whole_file(path) as tmp:
        tmp.write_bytes(raw)
    return path


def _csv(columns: Columns) -> bytes:
    return _delimited(columns, ",")


def _tsv(columns: Columns) -> bytes:
    return _delimited(columns, "\t")


def _delimited(columns: Columns, delimiter: str) -> bytes:
    # csv.writer leaves a lone carriage return unquoted, which no reader then takes for part of a cell.
    special = re.compile(f'[{delimiter}"\r\n]')

    def quoted(value: Any) -> str:
        cell = "" if value is None else str(value)
        return '"' + cell.replace('"', '""') + '"' if special.search(cell) else cell

    rows = list(zip(*columns.values(), strict=True))
    rows = [_header(tuple(columns), rows), *rows]
    return "".join(delimiter.join(map(quoted, row)) + "\n" for row in rows).encode()


def _header(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> tuple[str, ...]:
    """The names, in capitals enough that no row is the header: readers take such a row for a joined file."""
    for name in itertools.product(*[(n, n.capitalize(), n.upper(), n.swapcase()) for n in names]):
        if name not in rows:
            return name
    raise FactsError("every spelling of the header is a fact; write the table as JSON Lines")


def _json_lines(columns: Columns) -> bytes:
    rows = zip(*columns.values(), strict=True)
    lines = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in rows)
    return "".join(line + "\n" for line in lines).encode()


def _parquet(columns: Columns) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as e:
        raise MissingExtraError("writing Parquet", "data") from e
    out = io.BytesIO()
    pq.write_table(pa.table({name: pa.array(cells) for name, cells in columns.items()}), out)
    return out.getvalue()
