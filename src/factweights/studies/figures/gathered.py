"""What figures that are no capacity over sizes gather, field by field, as their JSON files have it."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from factweights.folders.jsons import Json
from factweights.studies.figures.gathered_capacities import GraphLine, Settings
from factweights.studies.measuring.results import ComparedDescent, FlowResult, TokenMapsResult
from factweights.studies.statistics import Interval
from factweights.studies.study import FigureData


class HeadsRun(TypedDict):
    """One seed of a cell of the heat map."""

    seed: int
    recall: float
    evaluations: int | None
    tries: int | None
    seconds: float | None


class HeadsCell(TypedDict):
    """Recall with so many heads and neurons: median, smallest and largest."""

    heads: int
    width: int
    attention_parameters: float
    mlp_parameters: float
    recall: float
    interval: list[float]
    works: bool
    runs: list[HeadsRun]


class HeadsEdge(TypedDict):
    """The smallest width that works with so many heads; None where none does."""

    heads: int
    attention_parameters: float
    width: int | None
    crossing: float | None
    failed_above: int
    paper_width: float | None


class PaperBoundary(TypedDict):
    """d m = constant − rate · d d_h H."""

    constant: float
    rate: float


class HeadsLine(PaperBoundary):
    """The boundary fitted here, with intervals, over the heads from first to last."""

    constant_interval: Interval | None
    rate_interval: list[float] | None
    level: float
    heads: list[int]
    points: int
    paper: PaperBoundary | None


class SameSide(TypedDict):
    """How many cells lie on the same side of both boundaries."""

    cells: int
    works: int
    paper_works: int
    same: int
    ours_only: int
    paper_only: int
    paper_wall: int


class HeadsSeries(TypedDict):
    """One way of training over the heat map."""

    method: str
    settings: Settings
    label: str
    cells: list[HeadsCell]
    boundary: list[HeadsEdge]
    line: HeadsLine | None
    smallest_heads: int | None
    without_mlp: int | None
    against_paper: SameSide | None


class HeadsData(FigureData[HeadsSeries]):
    """Figure 4 right."""

    task: dict[str, int]
    d: int
    head_dim: int
    heads: list[int]
    widths: list[int]
    recall: float
    lines: list[GraphLine]


class LearningSeries(TypedDict):
    """Descents, one for each seed, or the flow alone."""

    kind: str
    label: str
    runs: Sequence[ComparedDescent | FlowResult]


class LearningData(FigureData[LearningSeries]):
    """Figure 5; entropy in nats, stages in time units."""

    task: dict[str, int]
    rate: float
    init: float
    paper_stages: list[float]
    relation_entropy: float
    maps: NotRequired[TokenMapsResult]
    lines: list[GraphLine]


class FlowPoint(TypedDict):
    """A table and a start, and what is predicted of the flow from there."""

    kind: str
    subjects: int
    relations: int
    answers: int
    init: float
    exponent: float
    seed: int
    ratio: float
    paper_ratio: float
    rate_ratio: float
    law: float
    subject_rate: float


class SeenFlow(TypedDict):
    """What was seen of a flow; KL, loss and entropy in nats."""

    shown: bool
    length: float
    lifetimes: float
    smallest_kl: float
    plateau_loss: float
    relation_entropy: float
    converged: bool
    conservation_error: float
    seconds: float


class Flow(FlowPoint, SeenFlow):
    """Both."""


# With the keyword ``with``: the largest S without the stage and the smallest one with it.
Threshold = TypedDict(
    "Threshold",
    {
        "relations": int,
        "answers": int,
        "without": int | None,
        "with": int | None,
        "ratio": float | None,
        "paper": float,
        "over_paper": float | None,
    },
)


class AgainstPaper(TypedDict):
    """How many flows show the stage where theorem 6 promises it, and where it does not."""

    promised: int
    promised_and_shown: int
    not_promised: int
    not_promised_but_shown: int


class AgainstLength(TypedDict):
    """Smallest and largest length over the law's, and of how many flows."""

    flows: int
    range: list[float] | None


class PhaseSeries(TypedDict):
    """The flows from one start."""

    label: str
    init: float
    thresholds: list[Threshold]
    against_paper: AgainstPaper
    law: AgainstLength
    flows: list[Flow]


class PhaseData(FigureData[PhaseSeries]):
    """The phase diagram."""

    tolerance: float
    lines: list[GraphLine]
    others: list[Flow]
    settings: int


class LearntRun(TypedDict):
    """One seed of a trained model."""

    seed: int
    bits: float
    bits_int8: float
    right: float
    seconds: float


class LearntPoint(TypedDict):
    """Trained models of one size at their best load: medians over seeds; the interval is per parameter."""

    parameters: int
    hidden: int
    layers: int
    people: int
    load: float
    bits: float
    bits_per_parameter: float
    interval: list[float]
    int8_share: float
    attribute_share: float
    table_bits: float
    right: float
    runs: list[LearntRun]


class LearntSeries(TypedDict):
    """One architecture and shape at one number of exposures; it has no recall."""

    method: str
    recall: None
    architecture: str
    shape: str
    exposures: int
    label: str
    points: list[LearntPoint]


class BesidePoint(TypedDict):
    """Bits of a memory written without training, over seeds; the interval is per parameter."""

    size: int
    parameters: int
    bits: float
    bits_per_parameter: float
    interval: list[float]
    runs: list[float]


class BesideSeries(TypedDict):
    """One kind of such memories."""

    kind: str
    label: str
    points: list[BesidePoint]


class BitsLine(TypedDict):
    """A published number."""

    label: str
    bits_per_parameter: float


class BitsData(FigureData[LearntSeries]):
    """Bits of language models."""

    beside: list[BesideSeries]
    lines: list[BitsLine]


class RandomEmbeddingsData(FigureData[Json]):
    """Descent with random embeddings beside orthonormal ones; entropy in nats."""

    task: dict[str, int]
    tokens: int
    tolerance: float
    relation_entropy: float
    lines: list[GraphLine]


class SuperpositionData(FigureData[Json]):
    """The least dimension of selected sums and of fitted embeddings, with their laws."""

    lines: list[GraphLine]
