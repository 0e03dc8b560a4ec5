"""How likely a method stores N facts, over N: capacity as a curve, with the law in its middle or not."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, final

from pydantic import BaseModel, ConfigDict, JsonValue

from factweights import theory
from factweights.domains import Dimensions, Entries, Positive, Ratio, Ratios, Share, SomeSeeds, Title
from factweights.studies.cells import Cell, Study
from factweights.studies.scaling import logistic_fit
from factweights.studies.series import at_scale


def measure_success(
    method: str, facts: int, d: int, recall: float, seed: int, settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Whether one method stores ``facts`` random injective facts of dimension ``d`` with one seed."""
    from factweights.capacity.probing import probe
    from factweights.facts import Associations
    from factweights.methods import method_named

    begun = time.perf_counter()
    chosen = method_named(method)(**(settings or {})).for_recall(recall)
    found = probe(chosen, Associations.spherical(facts, d, seed=seed), recall, seed=seed, size=facts)
    return {
        "fits": found.verdict == "fits",
        "verdict": found.verdict,
        "recall": found.recall,
        "facts": facts,
        "seconds": time.perf_counter() - begun,
    }


class SuccessSeries(BaseModel):
    """One method.

    Attributes:
        method: as the command line calls it.
        settings: of the method; a width is given as ``ratio``.
        ratio: m/d, for methods with a width.
        load: facts that count as load 1: N δ(N) = ``load`` × parameters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    settings: dict[str, JsonValue] = {}
    ratio: Ratio | None = None
    load: Positive = 1.0

    @property
    def label(self) -> str:
        """Method, and width."""
        return self.method if self.ratio is None else f"{self.method}, m = {self.ratio:g} d"

    def at(self, d: int) -> dict[str, Any]:
        """The settings at d."""
        more = {} if self.ratio is None else {"width": max(1, round(self.ratio * d))}
        return {**self.settings, **more}

    def facts(self, d: int, load: float) -> int:
        """N at that load: by the law N δ(N) = d² for a matrix, times ``load`` of 3 m d for gated memories."""
        budget = d**2 if self.ratio is None else 3 * round(self.ratio * d) * d
        return max(2, round(load * theory.facts_for_budget(self.load * budget)))


@final
class SuccessCurve(Study):
    """The share of seeds with which N facts are stored, over N relative to the law, and a logistic fit.

    Attributes:
        scale: what the spec is called.
        series: the methods.
        sizes: the d.
        loads: N over what the law says.
        seeds: of facts and methods; each gives one success or failure per size and load.
        recall: the criterion.
    """

    name: ClassVar[str] = "success-curve"

    scale: Title = "own"
    series: Annotated[tuple[SuccessSeries, ...], Entries] = (SuccessSeries(method="exact-linear"),)
    sizes: Dimensions
    loads: Ratios
    seeds: SomeSeeds
    recall: Share = 1.0

    @classmethod
    def at_scale(cls, scale: str) -> "SuccessCurve":
        """The spec called ``smoke``, ``laptop`` or ``paper``.

        Raises:
            UnknownNameError: no such scale.
        """

        def spec(sizes: tuple[int, ...], steps: int, seeds: int) -> "SuccessCurve":
            loads = tuple(round(0.85 + 0.35 * i / (steps - 1), 4) for i in range(steps))
            return cls(scale=scale, sizes=sizes, loads=loads, seeds=tuple(range(seeds)))

        specs = {
            "smoke": lambda: spec((16, 32), 8, 8),
            "laptop": lambda: spec((16, 32, 64), 15, 20),
            "paper": lambda: spec((16, 32, 64, 128), 15, 50),
        }
        return at_scale(scale, specs)

    def cells(self) -> list[Cell]:
        """One per series, size, load and seed."""
        return [
            self._cell(s, d, load, seed)
            for s in self.series
            for d in self.sizes
            for load in self.loads
            for seed in self.seeds
        ]

    def gather(self, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """For each method and size the share that fits at each N, and the fit through all of it."""
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": "How likely facts fit, over their number",
            "recall": self.recall,
            "series": [self._gathered(s, d, results) for s in self.series for d in self.sizes],
            "lines": [],
        }

    def _cell(self, s: SuccessSeries, d: int, load: float, seed: int) -> Cell:
        facts = s.facts(d, load)
        return Cell(
            function="success",
            arguments={
                "method": s.method,
                "settings": s.at(d),
                "facts": facts,
                "d": d,
                "recall": self.recall,
                "seed": seed,
            },
            cost=0.03 + (d / 64) ** 3 * 0.2 * (10 if s.ratio else 1),
            label=f"{s.label}, d = {d}, N = {facts}, seed {seed}",
        )

    def _gathered(self, s: SuccessSeries, d: int, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        law, points, tried = s.facts(d, 1.0), [], []
        for load in self.loads:
            found = [results[self._cell(s, d, load, seed).hash] for seed in self.seeds]
            fits = [bool(f["fits"]) for f in found]
            points.append(
                {
                    "load": load,
                    "facts": found[0]["facts"],
                    "share": sum(fits) / len(fits),
                    "fits": fits,
                    "refuted": sum(f["verdict"] == "refuted" for f in found),
                }
            )
            tried.append((found[0]["facts"] / law, fits))
        fit = logistic_fit([x for x, _ in tried], [f for _, f in tried])
        return {
            "method": s.method,
            "settings": s.settings,
            "recall": self.recall,
            "label": f"{s.label}, d = {d}",
            "d": d,
            "law": law,
            "points": points,
            "fit": fit.to_dict(),
        }
