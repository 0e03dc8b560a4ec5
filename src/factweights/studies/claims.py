"""The claims of the paper and of the laws here, as data: what is measured, what is expected, and a verdict.

Bands come from what the claim says and are not moved to fit a run, so that a claim can fail; some of the
runs in the lab log were known when they were chosen.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from factweights.studies.scaling import against_law, power_law
from factweights.studies.straight import mean_interval

Verdict = Literal["holds", "fails", "open", "not shown", "not run"]
Data = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What was measured for a claim; the interval is of 95 % over seeds, None where there is none."""

    value: float
    interval: tuple[float, float] | None
    detail: str = ""


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


# -- measurements ------------------------------------------------------------------------------------------


def _series(data: Data, method: str, recall: float | None = None, label: str = "") -> Data | None:
    for s in data["series"]:
        right = recall is None or s["recall"] == recall
        if s["method"] == method and right and label in s["label"] and s["points"]:
            return s
    return None


def _over(
    size: str, prediction: Callable[[Data], float | None], method: str, recall: float, label: str = ""
) -> Callable[[Data], Finding | None]:
    """Measured facts over predicted ones, geometric mean over sizes."""

    def measure(data: Data) -> Finding | None:
        series = _series(data, method, recall, label)
        used = [] if series is None else [p for p in series["points"] if p["facts"] > 0 and prediction(p)]
        if not used:
            return None
        law = [float(prediction(p) or 0) for p in used]
        found = against_law([p[size] for p in used], [_facts(p) for p in used], law)
        return Finding(found.ratio, found.interval, f"{len(used)} sizes, residual {found.rms:.1%} rms")

    return measure


def _drift(
    size: str, prediction: Callable[[Data], float | None], method: str, recall: float, label: str = ""
) -> Callable[[Data], Finding | None]:
    """Exponent in the size of measured over predicted facts: 0 for the right growth."""

    def measure(data: Data) -> Finding | None:
        series = _series(data, method, recall, label)
        used = [] if series is None else [p for p in series["points"] if p["facts"] > 0 and prediction(p)]
        if len({p[size] for p in used}) < 3:
            return None
        ratios = [[n / float(prediction(p) or 0) for n in _facts(p)] for p in used]
        found = power_law([p[size] for p in used], ratios)
        return Finding(found.exponent, found.exponent_interval, f"{found.sizes} sizes")

    return measure


def _facts(point: Data) -> list[float]:
    return [float(run["facts"]) for run in point["runs"]]


def _law(point: Data) -> float | None:
    return point.get("law")


def _guide(point: Data) -> float | None:
    return point.get("guide")


def _matrix_guide(point: Data) -> float | None:
    from factweights import theory

    return theory.paper_guide(point["d"])


def _training(data: Data) -> Finding | None:
    """Facts by the paper's training over certified ones at the same recall, size by size."""
    ours, paper = _series(data, "exact-linear", 0.99), _series(data, "paper-adam", 0.99)
    if ours is None or paper is None:
        return None
    best = {p["d"]: {r["seed"]: r["facts"] for r in p["runs"]} for p in ours["points"]}
    pairs = [(r["facts"], best[p["d"]].get(r["seed"])) for p in paper["points"] for r in p["runs"]]
    ratios = [a / b for a, b in pairs if a and b]
    return Finding(_mean(ratios), None, f"{len(ratios)} pairs of the same facts") if ratios else None


def _bits(data: Data) -> Finding | None:
    series = _series(data, "gated-fit", 1.0)
    if series is None:
        return None
    bits = [p["bits_per_parameter"] for p in series["points"]]
    return Finding(max(bits), None, f"the best of {len(bits)} memories")


def _slope(data: Data) -> Finding | None:
    line = data["overall"][0]["line"] if data.get("overall") else None
    if line is None or line["slope_interval"] is None:
        return None
    return Finding(line["slope"], tuple(line["slope_interval"]), f"{line['points']} runs")


def _per_parameter(data: Data) -> Finding | None:
    points = [p for s in data["series"] for p in s["points"] if s["method"] == "fit" and not p["capped"]]
    used = [p for p in points if p["facts"] > 0]
    if not used:
        return None
    runs = [[n / p["parameters"] for n in _facts(p)] for p in used]
    found = against_law([p["parameters"] for p in used], runs, [1.0] * len(used))
    return Finding(found.ratio, found.interval, f"{len(used)} transformers")


def _spread(data: Data) -> Finding | None:
    found = [s["per_parameter"] for s in data["series"] if s["method"] == "fit" and s["per_parameter"]]
    if len(found) < 2:
        return None
    return Finding(max(found) / min(found), None, f"{len(found)} quotients of attention and MLP")


