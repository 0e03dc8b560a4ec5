"""Does learning go relation first with random embeddings too? Figure 5's task, d from below to above |V|.

The theory of arXiv 2412.06538 has orthonormal embeddings; this study is an extension of ours.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, final

from factweights.domains import Count, Positive, Rate, Ratios, SomeSeeds, Title
from factweights.folders.jsons import Json
from factweights.show import number
from factweights.studies.figures.gathered import RandomEmbeddingsData
from factweights.studies.figures.series import Columns, at_scale, table, take
from factweights.studies.study import Cell, Data, Result, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASK = {"subjects": 16, "relations": 4, "answers": 8, "noise": 20}
TOKENS = TASK["subjects"] + TASK["relations"] + TASK["noise"] + 1  # EOS is one
HALF = 0.5  # a part of the loss is learnt when it is down to this share of its start
LEARNT = 0.99  # accuracy at the end of a run that has learnt every fact, but for rounding of one in 64


@final
class RandomEmbeddings(Study[RandomEmbeddingsData]):
    """Stochastic descents on S = 16, R = 4, D = 8, 20 noise tokens, embeddings N(0, 1/d), a random start.

    Attributes:
        scale: what the spec is called.
        ratios: d over the number of tokens, 41.
        seeds: of embeddings, start and prompts.
        batch, steps, rate: of the descent.
        init: standard deviation of the start.
        look_every: steps between readings.
    """

    name: ClassVar[str] = "random-embeddings"
    title: ClassVar[str] = "Relations first with random embeddings too"

    scale: Title
    ratios: Ratios
    seeds: SomeSeeds
    batch: Count = 256
    steps: Count = 8192
    rate: Rate = 0.1
    init: Positive = 1e-5
    look_every: Count = 32

    @classmethod
    def at_scale(cls, scale: str) -> "RandomEmbeddings":
        """The spec called ``smoke`` (one seed), ``laptop`` (five seeds) or ``paper`` (ten, to d = 16 |V|).

        Raises:
            UnknownNameError: no such scale.
        """
        wide = (0.25, 0.35, 0.5, 0.71, 1.0, 2.0, 4.0, 8.0)
        specs = {
            "smoke": lambda: cls(scale=scale, ratios=(0.5, 1.0, 4.0), seeds=(0,), batch=64),
            "laptop": lambda: cls(scale=scale, ratios=wide, seeds=tuple(range(5))),
            "paper": lambda: cls(scale=scale, ratios=(*wide, 16.0), seeds=tuple(range(10)), batch=1024),
        }
        return at_scale(scale, specs)

    def cells(self) -> list[Cell]:
        """For each seed the orthonormal run, and one for each d."""
        dims = [None, *map(dimension, self.ratios)]
        return [self._cell(d, seed) for d in dims for seed in self.seeds]

    def _cell(self, d: int | None, seed: int) -> Cell:
        settings = {
            "rate": self.rate,
            "steps": self.steps,
            "batch": self.batch,
            "init": self.init,
            "start": "random",
            "look_every": self.look_every,
            "embeddings": "one-hot" if d is None else "random",
            "d": d,
        }
        cost = self.steps / 2**13 * (0.8 + self.batch / 256 + ((d or 0) / 120) ** 2)
        return Cell(
            function="descent",
            arguments={**TASK, "settings": settings, "seed": seed, "compare": False},
            cost=cost,
            label=f"{'orthonormal' if d is None else f'd = {d}'}, seed {seed}",
        )

    def _gather(self, results: Iterator[Result]) -> RandomEmbeddingsData:
        """Curves and what is read off them, orthonormal first."""
        from factweights.dynamics.trace import TOLERANCE  # imports torch, which specs and cells do without

        series = []
        entropy = 0.0
        for ratio in (None, *self.ratios):
            found = take(results, dict, self.seeds)
            entropy = found[0]["relation_entropy"]
            runs = [_told(seed, r) for seed, r in zip(self.seeds, found, strict=True)]
            curves = {k: found[0]["curves"][k] for k in ("times", "loss")}  # of the first seed, to be drawn
            d = None if ratio is None else dimension(ratio)
            label = "orthonormal" if d is None else f"d = {d}, {ratio:g} |V|"
            series.append({"label": label, "d": d, "ratio": ratio, "curves": curves, "runs": runs})
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "task": TASK,
            "tokens": TOKENS,
            "tolerance": TOLERANCE,
            "relation_entropy": entropy,
            "series": series,
            "lines": [],
        }

    @classmethod
    def tables(cls, data: RandomEmbeddingsData) -> list[Table]:
        """For each d how near to the plateau and in which order."""
        note = "  t: half of that part of the loss; medians over seeds; – where half of them never came there"
        return [table(data["title"], _COLUMNS, data["series"], note)]

    @classmethod
    def draw(cls, data: RandomEmbeddingsData) -> "Figure":
        """Loss over time, smallest KL over d, times of both halves over d."""
        from factweights.plots import random_embeddings

        return random_embeddings(data)


def dimension(ratio: float) -> int:
    """d of a ratio, at least 1."""
    return max(1, round(ratio * TOKENS))


def _told(seed: int, found: Result) -> Json:
    from factweights.dynamics.trace import crossing

    curves = found["curves"]
    relation, subject = (
        crossing(curves["times"], curves[part], HALF * curves[part][0])
        for part in ("relation_loss", "subject_loss")
    )
    return {
        "seed": seed,
        "smallest_kl": min(curves["kl"]),
        "shown": found["hallucination"] > 0,
        "relation_time": relation,
        "subject_time": subject,
        "loss": curves["loss"][-1],
        "accuracy": curves["accuracy"][-1],
    }


def middle(runs: list[Data], key: str) -> float | None:
    """Median over runs, in which a time that never came is later than any; None where that is the median."""
    each = sorted(math.inf if r[key] is None else float(r[key]) for r in runs)
    found = (each[(len(each) - 1) // 2] + each[len(each) // 2]) / 2
    return None if math.isinf(found) else found


_COLUMNS: Columns = {
    "embeddings": lambda s: s["label"],
    "smallest KL": lambda s: number(middle(s["runs"], "smallest_kl")),
    "stage shown": lambda s: f"{sum(r['shown'] for r in s['runs'])} of {len(s['runs'])}",
    "relation t": lambda s: number(middle(s["runs"], "relation_time")),
    "subject t": lambda s: number(middle(s["runs"], "subject_time")),
    "all facts": lambda s: f"{sum(r['accuracy'] >= LEARNT for r in s['runs'])} of {len(s['runs'])}",
    "loss at the end": lambda s: number(middle(s["runs"], "loss")),
}
