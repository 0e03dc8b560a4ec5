"""JSON files: strict, of a limited size, and what they must hold said by a pydantic model."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from factweights.errors import FileFormatError

LARGEST = 1 << 30  # bytes of a file that is read at once
_DIGITS = 19  # of an integer of 64 bits
B = TypeVar("B", bound=BaseModel)

Json = dict[str, Any]  # an object of a JSON file, before anyone has looked at what it holds


def write_json(path: Path, value: Json) -> None:
    """Write strict JSON that people can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Json:
    """Read a JSON object.

    Raises:
        FileFormatError: it is none, not whole, or holds what no file of ours does: NaN, infinities, integers
            beyond 64 bits.
    """
    try:
        if not path.is_file():
            raise FileFormatError(f"{path} is not a file; give one")
        if (size := path.stat().st_size) > LARGEST:
            raise FileFormatError(f"{path} has {size:,} bytes; at most {LARGEST:,} are read as JSON")
        found = parse_json(path.read_bytes())
    except FileFormatError:
        raise
    except (OSError, ValueError, RecursionError) as e:
        raise FileFormatError(f"{path} is not whole JSON ({_short(e)}); is it cut short?") from e
    if not isinstance(found, dict):
        raise FileFormatError(f"{path} holds a JSON {type(found).__name__}, not an object; save it again")
    return found


def parse_json(raw: str | bytes) -> Any:
    """Strict JSON.

    Raises:
        ValueError, RecursionError: it is none, or holds numbers that no machine number is.
    """
    found = json.loads(raw, parse_int=_integer, parse_constant=_constant)
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()  # nor half a surrogate pair, nor 1e999
    return found


def _integer(text: str) -> int:
    if len(text) > _DIGITS + 1 or not -(2**63) <= (x := int(text)) < 2**64:
        raise ValueError(f"an integer of {len(text)} digits")
    return x


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def checked(model: type[B], found: Any, where: object) -> B:
    """What was found, as ``model`` says it must be.

    Raises:
        FileFormatError: it is not, with the first field that is wrong.
    """
    try:
        return model.model_validate(found)
    except (ValidationError, RecursionError, OverflowError) as e:
        raise FileFormatError(f"{where} is damaged: {_first(e)}; save it again") from e


def _first(e: Exception) -> str:
    if not isinstance(e, ValidationError):
        return _short(e)
    first = e.errors(include_url=False, include_input=False)[0]
    return f"{_short('.'.join(map(str, first['loc'])))}: {_short(first['msg'])}"


def _short(what: object) -> str:
    text = str(what)
    return text if len(text) <= 200 else f"{text[:200]}…"


def plain(value: Any) -> Any:
    """As strict JSON holds it: tuples are lists, arrays and tensors too, inf and NaN words."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)
