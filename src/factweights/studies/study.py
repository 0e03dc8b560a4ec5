"""What a study is: a frozen spec, cells that are one pure call each, and how its numbers are shown."""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from factweights import __version__
from factweights.errors import SettingError, UnknownNameError
from factweights.folders.jsons import Json
from factweights.studies.measuring import FUNCTIONS, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CELLS = 1_000_000  # of one study, see below

Data = Mapping[str, Any]  # what any study gathered, as its file has it: each kind of study types its own
S = TypeVar("S")


class FigureData(TypedDict, Generic[S]):
    """What every study gathers, with series of its own kind; the file has its spec and versions besides."""

    figure: str
    scale: str
    title: str
    series: list[S]


D = TypeVar("D", bound=FigureData[Any])


@dataclass(frozen=True)
class Table:
    """Numbers of a study as a person reads them.

    Attributes:
        title: a line above.
        columns, rows: of text; none for lines alone.
        notes: lines below.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fit:
    """A power law through the points of one series, each entry as text.

    Attributes:
        series: its label.
        exponent, constant: with intervals.
        scatter: around the line.
        beside: measured over predicted; – without a prediction.
        residual: how wrong the prediction is.
    """

    series: str
    exponent: str
    constant: str
    scatter: str
    beside: str = "–"
    residual: str = "–"


class Cell(BaseModel):
    """One pure call: the same function and arguments give the same result.

    Attributes:
        function: a name in ``FUNCTIONS``.
        arguments: what it is called with, as JSON can hold it.
        cost: a guess at its running time in any unit, for order and estimates.
        gpus: how many it needs; an engine of several machines looks for them, the local one does not.
        label: what progress calls it. Neither this nor cost nor gpus is part of its identity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    function: str
    arguments: dict[str, JsonValue]
    cost: float = 1.0
    gpus: float = 0.0
    label: str = ""

    @property
    def spec(self) -> Json:
        """What the hash is of; with the version, as a release does not trust the results of another."""
        return {"function": self.function, "arguments": self.arguments, "factweights": __version__}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of :attr:`spec`."""
        return canonical_hash(self.spec)

    def priced(self, pace: float) -> "Cell":
        """The same call with its cost in seconds; the hash is not made again."""
        _ = self.hash
        return self.model_copy(update={"cost": pace * self.cost})

    def run(self) -> Result:
        """Make the call.

        Raises:
            UnknownNameError: no such function.
        """
        if self.function not in FUNCTIONS:
            raise UnknownNameError("cell function", self.function, FUNCTIONS)
        return FUNCTIONS[self.function](**self.arguments)

    def __str__(self) -> str:
        return self.label or f"{self.function} {self.hash[:12]}"


class Study(BaseModel, ABC, Generic[D]):
    """A frozen spec that expands to cells and gathers their results.

    Every field has a domain (:mod:`factweights.domains`), and the lists of a spec multiply to ``MOST_CELLS``
    at most, so that no spec is expanded to more cells than a machine can hold.

    ``Study[D]`` gathers, shows and draws a ``D``, of which its file is the JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]

    @model_validator(mode="after")
    def _not_too_many(self) -> "Study[D]":
        sizes = {k: len(v) for k, v in self if isinstance(v, tuple) and len(v) > 1}
        if (many := math.prod(sizes.values())) > MOST_CELLS:
            each = " × ".join(f"{n:,} {name}" for name, n in sizes.items())
            raise ValueError(f"its lists multiply to {many:,} ({each}); give at most {MOST_CELLS:,}")
        return self

    @abstractmethod
    def cells(self) -> list[Cell]:
        """Everything to be run."""

    @cached_property
    def expanded(self) -> tuple[Cell, ...]:
        """:meth:`cells`, made once, so that each is hashed once."""
        return tuple(self.cells())

    def gather(self, results: Sequence[Result]) -> D:
        """The figure's data, ready for JSON.

        Args:
            results: one for each of :meth:`cells`, in their order.

        Raises:
            SettingError: more or fewer of them.
        """
        if len(results) != len(self.expanded):
            raise SettingError(
                f"{self.name} has {len(self.expanded):,} cells; give a result for each, not {len(results):,}"
            )
        return self._gather(iter(results))

    @abstractmethod
    def _gather(self, results: Iterator[Result]) -> D:
        """:meth:`gather`, taking results in the order in which :meth:`cells` makes cells."""

    @classmethod
    @abstractmethod
    def tables(cls, data: D) -> list[Table]:
        """What was gathered, for people."""

    @classmethod
    @abstractmethod
    def draw(cls, data: D) -> "Figure":
        """What was gathered, as a picture."""

    @classmethod
    def pictures(cls, data: D) -> "dict[str, Figure]":
        """Further pictures by what is added to the study's name; most studies have one picture alone."""
        return {}

    @classmethod
    def fits(cls, data: D) -> list[Fit]:
        """Power laws through its series, for the report; none where sizes are not its axis."""
        return []

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of the study's name, spec and version."""
        return canonical_hash({"study": self.name, "spec": self.model_dump(), "factweights": __version__})


def canonical_hash(value: Any) -> str:
    """SHA-256 of JSON with sorted keys and no spaces: equal values, equal hash."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
