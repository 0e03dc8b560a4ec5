"""What the numbers of a study say about a claim: each function reads the data of one figure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from factweights.folders.jsons import Json
from factweights.studies.figures.gathered import (
    BitsData,
    HeadsData,
    LearningData,
    LearntPoint,
    PhaseData,
)
from factweights.studies.figures.gathered_capacities import (
    CapacityPoint,
    CapacitySeries,
    MatrixData,
    MLPData,
    MLPPoint,
    P,
    SuccessData,
    TransformerData,
)
from factweights.studies.figures.transformers import distinct
from factweights.studies.measuring.results import ComparedDescent
from factweights.studies.statistics import against_law, mean_interval, power_law
from factweights.studies.study import FigureData


@dataclass(frozen=True)
class Finding:
    """What was measured for a claim; the interval is of 95 % over seeds, None where there is none."""

    value: float
    interval: tuple[float, float] | None
    detail: str = ""


def _series(
    data: FigureData[CapacitySeries[P]], method: str, recall: float | None = None, label: str = ""
) -> CapacitySeries[P] | None:
    for s in data["series"]:
        right = recall is None or s["recall"] == recall
        if s["method"] == method and right and label in s["label"] and s["points"]:
            return s
    return None


def _predicted(series: CapacitySeries[P] | None, prediction: Callable[[P], float | None]) -> list[P]:
    return [] if series is None else [p for p in series["points"] if prediction(p)]


def _nothing(points: Sequence[CapacityPoint]) -> Finding | None:
    """A size at which nothing fits is no missing one: the geometric mean over sizes is 0 then."""
    empty = sum(p["facts"] <= 0 for p in points)
    return Finding(0.0, None, f"nothing fits at {empty} of {len(points)} sizes") if empty else None


def over(
    size: Callable[[P], float],
    prediction: Callable[[P], float | None],
    method: str,
    recall: float,
    label: str = "",
) -> Callable[[FigureData[CapacitySeries[P]]], Finding | None]:
    """Measured facts over predicted ones, geometric mean over sizes."""

    def measure(data: FigureData[CapacitySeries[P]]) -> Finding | None:
        used = _predicted(_series(data, method, recall, label), prediction)
        if not used:
            return None
        if nothing := _nothing(used):
            return nothing
        law = [float(prediction(p) or 0) for p in used]
        found = against_law([size(p) for p in used], [_facts(p) for p in used], law)
        return Finding(found.ratio, found.interval, f"{len(used)} sizes, residual {found.rms:.1%} rms")

    return measure


def drift(
    size: Callable[[P], float],
    prediction: Callable[[P], float | None],
    method: str,
    recall: float,
    label: str = "",
) -> Callable[[FigureData[CapacitySeries[P]]], Finding | None]:
    """Exponent in the size of measured over predicted facts: 0 for the right growth."""

    def measure(data: FigureData[CapacitySeries[P]]) -> Finding | None:
        used = _predicted(_series(data, method, recall, label), prediction)
        if len({size(p) for p in used}) < 3 or _nothing(used):
            return None  # an exponent needs logarithms
        ratios = [[n / float(prediction(p) or 0) for n in _facts(p)] for p in used]
        found = power_law([size(p) for p in used], ratios)
        return Finding(found.exponent, found.exponent_interval, f"{found.sizes} sizes")

    return measure


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    """JSON has it as a list."""
    if interval is None:
        return None
    low, high = interval
    return low, high


def _facts(point: CapacityPoint) -> list[float]:
    return [float(run["facts"]) for run in point["runs"]]


def parameters(point: CapacityPoint) -> float:
    """The size of a matrix."""
    return point["parameters"]


def count(point: MLPPoint) -> float:
    """The paper's size of an MLP, m·d."""
    return point["count"]


def law(point: CapacityPoint) -> float | None:
    """What our law predicts."""
    return point.get("law")


def guide(point: MLPPoint) -> float | None:
    """What the paper's guide predicts."""
    return point.get("guide")


def matrix_guide(point: CapacityPoint) -> float | None:
    """The paper's guide for a matrix, by d."""
    from factweights import theory

    return theory.paper_guide(point["d"])