def _same_side(data: Data) -> Finding | None:
    found = data["series"][0]["against_paper"]
    if not found:
        return None
    detail = f"{found['ours_only']} cells work here alone, {found['paper_only']} there alone"
    return Finding(found["same"] / found["cells"], None, detail)


def _wall(data: Data) -> Finding | None:
    series = data["series"][0]
    if not series["against_paper"] or series["smallest_heads"] is None:
        return None
    return Finding(float(series["smallest_heads"]), None, "")


def _rate(data: Data) -> Finding | None:
    series = data["series"][0]
    line = series["line"]
    if not series["against_paper"] or line is None:
        return None
    interval = None if line["rate_interval"] is None else tuple(line["rate_interval"])
    return Finding(line["rate"], interval, f"{line['points']} crossings")


def _descents(data: Data) -> Sequence[Data]:
    return next(s["runs"] for s in data["series"] if s["kind"] == "descent")


def _over_seeds(measure: Callable[[Data, Data], float]) -> Callable[[Data], Finding]:
    """The mean over the stochastic runs of figure 5, with its Student interval."""

    def measured(data: Data) -> Finding:
        found = [measure(data, run) for run in _descents(data)]
        if not all(map(math.isfinite, found)):
            return Finding(math.inf, None, "not in every run")
        between = f", {min(found):.4g} to {max(found):.4g}" if len(found) > 1 else ""
        return Finding(sum(found) / len(found), mean_interval(found), f"seeds: {len(found)}{between}")

    return measured


def _above_entropy(data: Data, run: Data) -> float:
    return run["plateau_loss"] - data["relation_entropy"]


def _stage_ends(name: str) -> Callable[[Data, Data], float]:
    """The step at which a stage ends; infinite where it does not."""

    def end(data: Data, run: Data) -> float:
        time = next((s["end"] for s in run["stages"] if s["name"] == name), None)
        return math.inf if time is None else time / data["rate"]

    return end


def _off_flow(data: Data) -> Finding:
    runs = _descents(data)
    worst = max(run["off_flow"]["largest"] for run in runs)
    lagged = max(run["off_flow"]["largest_with_lag"] for run in runs)
    return Finding(worst, None, f"seeds: {len(runs)}; {lagged:.2%} with the lag of steps")


def _promised(data: Data) -> Finding | None:
    found = [s["against_paper"] for s in data["series"]]
    promised = sum(f["promised"] for f in found)
    if not promised:
        return None
    shown = sum(f["promised_and_shown"] for f in found)
    others = sum(f["not_promised"] for f in found)
    detail = f"{promised} flows; elsewhere {sum(f['not_promised_but_shown'] for f in found)} of {others}"
    return Finding(shown / promised, None, detail)


def _stage_length(data: Data) -> Finding | None:
    flows = [f for s in data["series"] for f in s["flows"] if f["shown"] and f["rate_ratio"] >= 4]
    if not flows:
        return None
    ratios = [f["length"] / f["law"] for f in flows]
    return Finding(_mean(ratios), None, f"{len(flows)} flows, {min(ratios):.2f} to {max(ratios):.2f}")


def _even_odds(data: Data) -> Finding | None:
    largest = max(data["series"], key=lambda s: s["d"])
    fit = largest["fit"]
    return Finding(fit["middle"], tuple(fit["middle_interval"]), f"d = {largest['d']}, {fit['tries']} tries")


def _sharper(data: Data) -> Finding | None:
    by_d = sorted((s for s in data["series"] if s["method"] == "exact-linear"), key=lambda s: s["d"])
    if len(by_d) < 2:
        return None
    small, large = by_d[0], by_d[-1]
    detail = f"d = {large['d']} over d = {small['d']}"
    return Finding(large["fit"]["width"] / small["fit"]["width"], None, detail)


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


# -- the claims --------------------------------------------------------------------------------------------

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
        _over("parameters", _matrix_guide, "exact-linear", 0.99),
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
        _over("parameters", _law, "exact-linear", 1.0),
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
        _drift("parameters", _law, "exact-linear", 1.0),
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
        _training,
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
        _over("parameters", _law, "hebbian", 1.0),
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
        _over("count", _guide, "mlp-fit", 1.0, "ReLU"),
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
        _over("count", _guide, "gated-fit", 1.0),
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
        _drift("count", _guide, "gated-fit", 1.0),
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
        _bits,
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
        _over("count", _guide, "mlp-fit", 1.0),
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
        _slope,
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
        _per_parameter,
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
        _same_side,
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
        _rate,
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
        _wall,
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
        _spread,
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
        _slope,
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
        _slope,
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
        _over_seeds(_above_entropy),
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
        _over_seeds(_stage_ends("initial")),
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
        _over_seeds(_stage_ends("hallucination")),
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
        _off_flow,
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
        _promised,
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
        _stage_length,
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
        _even_odds,
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
        _sharper,
    ),
)
