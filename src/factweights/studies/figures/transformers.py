"""Facts that trained transformers recall, against their parameters: figures 4 left and 7 to 9.

Which variant has which of the numbers 7 to 9 is our choice.
"""

import math
from abc import ABC
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, final

from pydantic import model_validator

from factweights.domains import (
    Dimensions,
    Entries,
    NonNegative,
    PositiveTolerance,
    Ratio,
    Share,
    SomeSeeds,
    Subjects,
    Title,
)
from factweights.studies.figures.gathered_capacities import (
    Criterion,
    GraphLine,
    TransformerData,
    TransformerGrowth,
    TransformerPoint,
    TransformerSeries,
    TransformerTotal,
)
from factweights.studies.figures.recall_series import RECALL, RecallSeries, adam, fitted
from factweights.studies.figures.series import (
    TRANSFORMER_COLUMNS,
    CapacityStudy,
    Columns,
    at_scale,
    between,
    over_seeds,
    table,
    take,
)
from factweights.studies.figures.transformer_shapes import HEADS, Shape
from factweights.studies.measuring.families import ANSWERS, Family, facts_at, size_for_bits, task_sizes
from factweights.studies.measuring.results import RecallCapacityResult
from factweights.studies.statistics import power_law, straight_line
from factweights.studies.study import Cell, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (8, 11, 16, 23, 32, 45, 64, 91, 128, 181)  # 2^3, 2^3.5, …, 2^7.5 rounded, as in the paper
SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)  # H d_h / d and m / d, as in the paper
GUIDE = 0.15  # facts for each parameter, the paper's guide

Pair = tuple[Ratio, Ratio]
# One pair for each of the nine quotients of H d_h and m, with little attention where both are large.
NINE: tuple[Pair, ...] = (
    (0.25, 4.0),
    (0.5, 4.0),
    (0.5, 2.0),
    (1.0, 2.0),
    (1.0, 1.0),
    (2.0, 1.0),
    (2.0, 0.5),
    (4.0, 0.5),
    (4.0, 0.25),
)


Extent = tuple[tuple[int, ...], tuple[Pair, ...], int]  # sizes, pairs and seeds of a scale


