"""Options that several commands share, and words of the command line made into values."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from factweights.errors import SettingError, UnknownNameError

if TYPE_CHECKING:
    from factweights.facts import FactTable, RecallTask
    from factweights.methods import Method
    from factweights.methods.recall import RecallMethod

Flag = Annotated[bool, Parameter(show_default=False)]
Json = Annotated[
    bool,
    Parameter(name="--json", show_default=False, help="Print one JSON document and nothing else on stdout."),
]
# Spelt out again, as the original lies behind the import of numpy; a test compares the two.
Kind = Literal["spherical", "gaussian", "orthonormal", "spiked"]
Setting = Annotated[
    list[str] | None,
    Parameter(name="--setting", metavar="KEY=VALUE", help="Setting of the method; may be repeated."),
]

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


def recall_task(
    subjects: int | None,
    relations: int | None,
    answers: int | None,
    table: "FactTable | None",
    noise: int | None,
    length: int,
    alpha: float,
    beta: float,
    *,
    structured: bool,
    seed: int,
) -> "RecallTask":
    """The recall task that the options of a command describe.

    Raises:
        SettingError: sizes missing, or given beside a table.
        FactsError: a table that cannot be used.
    """
    from factweights.facts import RecallTask

    given = (subjects, relations, answers)
    if table is not None:
        if structured or any(x is not None for x in given):
            raise SettingError("give either --table or --subjects, --relations and --answers")
        return RecallTask.from_table(table, noise=noise, length=length, alpha=alpha, beta=beta)
    if subjects is None or relations is None or answers is None:
        raise SettingError("give --subjects, --relations and --answers, or --table FILE")
    how: dict[str, Any] = {"noise": noise, "length": length, "alpha": alpha, "beta": beta}
    if structured:
        return RecallTask.structured(subjects, relations, answers, **how)
    return RecallTask.random(subjects, relations, answers, seed=seed, **how)


def method_by_rank(name: str, given: Sequence[str] | None = None) -> "Callable[[int], Method]":
    """Rank ↦ the method called ``name`` with that rank; settings and errors as in :func:`build_method`."""
    return _method_by("rank", 1, name, given)


def method_by_width(name: str, given: Sequence[str] | None = None) -> "Callable[[int], Method]":
    """Width ↦ the method called ``name`` with that width; settings and errors as in :func:`build_method`."""
    return _method_by("width", _ROOMY, name, given)


def seeds_of(text: str) -> int | list[int]:
    """``5`` as a count of seeds, ``0,3,7`` or ``7,`` as a list of them.

    Raises:
        SettingError: anything else.
    """
    found = numbers("--seeds", [text], int)
    if not found:
        raise SettingError(f"--seeds takes a count of at least 1, or a list as in 0,3,7; got {text!r}")
    return found if "," in text else found[0]


def numbers(option: str, words: Iterable[str] | None, kind: type[int] | type[float]) -> list[Any]:
    """``0.1,0.2`` and repeated options as a list of numbers.

    Raises:
        SettingError: a word that is no number.
    """
    found = []
    for word in split(words):
        try:
            found.append(kind(word))
        except ValueError as e:
            what = "whole numbers" if kind is int else "numbers"
            raise SettingError(f"{option} takes {what} separated by commas, got {word!r}") from e
    return found


def split(words: Iterable[str] | None) -> list[str]:
    """Words separated by commas, however often the option was given."""
    return [part.strip() for word in words or () for part in word.split(",") if part.strip()]


def _method_by(size: str, usual: int, name: str, given: Sequence[str] | None) -> "Callable[[int], Method]":
    build_method(name, given, **{size: usual})  # so that a wrong setting is told before the work begins

    def of_size(value: int) -> "Method":
        return build_method(name, given, **{size: value})

    return of_size


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def literal(word: str) -> Any:
    """3, 0.5, true, none or a word; the method checks whether that is a value of its setting."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(word.lower(), word)
