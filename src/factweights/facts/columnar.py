"""Columns with types of their own: Arrow, Parquet and data frames.

Limits on the size of hostile files belong into :func:`parquet_sheet`, before anything is read, and into
:func:`_blocks`, the one place where pages are decompressed. Large files are read column by column.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from factweights.errors import FactsError, FileFormatError, MissingExtraError
from factweights.facts.cells import column_texts, instant
from factweights.facts.sheet import Sheet, must_be_of_size, names

_DAMAGE = (
    OSError,
    ValueError,
    OverflowError,
    KeyError,
    IndexError,
    TypeError,
    NotImplementedError,
    MemoryError,
)


def parquet_sheet(path: Path) -> Sheet:
    """The sheet in a Parquet file.

    Raises:
        MissingExtraError: no pyarrow; FileFormatError: foreign, truncated or damaged contents.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as e:
        raise MissingExtraError("reading Parquet", "data") from e

    def damaged(e: Exception) -> FileFormatError:
        return FileFormatError(f"{path} is not a whole Parquet file ({e}); write it again")

    try:
        with pq.ParquetFile(path) as file:  # one file: read_table would take folder names for columns
            must_be_of_size(str(path), file.metadata.num_columns, file.metadata.num_rows)
            schema, n = file.schema_arrow, file.metadata.num_rows
    except FactsError:
        raise
    except (pa.ArrowException, *_DAMAGE) as e:
        raise damaged(e) from e

    read = _blocks(path, schema, n)

    def column(i: int) -> Sequence[Any]:
        try:
            return arrow_cells(read(i))
        except (pa.ArrowException, *_DAMAGE) as e:
            if isinstance(e, FactsError):
                raise
            raise damaged(e) from e

    return _ordered(str(path), list(schema.names), n, column, _index(schema.metadata), "Parquet")


AT_ONCE = 1_000_000  # cells: opening a file costs as much as its columns, so few are not read one by one


def _blocks(path: Path, schema: Any, rows: int) -> Callable[[int], Any]:
    """A reader of one column that keeps its neighbours, as many as make ``AT_ONCE`` cells together."""
    columns = list(schema.names)
    # A name with a dot means a part of a column, and one that comes twice both: such files are read whole.
    plain = len(set(columns)) == len(columns) and not any("." in name for name in columns)
    width = max(1, AT_ONCE // max(1, rows)) if plain else len(columns)
    kept: dict[int, Any] = {}

    def read(i: int) -> Any:
        import pyarrow.parquet as pq

        block = i // width
        if block not in kept:
            kept.clear()
            with pq.ParquetFile(path) as file:
                wanted = columns[block * width : (block + 1) * width] if plain else None
                kept[block] = file.read(columns=wanted)
        return kept[block].column(i % width)

    return read


def frame_sheet(frame: Any) -> Sheet:
    """The sheet in a DataFrame of pandas, or in anything that Arrow understands (polars, DuckDB).

    Raises:
        FactsError: something else.
    """
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):
        return _pandas(frame)
    if hasattr(frame, "__arrow_c_stream__") or type(frame).__module__.startswith("pyarrow"):
        try:
            import pyarrow as pa
        except ImportError as e:
            raise MissingExtraError("reading Arrow tables", "data") from e
        try:
            table = frame if isinstance(frame, pa.Table) else pa.table(frame)
        except (pa.ArrowException, ValueError, TypeError) as e:
            raise FactsError(f"the data frame cannot be read as an Arrow table ({e})") from e
        header = list(table.column_names)
        index = _index(table.schema.metadata)
        return _ordered(
            "the data frame",
            header,
            table.num_rows,
            lambda i: arrow_cells(table.column(i)),
            index,
            "Arrow table",
        )
    raise FactsError(
        f"from_pandas takes a DataFrame, got {type(frame).__name__}; rows go to from_rows, dicts to "
        "from_records"
    )


def _ordered(
    source: str,
    header: list[str],
    rows: int,
    column: Callable[[int], Sequence[Any]],
    index: list[str],
    form: str,
) -> Sheet:
    """A sheet with the columns first that were the index of a data frame."""
    must_be_of_size(source, len(header), rows)
    front = [header.index(name) for name in index if name in header]
    order = front + [i for i in range(len(header)) if i not in front]
    shown = names(source, [header[i] for i in order])
    return Sheet(source, "row", shown, range(1, rows + 1), lambda i: column(order[i]), form, typed=True)


def _index(metadata: dict[bytes, bytes] | None) -> list[str]:
    """The columns that pandas wrote its index to, as its own metadata says."""
    try:
        said = json.loads((metadata or {}).get(b"pandas", b"{}"))["index_columns"]
        return [name for name in said if isinstance(name, str)]
    except (ValueError, KeyError, TypeError):
        return []


# -- pandas ------------------------------------------------------------------------------------------------


