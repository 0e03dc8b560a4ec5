"""A study of one's own: the capacity of any methods over sizes and seeds, at one named recall level."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, final

from pydantic import BaseModel, ConfigDict, JsonValue, field_validator

from factweights.domains import (
    Dimensions,
    Entries,
    MaybeRatios,
    Outputs,
    PositiveTolerance,
    Share,
    SomeSeeds,
    Title,
)
from factweights.folders.jsons import Json
from factweights.studies.figures.gathered_capacities import (
    CapacityPoint,
    CapacitySeries,
    MatrixData,
    Settings,
)
from factweights.studies.figures.series import (
    MATRIX_COLUMNS,
    CapacityStudy,
    Columns,
    Series,
    over_seeds,
    take,
)
from factweights.studies.measuring.results import CapacityResult
from factweights.studies.study import Cell, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SweepMethod(BaseModel):
    """One method of a sweep.

    Attributes:
        method: as the command line calls it; ``factweights methods`` lists them.
        settings: where they differ from its defaults.
        ratios: widths m/d to try, for methods that have a width; none means that settings name it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    settings: dict[str, JsonValue] = {}
    ratios: MaybeRatios = ()


@final
class CapacitySweep(CapacityStudy[MatrixData]):
    """Facts that methods store, over d, widths and seeds.

    Attributes:
        methods: names, or tables with ``method``, ``settings`` and ``ratios``.
        sizes: the d.
        seeds: of the facts and the methods.
        recall: the criterion.
        tolerance: relative width of a bracket.
        outputs: M; None for injective facts.
        title: what the picture is called.
    """

    name: ClassVar[str] = "capacity-sweep"
    columns: ClassVar[Columns[CapacityPoint]] = MATRIX_COLUMNS
    axis: ClassVar[str] = "d²"

    methods: Annotated[tuple[SweepMethod, ...], Entries]
    sizes: Dimensions
    seeds: SomeSeeds
    recall: Share = 1.0
    tolerance: PositiveTolerance = 0.01
    outputs: Outputs | None = None
    title: Title = "Facts stored"

    @field_validator("methods", mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """A bare name stands for the method with its defaults."""
        if not isinstance(given, (list, tuple)):
            return given
        return [{"method": entry} if isinstance(entry, str) else entry for entry in given]

    def cells(self) -> list[Cell]:
        """One per method, ratio, size and seed."""
        return [
            self._cell(m, ratio, d, seed)
            for m, ratio in self._lines()
            for d in self.sizes
            for seed in self.seeds
        ]

    def _gather(self, results: Iterator[Result]) -> MatrixData:
        """A series for each method and ratio, with exponents."""
        return {
            "figure": self.name,
            "scale": "own",
            "title": self.title,
            "recall": self.recall,
            "series": [self._gathered(m, ratio, results) for m, ratio in self._lines()],
            "lines": [],
        }

    @classmethod
    def draw(cls, data: MatrixData) -> "Figure":
        """Facts against parameters."""
        from factweights.plots import capacity_sweep

        return capacity_sweep(data)

    def _lines(self) -> Iterator[tuple[SweepMethod, float | None]]:
        for m in self.methods:
            for ratio in m.ratios or (None,):
                yield m, ratio

    def _settings(self, m: SweepMethod, ratio: float | None, d: int) -> Settings:
        return dict(m.settings) if ratio is None else {**m.settings, "width": max(1, round(ratio * d))}

    def _cell(self, m: SweepMethod, ratio: float | None, d: int, seed: int) -> Cell:
        arguments: Json = {
            "method": m.method,
            "settings": self._settings(m, ratio, d),
            "d": d,
            "recall": self.recall,
            "seed": seed,
            "tolerance": self.tolerance,
        }
        if self.outputs is not None:
            arguments["outputs"] = self.outputs
        return Cell(
            function="capacity",
            arguments=arguments,
            cost=0.1 + (d / 32) ** 3 * (1 if ratio is None else 4 * ratio),
            label=f"{_label(m, ratio)}, d = {d}, seed {seed}",
        )

    def _gathered(
        self, m: SweepMethod, ratio: float | None, results: Iterator[Result]
    ) -> CapacitySeries[CapacityPoint]:
        points: list[CapacityPoint] = []
        for d in self.sizes:
            found = take(results, CapacityResult, self.seeds)
            points.append({"d": d, "parameters": found[0]["parameters"], **over_seeds(found)})
        series = Series(method=m.method, recall=self.recall, settings=m.settings)
        return series.gathered(points, self.size, _label(m, ratio))


def _label(m: SweepMethod, ratio: float | None) -> str:
    return m.method if ratio is None else f"{m.method}, m = {ratio:g} d"
