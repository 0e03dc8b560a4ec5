"""What each kind of cell returns, field by field, as its file in ``cells/`` has it."""

from collections.abc import Sequence
from typing import Generic, NotRequired, TypedDict, TypeVar

from factweights.folders.jsons import Json


class SeedRun(TypedDict):
    """The search for a capacity with one seed; the bracket is open above where the largest size worked."""

    seed: int
    facts: int
    bracket: Sequence[int | None]
    proved: str
    seconds: float


R = TypeVar("R", bound=SeedRun)


class Searched(TypedDict, Generic[R]):
    """What every search for a capacity tells: facts, the law's number, and its runs."""

    facts: float
    law: float | None
    runs: list[R]
    seconds: float


class ProbedRun(SeedRun):
    """A run with every question that it asked, as :class:`factweights.sizing.results.Probe` has it."""

    probes: list[Json]


class CapacityResult(Searched[ProbedRun]):
    """``capacity``: the fields of :class:`factweights.sizing.results.Capacity`, and every scalar counted."""

    method: Json
    d: int
    d_out: int
    outputs: int | None
    kind: str
    recall: float
    noise: float
    interval: Sequence[int]
    coverage: float
    bracket: Sequence[float]
    proved: str
    parameters: int


class SuccessResult(TypedDict):
    """``success``: whether so many facts fit."""

    fits: bool
    verdict: str
    recall: float
    facts: int
    seconds: float


class Trained(TypedDict):
    """The best of a few tries at training a transformer."""

    recall: float
    variant: Json
    evaluations: int
    parameters: dict[str, int]
    paper_count: int


class RecallResult(Trained):
    """``recall``: with the size of its task and the tries that it took."""

    facts: int
    tries: int
    seconds: float


class RecallProbe(RecallResult):
    """One size of a task in a search."""

    size: int
    relations: int
    answers: int
    verdict: str


class RecallRun(SeedRun):
    """The search for the largest task of a transformer."""

    size: int
    probes: list[RecallProbe]


class RecallCapacityResult(Searched[RecallRun]):
    """``recall-capacity``: a search with one run."""

    method: Json
    family: str
    recall: float


class StageTimes(TypedDict):
    """One stage of learning; ``end`` is None where it was not seen."""

    name: str
    start: float
    end: float | None


class Curves(TypedDict):
    """Readings over time, as many as are shown; ``attention`` by the role of the token."""

    times: list[float]
    loss: list[float]
    relation_loss: list[float]
    subject_loss: list[float]
    kl: list[float]
    grad_norm: list[float]
    accuracy: list[float]
    attention: dict[str, list[float]]


class Watched(TypedDict):
    """What a flow and a descent tell alike; losses and divergences in nats."""

    stages: list[StageTimes]
    plateau_loss: float
    plateau_time: float
    kl_at_plateau: float
    relation_entropy: float
    seconds: float
    hallucination: float
    start: str
    init: float


class Frames(TypedDict):
    """All probabilities at a few times, ``(times, facts, answers)``."""

    times: list[float]
    probabilities: list[list[list[float]]]


class FlowResult(Watched):
    """``flow``: of :class:`factweights.dynamics.Flow`; curves and frames where they were asked for."""

    rates: dict[str, Json]
    times_theory: dict[str, float]
    conservation_error: float
    converged: bool
    variables: int
    weights: int
    solver: str
    evaluations: int
    smallest_kl: float
    facts: int
    curves: NotRequired[Curves]
    frames: NotRequired[Frames]
    relation: NotRequired[list[int]]


class OffFlow(TypedDict):
    """How far the loss of a descent is from the flow's, relative but for ``of_first``, and at which time."""

    largest: float
    at: float
    median: float
    lag: float
    largest_with_lag: float
    of_first: float


class DescentAlone(Watched):
    """A descent, of :class:`factweights.dynamics.Descent`."""

    rate: float
    steps: int
    batch: int | None
    attention: str
    embeddings: str
    d: int
    seed: int
    curves: Curves


class DescentResult(DescentAlone):
    """``descent``: compared with the flow where that was asked for."""

    off_flow: NotRequired[OffFlow]


class ComparedDescent(DescentAlone):
    """``descent`` with ``compare``, which is the default."""

    off_flow: OffFlow


class LearntResult(TypedDict):
    """``trained-lm``: the fields of :class:`factweights.models.people.training.Learnt`, people and seed."""

    parameters: int
    hidden: int
    layers: int
    name_nats: float
    attribute_nats: float
    bits: float
    attribute_bits: float
    bits_int8: float
    table_bits: float
    right: float
    steps: int
    seconds: float
    people: int
    seed: int


class CompiledResult(TypedDict):
    """``compiled-lm``: bits read back from a compiled table of people."""

    bits: float
    parameters: int
    facts: int
    recall: float
    people: int
    seed: int
    seconds: float


class TokenMap(TypedDict):
    """Both maps at one moment: the fields of :class:`factweights.dynamics.maps.TokenMaps`."""

    moment: str
    time: float
    loss: float
    scores: list[float]
    values: list[list[float]]


class TokenMapsResult(TypedDict):
    """``token-maps``: three moments of one flow, and what its tokens stand for."""

    moments: list[TokenMap]
    relation_of_answer: list[int]
    subject: list[int]
    target: list[int]
    relation_entropy: float
    seconds: float


class SuperpositionResult(TypedDict):
    """``superposition``: the bracket of the least d, and what its certificate says there."""

    d: int
    failed_at: int
    facts: int
    recall: float
    proved: int | None
    recall_relu: float
    min_margin: float
    selector_parameters: int
    seconds: float
