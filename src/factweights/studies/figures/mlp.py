"""Facts that MLP memories store, against m·d: figures 1 right and 6 of arXiv 2412.06538."""

from abc import ABC
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, final

from factweights import theory
from factweights.domains import Count, Counts, Dimensions, Entries, PositiveTolerance, SomeSeeds, Title
from factweights.folders.jsons import Json
from factweights.studies.figures.gathered_capacities import CapacitySeries, GraphLine, MLPData, MLPPoint
from factweights.studies.figures.mlp_series import SERIES, MLPSeries
from factweights.studies.figures.series import (
    MLP_COLUMNS,
    CapacityStudy,
    Columns,
    at_scale,
    over_seeds,
    take,
)
from factweights.studies.measuring.results import CapacityResult
from factweights.studies.study import Cell, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (8, 11, 16, 23, 32, 45, 64, 91)  # 2^3, 2^3.5, …, 2^6.5 rounded, as in the paper
RATIOS = (1, 2, 4, 8)  # m/d, as in the paper
GATED_LOAD = 6.0  # N δ(M) over m·d that fitted gates reach at best: 2 for each of 3 m d parameters


class MLPCapacity(CapacityStudy[MLPData], ABC):
    """Capacity of MLP memories over width and dimension, the paper's guide and the laws beside it.

    The horizontal axis is the paper's count m·d. What a memory really has, 2 m d + m scalars or 3 m d, is
    told with every point, and N δ(M) per scalar, which allows comparisons.

    Attributes:
        scale: what the spec is called.
        sizes: the d.
        ratios: the m/d.
        seeds: of facts and fits, the same for every size and series.
        series: what is measured.
        tolerance: relative width of a bracket.
        most_facts: points where fitted gates would hold more are left out; None for no such limit.
    """

    title: ClassVar[str]
    outputs: ClassVar[int | None]
    columns: ClassVar[Columns[MLPPoint]] = MLP_COLUMNS
    axis: ClassVar[str] = "m·d"

    scale: Title
    sizes: Dimensions
    ratios: Counts
    seeds: SomeSeeds
    series: Annotated[tuple[MLPSeries, ...], Entries]
    tolerance: PositiveTolerance = 0.02
    most_facts: Count | None = None

    @staticmethod
    def size(point: MLPPoint) -> float:
        """The paper's count."""
        return point["count"]

    @classmethod
    def at_scale(cls, scale: str) -> "MLPCapacity":
        """The spec called ``smoke`` (seconds), ``laptop`` (minutes) or ``paper`` (all sizes, all seeds).

        Raises:
            UnknownNameError: no such scale.
        """

        def spec(sizes: int, ratios: int, seeds: int, **more: Any) -> "Callable[[], MLPCapacity]":
            return lambda: cls(
                scale=scale,
                sizes=SIZES[:sizes],
                ratios=RATIOS[:ratios],
                seeds=tuple(range(seeds)),
                series=SERIES[scale],
                **more,
            )

        return at_scale(
            scale,
            {
                "smoke": spec(3, 2, 1, tolerance=0.05),
                "laptop": spec(7, 4, 3, most_facts=20_000),
                "paper": spec(8, 4, 5),
            },
        )

    def cells(self) -> list[Cell]:
        """One per series, size, ratio and seed."""
        return [
            self._cell(s, d, ratio, seed)
            for s in self.series
            for d, ratio in self._points(s)
            for seed in self._seeds(s, ratio * d**2)
        ]

    def _gather(self, results: Iterator[Result]) -> MLPData:
        """Series with their points and exponents, and the lines of theory."""
        shown = [s for s in self.series if any(self._points(s))]
        counts = [r * d**2 for s in shown for d, r in self._points(s)]
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "series": [self._gathered(s, results) for s in shown],
            "lines": _lines(min(counts), max(counts), self.outputs) if counts else [],
        }

    @classmethod
    def draw(cls, data: MLPData) -> "Figure":
        """Facts against m·d, with the paper's guide and the laws."""
        from factweights.plots import fig1_right

        return fig1_right(data)

    def _points(self, series: MLPSeries) -> Iterator[tuple[int, int]]:
        for d in self.sizes:
            for ratio in self.ratios:
                count = ratio * d**2
                small = series.largest is None or d <= series.largest
                few = self.most_facts is None or _gated_facts(count, self.outputs) <= self.most_facts
                if small and few and (series.most is None or count <= series.most):
                    yield d, ratio

    def _seeds(self, series: MLPSeries, count: int) -> tuple[int, ...]:
        few = series.alone is not None and count > series.alone
        return self.seeds[: 1 if few else series.seeds]

    def _cell(self, series: MLPSeries, d: int, ratio: int, seed: int) -> Cell:
        arguments: Json = {
            "method": series.method,
            "settings": {**series.settings, "width": ratio * d},
            "d": d,
            "recall": series.recall,
            "seed": seed,
            "tolerance": self.tolerance,
        }
        if self.outputs is not None:
            arguments |= {"outputs": self.outputs, "assignment": "balanced"}
        return Cell(
            function="capacity",
            arguments=arguments,
            cost=series.cost * (0.1 + (ratio * d**2 / 1024) ** 2),
            label=f"{series.label}, d = {d}, m = {ratio * d}, seed {seed}",
        )

    def _gathered(self, series: MLPSeries, results: Iterator[Result]) -> CapacitySeries[MLPPoint]:
        points = []
        for d, ratio in self._points(series):
            found = take(results, CapacityResult, self._seeds(series, ratio * d**2))
            points.append(_point(d, ratio, self.outputs, found))
        return series.gathered(points, self.size)


