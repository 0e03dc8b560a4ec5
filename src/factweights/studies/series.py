"""What the capacity figures have in common: series of a method over sizes, and what is told of each size."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from factweights.domains import Count, Dimension, Positive, Share
from factweights.errors import UnknownNameError
from factweights.studies.fits import log_log_slope

Spec = TypeVar("Spec")


class Series(BaseModel):
    """One method at one recall level.

    Attributes:
        method: as the command line calls it.
        recall: the criterion.
        settings: of the method, where they differ from its defaults.
        largest: sizes d above are left out; the baseline is slow.
        seeds: how many of the study's seeds to use; None for all.
        cost: running time at equal size, relative to the other series of the figure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    recall: Share
    settings: dict[str, JsonValue] = {}
    largest: Dimension | None = None
    seeds: Count | None = None
    cost: Positive = 1.0

    @property
    def label(self) -> str:
        """Method and criterion."""
        criterion = "recall 1.0" if self.recall == 1 else f"recall ≥ {self.recall:g}"
        return f"{self.method}, {criterion}"

    def gathered(self, points: Sequence[dict[str, Any]], size: str) -> dict[str, Any]:
        """The series with its points and the exponent of its facts in ``size``, a key of the points."""
        exponent = None
        if len({p[size] for p in points if p["facts"] > 0}) > 1:
            found = log_log_slope(
                [p[size] for p in points], [[r["facts"] for r in p["runs"]] for p in points]
            )
            exponent = found.to_dict()
        named = {"method": self.method, "settings": self.settings, "recall": self.recall}
        return {**named, "label": self.label, "points": list(points), "exponent": exponent}


def over_seeds(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Facts at one size from the capacities that its cells found, one or more seeds each."""
    runs = [run for result in found for run in result["runs"]]
    kept = ("seed", "facts", "bracket", "proved", "seconds")
    facts = [run["facts"] for run in runs]
    median, law = statistics.median(facts), found[0]["law"]
    return {
        "facts": median,
        "interval": [min(facts), max(facts)],
        "law": law,
        "deviation": median / law - 1 if law else None,
        "runs": [{k: run[k] for k in kept} for run in runs],
    }


def at_scale(scale: str, specs: Mapping[str, Callable[[], Spec]]) -> Spec:
    """The spec of that name.

    Raises:
        UnknownNameError: no such scale.
    """
    if scale not in specs:
        raise UnknownNameError("scale", scale, specs, f"(there are {', '.join(specs)})")
    return specs[scale]()
