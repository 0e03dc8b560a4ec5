"""What a study is made of: a frozen spec, and cells that are one pure call each."""

import hashlib
import importlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from factweights import __version__
from factweights.errors import UnknownNameError

# The only functions a cell may call. Named here and not by import path, so that a spec read from a file
# cannot run whatever it likes.
FUNCTIONS = {
    "descent": "factweights.studies.measure_dynamics:measure_descent",
    "flow": "factweights.studies.measure_dynamics:measure_flow",
    "capacity": "factweights.studies.measure:measure_capacity",
    "recall": "factweights.studies.measure:measure_recall",
    "recall-capacity": "factweights.studies.measure:measure_recall_capacity",
    "success": "factweights.studies.success:measure_success",
    "trained-lm": "factweights.studies.measure_lm:measure_trained",
    "compiled-lm": "factweights.studies.measure_lm:measure_compiled",
}


MOST_CELLS = 1_000_000


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
    def spec(self) -> dict[str, Any]:
        """What the hash is of; with the version, as a release does not trust the results of another."""
        return {"function": self.function, "arguments": self.arguments, "factweights": __version__}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of :attr:`spec`."""
        return canonical_hash(self.spec)

    def run(self) -> dict[str, Any]:
        """Make the call.

        Raises:
            UnknownNameError: no such function.
        """
        if self.function not in FUNCTIONS:
            raise UnknownNameError("cell function", self.function, FUNCTIONS)
        home, _, name = FUNCTIONS[self.function].partition(":")
        return getattr(importlib.import_module(home), name)(**self.arguments)

    def __str__(self) -> str:
        return self.label or f"{self.function} {self.hash[:12]}"


class Study(BaseModel, ABC):
    """A frozen spec that expands to cells and gathers their results.

    Every field has a domain (:mod:`factweights.domains`), and the lists of a spec multiply to ``MOST_CELLS``
    at most, so that no spec is expanded to more cells than a machine can hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]

    @model_validator(mode="after")
    def _not_too_many(self) -> "Study":
        sizes = {k: len(v) for k, v in self if isinstance(v, tuple) and len(v) > 1}
        if (many := math.prod(sizes.values())) > MOST_CELLS:
            each = " × ".join(f"{n:,} {name}" for name, n in sizes.items())
            raise ValueError(f"its lists multiply to {many:,} ({each}); give at most {MOST_CELLS:,}")
        return self

    @abstractmethod
    def cells(self) -> list[Cell]:
        """Everything to be run, in any order."""

    @abstractmethod
    def gather(self, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The figure's data, ready for JSON, from the results by hash of cell."""

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of the study's name, spec and version."""
        return canonical_hash({"study": self.name, "spec": self.model_dump(), "factweights": __version__})


def canonical_hash(value: Any) -> str:
    """SHA-256 of JSON with sorted keys and no spaces: equal values, equal hash."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
