"""``isinstance`` that says what is inside: after a bare ``dict`` a type checker knows nothing of it."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is an object of JSON."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether it is a list."""
    return isinstance(value, list)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether it has keys and values."""
    return isinstance(value, Mapping)


def is_many(value: object) -> TypeGuard[Iterable[Any]]:
    """Whether it is several things, and neither a text nor a dict."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def is_array(value: object) -> TypeGuard[NDArray[Any]]:
    """Whether it is an array of numpy."""
    return isinstance(value, np.ndarray)


def is_instant(value: object) -> TypeGuard[np.datetime64]:
    """Whether it is a point in time of numpy."""
    return isinstance(value, np.datetime64)


def is_span(value: object) -> TypeGuard[np.timedelta64]:
    """Whether it is a duration of numpy."""
    return isinstance(value, np.timedelta64)


def is_floating(value: object) -> TypeGuard[np.floating]:
    """Whether it is a floating-point number of numpy."""
    return isinstance(value, np.floating)
