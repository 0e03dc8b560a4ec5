"""The claims of the paper and of the laws here, as data: what is measured, what is expected, and a verdict.

Bands come from what the claim says and are not moved to fit a run, so that a claim can fail; some of the
runs in the lab log were known when they were chosen.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from factweights.studies import findings
from factweights.studies.findings import Data, Finding

Verdict = Literal["holds", "fails", "open", "not shown", "not run"]


@dataclass(frozen=True)
class Claim:
    """One sentence that a measurement can refute.

    Attributes:
        name: short and lasting.
        figure: the study whose data decide.
        statement: what is claimed.
        source: who claims it.
        quantity: what ``measure`` returns.
        expected: the value of the paper or the law.
        low, high: the band in which the claim holds.
        measure: from the data of the figure; None where they cannot tell, as at small scale.
    """

    name: str
    figure: str
    statement: str
    source: str
    quantity: str
    expected: float
    low: float
    high: float
    measure: Callable[[Data], Finding | None]


@dataclass(frozen=True)
class Judged:
    """A claim with its finding.

    Attributes:
        verdict: ``holds`` if the value and its whole interval lie in the band, ``fails`` if both lie outside,
            ``open`` if the interval reaches across an edge; ``not shown`` where the data cannot tell and
            ``not run`` where there are none.
    """

    name: str
    figure: str
    statement: str
    source: str
    quantity: str
    expected: float
    band: tuple[float, float]
    value: float | None
    interval: tuple[float, float] | None
    detail: str
    scale: str
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)


def judge(claim: Claim, data: Data | None) -> Judged:
    """The verdict on one claim from the data of its figure, as its JSON file has them."""
    finding = None if data is None else claim.measure(data)
    return Judged(
        name=claim.name,
        figure=claim.figure,
        statement=claim.statement,
        source=claim.source,
        quantity=claim.quantity,
        expected=claim.expected,
        band=(claim.low, claim.high),
        value=None if finding is None else finding.value,
        interval=None if finding is None else finding.interval,
        detail="" if finding is None else finding.detail,
        scale="" if data is None else str(data.get("scale", "")),
        verdict="not run" if data is None else _verdict(claim, finding),
    )


def _verdict(claim: Claim, finding: Finding | None) -> Verdict:
    if finding is None:
        return "not shown"
    low, high = finding.interval or (finding.value, finding.value)
    low, high = min(low, finding.value), max(high, finding.value)
    if claim.low <= low and high <= claim.high:
        return "holds"
    return "fails" if high < claim.low or low > claim.high else "open"


PAPER, LAW = "the paper", "our law"
INF = math.inf

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "linear-guide",
        "fig1-left",
        "A linear memory of d × d weights stores N facts when d² = 1.3 N ln N, recall ≥ 0.99",
        PAPER,
        "facts over the guide's",
        1.0,
        0.8,
        1.25,
        findings.over("parameters", findings.matrix_guide, "exact-linear", 0.99),
    ),
    Claim(
        "linear-law",
        "fig1-left",
        "and N δ(N) = d² at recall 1.0, proved on both sides",
        LAW,
        "facts over the law's",
        1.0,
        0.9,
        1.1,
        findings.over("parameters", findings.law, "exact-linear", 1.0),
    ),
    Claim(
        "linear-growth",
        "fig1-left",
        "with the growth of the law: no power of the size is left over",
        LAW,
        "exponent left in d²",
        0.0,
        -0.05,
        0.05,
        findings.drift("parameters", findings.law, "exact-linear", 1.0),
    ),
    Claim(
        "linear-training",
        "fig1-left",
        "Gradient training, as in the paper, finds what can be stored",
        PAPER,
        "its facts over certified ones",
        1.0,
        0.9,
        1.0 + 1e-9,
        findings.training,
    ),
    Claim(
        "hebbian-law",
        "fig1-left",
        "The sum of outer products stores d² facts too, up to a constant and a logarithm: 8 N ln N = d²",
        LAW,
        "facts over the law's",
        1.0,
        0.8,
        1.25,
        findings.over("parameters", findings.law, "hebbian", 1.0),
    ),
    Claim(
        "mlp-guide",
        "fig1-right",
        "An MLP memory of width m stores N facts when m·d = 0.35 N ln N (here: ReLU, all layers fitted)",
        PAPER,
        "facts over the guide's",
        1.0,
        0.8,
        1.25,
        findings.over("count", findings.guide, "mlp-fit", 1.0, "ReLU"),
    ),
    Claim(
        "gated-guide",
        "fig1-right",
        "A gated memory of width m stores at least as many",
        LAW,
        "facts over the guide's",
        1.0,
        1.0,
        INF,
        findings.over("count", findings.guide, "gated-fit", 1.0),
    ),
    Claim(
        "mlp-growth",
        "fig1-right",
        "Facts grow as m·d up to the logarithm",
        PAPER,
        "exponent left in m·d",
        0.0,
        -0.1,
        0.1,
        findings.drift("count", findings.guide, "gated-fit", 1.0),
    ),
    Claim(
        "bits",
        "fig1-right",
        "A memory comes within a constant of the information limit: at least 1 bit for each parameter",
        PAPER,
        "bits of facts per parameter",
        1.0,
        1.0,
        INF,
        findings.bits,
    ),
    Claim(
        "mlp-few-answers",
        "fig6",
        "With 32 answers an MLP memory stores N facts when m·d = 1.2 N (here: SiLU, all layers fitted)",
        PAPER,
        "facts over the guide's",
        1.0,
        0.8,
        1.25,
        findings.over("count", findings.guide, "mlp-fit", 1.0),
    ),
    Claim(
        "recall-linear",
        "fig4-left",
        "Facts that a transformer recalls grow in proportion to its parameters, S = R, D = 8",
        PAPER,
        "exponent",
        1.0,
        0.9,
        1.1,
        findings.slope,
    ),
    Claim(
        "recall-guide",
        "fig4-left",
        "with about 0.15 facts for each parameter",
        PAPER,
        "facts per parameter",
        0.15,
        0.12,
        0.1875,
        findings.per_parameter,
    ),
    Claim(
        "boundary",
        "fig4-right",
        "Attention can do what the MLP does: facts are recalled where d m ≥ 2300 − ½ d d_h H and H ≥ 5",
        PAPER,
        "share of cells on the same side",
        1.0,
        0.9,
        1.0,
        findings.same_side,
    ),
    Claim(
        "boundary-slope",
        "fig4-right",
        "A parameter of attention is worth half a parameter d m",
        PAPER,
        "rate",
        0.5,
        0.35,
        0.65,
        findings.rate,
    ),
    Claim(
        "boundary-wall",
        "fig4-right",
        "and below five heads no MLP helps",
        PAPER,
        "fewest heads that work",
        5.0,
        5.0,
        5.0,
        findings.wall,
    ),
    Claim(
        "attention-or-mlp",
        "fig7",
        "It does not matter which of the two has the parameters",
        PAPER,
        "most over fewest facts per parameter",
        1.0,
        1.0,
        1.5,
        findings.spread,
    ),
    Claim(
        "recall-few-relations",
        "fig8",
        "The same growth with few relations, S = R²",
        PAPER,
        "exponent",
        1.0,
        0.9,
        1.1,
        findings.slope,
    ),
    Claim(
        "recall-many-answers",
        "fig9",
        "and with as many answers as subjects, S = R = D, bits instead of facts",
        PAPER,
        "exponent of the facts",
        1.0,
        0.8,
        1.1,
        findings.slope,
    ),
    Claim(
        "plateau-loss",
        "fig5",
        "Relations are learnt first: on the plateau the model knows the relation only",
        PAPER,
        "its loss above H(a|r), nats",
        0.0,
        -0.05,
        0.05,
        findings.over_seeds(findings.above_entropy),
    ),
    Claim(
        "relation-learnt",
        "fig5",
        "The relation is learnt after about 1,800 steps of rate 0.1",
        PAPER,
        "steps to the end of the first stage",
        1800.0,
        1440.0,
        2160.0,
        findings.over_seeds(findings.stage_ends("initial")),
    ),
    Claim(
        "subject-learnt",
        "fig5",
        "and subjects after about 5,000",
        PAPER,
        "steps to the end of the plateau",
        5000.0,
        4000.0,
        6000.0,
        findings.over_seeds(findings.stage_ends("hallucination")),
    ),
    Claim(
        "flow-predicts",
        "fig5",
        "The exact flow predicts the loss of the stochastic run at matched times",
        LAW,
        "largest difference, as a share of the flow's",
        0.0,
        0.0,
        0.03,
        findings.off_flow,
    ),
    Claim(
        "theorem-6",
        "phase-diagram",
        "There is a hallucination stage wherever S ≥ 8 R √(2D)",
        PAPER,
        "share of those flows that show it",
        1.0,
        1.0,
        1.0,
        findings.promised,
    ),
    Claim(
        "stage-length",
        "phase-diagram",
        "It lasts (1/λ_sub − 1/λ_rel) ln(1/(α√A)) where λ_rel ≥ 4 λ_sub",
        LAW,
        "length over the law's",
        1.0,
        0.8,
        1.25,
        findings.stage_length,
    ),
    Claim(
        "even-odds",
        "success-curve",
        "A random set of N facts fits with even odds at the N of the law",
        LAW,
        "even odds at, over the law's N",
        1.0,
        0.95,
        1.1,
        findings.even_odds,
    ),
    Claim(
        "sharper",
        "success-curve",
        "The larger d, the sharper the edge",
        LAW,
        "width of the transition, largest over smallest d",
        0.5,
        0.0,
        0.9,
        findings.sharper,
    ),
)