def training(data: MatrixData) -> Finding | None:
    """Facts by the paper's training over certified ones at the same recall, size by size."""
    ours, paper = _series(data, "exact-linear", 0.99), _series(data, "paper-adam", 0.99)
    if ours is None or paper is None:
        return None
    best = {p["d"]: {r["seed"]: r["facts"] for r in p["runs"]} for p in ours["points"]}
    pairs = [(r["facts"], best[p["d"]].get(r["seed"])) for p in paper["points"] for r in p["runs"]]
    ratios = [a / b for a, b in pairs if b]  # training that stores nothing counts, as 0
    if not ratios:
        return None
    without = f", {len(pairs) - len(ratios)} without a pair" if len(pairs) > len(ratios) else ""
    return Finding(_mean(ratios), None, f"{len(ratios)} pairs of the same facts{without}")


def bits(data: MLPData) -> Finding | None:
    """The most bits of an injective map, log2 N!, per parameter of a gated memory."""
    series = _series(data, "gated-fit", 1.0)
    if series is None:
        return None
    bits = [math.lgamma(p["facts"] + 1) / math.log(2) / p["parameters"] for p in series["points"]]
    return Finding(max(bits), None, f"the best of {len(bits)} memories")


def slope(data: TransformerData) -> Finding | None:
    """Exponent of facts in parameters, all transformers of a figure together."""
    line = data["overall"][0]["line"] if data.get("overall") else None
    if line is None or line["slope_interval"] is None:
        return None
    return Finding(line["slope"], _pair(line["slope_interval"]), f"{line['points']} runs")


def per_parameter(data: TransformerData) -> Finding | None:
    """Facts for each parameter of fitted transformers, geometric mean."""
    points = distinct(p for s in data["series"] if s["method"] == "fit" for p in s["points"])
    used = [p for p in points if not p["capped"]]
    if not used:
        return None
    if nothing := _nothing(used):
        return nothing
    runs = [[n / p["parameters"] for n in _facts(p)] for p in used]
    found = against_law([p["parameters"] for p in used], runs, [1.0] * len(used))
    return Finding(found.ratio, found.interval, f"{len(used)} transformers")


def spread(data: TransformerData) -> Finding | None:
    """How much it matters whether attention or the MLP has the parameters."""
    every = [s["per_parameter"] for s in data["series"] if s["method"] == "fit"]
    found = [x for x in every if x is not None]
    if len(found) < 2:
        return None
    if min(found) <= 0:
        return Finding(math.inf, None, f"nothing fits at one of {len(found)} quotients")
    return Finding(max(found) / min(found), None, f"{len(found)} quotients of attention and MLP")


def same_side(data: HeadsData) -> Finding | None:
    """Share of the cells of the heat map that work here and in the paper, or in neither."""
    found = data["series"][0]["against_paper"]
    if not found:
        return None
    detail = f"{found['ours_only']} cells work here alone, {found['paper_only']} there alone"
    return Finding(found["same"] / found["cells"], None, detail)


def wall(data: HeadsData) -> Finding | None:
    """The fewest heads that work."""
    series = data["series"][0]
    if not series["against_paper"] or series["smallest_heads"] is None:
        return None
    return Finding(float(series["smallest_heads"]), None, "")


def rate(data: HeadsData) -> Finding | None:
    """What a parameter of attention is worth on the boundary of the heat map."""
    series = data["series"][0]
    line = series["line"]
    if not series["against_paper"] or line is None:
        return None
    return Finding(line["rate"], _pair(line["rate_interval"]), f"{line['points']} crossings")


def _descents(data: LearningData) -> Sequence[ComparedDescent]:
    runs = next((s["runs"] for s in data["series"] if s["kind"] == "descent"), ())
    return cast(Sequence[ComparedDescent], runs)


def over_seeds(
    measure: Callable[[LearningData, ComparedDescent], float],
) -> Callable[[LearningData], Finding | None]:
    """The mean over the stochastic runs of figure 5, with its Student interval; None without runs."""

    def measured(data: LearningData) -> Finding | None:
        found = [measure(data, run) for run in _descents(data)]
        if not found:
            return None
        if not all(map(math.isfinite, found)):
            finite = sum(map(math.isfinite, found))
            return Finding(math.inf, None, f"in {finite} of {len(found)} runs, not in every one")
        between = f", {min(found):.4g} to {max(found):.4g}" if len(found) > 1 else ""
        return Finding(sum(found) / len(found), mean_interval(found), f"seeds: {len(found)}{between}")

    return measured


def above_entropy(data: LearningData, run: ComparedDescent) -> float:
    """Loss of a run on its plateau, above that of a predictor that knows the relation only."""
    return run["plateau_loss"] - data["relation_entropy"]


