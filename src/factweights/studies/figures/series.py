"""What the capacity figures have in common: series of a method over sizes, and what is told of each size."""

import dataclasses
import statistics
from abc import ABC
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, JsonValue

from factweights.domains import Count, Dimension, Positive, Share
from factweights.errors import UnknownNameError
from factweights.show import number, percent, with_interval
from factweights.studies.figures.gathered_capacities import (
    CapacityPoint,
    CapacitySeries,
    Facts,
    MLPPoint,
    P,
    TransformerPoint,
)
from factweights.studies.measuring.results import R, Searched, SeedRun
from factweights.studies.statistics import against_law, power_law
from factweights.studies.study import D, Fit, Result, Study, Table

Spec = TypeVar("Spec")
K = TypeVar("K")
Row = TypeVar("Row")


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

    def gathered(
        self, points: Sequence[P], size: Callable[[P], float], label: str | None = None
    ) -> CapacitySeries[P]:
        """The series with its points and the exponent of its facts in ``size``."""
        exponent = None
        if len({size(p) for p in points if p["facts"] > 0}) > 1:
            runs = [[r["facts"] for r in p["runs"]] for p in points]
            exponent = power_law([size(p) for p in points], runs).growth()
        return {
            "method": self.method,
            "settings": self.settings,
            "recall": self.recall,
            "label": self.label if label is None else label,
            "points": list(points),
            "exponent": exponent,
        }


def take(results: Iterator[Result], kind: type[K], seeds: Sequence[int]) -> list[K]:
    """The results of as many cells as there are seeds; ``kind`` is what their function returns."""
    return cast("list[K]", list(islice(results, len(seeds))))


def over_seeds(found: Sequence[Searched[R]]) -> Facts:
    """Facts at one size from the capacities that its cells found, one or more seeds each."""
    runs = [run for result in found for run in result["runs"]]
    facts = [run["facts"] for run in runs]
    median, law = statistics.median(facts), found[0]["law"]
    return {
        "facts": median,
        "interval": [min(facts), max(facts)],
        "law": law,
        "deviation": median / law - 1 if law else None,
        "runs": [_without_probes(run) for run in runs],
    }


def _without_probes(run: SeedRun) -> SeedRun:
    return {
        "seed": run["seed"],
        "facts": run["facts"],
        "bracket": run["bracket"],
        "proved": run["proved"],
        "seconds": run["seconds"],
    }


def at_scale(scale: str, specs: Mapping[str, Callable[[], Spec]]) -> Spec:
    """The spec of that name.

    Raises:
        UnknownNameError: no such scale.
    """
    if scale not in specs:
        raise UnknownNameError("scale", scale, specs, f"(there are {', '.join(specs)})")
    return specs[scale]()


Columns = Mapping[str, Callable[[Row], str]]

_COLUMNS: Columns[CapacityPoint] = {
    "d": lambda p: number(p["d"]),
    "facts": lambda p: number(p["facts"]),
    "min – max": lambda p: " – ".join(map(number, p["interval"])),
}
MATRIX_COLUMNS: Columns[CapacityPoint] = {
    **_COLUMNS,
    "law": lambda p: number(p["law"]),
    "off the law": lambda p: percent(p["deviation"]),
}
MLP_COLUMNS: Columns[MLPPoint] = {
    "d": _COLUMNS["d"],
    "m": lambda p: number(p["width"]),
    "facts": _COLUMNS["facts"],
    "min – max": _COLUMNS["min – max"],
    "N δ/param.": lambda p: f"{p['n_delta_per_parameter']:.2f}",
    "paper's guide": lambda p: number(round(p["guide"])),
    "over it": lambda p: percent(p["over_guide"] - 1),
}
TRANSFORMER_COLUMNS: Columns[TransformerPoint] = {
    "d": _COLUMNS["d"],
    "d_h": lambda p: number(p["head_dim"]),
    "m": lambda p: number(p["width"]),
    "parameters": lambda p: number(p["parameters"]),
    "facts": _COLUMNS["facts"],
    "min – max": _COLUMNS["min – max"],
    "facts/param.": lambda p: f"{p['per_parameter']:.3f}",
}


def table(title: str, columns: Columns[Row], rows: Sequence[Row], *notes: str) -> Table:
    """Rows under columns, each of which reads its text from a row."""
    shown = tuple(tuple(show(row) for show in columns.values()) for row in rows)
    return Table(title, tuple(columns), shown, notes)


class CapacityStudy(Study[D], ABC, Generic[D]):
    """Facts over sizes, a series for each method: what such figures tell and fit alike.

    Attributes:
        columns: of the table of a series.
        axis: what people call it.
    """

    columns: ClassVar[Columns[Any]]
    axis: ClassVar[str]

    @staticmethod
    def size(point: Any) -> float:
        """What facts grow with."""
        return point["parameters"]

    @classmethod
    def tables(cls, data: D) -> list[Table]:
        """The points of each series."""
        return [_capacity_table(s, cls.columns, cls.axis) for s in data["series"]]

    @classmethod
    def fits(cls, data: D) -> list[Fit]:
        """Facts in :attr:`size`."""
        return _capacity_fits(data["series"], cls.size)


def _capacity_table(series: CapacitySeries[P], columns: Columns[P], axis: str) -> Table:
    """The points of a series, what of them is proved, and how facts grow."""
    proved = {run["proved"] for p in series["points"] for run in p["runs"]}
    sides = proved.pop() if len(proved) == 1 else "both sides or the lower"
    notes = ()
    if e := series["exponent"]:
        notes = (f"  facts grow as ({axis})^{e['value']:.3f}{between('seeds', e['interval'])}",)
    return table(f"{series['label']}, proved on {sides}", columns, series["points"], *notes)


def _capacity_fits(every: Sequence[CapacitySeries[P]], size: Callable[[P], float]) -> list[Fit]:
    """For every series: exponent and constant in ``size``, and how it lies to what is predicted."""
    found = []
    for series in every:
        used = [p for p in series["points"] if p["facts"] > 0]
        if len({size(p) for p in used}) < 2:
            continue
        x, runs = [size(p) for p in used], [[run["facts"] for run in p["runs"]] for p in used]
        law = power_law(x, runs)
        fit = Fit(
            series["label"],
            with_interval(law.exponent, law.exponent_interval),
            with_interval(law.constant, law.constant_interval),
            f"{law.scatter:.1%}",
        )
        named = next((k for k in ("law", "guide") if all(p.get(k) for p in used)), None)
        if named is not None:
            seen = against_law(x, runs, [p[named] for p in used])
            ratio = f"{with_interval(seen.ratio, seen.interval)} of the {named}"
            fit = dataclasses.replace(fit, beside=ratio, residual=f"{seen.rms:.1%}")
        found.append(fit)
    return found


def between(what: str, interval: Sequence[float] | None) -> str:
    """The interval behind a number, in brackets; nothing where there is none."""
    return "" if interval is None else f" ({what}: {interval[0]:.3f} to {interval[1]:.3f})"
