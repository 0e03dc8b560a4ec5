"""Facts in embeddings: the least d for a relation-conditioned selector, after arXiv 2605.12426."""

import math
import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, final

from factweights import theory
from factweights.domains import Counts, SomeSeeds, Title
from factweights.show import number
from factweights.studies.figures.gathered import SuperpositionData
from factweights.studies.figures.series import Columns, at_scale, table, take
from factweights.studies.study import Cell, Result, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# how embeddings are made, what that is called, and the law for it
_EMBEDDINGS = (
    ("sum", "sums of answers", theory.superposition_dimension),
    ("fit", "fitted embeddings", theory.best_superposition_dimension),
)


@final
class SuperpositionStudy(Study[SuperpositionData]):
    """R random bijections from N subjects to N shared answers, all recalled, d bisected.

    Attributes:
        scale: what the spec is called.
        subjects, relations: N and R, every pair of them.
        seeds: of bijections, answers and signs.
    """

    name: ClassVar[str] = "superposition"
    title: ClassVar[str] = "Facts in embeddings: dimensions for a relation-conditioned selector"

    scale: Title
    subjects: Counts
    relations: Counts
    seeds: SomeSeeds

    @classmethod
    def at_scale(cls, scale: str) -> "SuperpositionStudy":
        """The spec called ``smoke`` (up to 256 facts), ``laptop`` (up to 1,024) or ``paper`` (up to 16,384).

        Raises:
            UnknownNameError: no such scale.
        """
        specs = {
            "smoke": lambda: cls(scale=scale, subjects=(16, 64), relations=(2, 4), seeds=(0,)),
            "laptop": lambda: cls(scale=scale, subjects=(16, 64, 128), relations=(2, 4, 8), seeds=(0, 1, 2)),
            "paper": lambda: cls(
                scale=scale, subjects=(16, 64, 256, 1024), relations=(2, 4, 8, 16), seeds=tuple(range(5))
            ),
        }
        return at_scale(scale, specs)

    def _sizes(self) -> list[tuple[int, int]]:
        return [(N, R) for R in self.relations for N in self.subjects]

    def cells(self) -> list[Cell]:
        """One search each."""
        kinds = [name for name, _, _ in _EMBEDDINGS]
        return [self._cell(e, N, R, s) for e in kinds for N, R in self._sizes() for s in self.seeds]

    @staticmethod
    def _cell(embedding: str, N: int, R: int, seed: int) -> Cell:
        arguments = {"subjects": N, "relations": R, "embedding": embedding, "seed": seed}
        cost = 0.1 + N * N * R * R / 2**20 * (20 if embedding == "fit" else 4)
        label = f"{embedding}, N = {N}, R = {R}, seed {seed}"
        return Cell(function="superposition", arguments=arguments, cost=cost, label=label)

    def _gather(self, results: Iterator[Result]) -> SuperpositionData:
        """Least d with its law, for both kinds of embeddings."""
        series: list[Json] = []
        for embedding, label, law in _EMBEDDINGS:
            points = []
            for N, R in self._sizes():
                found = take(results, dict, self.seeds)
                runs = [{"seed": s, **r} for s, r in zip(self.seeds, found, strict=True)]
                d = statistics.median(r["d"] for r in runs)
                sizes = {"subjects": N, "relations": R, "facts": N * R, "size": R * math.log(N)}
                points.append({**sizes, "d": d, "law": law(N, R), "runs": runs})
            series.append({"embedding": embedding, "label": label, "points": points})
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "series": series,
            "lines": [],
        }

    @classmethod
    def tables(cls, data: SuperpositionData) -> list[Table]:
        """For each size the least d, beside the law and R ln N."""
        return [table(s["label"], _COLUMNS, s["points"]) for s in data["series"]]

    @classmethod
    def draw(cls, data: SuperpositionData) -> "Figure":
        """Least d over R ln N."""
        from factweights.plots import superposition

        return superposition(data)


_COLUMNS: Columns = {
    "N": lambda p: number(p["subjects"]),
    "R": lambda p: number(p["relations"]),
    "d": lambda p: number(p["d"]),
    "law": lambda p: number(p["law"]),
    "d / law": lambda p: f"{p['d'] / p['law']:.2f}",
    "d / (R ln N)": lambda p: f"{p['d'] / p['size']:.2f}",
    "all proved": lambda p: f"{sum(r['proved'] == r['facts'] for r in p['runs'])} of {len(p['runs'])}",
}