def stage_ends(name: str) -> Callable[[LearningData, ComparedDescent], float]:
    """The step at which a stage ends; infinite where it does not."""

    def end(data: LearningData, run: ComparedDescent) -> float:
        time = next((s["end"] for s in run["stages"] if s["name"] == name), None)
        return math.inf if time is None else time / data["rate"]

    return end


def off_flow(data: LearningData) -> Finding | None:
    """The largest difference between a run and the flow at matched times."""
    runs = _descents(data)
    if not runs:
        return None
    worst = max(run["off_flow"]["largest"] for run in runs)
    lagged = max(run["off_flow"]["largest_with_lag"] for run in runs)
    return Finding(worst, None, f"seeds: {len(runs)}; {lagged:.2%} with the lag of steps")


def promised(data: PhaseData) -> Finding | None:
    """Share of the flows that show the stage where theorem 6 promises it."""
    found = [s["against_paper"] for s in data["series"]]
    promised = sum(f["promised"] for f in found)
    if not promised:
        return None
    shown = sum(f["promised_and_shown"] for f in found)
    others = sum(f["not_promised"] for f in found)
    detail = f"{promised} flows; elsewhere {sum(f['not_promised_but_shown'] for f in found)} of {others}"
    return Finding(shown / promised, None, detail)


def stage_length(data: PhaseData) -> Finding | None:
    """Length of the stage over the law's: geometric mean, and the range of single flows."""
    flows = [f for s in data["series"] for f in s["flows"] if f["shown"] and f["rate_ratio"] >= 4]
    if not flows:
        return None
    ratios = [f["length"] / f["law"] for f in flows]
    return Finding(_mean(ratios), (min(ratios), max(ratios)), f"{len(flows)} flows, all of them")


def _random_runs(data: Json, least: float = 0.0) -> list[tuple[float, Json]]:
    """(d/|V|, run) of random embeddings from that ratio on."""
    chosen = [s for s in data["series"] if s["ratio"] is not None and s["ratio"] >= least]
    return [(s["ratio"], run) for s in chosen for run in s["runs"]]


def random_order(data: Json) -> Finding | None:
    """The smallest time to subjects over that to relations, among runs that came to both."""
    both = [r for _, r in _random_runs(data) if r["relation_time"] and r["subject_time"]]
    if not both:
        return None
    each = [r["subject_time"] / r["relation_time"] for r in both]
    detail = f"{len(both)} of {len(_random_runs(data))} runs came to both, up to {max(each):.2f}"
    return Finding(min(each), None, detail)


def random_stage(data: Json) -> Finding | None:
    """Share of runs with d ≥ |V| that show the hallucination stage."""
    runs = [r for _, r in _random_runs(data, 1.0)]
    if not runs:
        return None
    nearest = min(r["smallest_kl"] for r in runs)
    return Finding(
        sum(r["shown"] for r in runs) / len(runs), None, f"{len(runs)} runs, KL from {nearest:.3g}"
    )


def random_nearness(data: Json) -> Finding | None:
    """Exponent of the smallest KL in d over d ≥ |V|, with its bootstrap interval over seeds."""
    chosen = [s for s in data["series"] if s["ratio"] is not None and s["ratio"] >= 1.0]
    if len(chosen) < 3:
        return None
    found = power_law([s["d"] for s in chosen], [[r["smallest_kl"] for r in s["runs"]] for s in chosen])
    return Finding(found.exponent, found.exponent_interval, f"{len(chosen)} dimensions")


def _selected(data: Json, embedding: str) -> list[Json]:
    """Points of that embedding with four relations or more: with one or two the laws are not meant."""
    chosen = [s for s in data["series"] if s["embedding"] == embedding]
    return [p for s in chosen for p in s["points"] if p["relations"] >= 4]


def selector_constant(data: Json) -> Finding | None:
    """The largest d/(R ln N) of sums, with the exponent of d in R ln N in words."""
    points = _selected(data, "sum")
    sizes = [p["relations"] * math.log(p["subjects"]) for p in points]
    if len(set(sizes)) < 3:
        return None
    constants = [r["d"] / size for p, size in zip(points, sizes, strict=True) for r in p["runs"]]
    exponent = power_law(sizes, [[r["d"] for r in p["runs"]] for p in points]).exponent
    detail = f"{len(constants)} searches, from {min(constants):.2f}; exponent {exponent:.2f} over these sizes"
    return Finding(max(constants), None, detail)


