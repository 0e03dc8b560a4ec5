"""Figure 1, left, of arXiv 2412.06538: facts that a linear memory stores, against its parameters d²."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from factweights import theory
from factweights.domains import Dimensions, Entries, PositiveTolerance, SomeSeeds, Title
from factweights.folders.jsons import Json
from factweights.studies.figures.gathered_capacities import (
    CapacityPoint,
    CapacitySeries,
    GraphLine,
    MatrixData,
)
from factweights.studies.figures.series import (
    MATRIX_COLUMNS,
    CapacityStudy,
    Columns,
    Series,
    at_scale,
    over_seeds,
    take,
)
from factweights.studies.measuring.results import CapacityResult
from factweights.studies.study import Cell, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256)  # 2^3, 2^3.5, …, 2^8 rounded, as in the paper


_EXACT = (Series(method="exact-linear", recall=1.0), Series(method="exact-linear", recall=0.99))
_HEBBIAN = tuple(Series(method="hebbian", recall=r, cost=0.02) for r in (1.0, 0.99))


def _adam(largest: int) -> Series:
    return Series(method="paper-adam", recall=0.99, largest=largest, seeds=1, cost=30.0)


class Fig1Left(CapacityStudy[MatrixData]):
    """Capacity of linear memories over size, with the laws beside it.

    Attributes:
        scale: what the spec is called.
        sizes: the d.
        seeds: of the facts, the same for every size and series.
        series: what is measured.
        tolerance: relative width of a bracket.
    """

    name: ClassVar[str] = "fig1-left"
    title: ClassVar[str] = "Facts stored by a linear memory of d × d weights"
    columns: ClassVar[Columns[CapacityPoint]] = MATRIX_COLUMNS
    axis: ClassVar[str] = "d²"

    scale: Title
    sizes: Dimensions
    seeds: SomeSeeds
    series: Annotated[tuple[Series, ...], Entries]
    tolerance: PositiveTolerance = 0.01

    @classmethod
    def at_scale(cls, scale: str) -> "Fig1Left":
        """The spec called ``smoke`` (seconds), ``laptop`` (minutes) or ``paper`` (all sizes, all seeds).

        Raises:
            UnknownNameError: no such scale.
        """
        five = tuple(range(5))
        specs = {
            "smoke": lambda: cls(scale=scale, sizes=SIZES[:5], seeds=five[:3], series=(*_EXACT, *_HEBBIAN)),
            "laptop": lambda: cls(
                scale=scale, sizes=SIZES[:9], seeds=five, series=(*_EXACT, _adam(32), *_HEBBIAN)
            ),
            "paper": lambda: cls(
                scale=scale, sizes=SIZES, seeds=five, series=(*_EXACT, _adam(64), *_HEBBIAN)
            ),
        }
        return at_scale(scale, specs)

    def cells(self) -> list[Cell]:
        """One per series, size and seed."""
        return [
            self._cell(s, d, seed) for s in self.series for d in self._sizes(s) for seed in self._seeds(s)
        ]

    def _gather(self, results: Iterator[Result]) -> MatrixData:
        """Series with their points and exponents, and the lines of theory."""
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "series": [self._gathered(s, results) for s in self.series if self._sizes(s)],
            "lines": _lines(min(self.sizes), max(self.sizes)),
        }

    @classmethod
    def draw(cls, data: MatrixData) -> "Figure":
        """Facts against d², with the laws."""
        from factweights.plots import fig1_left

        return fig1_left(data)

    def _sizes(self, series: Series) -> list[int]:
        return [d for d in self.sizes if series.largest is None or d <= series.largest]

    def _seeds(self, series: Series) -> tuple[int, ...]:
        return self.seeds[: series.seeds]

    def _cell(self, series: Series, d: int, seed: int) -> Cell:
        arguments: Json = {
            "method": series.method,
            "settings": series.settings,
            "d": d,
            "recall": series.recall,
            "seed": seed,
            "tolerance": self.tolerance,
        }
        return Cell(
            function="capacity",
            arguments=arguments,
            cost=series.cost * (0.1 + (d / 32) ** 3),
            label=f"{series.label}, d = {d}, seed {seed}",
        )

    def _gathered(self, series: Series, results: Iterator[Result]) -> CapacitySeries[CapacityPoint]:
        points: list[CapacityPoint] = []
        for d in self._sizes(series):
            found = take(results, CapacityResult, self._seeds(series))
            points.append({"d": d, "parameters": d**2, **over_seeds(found)})
        return series.gathered(points, self.size)


_LAWS: tuple[tuple[str, str, int, Callable[[int], float]], ...] = (
    ("law", "N δ(N) = d², recall 1.0 (conjecture)", 1, lambda d: theory.linear_capacity(d, d)),
    ("paper-guide", "1.3 N ln N = d², recall ≥ 0.99, paper's guide", 1, theory.paper_guide),
    ("asymptote", "2 N ln N = d², recall 1.0, large d", 1, theory.asymptotic_capacity),
    ("hebbian-every", "8 N ln N = d², Hebbian, recall 1.0, large d", 1, theory.hebbian_capacity),
    # A fit to d = 32 … 256, which its docstring asks not to carry far outside that range.
    (
        "hebbian-0.99",
        "N = 0.026 d², Hebbian, recall ≥ 0.99",
        16,
        lambda d: theory.hebbian_capacity(d, "0.99"),
    ),
)


def _lines(smallest: int, largest: int) -> list[GraphLine]:
    """What theory says, on a grid of sizes fine enough to look smooth."""
    grid = sorted({round(smallest * (largest / smallest) ** (i / 48)) for i in range(49)})
    return [
        {"name": name, "label": label, "points": [[d**2, law(d)] for d in grid if d >= start]}
        for name, label, start, law in _LAWS
    ]
