"""A claim, what was found, and the verdict on it."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from factweights.folders.jsons import Json
from factweights.show import with_interval
from factweights.studies.report.comparisons import Finding
from factweights.studies.study import Data

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
    measure: Callable[[Any], Finding | None]


@dataclass(frozen=True)
class Judged:
    """A claim with its finding.

    Attributes:
        verdict: ``holds`` if the value and its whole interval lie in the band, ``fails`` if both lie outside,
            ``open`` if the interval reaches across an edge; ``not shown`` where the data cannot tell, or what
            they tell is no number, and ``not run`` where there are none. A quantity that grew without bound,
            or never came, holds nowhere.
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

    @property
    def expected_text(self) -> str:
        """The expected value and the band."""
        low, high = self.band
        if high == float("inf"):
            return f"≥ {low:g}"
        return with_interval(self.expected, None if low == high else self.band)

    @property
    def measured_text(self) -> str:
        """The value with its interval."""
        if self.value is None:
            return "–"
        detail = f"; {self.detail}" if self.detail else ""
        return with_interval(self.value, self.interval) + detail

    def to_dict(self) -> Json:
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
    if finding is None or any(map(math.isnan, (finding.value, *(finding.interval or ())))):
        return "not shown"
    if math.isinf(finding.value):
        return "fails"
    low, high = finding.interval or (finding.value, finding.value)
    low, high = min(low, finding.value), max(high, finding.value)
    if claim.low <= low and high <= claim.high:
        return "holds"
    return "fails" if high < claim.low or low > claim.high else "open"