def selector_over(embedding: str) -> Callable[[Json], Finding | None]:
    """The least d over the law's, geometric mean over sizes with its interval."""

    def measure(data: Json) -> Finding | None:
        points = _selected(data, embedding)
        if not points:
            return None
        sizes = [p["relations"] * p["subjects"] for p in points]
        runs = [[float(r["d"]) for r in p["runs"]] for p in points]
        found = against_law(sizes, runs, [p["law"] for p in points])
        return Finding(found.ratio, found.interval, f"{len(points)} sizes")

    return measure


def even_odds(data: SuccessData) -> Finding | None:
    """The load with even odds at the largest d."""
    largest = max(data["series"], key=lambda s: s["d"])
    fit = largest["fit"]
    return Finding(fit["middle"], _pair(fit["middle_interval"]), f"d = {largest['d']}, {fit['tries']} tries")


def sharper(data: SuccessData) -> Finding | None:
    """Width of the transition at the largest d over that at the smallest."""
    by_d = sorted((s for s in data["series"] if s["method"] == "exact-linear"), key=lambda s: s["d"])
    if len(by_d) < 2:
        return None
    small, large = by_d[0], by_d[-1]
    detail = f"d = {large['d']} over d = {small['d']}"
    return Finding(large["fit"]["width"] / small["fit"]["width"], None, detail)


def _learnt(data: BitsData, exposures: int, shape: str = "balanced") -> list[LearntPoint]:
    """Points of trained models at so many exposures, all architectures."""
    chosen = [s for s in data["series"] if s["exposures"] == exposures and s["shape"] == shape]
    return [p for s in chosen for p in s["points"] if p["bits"] > 0]


def learnt_exponent(exposures: int) -> Callable[[BitsData], Finding | None]:
    """Exponent of bits in parameters, all architectures together."""

    def measure(data: BitsData) -> Finding | None:
        points = _learnt(data, exposures)
        if len({p["parameters"] for p in points}) < 3:
            return None
        found = power_law([p["parameters"] for p in points], [[r["bits"] for r in p["runs"]] for p in points])
        return Finding(found.exponent, found.exponent_interval, f"{len(points)} models")

    return measure


def learnt_bits(exposures: int) -> Callable[[BitsData], Finding | None]:
    """Bits per parameter, geometric mean over models, with the Student interval of their logarithms."""

    def measure(data: BitsData) -> Finding | None:
        each = [p["bits_per_parameter"] for p in _learnt(data, exposures)]
        if len(each) < 2:
            return None
        low, high = mean_interval([math.log(x) for x in each]) or (0.0, 0.0)
        detail = f"{len(each)} models, {min(each):.2f} to {max(each):.2f}"
        return Finding(_mean(each), (math.exp(low), math.exp(high)), detail)

    return measure


def rounded_share(data: BitsData) -> Finding | None:
    """What is left of the bits after rounding to 8 bits, the smallest share at 1,000 exposures."""
    each = [p["int8_share"] for p in _learnt(data, 1000)]
    return Finding(min(each), None, f"{len(each)} models, up to {max(each):.3f}") if each else None


def shapes_apart(data: BitsData) -> Finding | None:
    """Bits per parameter of MLP-heavy models over attention-heavy ones, geometric mean."""
    by = {
        (s["architecture"], s["shape"]): s["points"][0]["bits_per_parameter"]
        for s in data["series"]
        if s["shape"] != "balanced" and s["points"] and s["points"][0]["bits"] > 0
    }
    both = [a for a, shape in by if shape == "mlp" and (a, "attention") in by]
    if not both:
        return None
    ratios = [by[a, "mlp"] / by[a, "attention"] for a in both]
    return Finding(_mean(ratios), None, ", ".join(f"{a} {r:.2f}" for a, r in zip(both, ratios, strict=True)))


def gated_over_trained(data: BitsData) -> Finding | None:
    """The smallest bits per parameter of fitted gates over the largest of a trained model."""
    gated = [p["bits_per_parameter"] for b in data["beside"] if b["kind"] == "gated" for p in b["points"]]
    trained = [p["bits_per_parameter"] for p in _learnt(data, 1000)]
    if not gated or not trained:
        return None
    detail = f"{min(gated):.2f} of {len(gated)} memories over {max(trained):.2f} of {len(trained)} models"
    return Finding(min(gated) / max(trained), None, detail)


def _mean(ratios: Sequence[float]) -> float:
    if min(ratios) <= 0:
        return 0.0
    return math.exp(sum(map(math.log, ratios)) / len(ratios))
