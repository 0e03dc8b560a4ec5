"""Words of the command line made into methods with their settings."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from factweights.cli.converting import literal
from factweights.errors import SettingError, UnknownNameError

if TYPE_CHECKING:
    from factweights.methods import Method
    from factweights.methods.recall import RecallMethod

Built = TypeVar("Built")

OWN_OPTION = ("width", "d", "heads", "head_dim")
_ROOMY = 1 << 20  # a width that leaves room for every other setting


def build_method(name: str, given: Sequence[str] | None = None, **more: Any) -> "Method":
    """The method called ``name`` with ``KEY=VALUE`` settings and those of ``more`` that are not None.

    Raises:
        UnknownNameError: no such method, or it has no such setting.
        SettingError: a value of the wrong type, a setting missing, given twice or out of its range.
    """
    from factweights.methods import method_named

    return build_settings(method_named(name), name, given, **more)


def build_recall_method(name: str, given: Sequence[str] | None = None, **more: Any) -> "RecallMethod":
    """The same for the methods of the recall transformer; errors as in :func:`build_method`."""
    from factweights.methods.recall import RECALL_METHODS

    if name not in RECALL_METHODS:
        raise UnknownNameError(
            "recall method", name, RECALL_METHODS, f"(there are {', '.join(RECALL_METHODS)})"
        )
    return build_settings(RECALL_METHODS[name], name, given, **more)


def build_settings(method: "type[Built]", name: str, given: Sequence[str] | None, **more: Any) -> "Built":
    """An instance of the dataclass ``method``, called ``name``; errors as in :func:`build_method`."""
    from factweights.domains import checked_settings

    fields: dict[str, dataclasses.Field[Any]] = {f.name: f for f in dataclasses.fields(method)}  # type: ignore[arg-type]
    values: dict[str, Any] = {k: v for k, v in more.items() if v is not None}
    for entry in given or ():
        key, equals, value = entry.partition("=")
        if not equals:
            raise SettingError(f"a setting is given as KEY=VALUE, got {entry!r}")
        key = key.strip().replace("-", "_")
        if key == "recall" and "recall" in fields:
            raise SettingError("the recall level is given as --recall, not as a setting")
        if key in values:
            raise SettingError(f"{key} is given twice")
        values[key] = literal(value.strip())
    for key in values:
        if key not in fields:
            listed = f"(it has {', '.join(fields)})" if fields else "(it has none)"
            raise UnknownNameError(f"setting of {name}", key, fields, listed)
    if missing := [f for f, field in fields.items() if f not in values and _required(field)]:
        option = f"--{missing[0].replace('_', '-')} …, or " if missing[0] in OWN_OPTION else ""
        raise SettingError(f"{name} needs {missing[0]}: {option}--setting {missing[0]}=…")
    return method(**checked_settings(method, values, name))


def method_by_rank(name: str, given: Sequence[str] | None = None) -> "Callable[[int], Method]":
    """Rank ↦ the method called ``name`` with that rank; settings and errors as in :func:`build_method`."""
    return _method_by("rank", 1, name, given)


def method_by_width(name: str, given: Sequence[str] | None = None) -> "Callable[[int], Method]":
    """Width ↦ the method called ``name`` with that width; settings and errors as in :func:`build_method`."""
    return _method_by("width", _ROOMY, name, given)


def _method_by(size: str, usual: int, name: str, given: Sequence[str] | None) -> "Callable[[int], Method]":
    build_method(name, given, **{size: usual})  # so that a wrong setting is told before the work begins

    def of_size(value: int) -> "Method":
        return build_method(name, given, **{size: value})

    return of_size


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