def _pandas(frame: Any) -> Sheet:
    """The columns of a frame, and its index where somebody gave it a name or words."""
    columns = [frame.iloc[:, i] for i in range(frame.shape[1])]
    header = list(frame.columns)
    headed = not (header and all(type(h) is int for h in header) and header == list(range(len(header))))
    if not headed:
        header = [str(i + 1) for i in header]
    levels = [frame.index.get_level_values(i) for i in range(frame.index.nlevels)]
    told = [level for level in levels if level.name is not None or level.dtype.kind not in "iu"]
    if told and len(levels) == len(told) and headed:
        header = ["" if level.name is None else level.name for level in levels] + header
        columns = [level.to_series() for level in levels] + columns
    return Sheet(
        "the data frame",
        "row",
        names("the data frame", header),
        range(1, len(frame) + 1),
        lambda i: pandas_cells(columns[i]),
        "data frame",
        headed=headed,
        typed=True,
    )


def pandas_cells(series: Any) -> Sequence[Any]:
    """The cells of a series, each in a type that keeps what was written."""
    dtype = series.dtype
    kind = type(dtype).__name__
    if kind == "ArrowDtype":
        return arrow_cells(series.array.__arrow_array__())
    if kind == "CategoricalDtype":
        of = column_texts(pandas_cells(series.cat.categories.to_series()), lambda _, e: e)
        return [None if code < 0 else of[code] for code in series.cat.codes.tolist()]
    if kind == "SparseDtype":
        return pandas_cells(series.sparse.to_dense())
    if kind.startswith("Float") and hasattr(dtype, "numpy_dtype"):  # nullable: its gaps are no NaN
        plain = series.array.to_numpy(dtype=dtype.numpy_dtype, na_value=np.nan)
        return [None if gone else v for v, gone in zip(plain, series.isna(), strict=True)]
    if isinstance(dtype, np.dtype) and dtype.kind in "fMm":
        return list(series.to_numpy())  # numpy's scalars: 0.1 in 32 bits, instants of any year
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return list(series)
    return series.astype(object).tolist()


# -- Arrow -------------------------------------------------------------------------------------------------


def arrow_cells(column: Any) -> Sequence[Any]:
    """The cells of an Arrow column, each in a type that keeps what was written."""
    import pyarrow as pa
    import pyarrow.compute as pc

    t, kinds = column.type, pa.types
    if isinstance(t, pa.BaseExtensionType):
        return arrow_cells(pa.chunked_array([c.storage for c in _chunks(column)], t.storage_type))
    if kinds.is_dictionary(t):
        return arrow_cells(column.cast(t.value_type))
    if kinds.is_run_end_encoded(t):
        return arrow_cells(
            pa.chunked_array([pc.call_function("run_end_decode", [c]) for c in _chunks(column)], t.value_type)
        )
    if kinds.is_floating(t):
        return list(
            np.asarray(column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column)
        )
    if kinds.is_date(t) or kinds.is_timestamp(t):
        return _instants(column)
    if kinds.is_duration(t):
        whole = column.cast(pa.int64()).to_pylist()
        return [None if n is None else np.timedelta64(n, t.unit) for n in whole]
    if kinds.is_time(t):
        return [None if s is None else _clock(s) for s in column.cast(pa.string()).to_pylist()]
    if kinds.is_decimal(t):
        return [None if d is None else format(d, "f") for d in column.to_pylist()]
    return column.to_pylist()


def _chunks(column: Any) -> list[Any]:
    return column.chunks if hasattr(column, "chunks") else [column]


def _instants(column: Any) -> list[Any]:
    """Dates and times through the integers behind them: datetime knows only the years 1 to 9999."""
    import pyarrow as pa

    t = column.type
    if pa.types.is_date32(t):
        unit, whole = "D", column.cast(pa.int32()).to_pylist()
    else:
        unit, whole = "ms" if pa.types.is_date64(t) else t.unit, column.cast(pa.int64()).to_pylist()
    found = [None if n is None else np.datetime64(n, unit) for n in whole]
    if pa.types.is_date(t):
        return [None if v is None else str(v.astype("M8[D]")) for v in found]
    if t.tz is None:
        return found
    return [None if v is None else _zoned(v, t.tz) for v in found]


def _zoned(utc: np.datetime64, zone: str) -> str:
    """An instant in its zone, or in UTC where the zone or the year is none that Python knows."""
    import datetime
    import zoneinfo

    shown = instant(utc, clock_too=True)
    try:
        offset = datetime.datetime.fromisoformat(shown[:26] + "+00:00").astimezone(zoneinfo.ZoneInfo(zone))
    except (ValueError, OverflowError, KeyError, OSError):
        return f"{shown}+00:00"
    more = shown[26:]  # nanoseconds
    return str(offset) if not more else f"{offset.replace(tzinfo=None)}{more}{str(offset)[-6:]}"


def _clock(shown: str) -> str:
    clock, _, fraction = shown.partition(".")
    fraction = fraction.rstrip("0")
    return f"{clock}.{fraction.ljust(6 if len(fraction) <= 6 else 9, '0')}" if fraction else clock
