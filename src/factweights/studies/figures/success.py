"""How likely a method stores N facts, over N: capacity as a curve, with the law in its middle or not."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, cast, final

from pydantic import BaseModel, ConfigDict, JsonValue

from factweights import theory
from factweights.domains import Dimensions, Entries, Positive, Ratio, Ratios, Share, SomeSeeds, Title
from factweights.show import number
from factweights.studies.figures.gathered_capacities import (
    Settings,
    SuccessData,
    SuccessFit,
    SuccessPoint,
    SuccessSeriesData,
)
from factweights.studies.figures.series import Columns, at_scale, table, take
from factweights.studies.measuring.results import SuccessResult
from factweights.studies.statistics import logistic_fit
from factweights.studies.study import Cell, Result, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SuccessSeries(BaseModel):
    """One method.

    Attributes:
        method: as the command line calls it.
        settings: of the method; a width is given as ``ratio``.
        ratio: m/d, for methods with a width.
        load: facts that count as load 1: N δ(N) = ``load`` × parameters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    settings: dict[str, JsonValue] = {}
    ratio: Ratio | None = None
    load: Positive = 1.0

    @property
    def label(self) -> str:
        """Method, and width."""
        return self.method if self.ratio is None else f"{self.method}, m = {self.ratio:g} d"

    def at(self, d: int) -> Settings:
        """The settings at d."""
        more: Settings = {} if self.ratio is None else {"width": max(1, round(self.ratio * d))}
        return {**self.settings, **more}

    def facts(self, d: int, load: float) -> int:
        """N at that load: by the law N δ(N) = d² for a matrix, times ``load`` of 3 m d for gated memories."""
        budget = d**2 if self.ratio is None else 3 * round(self.ratio * d) * d
        return max(2, round(load * theory.facts_for_budget(self.load * budget)))


@final
class SuccessCurve(Study[SuccessData]):
    """The share of seeds with which N facts are stored, over N relative to the law, and a logistic fit.

    Attributes:
        scale: what the spec is called.
        series: the methods.
        sizes: the d.
        loads: N over what the law says.
        seeds: of facts and methods; each gives one success or failure per size and load.
        recall: the criterion.
    """

    name: ClassVar[str] = "success-curve"
    title: ClassVar[str] = "How likely facts fit, over their number"

    scale: Title = "own"
    series: Annotated[tuple[SuccessSeries, ...], Entries] = (SuccessSeries(method="exact-linear"),)
    sizes: Dimensions
    loads: Ratios
    seeds: SomeSeeds
    recall: Share = 1.0

    @classmethod
    def at_scale(cls, scale: str) -> "SuccessCurve":
        """The spec called ``smoke``, ``laptop`` or ``paper``.

        Raises:
            UnknownNameError: no such scale.
        """

        def spec(sizes: tuple[int, ...], steps: int, seeds: int) -> "SuccessCurve":
            loads = tuple(round(0.85 + 0.35 * i / (steps - 1), 4) for i in range(steps))
            return cls(scale=scale, sizes=sizes, loads=loads, seeds=tuple(range(seeds)))

        specs = {
            "smoke": lambda: spec((16, 32), 8, 8),
            "laptop": lambda: spec((16, 32, 64), 15, 20),
            "paper": lambda: spec((16, 32, 64, 128), 15, 50),
        }
        return at_scale(scale, specs)

    def cells(self) -> list[Cell]:
        """One per series, size, load and seed."""
        return [
            self._cell(s, d, load, seed)
            for s in self.series
            for d in self.sizes
            for load in self.loads
            for seed in self.seeds
        ]

    def _gather(self, results: Iterator[Result]) -> SuccessData:
        """For each method and size the share that fits at each N, and the fit through all of it."""
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "recall": self.recall,
            "series": [self._gathered(s, d, results) for s in self.series for d in self.sizes],
            "lines": [],
        }

    @classmethod
    def tables(cls, data: SuccessData) -> list[Table]:
        """The share of seeds at each N, and where odds are even."""
        return [_table(s) for s in data["series"]]

    @classmethod
    def draw(cls, data: SuccessData) -> "Figure":
        """Shares over N, with the fitted curves."""
        from factweights.plots import success_curve

        return success_curve(data)

    def _cell(self, s: SuccessSeries, d: int, load: float, seed: int) -> Cell:
        facts = s.facts(d, load)
        return Cell(
            function="success",
            arguments={
                "method": s.method,
                "settings": s.at(d),
                "facts": facts,
                "d": d,
                "recall": self.recall,
                "seed": seed,
            },
            cost=0.03 + (d / 64) ** 3 * 0.2 * (10 if s.ratio else 1),
            label=f"{s.label}, d = {d}, N = {facts}, seed {seed}",
        )

    def _gathered(self, s: SuccessSeries, d: int, results: Iterator[Result]) -> SuccessSeriesData:
        law, tried = s.facts(d, 1.0), []
        points: list[SuccessPoint] = []
        for load in self.loads:
            found = take(results, SuccessResult, self.seeds)
            fits = [bool(f["fits"]) for f in found]
            points.append(
                {
                    "load": load,
                    "facts": found[0]["facts"],
                    "share": sum(fits) / len(fits),
                    "fits": fits,
                    "refuted": sum(f["verdict"] == "refuted" for f in found),
                }
            )
            tried.append((found[0]["facts"] / law, fits))
        fit = logistic_fit([x for x, _ in tried], [f for _, f in tried])
        return {
            "method": s.method,
            "settings": s.settings,
            "recall": self.recall,
            "label": f"{s.label}, d = {d}",
            "d": d,
            "law": law,
            "points": points,
            "fit": cast(SuccessFit, fit.to_dict()),
        }


_COLUMNS: Columns[SuccessPoint] = {
    "facts": lambda p: number(p["facts"]),
    "over the law": lambda p: f"{p['load']:.3g}",
    "seeds that fit": lambda p: f"{p['share']:.0%}",
}


def _table(series: SuccessSeriesData) -> Table:
    fit = series["fit"]
    low, high = fit["middle_interval"]
    even = f"  even odds at {fit['middle']:.3f} of the law (95 %: {low:.3f} to {high:.3f})"
    title = f"{series['label']}, the law gives {number(series['law'])} facts"
    return table(title, _COLUMNS, series["points"], even)
