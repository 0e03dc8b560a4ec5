"""How many bits stock language models learn, against their parameters: the law on trained weights."""

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, final

from factweights.folders.jsons import Json
from factweights.show import number
from factweights.studies.figures.gathered import (
    BesidePoint,
    BesideSeries,
    BitsData,
    LearntPoint,
    LearntRun,
    LearntSeries,
)
from factweights.studies.figures.series import Columns, at_scale, table, take
from factweights.studies.figures.trained_series import BESIDE, Beside, TrainedSeries, trained
from factweights.studies.measuring.results import CapacityResult, CompiledResult, LearntResult
from factweights.studies.study import Cell, Result, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PERSON = 45.0  # bits: a name of 4 syllables out of 32, and 5 values out of 32


@final
class CapacityLM(Study[BitsData]):
    """Bits that stock transformers learn from scratch, after arXiv 2404.05405, and memories beside them.

    Attributes:
        scale: what the spec is called.
        series: what is trained.
        beside: what is written without training.
        seeds: of people, weights and orders.
    """

    name: ClassVar[str] = "capacity-lm"
    title: ClassVar[str] = "Bits that stock language models learn"

    scale: str = "own"
    series: tuple[TrainedSeries, ...]
    beside: tuple[Beside, ...] = ()
    seeds: tuple[int, ...] = (0,)

    @classmethod
    def at_scale(cls, scale: str) -> "CapacityLM":
        """The spec called ``smoke`` (seconds), ``laptop`` (within the hour) or ``paper`` (days of a CPU).

        Raises:
            UnknownNameError: no such scale.
        """
        return at_scale(
            scale,
            {
                "smoke": lambda: cls(
                    scale=scale,
                    series=(
                        TrainedSeries(architecture="llama", exposures=20, sizes=(3_000, 7_000)),
                        TrainedSeries(architecture="gpt2", exposures=20, sizes=(7_000,)),
                    ),
                    beside=(Beside(kind="gated", sizes=(8, 12)),),
                ),
                "laptop": lambda: cls(scale=scale, series=tuple(trained(1)), beside=BESIDE, seeds=(0, 1)),
                "paper": lambda: cls(scale=scale, series=tuple(trained(4)), beside=BESIDE, seeds=(0, 1, 2)),
            },
        )

    def cells(self) -> list[Cell]:
        """One per series, size, load and seed, and one per memory beside them and seed."""
        return [
            *[self._cell(s, size, load, seed) for s, size, load, seed in self._trained()],
            *[self._beside(b, size, seed) for b in self.beside for size in b.sizes for seed in self.seeds],
        ]

    def _gather(self, results: Iterator[Result]) -> BitsData:
        """Bits against parameters for every series, and what is written without training."""
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "series": [self._gathered(s, results) for s in self.series],
            "beside": [self._gathered_beside(b, results) for b in self.beside],
            "lines": [
                {"label": "2 bits per parameter, published for 1,000 exposures", "bits_per_parameter": 2.0},
                {"label": "1 bit per parameter, published for 100", "bits_per_parameter": 1.0},
            ],
        }

    @classmethod
    def tables(cls, data: BitsData) -> list[Table]:
        """Bits against parameters for each architecture, shape and exposure."""
        return [table(s["label"], _COLUMNS, s["points"]) for s in data["series"]]

    @classmethod
    def draw(cls, data: BitsData) -> "Figure":
        """Bits against parameters, and bits of each."""
        from factweights.plots import capacity_lm

        return capacity_lm(data)

    def _seeds(self, series: TrainedSeries, size: int) -> tuple[int, ...]:
        return self.seeds[: 1 if series.alone is not None and size > series.alone else series.seeds]

    def _trained(self) -> Iterator[tuple[TrainedSeries, int, float, int]]:
        for s in self.series:
            for size in s.sizes:
                for load in s.loads:
                    for seed in self._seeds(s, size):
                        yield s, size, load, seed

    def _cell(self, s: TrainedSeries, size: int, load: float, seed: int) -> Cell:
        people = max(8, round(load * size / PERSON))
        steps = s.exposures * max(1, people // s.batch)
        return Cell(
            function="trained-lm",
            arguments={
                "architecture": s.architecture,
                "shape": s.shape,
                "parameters": size,
                "people": people,
                "exposures": s.exposures,
                "batch": s.batch,
                "rate": s.rate,
                "seed": seed,
            },
            cost=steps * (0.005 + 1.4e-7 * size * s.batch / 32),  # seconds on a busy core
            label=f"{s.label}, {size:,} parameters, {people:,} people, seed {seed}",
        )

    def _beside(self, b: Beside, size: int, seed: int) -> Cell:
        if b.kind == "gated":
            arguments: Json = {
                "method": "gated-fit",
                "settings": {"activation": "silu", "max_evaluations": 250, "width": 4 * size},
                "d": size,
                "recall": 1.0,
                "seed": seed,
                "tolerance": 0.05,
            }
            label = f"gated-fit, d = {size}, m = {4 * size}, seed {seed}"
            return Cell(function="capacity", arguments=arguments, cost=(size / 8) ** 4, label=label)
        return Cell(
            function="compiled-lm",
            arguments={"people": size, "seed": seed},
            cost=5.0 + size / 50,
            label=f"compiled, {size} people, seed {seed}",
        )

    def _gathered(self, s: TrainedSeries, results: Iterator[Result]) -> LearntSeries:
        points: list[LearntPoint] = []
        for size in s.sizes:
            tried = [_point(load, take(results, LearntResult, self._seeds(s, size))) for load in s.loads]
            points.append(max(tried, key=lambda p: p["bits"]))
        return {
            "method": "trained",
            "recall": None,
            "architecture": s.architecture,
            "shape": s.shape,
            "exposures": s.exposures,
            "label": s.label,
            "points": points,
        }

    def _gathered_beside(self, b: Beside, results: Iterator[Result]) -> BesideSeries:
        points: list[BesidePoint] = []
        for size in b.sizes:
            if b.kind == "gated":
                gated = take(results, CapacityResult, self.seeds)
                runs, parameters = [_gated_bits(r) for r in gated], gated[0]["parameters"]
            else:
                compiled = take(results, CompiledResult, self.seeds)
                runs, parameters = [float(r["bits"]) for r in compiled], compiled[0]["parameters"]
            points.append(
                {
                    "size": size,
                    "parameters": parameters,
                    "bits": statistics.median(runs),
                    "bits_per_parameter": statistics.median(runs) / parameters,
                    "interval": [min(runs) / parameters, max(runs) / parameters],
                    "runs": runs,
                }
            )
        label = {"gated": "fitted gates, recall 1, m = 4 d", "compiled": "compiled table of people"}[b.kind]
        return {"kind": b.kind, "label": label, "points": points}


def _point(load: float, found: Sequence[LearntResult]) -> LearntPoint:
    """One size at one load: medians over seeds, every run, and what rounding leaves."""
    parameters = found[0]["parameters"]
    each = [r["bits"] / r["parameters"] for r in found]
    return {
        "parameters": parameters,
        "hidden": found[0]["hidden"],
        "layers": found[0]["layers"],
        "people": found[0]["people"],
        "load": load,
        "bits": statistics.median(r["bits"] for r in found),
        "bits_per_parameter": statistics.median(each),
        "interval": [min(each), max(each)],
        "int8_share": statistics.median(r["bits_int8"] / r["bits"] if r["bits"] else 0.0 for r in found),
        "attribute_share": statistics.median(
            r["attribute_bits"] / r["bits"] if r["bits"] else 0.0 for r in found
        ),
        "table_bits": found[0]["table_bits"],
        "right": statistics.median(r["right"] for r in found),
        "runs": [_run(r) for r in found],
    }


def _run(found: LearntResult) -> LearntRun:
    return {
        "seed": found["seed"],
        "bits": found["bits"],
        "bits_int8": found["bits_int8"],
        "right": found["right"],
        "seconds": found["seconds"],
    }


def _gated_bits(result: CapacityResult) -> float:
    """Bits of the facts that a memory stores without a miss, each one of so many answers."""
    from factweights import theory

    facts = round(result["runs"][0]["facts"])
    return theory.bits_of_facts(facts, max(2, facts))


_COLUMNS: Columns[LearntPoint] = {
    "parameters": lambda p: number(p["parameters"]),
    "people": lambda p: number(p["people"]),
    "bits": lambda p: number(round(p["bits"])),
    "per parameter": lambda p: f"{p['bits_per_parameter']:.3f}",
    "over seeds": lambda p: f"{p['interval'][0]:.3f} to {p['interval'][1]:.3f}",
    "left in 8 bits": lambda p: f"{p['int8_share']:.1%}",
    "values right": lambda p: f"{p['right']:.1%}",
}