class RecallCapacity(CapacityStudy[TransformerData], ABC):
    """The most facts over d, for several shares of attention and MLP.

    Attributes:
        scale: what the spec is called.
        sizes: the d.
        pairs: H d_h / d with m / d. Where d_h or m rounds to something off by a factor 1.5 or more, the
            point is left out.
        seeds: of tasks, training and prompts, the same for every point.
        series: how the transformers are trained.
        recall: the criterion.
        low, high: smallest and largest S.
        tolerance: relative width of a bracket of S.
        fewest, most: points for which the paper's guide gives fewer or more facts are left out, and those for
            which it gives more than S = ``high`` has; None for no such limit.
        alone: points for which it gives more are measured with the first seed alone.
    """

    title: ClassVar[str]
    family: ClassVar[Family]
    columns: ClassVar[Columns[TransformerPoint]] = TRANSFORMER_COLUMNS
    axis: ClassVar[str] = "parameters"
    smoke: ClassVar[Extent] = SIZES[:3], NINE[3:6], 1
    laptop: ClassVar[Extent] = SIZES[1:7], NINE, 2

    scale: Title
    sizes: Dimensions
    pairs: Annotated[tuple[Pair, ...], Entries]
    seeds: SomeSeeds
    series: Annotated[tuple[RecallSeries, ...], Entries]
    recall: Share = RECALL
    low: Subjects = 8
    high: Subjects = 512
    tolerance: PositiveTolerance = 0.05
    fewest: NonNegative | None = 50
    most: NonNegative | None = None
    alone: NonNegative | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "RecallCapacity":
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; give a low of at most high")
        return self

    @classmethod
    def at_scale(cls, scale: str) -> "RecallCapacity":
        """The spec called ``smoke`` (a minute), ``laptop`` (up to nine pairs) or ``paper`` (all of it).

        Raises:
            UnknownNameError: no such scale.
        """

        def spec(
            sizes: Sequence[int], pairs: Sequence[Pair], seeds: int, *series: RecallSeries, **more: Any
        ) -> "Callable[[], RecallCapacity]":
            return lambda: cls(
                scale=scale,
                sizes=tuple(sizes),
                pairs=tuple(pairs),
                seeds=tuple(range(seeds)),
                series=series,
                **more,
            )

        every = tuple(product(SHARES, SHARES))
        return at_scale(
            scale,
            {
                "smoke": spec(*cls.smoke, fitted(400), tolerance=0.15, low=4, fewest=16, most=320),
                "laptop": spec(*cls.laptop, fitted(), fewest=100, most=2800, alone=1600),
                "paper": spec(SIZES, every, 5, fitted(), adam(64)),
            },
        )

    def cells(self) -> list[Cell]:
        """One per series, pair, d and seed."""
        return [
            self._cell(s, shape, seed)
            for s in self.series
            for shape in self._shapes(s)
            for seed in self._seeds(s, shape)
        ]

    def _gather(self, results: Iterator[Result]) -> TransformerData:
        """A series for each way of training and each quotient H d_h / m, with its slope; the guide."""
        series: list[TransformerSeries] = []
        overall: list[TransformerTotal] = []
        for s in self.series:
            named: Criterion = {"method": s.method, "settings": s.settings, "recall": self.recall}
            by_quotient: dict[float, list[TransformerPoint]] = defaultdict(list)
            for shape in self._shapes(s):
                found = take(results, RecallCapacityResult, self._seeds(s, shape))
                by_quotient[shape.quotient].append(self._point(shape, found))
            for quotient, points in sorted(by_quotient.items()):
                label = self._label(s, quotient)
                series.append(
                    {**named, "points": points, **_grown(points), "quotient": quotient, "label": label}
                )
            every = distinct(p for points in by_quotient.values() for p in points)
            label = f"{s.label}, all of them"
            overall.append({**named, "points": len(every), **_grown(every), "label": label})
        counts = [p["parameters"] for s in series for p in s["points"]]
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "family": self.family,
            "recall": self.recall,
            "series": series,
            "overall": overall,
            "lines": _lines(min(counts), max(counts)) if counts else [],
        }

    @classmethod
    def tables(cls, data: TransformerData) -> list[Table]:
        """Facts over d for each quotient, and the growth of all points together."""
        each = [table(s["label"], cls.columns, s["points"], *_growth(s)) for s in data["series"]]
        return [*each, *(Table(s["label"], notes=_growth(s)) for s in data["overall"])]

    @classmethod
    def draw(cls, data: TransformerData) -> "Figure":
        """Facts against parameters, with the paper's guide."""
        from factweights.plots import fig4_left

        return fig4_left(data)

    def _shapes(self, series: RecallSeries) -> Iterator[Shape]:
        for (attention, mlp), d in product(self.pairs, self.sizes):
            shape = Shape.of(d, attention, mlp)
            if shape is not None and self._wanted(shape) and (series.largest is None or d <= series.largest):
                yield shape

    def _label(self, series: RecallSeries, quotient: float) -> str:
        return f"{series.label}, H d_h / m = {quotient_name(quotient)}, recall ≥ {self.recall:g}"

    def _wanted(self, shape: Shape) -> bool:
        expected = GUIDE * shape.parameters
        enough = self.fewest is None or expected >= self.fewest
        few = self.most is None or expected <= self.most
        return enough and few and expected <= facts_at(self.family, self.high)

    def _seeds(self, series: RecallSeries, shape: Shape) -> tuple[int, ...]:
        few = self.alone is not None and GUIDE * shape.parameters > self.alone
        return self.seeds[: 1 if few else series.seeds]

    def _guess(self, shape: Shape) -> int:
        """S at which the facts have as many bits as those of the paper's guide, a factor of 8 in answers."""
        bits = GUIDE * math.log2(ANSWERS) * shape.parameters
        return size_for_bits(self.family, bits, self.low, self.high)

    def _cell(self, series: RecallSeries, shape: Shape, seed: int) -> Cell:
        expected = GUIDE * shape.parameters
        arguments = series.arguments(shape.d, HEADS, shape.head_dim, shape.width, seed)
        search = {
            "family": self.family,
            "recall": self.recall,
            "low": self.low,
            "high": self.high,
            "tolerance": self.tolerance,
            "guess": self._guess(shape),
        }
        return Cell(
            function="recall-capacity",
            arguments={**arguments, **search},
            cost=series.cost * (0.5 + (expected / 1000) ** 1.5 * (1 + shape.d / 32)),
            label=f"{series.label}, d = {shape.d}, d_h = {shape.head_dim}, m = {shape.width}, seed {seed}",
        )

    def _point(self, shape: Shape, found: list[RecallCapacityResult]) -> TransformerPoint:
        measured = over_seeds(found)
        sizes = [run["size"] for result in found for run in result["runs"]]
        answers = task_sizes(self.family, max(2, sorted(sizes)[len(sizes) // 2]))[2]
        return {
            "d": shape.d,
            "head_dim": shape.head_dim,
            "width": shape.width,
            "attention": shape.attention,
            "mlp": shape.mlp,
            "heads": HEADS,
            "attention_parameters": shape.attention_parameters,
            "mlp_parameters": shape.mlp_parameters,
            "parameters": shape.parameters,
            **measured,
            "sizes": sizes,
            "probes": sum(len(run["probes"]) for result in found for run in result["runs"]),
            "capped": any(run["bracket"][1] is None for run in measured["runs"]),
            "guide": GUIDE * shape.parameters,
            "per_parameter": measured["facts"] / shape.parameters,
            "bits_per_parameter": measured["facts"] * math.log2(answers) / shape.parameters,
        }


@final
class Fig4Left(RecallCapacity):
    """As many relations as subjects, eight answers each; the paper's guide is 0.15 facts per parameter."""

    name: ClassVar[str] = "fig4-left"
    title: ClassVar[str] = "Facts recalled by one-layer transformers, S = R, D = 8"
    family: ClassVar[Family] = "S=R"


@final
class Fig7(RecallCapacity):
    """The cells of figure 4 left against attention and MLP apart: the same folder measures nothing anew."""

    name: ClassVar[str] = "fig7"
    title: ClassVar[str] = "Facts against attention and MLP parameters, S = R, D = 8"
    family: ClassVar[Family] = "S=R"

    @classmethod
    def draw(cls, data: TransformerData) -> "Figure":
        """Facts against both counts."""
        from factweights.plots import fig7

        return fig7(data)


@final
class Fig8(RecallCapacity):
    """The number of relations is the rounded root of the number of subjects."""

    name: ClassVar[str] = "fig8"
    title: ClassVar[str] = "Facts recalled by one-layer transformers, S = R², D = 8"
    family: ClassVar[Family] = "S=R^2"
    smoke: ClassVar[Extent] = SIZES[:3], NINE[3:6:2], 1
    laptop: ClassVar[Extent] = SIZES[1:5], NINE[::2], 1


@final
class Fig9(RecallCapacity):
    """As many answers as subjects: facts weigh log2 S bits instead of 3, so fewer fit than the guide says."""

    name: ClassVar[str] = "fig9"
    title: ClassVar[str] = "Facts recalled by one-layer transformers, S = R = D"
    family: ClassVar[Family] = "D=S"
    laptop: ClassVar[Extent] = SIZES[1:5], NINE[::2], 1


def _grown(points: Sequence[TransformerPoint]) -> TransformerGrowth:
    """The exponent of facts in parameters; those that hit the largest S or no S left out."""
    used = [p for p in points if p["facts"] > 0 and not p["capped"]]
    facts = [[run["facts"] for run in p["runs"]] for p in used]
    exponent = None
    if len({p["parameters"] for p in used}) > 1:
        exponent = power_law([p["parameters"] for p in used], facts).growth()
    runs = [
        (math.log(p["parameters"]), math.log(n))
        for p, found in zip(used, facts, strict=True)
        for n in found
        if n > 0
    ]
    line = straight_line([x for x, _ in runs], [y for _, y in runs])
    middle = math.exp(sum(math.log(p["per_parameter"]) for p in used) / len(used)) if used else None
    return {
        "exponent": exponent,
        "line": None if line is None else line.to_dict(),
        "per_parameter": middle,
    }


def _growth(series: TransformerGrowth) -> tuple[str, ...]:
    line = series["line"]
    if not line:
        return ()
    spread = between("95 %", line["slope_interval"])
    return (f"  facts grow as parameters^{line['slope']:.3f}{spread}, {series['per_parameter']:.3f} each",)


def distinct(points: Iterable[TransformerPoint]) -> list[TransformerPoint]:
    """Each transformer once: where d_h is rounded, two quotients have some in common."""
    return list({(p["d"], p["head_dim"], p["width"]): p for p in points}.values())


def quotient_name(quotient: float) -> str:
    """1/4 or 4."""
    return f"{quotient:g}" if quotient >= 1 else f"1/{1 / quotient:g}"


def _lines(smallest: float, largest: float) -> list[GraphLine]:
    points = [[x, GUIDE * x] for x in (smallest, largest)]
    label = f"{GUIDE:g} × parameters, recall ≥ 0.99, the paper's guide"
    return [{"name": "paper-guide", "label": label, "points": points}]
