"""Cells as text: one normalisation of names and values, whichever library they come from."""

import datetime
import decimal
import math
import numbers
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from factweights.errors import FactsError
from factweights.facts.guards import is_array, is_floating, is_instant, is_span

# What has no width and no meaning at the edge of a name: byte order marks of joined files, zero-width spaces,
# word joiners, soft hyphens, marks of direction. ZWJ and ZWNJ stay: some scripts end words with them.
_UNSEEN = (
    "\ufeff\u200b\u2060\u180e\u00ad\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
# What str.strip() takes off, spelt out, as both must go in one pass: in turns they take quadratic time.
_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_EDGES = _SPACE + _UNSEEN
_SCALARS = (numbers.Number, decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)
# How files write that there is nothing. They are kept, as NA is Namibia and None a village, but counted.
WORDS = frozenset({"nan", "null", "none", "nil", "n/a", "na", "#n/a", "<na>", "nat", "n.a.", "\\n"})


class Number(str):
    """A number as a file writes it: text that is known not to be a name."""

    __slots__ = ()


class Repeating(dict[str, Any]):
    """A JSON object in which a key stands twice, so that nobody knows what it holds."""


class NestedError(FactsError):
    """A cell that holds other cells."""


def text(value: object) -> str:
    """A cell as text, its edges free of whitespace and of what nobody sees, in Unicode NFC.

    Whatever a library calls missing is empty: None, NaN of any type, NaT, pandas' NA, Arrow's null, numpy's
    masked. Floats have the digits that their own type needs. A numpy or pandas instant at midnight without a
    time zone is a date, as these libraries have no other.

    Raises:
        FactsError: lists, bytes and other things that are no cell; NUL and lone surrogates.
    """
    value = value if isinstance(value, str) else _unwrapped(value)
    if isinstance(value, str):
        out = str.__str__(value)
    elif missing(value):
        return ""
    else:
        out = _shown(value)
    if "\0" in out:
        raise FactsError(f"the cell {out[:60]!r} holds a NUL character; remove it")
    if out.isascii():
        return out.strip()
    try:
        out.encode()
    except UnicodeEncodeError as e:
        raise FactsError(f"the cell {out[:60]!r} holds half a UTF-16 pair; write whole characters") from e
    return unicodedata.normalize("NFC", out.strip(_EDGES)).strip(_EDGES)


def missing(value: object) -> bool:
    """Whether a library means by this value that there is none."""
    if isinstance(value, str):
        return False
    if value is None or value is np.ma.masked:
        return True
    value = _unwrapped(value)
    if value is None:
        return True
    if isinstance(value, decimal.Decimal):
        return value.is_nan()  # a signalling NaN cannot be compared
    if is_instant(value) or is_span(value):
        return bool(np.isnat(value))
    if isinstance(value, (float, complex, np.inexact)):
        return bool(value != value)
    return type(value).__name__ in ("NAType", "NaTType") and type(value).__module__.startswith("pandas")


def nested(value: object) -> bool:
    """Whether a value holds others, and is no cell."""
    return isinstance(value, (dict, list, tuple, set, frozenset, bytes, bytearray, memoryview)) or (
        is_array(value) and value.ndim > 0
    )


def column_texts(values: Sequence[Any], failed: Callable[[int, FactsError], FactsError]) -> list[str]:
    """A whole column as text, where the column says more than a cell does.

    Floats that are all whole beside NaN were integers until a library made room for the gap. Instants that
    are all at midnight without a time zone are dates.

    Args:
        values: the cells.
        failed: index of a cell and what is wrong with it, to the error that is raised.
    """
    shown = _whole if _gapped(values) else _clocked(values)
    out: list[str] = []
    for i, value in enumerate(values):
        try:
            out.append(shown(value))
        except FactsError as e:
            raise failed(i, e) from e
    return out


def instant(value: np.datetime64, *, clock_too: bool = False) -> str:
    """Date and time with as many digits as Python's own, whatever the year; at midnight the date may do."""
    day, _, clock = str(value).partition("T")
    if clock_too and not clock:
        return f"{day} 00:00:00"
    clock, _, fraction = clock.partition(".")
    fraction = fraction.rstrip("0")
    if fraction:
        clock += "." + fraction.ljust(6 if len(fraction) <= 6 else 9, "0")
    return day if clock.strip("0:") == "" and not clock_too else f"{day} {clock}"


def _unwrapped(value: object) -> Any:
    """Scalars in the boxes of Arrow, torch and numpy, taken out."""
    module = type(value).__module__.partition(".")[0]
    if module == "pyarrow" and hasattr(value, "as_py"):
        return _from_arrow(value)
    if module == "torch" and getattr(value, "ndim", 1) == 0 and hasattr(value, "detach"):
        return value.detach().cpu().float().item() if "bfloat16" in str(value.dtype) else value.numpy()[()]  # type: ignore[attr-defined]
    if is_array(value) and value.ndim == 0:
        return value[()]
    return value


def _from_arrow(scalar: Any) -> Any:
    kind = str(scalar.type)
    if not scalar.is_valid:
        return None
    if kind in ("halffloat", "float"):  # as_py() makes doubles of them, with digits that nobody wrote
        return (np.float16 if kind == "halffloat" else np.float32)(scalar.as_py())
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, TypeError):  # a date that datetime has no room for
        return str(scalar)