@final
class Fig1Right(MLPCapacity):
    """Every fact has its own value; the paper's guide is m·d = 0.35 N ln N."""

    name: ClassVar[str] = "fig1-right"
    title: ClassVar[str] = "Facts stored by MLP memories of width m"
    outputs: ClassVar[int | None] = None


@final
class Fig6(MLPCapacity):
    """M = 32 values, dealt out evenly; the paper's guide is m·d = 1.2 N."""

    name: ClassVar[str] = "fig6"
    title: ClassVar[str] = "Facts with 32 answers, stored by MLP memories of width m"
    outputs: ClassVar[int | None] = 32


def _point(d: int, ratio: int, outputs: int | None, found: list[CapacityResult]) -> MLPPoint:
    measured, parameters = over_seeds(found), found[0]["parameters"]
    facts, guide = round(measured["facts"]), theory.mlp_guide_capacity(ratio * d**2, outputs)
    among = outputs or max(2, facts)
    return {
        "d": d,
        "ratio": ratio,
        "width": ratio * d,
        "count": ratio * d**2,
        "parameters": parameters,
        **measured,
        "guide": guide,
        "over_guide": measured["facts"] / guide,
        "n_delta_per_parameter": facts * theory.delta(among) / parameters,
        "bits_per_parameter": theory.bits_of_facts(facts, among) / parameters,
        # answers are dealt out: one for each fact, or as evenly as M outputs allow
        "map_bits_per_parameter": theory.map_bits([(facts + i) // among for i in range(among)]) / parameters,
    }


def _gated_facts(count: float, outputs: int | None) -> float:
    return theory.facts_for_budget(GATED_LOAD * count, outputs)


def _lines(smallest: int, largest: int, outputs: int | None) -> list[GraphLine]:
    """What the paper draws and what theory says, on a grid fine enough to look smooth."""
    grid = [smallest * (largest / smallest) ** (i / 48) for i in range(49)]
    delta = "δ(N)" if outputs is None else f"δ({outputs})"
    guide = "0.35 N ln N" if outputs is None else "1.2 N"
    laws = (
        ("gated-load", f"N {delta} = 6 m·d, 2 per weight of fitted gates (empirical)", _gated_facts),
        ("paper-guide", f"{guide} = m·d, recall ≥ 0.99, paper's guide", theory.mlp_guide_capacity),
        ("law", f"N {delta} = m·d, random features, recall 1.0 (conjecture)", theory.facts_for_budget),
    )
    return [
        {"name": name, "label": label, "points": [[x, law(x, outputs)] for x in grid]}
        for name, label, law in laws
    ]
