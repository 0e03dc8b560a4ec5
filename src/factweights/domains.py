"""What settings may be: one annotated type for each kind, checked before work starts.

A domain stands in the annotation of a setting: in a field of a method, in a field of a spec (pydantic reads
it there), or in an argument of a public function under :func:`checked`. It is the only place that knows the
limits, and an error names the setting, its value and the limits. Upper limits are where the next step would
ask for more memory or time than any machine has, so that a slip of the hand is told in a moment.
"""

import functools
import inspect
import math
import operator
import os
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ParamSpec, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from factweights.errors import SettingError

P = ParamSpec("P")
Adapter = Any  # pydantic's TypeAdapter, which the shape checks of the tests do not know
R = TypeVar("R")

LISTED = 100_000  # entries of a list of settings, seeds among them
TOLD = 60  # characters of a refused value that an error repeats


class DomainError(ValueError):
    """A value outside its domain, as pydantic wants to hear of it."""


class Domain:
    """A kind of value; called with one, it returns it as the kind it is or refuses it."""

    def __str__(self) -> str:
        raise NotImplementedError

    def refused(self, why: str = "") -> "DomainError":
        """The error that states the domain, and ``why`` before it."""
        return DomainError(f"{why and f'{why}; '}give {self}")

    def __call__(self, value: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Whole(Domain):
    """Whole numbers from ``low`` to ``high``; 16.0 is one, 15.6, "16" and True are not."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"a whole number from {self.low:,} to {self.high:,}"

    def __call__(self, value: Any) -> int:
        try:
            number = int(value) if value.__class__ is float and value.is_integer() else operator.index(value)
        except TypeError:
            raise self.refused() from None
        if isinstance(value, bool) or not self.low <= number <= self.high:
            raise self.refused()
        return number


@dataclass(frozen=True)
class Real(Domain):
    """Finite numbers from ``low`` to ``high``, without the ends that are ``open``."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def __str__(self) -> str:
        return (
            f"a number {'above' if self.open_low else 'of at least'} {self.low:g} "
            f"and {'below' if self.open_high else 'at most'} {self.high:g}"
        )

    def __call__(self, value: Any) -> float:
        try:
            # 0-dimensional arrays and tensors count as numbers, words and truth values do not
            number = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
        except (TypeError, ValueError, OverflowError):
            raise self.refused() from None
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        if not (above and below):  # NaN is neither
            raise self.refused()
        return number


@dataclass(frozen=True)
class Text(Domain):
    """Texts of up to ``most`` characters."""

    most: int

    def __str__(self) -> str:
        return f"a text of at most {self.most:,} characters"

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > self.most:
            raise self.refused()
        return value


@dataclass(frozen=True)
class Truth(Domain):
    """True or False and nothing that is only like them."""

    def __str__(self) -> str:
        return "true or false"

    def __call__(self, value: Any) -> bool:
        if type(value).__name__ not in ("bool", "bool_"):  # numpy's as well
            raise self.refused()
        return bool(value)


@dataclass(frozen=True)
class Several(Domain):
    """A list with at least ``least`` entries, no two equal.

    Attributes:
        of: what each entry is; None where the type beneath says it.
        ascending: whether each entry is above the one before.
    """

    of: Domain | None = None
    least: int = 1
    ascending: bool = False

    def __str__(self) -> str:
        each = "" if self.of is None else f", each {self.of}"
        least = f"at least {self.least} and " if self.least else ""
        order = " in ascending order" if self.ascending else ""
        return f"a list of {least}at most {LISTED:,} different entries{order}{each}"

    def __call__(self, value: Any) -> Any:
        if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
            raise self.refused()
        if not self.least <= len(value) <= LISTED:
            raise self.refused(f"it has {len(value):,}")
        try:
            entries = value if self.of is None else tuple(self.of(v) for v in value)
        except DomainError:
            raise self.refused() from None
        if twice := _twice(entries):
            raise self.refused(f"{told(twice[0])} stands there twice")
        if self.ascending and list(entries) != sorted(entries):
            raise self.refused("they are not in order")
        return entries


@dataclass(frozen=True)
class CountOrSeveral(Several):
    """``3``, which stands for 0, 1 and 2, or a list; a count stays a range."""

    def __str__(self) -> str:
        return f"a count from 1 to {LISTED:,}, or {super().__str__()}"

    def __call__(self, value: Any) -> Sequence[Any]:
        if isinstance(value, range):
            value = len(value) if value == range(len(value)) else list(value[: LISTED + 1])
        if isinstance(value, Collection):
            return super().__call__(value)
        try:
            return range(Whole(1, LISTED)(value))
        except DomainError:
            raise self.refused() from None


_SEED = Whole(0, 2**63 - 1)
_DIMENSION = Whole(1, 2**20)

Seed = Annotated[int, BeforeValidator(_SEED)]
Seeds = Annotated[int | Sequence[int], BeforeValidator(CountOrSeveral(_SEED))]
Dimension = Annotated[int, BeforeValidator(_DIMENSION)]
Width = Annotated[int, BeforeValidator(Whole(1, 2**24))]
WidthOrNone = Annotated[int, BeforeValidator(Whole(0, 2**24))]  # neurons, perhaps no MLP at all
Count = Annotated[int, BeforeValidator(Whole(1, 10**9))]  # facts, subjects, steps, evaluations
CountOrNone = Annotated[int, BeforeValidator(Whole(0, 10**9))]
Outputs = Annotated[int, BeforeValidator(Whole(2, 10**9))]  # with one there is nothing to confuse
Length = Annotated[int, BeforeValidator(Whole(3, 2**20))]  # of a prompt: subject, relation, EOS
PlannedFacts = Annotated[int, BeforeValidator(Whole(2, 10**18))]
PlannedAnswers = Annotated[int, BeforeValidator(Whole(2, 10**12))]  # as far as δ(M) is good
Heads = Annotated[int, BeforeValidator(Whole(1, 2**16))]
Workers = Annotated[int, BeforeValidator(Whole(1, 1024))]
Share = Annotated[float, BeforeValidator(Real(1e-6, 1.0))]  # a recall of which no fact is left is none
OpenShare = Annotated[float, BeforeValidator(Real(0.0, 1.0, open_low=True, open_high=True))]
Degree = Annotated[int, BeforeValidator(Whole(1, 64))]  # of a Hermite polynomial
Norm = Annotated[float, BeforeValidator(Real(0.0, 1e9))]
Margin = Annotated[float, BeforeValidator(Real(0.0, 2.0, open_high=True))]
Tolerance = Annotated[float, BeforeValidator(Real(0.0, 1.0))]
PositiveTolerance = Annotated[float, BeforeValidator(Real(1e-6, 1.0))]  # below it no bracket is narrow enough
Rate = Annotated[float, BeforeValidator(Real(0.0, 1e38, open_low=True))]  # as float32 goes
Positive = Annotated[float, BeforeValidator(Real(0.0, 1e12, open_low=True))]
NonNegative = Annotated[float, BeforeValidator(Real(0.0, 1e12))]
Exponent = Annotated[float, BeforeValidator(Real(0.0, 100.0))]
Title = Annotated[str, BeforeValidator(Text(200))]
Flag = Annotated[bool, BeforeValidator(Truth())]

Context = Annotated[int, BeforeValidator(Whole(8, 2**20))]  # tokens of a compiled model's longest prompt
Norms = Annotated[Sequence[float], BeforeValidator(Several(Real(0.0, 1e9), least=0))]
Ranks = Annotated[Sequence[int], BeforeValidator(Several(Whole(1, 10**9), least=0))]

# of recall tasks; a table of subjects × relations × answers has to fit somewhere
Subjects = Annotated[int, BeforeValidator(Whole(1, 2**20))]
Relations = Annotated[int, BeforeValidator(Whole(1, 2**16))]
Answers = Annotated[int, BeforeValidator(Whole(1, 2**20))]

# for the fields of specs
_RATIO = Real(0.0, 1e4, open_low=True)
Ratio = Annotated[float, BeforeValidator(_RATIO)]
SomeSeeds = Annotated[tuple[int, ...], BeforeValidator(CountOrSeveral(_SEED))]
MaybeSeeds = Annotated[tuple[int, ...], BeforeValidator(CountOrSeveral(_SEED, least=0))]
Dimensions = Annotated[tuple[int, ...], BeforeValidator(Several(_DIMENSION))]
Counts = Annotated[tuple[int, ...], BeforeValidator(Several(Whole(1, 10**4)))]
Ratios = Annotated[tuple[float, ...], BeforeValidator(Several(_RATIO))]
MaybeRatios = Annotated[tuple[float, ...], BeforeValidator(Several(_RATIO, least=0))]
Rates = Annotated[tuple[float, ...], BeforeValidator(Several(Real(0.0, 1e38, open_low=True)))]
Exponents = Annotated[tuple[float, ...], BeforeValidator(Several(Real(0.0, 100.0), least=0))]
Ascending = Annotated[tuple[int, ...], BeforeValidator(Several(_DIMENSION, ascending=True))]
AscendingOrNone = Annotated[tuple[int, ...], BeforeValidator(Several(Whole(0, 2**24), ascending=True))]
Entries = BeforeValidator(Several())  # for tuples of something else: Annotated[tuple[X, ...], Entries]
MaybeEntries = BeforeValidator(Several(least=0))


def must_fit(size: float, what: str, fields: Sequence[str]) -> None:
    """Say before it is tried that ``what`` of ``size`` bytes is more than this machine's memory.

    Raises:
        SettingError: with both numbers; ``fields`` are the settings to lower.
    """
    try:
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not every system tells
        most = 1 << 40
    if size > most:
        lower = " or ".join(fields)
        raise SettingError(
            f"{what} take {size / 2**30:,.0f} GiB of memory, this machine has {most / 2**30:,.0f}: "
            f"give less of {lower}",
            fields=fields,
        )


def told(value: Any) -> str:
    """A value as an error repeats it: short."""
    try:
        text = repr(value)
    except ValueError:  # Python will not write out an integer of 5,000 digits
        return f"a {type(value).__name__} too long to print"
    return text if len(text) <= TOLD else f"{text[:TOLD]}… ({len(text):,} characters)"


def refusal(error: ValidationError, of: str = "") -> SettingError:
    """The error of ours that says what pydantic found first: setting, value, limits.

    Args:
        of: whose settings they are, as in "recall of gated-fit".
    """
    first = error.errors()[0]
    place = [str(p) for p in first["loc"] if not (isinstance(p, str) and ("[" in p or "-" in p))]
    where = ".".join(place)
    text = f"{where}{of and f' of {of}'} cannot be {told(first['input'])}: {_said(first['msg'])}"
    return SettingError(text, fields=place[:1])


def check_settings(settings: Any, of: str) -> None:
    """Check every field of a frozen dataclass against its annotation, in its ``__post_init__``.

    Raises:
        SettingError: with the name of the field, its value and its domain.
    """
    for name, adapter in _field_adapters(type(settings)).items():
        value = getattr(settings, name)
        object.__setattr__(settings, name, _validated(adapter, name, value, of))


def checked_settings(kind: type, values: Mapping[str, Any], of: str) -> dict[str, Any]:
    """Settings of the frozen dataclass ``kind`` that are yet to be made one of, each in its domain.

    Raises:
        SettingError: as :func:`check_settings`.
    """
    adapters = _field_adapters(kind)
    return {name: _validated(adapters[name], name, value, of) for name, value in values.items()}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of a public function whose annotations are domains, before its first line runs.

    Raises:
        SettingError: with the name of the argument, its value and its domain.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        adapters, signature = _argument_adapters(function)
        bound = signature.bind(*args, **kwargs)
        for name in bound.arguments.keys() & adapters.keys():
            value = bound.arguments[name]
            bound.arguments[name] = _validated(adapters[name], name, value)
        return function(*bound.args, **bound.kwargs)

    return call


def _validated(adapter: Adapter, name: str, value: Any, of: str = "") -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as e:
        first = next((x for x in e.errors() if x["type"] == "value_error"), e.errors()[0])
        said = _said(first["msg"])
        text = f"{name}{of and f' of {of}'} cannot be {told(value)}: {said}"
        raise SettingError(text, fields=(name,)) from None


def _said(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "give")


@functools.cache
def _field_adapters(kind: type) -> dict[str, Adapter]:
    from dataclasses import fields

    hints = typing.get_type_hints(kind, include_extras=True)
    return {f.name: TypeAdapter(hints[f.name]) for f in fields(kind)}


@functools.cache
def _argument_adapters(
    function: Callable[..., Any],
) -> tuple[dict[str, Adapter], inspect.Signature]:
    hints = typing.get_type_hints(function, include_extras=True)
    ours = {name: TypeAdapter(hint) for name, hint in hints.items() if name != "return" and _has_domain(hint)}
    return ours, inspect.signature(function)


def _has_domain(hint: Any) -> bool:
    """Whether a domain stands in an annotation, or in a part of a union."""
    marks = getattr(hint, "__metadata__", ())
    if any(isinstance(m, BeforeValidator) and isinstance(m.func, Domain) for m in marks):
        return True
    return any(_has_domain(part) for part in typing.get_args(hint) if part is not type(None))


def _twice(entries: Any) -> list[Any]:
    """The first entry that equals an earlier one, if any; entries need not be hashable."""
    seen: set[str] = set()
    for entry in entries:
        key = repr(entry)
        if key in seen:
            return [entry]
        seen.add(key)
    return []