def _shown(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"  # as JSON and most databases write it
    pandas = type(value).__module__.startswith("pandas")
    if is_instant(value):
        return instant(value)
    if is_floating(value) and value.dtype.itemsize <= 8:
        return str(float(str(value)))  # the digits that its type needs, as Python sets them out
    if is_span(value):
        return _span(value)
    if isinstance(value, datetime.datetime):
        return str(value.date()) if pandas and _midnight(value) else str(value)
    if isinstance(value, _SCALARS) or (pandas and type(value).__name__ == "Period"):
        return str(value)
    problem = f"a cell holds {type(value).__name__} {_short(value)}; give text or numbers"
    raise NestedError(problem) if nested(value) else FactsError(problem)


def _span(value: np.timedelta64) -> str:
    """A duration as Python shows it, or in its own unit where Python has no room for it."""
    in_us = value.astype("m8[us]")
    plain = in_us.item()
    return (
        str(plain)
        if isinstance(plain, datetime.timedelta) and in_us.astype(value.dtype) == value
        else str(value)
    )


def _short(value: object) -> str:
    try:
        return repr(value)[:60]
    except RecursionError:  # lists in lists in lists
        return "nested deeply"


def _midnight(value: object) -> bool:
    if isinstance(value, datetime.datetime):
        return (
            value.tzinfo is None and value.time() == datetime.time() and not getattr(value, "nanosecond", 0)
        )
    return is_instant(value) and bool(value == value.astype("M8[D]"))


def _clocked(values: Sequence[Any]) -> Callable[[Any], str]:
    """How instants are shown, all in one way: as dates if every one is at midnight, or with the time."""
    some, shown = False, _date
    for value in values:
        if not missing(value):
            if not (isinstance(value, datetime.datetime) or is_instant(value)):
                return text
            some, shown = True, shown if _midnight(value) else _time
    return shown if some else text


def _date(value: Any) -> str:
    return str(value.date()) if isinstance(value, datetime.datetime) and not missing(value) else text(value)


def _time(value: Any) -> str:
    if missing(value):
        return ""
    return instant(value, clock_too=True) if is_instant(value) else str(value)


def _gapped(values: Sequence[Any]) -> bool:
    """Whether these are whole floats and at least one NaN."""
    gap = some = False
    for value in values:
        if value is None:
            continue
        if not (isinstance(value, float) or is_floating(value)):
            return False
        if value != value:
            gap = True
            continue
        digits = np.finfo(type(value)).nmant + 1 if is_floating(value) else 53
        # Beyond 2^53 a double is whole whatever was meant.
        if not math.isfinite(value) or value != int(value) or abs(value) > 2.0**digits:
            return False
        some = True
    return gap and some


def _whole(value: Any) -> str:
    return "" if missing(value) else str(int(value))
