"""What the capacity figures and the success curve gather, field by field, as their JSON files have it."""

from typing import Generic, NotRequired, TypedDict, TypeVar

from pydantic import JsonValue

from factweights.studies.measuring.results import SeedRun
from factweights.studies.statistics import Growth, Interval, LineFit
from factweights.studies.study import FigureData

Settings = dict[str, JsonValue]  # of a method


class GraphLine(TypedDict):
    """A line of theory, as pairs (x, y)."""

    name: str
    label: str
    points: list[list[float]]


class Facts(TypedDict):
    """Facts over seeds: median, smallest and largest, the law's number and the deviation from it."""

    facts: float
    interval: list[int]
    law: float | None
    deviation: float | None
    runs: list[SeedRun]


class CapacityPoint(Facts):
    """Facts at one size."""

    d: int
    parameters: int


class MLPPoint(CapacityPoint):
    """Facts of MLP memories of one width; ``count`` is the paper's m·d."""

    ratio: int
    width: int
    count: int
    guide: float
    over_guide: float
    n_delta_per_parameter: float
    bits_per_parameter: float
    map_bits_per_parameter: float


class TransformerPoint(CapacityPoint):
    """Facts of transformers of one shape; ``capped`` where the largest task worked."""

    head_dim: int
    width: int
    attention: float
    mlp: float
    heads: int
    attention_parameters: int
    mlp_parameters: int
    sizes: list[int]
    probes: int
    capped: bool
    guide: float
    per_parameter: float
    bits_per_parameter: float


P = TypeVar("P", bound=CapacityPoint)


class Criterion(TypedDict):
    """A method with its settings, and the recall that counts."""

    method: str
    settings: Settings
    recall: float


class CapacitySeries(Criterion, Generic[P]):
    """One method over sizes."""

    label: str
    points: list[P]
    exponent: Growth | None


class TransformerGrowth(TypedDict):
    """How facts grow in parameters, and how many there are for each."""

    exponent: Growth | None
    line: LineFit | None
    per_parameter: float | None


class TransformerSeries(Criterion, TransformerGrowth):
    """The points of one quotient H d_h / m."""

    label: str
    points: list[TransformerPoint]
    quotient: float


class TransformerTotal(Criterion, TransformerGrowth):
    """All transformers of a series, each once: how many there are."""

    label: str
    points: int


class MatrixData(FigureData[CapacitySeries[CapacityPoint]]):
    """Figure 1 left, and sweeps, which have one recall for all."""

    recall: NotRequired[float]
    lines: list[GraphLine]


class MLPData(FigureData[CapacitySeries[MLPPoint]]):
    """Figures 1 right and 6."""

    lines: list[GraphLine]


class TransformerData(FigureData[TransformerSeries]):
    """Figures 4 left and 7 to 9."""

    family: str
    recall: float
    overall: list[TransformerTotal]
    lines: list[GraphLine]


class SuccessPoint(TypedDict):
    """The share of seeds with which so many facts fit."""

    load: float
    facts: int
    share: float
    fits: list[bool]
    refuted: int


class SuccessFit(TypedDict):
    """The fields of :class:`factweights.studies.statistics.Logistic`, and the steepness."""

    middle: float
    middle_interval: Interval
    width: float
    width_interval: Interval
    tries: int
    level: float
    steepness: float


class SuccessSeriesData(TypedDict):
    """One method at one d."""

    method: str
    settings: Settings
    recall: float
    label: str
    d: int
    law: int
    points: list[SuccessPoint]
    fit: SuccessFit


class SuccessData(FigureData[SuccessSeriesData]):
    """The success curve."""

    recall: float
    lines: list[GraphLine]
