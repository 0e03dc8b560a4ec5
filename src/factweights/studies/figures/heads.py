"""Figure 4, right, of arXiv 2412.06538: where attention can do what the MLP does, over heads and neurons."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, final

from factweights.domains import (
    Answers,
    Ascending,
    AscendingOrNone,
    Dimension,
    Entries,
    Relations,
    Share,
    SomeSeeds,
    Subjects,
    Title,
)
from factweights.show import number
from factweights.studies.figures.gathered import (
    HeadsCell,
    HeadsData,
    HeadsEdge,
    HeadsLine,
    HeadsRun,
    HeadsSeries,
    SameSide,
)
from factweights.studies.figures.gathered_capacities import GraphLine
from factweights.studies.figures.recall_series import RECALL, RecallSeries, adam, fitted
from factweights.studies.figures.series import Columns, at_scale, between, table, take
from factweights.studies.measuring.families import ANSWERS
from factweights.studies.measuring.results import RecallResult
from factweights.studies.statistics import straight_line
from factweights.studies.study import Cell, Result, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADS = (1, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32)
WIDTHS = (1, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128)
PAPER_TASK = (32, 32, 8, 32, 8)  # S, R, D, d and d_h of the paper's heat map
PAPER_WALL = 5  # below that many heads no MLP of the paper's heat map stores the facts
PAPER_CONSTANT, PAPER_RATE = 2300.0, 0.5  # and above it d m ≥ 2300 − ½ d d_h H does


@final
class Fig4Right(Study[HeadsData]):
    """One task, one transformer for each number of heads and each width of the MLP.

    The paper's task is S = R = 32, D = 8, d = 32, d_h = 8, its boundary d m = 2300 − ½ d d_h H from H = 5 on.

    The boundary is told as the smallest width on the grid whose median recall reaches the criterion, for each
    number of heads, and where recall crosses the criterion on the straight line from the width before.

    Attributes:
        scale: what the spec is called.
        subjects, relations, answers: S, R and D.
        d, head_dim: d and d_h.
        heads, widths: H and m, ascending.
        seeds: of task, training and prompts.
        series: how the transformers are trained.
        recall: the criterion.
    """

    name: ClassVar[str] = "fig4-right"
    title: ClassVar[str] = "Recall of one-layer transformers: attention or MLP may carry the facts"

    scale: Title
    subjects: Subjects
    relations: Relations
    d: Dimension
    head_dim: Dimension
    heads: Ascending
    widths: AscendingOrNone
    seeds: SomeSeeds
    series: Annotated[tuple[RecallSeries, ...], Entries]
    answers: Answers = ANSWERS
    recall: Share = RECALL

    @classmethod
    def at_scale(cls, scale: str) -> "Fig4Right":
        """The spec called ``smoke`` (a small task), ``laptop`` (the paper's) or ``paper`` (five seeds).

        Raises:
            UnknownNameError: no such scale.
        """

        def paper(seeds: int, *series: RecallSeries) -> "Callable[[], Fig4Right]":
            return lambda: cls(
                scale=scale,
                subjects=32,
                relations=32,
                d=32,
                head_dim=8,
                heads=HEADS,
                widths=WIDTHS,
                seeds=tuple(range(seeds)),
                series=series,
            )

        def small() -> "Fig4Right":
            return cls(
                scale=scale,
                subjects=8,
                relations=8,
                d=16,
                head_dim=4,
                heads=(1, 2, 4),
                widths=(1, 8, 16),
                seeds=(0,),
                series=(fitted(400),),
            )

        specs = {"smoke": small, "laptop": paper(1, fitted()), "paper": paper(5, fitted(), adam())}
        return at_scale(scale, specs)

    def cells(self) -> list[Cell]:
        """One per series, number of heads, width and seed."""
        return [
            self._cell(s, heads, width, seed)
            for s in self.series
            for heads in self.heads
            for width in self.widths
            for seed in self.seeds[: s.seeds]
        ]

    def _gather(self, results: Iterator[Result]) -> HeadsData:
        """For each series its cells and its boundary, and the paper's boundary where the task is the same."""
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "task": {"subjects": self.subjects, "relations": self.relations, "answers": self.answers},
            "d": self.d,
            "head_dim": self.head_dim,
            "heads": list(self.heads),
            "widths": list(self.widths),
            "recall": self.recall,
            "series": [self._gathered(s, results) for s in self.series],
            "lines": self._lines(),
        }

    @classmethod
    def tables(cls, data: HeadsData) -> list[Table]:
        """The boundary of each series."""
        return [
            table(f"{s['label']}, recall ≥ {data['recall']:g}", _COLUMNS, s["boundary"], *_notes(s))
            for s in data["series"]
        ]

    @classmethod
    def draw(cls, data: HeadsData) -> "Figure":
        """A heat map of recall, with the boundaries."""
        from factweights.plots import fig4_right

        return fig4_right(data)

    @property
    def is_papers(self) -> bool:
        """Whether the paper's boundary is about this task and these transformers."""
        return (self.subjects, self.relations, self.answers, self.d, self.head_dim) == PAPER_TASK

    def attention_parameters(self, heads: float) -> float:
        """4 H d_h d."""
        return 4 * heads * self.head_dim * self.d

    def mlp_parameters(self, width: float) -> float:
        """2 m d, as the paper counts."""
        return 2 * width * self.d

    def _cell(self, series: RecallSeries, heads: int, width: int, seed: int) -> Cell:
        task = {"subjects": self.subjects, "relations": self.relations, "answers": self.answers}
        size = (self.attention_parameters(heads) + self.mlp_parameters(width)) / 4096
        beyond = heads >= PAPER_WALL and self._over_paper(heads, width) >= 0
        return Cell(
            function="recall",
            arguments={
                **series.arguments(self.d, heads, self.head_dim, width, seed),
                **task,
                "recall": self.recall,
            },
            # what cannot be stored is tried to the end
            cost=series.cost * (1 + size) * (0.3 if beyond else 1.0),
            label=f"{series.label}, H = {heads}, m = {width}, seed {seed}",
        )

    def _gathered(self, series: RecallSeries, results: Iterator[Result]) -> HeadsSeries:
        cells = []
        for heads in self.heads:
            for width in self.widths:
                seeds = self.seeds[: series.seeds]
                cells.append(
                    self._told(
                        heads, width, dict(zip(seeds, take(results, RecallResult, seeds), strict=True))
                    )
                )
        boundary = [self._edge(heads, [c for c in cells if c["heads"] == heads]) for heads in self.heads]
        return {
            "method": series.method,
            "settings": series.settings,
            "label": series.label,
            "cells": cells,
            "boundary": boundary,
            "line": self._fitted(boundary),
            "smallest_heads": min((e["heads"] for e in boundary if e["width"] is not None), default=None),
            "without_mlp": min((e["heads"] for e in boundary if e["width"] == self.widths[0]), default=None),
            "against_paper": self._against_paper(cells) if self.is_papers else None,
        }

    def _told(self, heads: int, width: int, found: Mapping[int, RecallResult]) -> HeadsCell:
        recalls = [f["recall"] for f in found.values()]
        return {
            "heads": heads,
            "width": width,
            "attention_parameters": self.attention_parameters(heads),
            "mlp_parameters": self.mlp_parameters(width),
            "recall": statistics.median(recalls),
            "interval": [min(recalls), max(recalls)],
            "works": statistics.median(recalls) >= self.recall,
            "runs": [_run(seed, f) for seed, f in found.items()],
        }

    def _edge(self, heads: int, column: Sequence[HeadsCell]) -> HeadsEdge:
        """The smallest width that works with that many heads; None where none does."""
        place = next((i for i, c in enumerate(column) if c["works"]), None)
        failed_above = 0 if place is None else sum(not c["works"] for c in column[place:])
        edge: HeadsEdge = {
            "heads": heads,
            "attention_parameters": self.attention_parameters(heads),
            "width": None if place is None else column[place]["width"],
            "crossing": None,
            "failed_above": failed_above,
            "paper_width": self._paper_width(heads) if self.is_papers else None,
        }
        if place:
            (m0, r0), (m1, r1) = ((c["width"], c["recall"]) for c in column[place - 1 : place + 1])
            edge["crossing"] = m0 + (m1 - m0) * (self.recall - r0) / (r1 - r0)
        return edge

    def _fitted(self, boundary: Sequence[HeadsEdge]) -> HeadsLine | None:
        """d m = constant − rate · d d_h H through the crossings, from the paper's wall on if there is one."""
        start = PAPER_WALL if self.is_papers else 1
        inner = [
            (e["heads"], e["crossing"]) for e in boundary if e["crossing"] is not None and e["heads"] >= start
        ]
        x = [self.d * self.head_dim * heads for heads, _ in inner]
        line = straight_line(x, [self.d * crossing for _, crossing in inner])
        if line is None:
            return None
        rate = None if line.slope_interval is None else [-line.slope_interval[1], -line.slope_interval[0]]
        return {
            "constant": line.intercept,
            "constant_interval": line.intercept_interval,
            "rate": -line.slope,
            "rate_interval": rate,
            "level": line.level,
            "heads": [inner[0][0], inner[-1][0]],
            "points": line.points,
            "paper": {"constant": PAPER_CONSTANT, "rate": PAPER_RATE} if self.is_papers else None,
        }

    def _against_paper(self, cells: Sequence[HeadsCell]) -> SameSide:
        """How many cells lie on the same side of both boundaries, and on which side the others lie."""
        sides = [
            (c["works"], c["heads"] >= PAPER_WALL and self._over_paper(c["heads"], c["width"]) >= 0)
            for c in cells
        ]
        return {
            "cells": len(sides),
            "works": sum(ours for ours, _ in sides),
            "paper_works": sum(paper for _, paper in sides),
            "same": sum(ours == paper for ours, paper in sides),
            "ours_only": sum(ours and not paper for ours, paper in sides),
            "paper_only": sum(paper and not ours for ours, paper in sides),
            "paper_wall": PAPER_WALL,
        }

    def _over_paper(self, heads: int, width: int) -> float:
        return self.d * width - PAPER_CONSTANT + PAPER_RATE * self.d * self.head_dim * heads

    def _paper_width(self, heads: int) -> float | None:
        """What the paper's boundary asks for; None below its wall."""
        needed = (PAPER_CONSTANT - PAPER_RATE * self.d * self.head_dim * heads) / self.d
        return max(0.0, needed) if heads >= PAPER_WALL else None

    def _lines(self) -> list[GraphLine]:
        """The paper's boundary in (attention parameters, MLP parameters): up the wall, down the slope."""
        if not self.is_papers:
            return []
        top = self.mlp_parameters(max(self.widths))
        no_mlp = PAPER_CONSTANT / (PAPER_RATE * self.d * self.head_dim)
        corner = (PAPER_CONSTANT - PAPER_RATE * self.d * self.head_dim * PAPER_WALL) / self.d
        points = [
            [self.attention_parameters(PAPER_WALL), top],
            [self.attention_parameters(PAPER_WALL), self.mlp_parameters(corner)],
            [self.attention_parameters(no_mlp), 0.0],
        ]
        label = f"d m = {PAPER_CONSTANT:g} − ½ d d_h H, H ≥ {PAPER_WALL}: the paper's boundary"
        return [{"name": "paper-boundary", "label": label, "points": points}]


def _run(seed: int, found: RecallResult) -> HeadsRun:
    """Cells of earlier versions may lack what is no recall."""
    return {
        "seed": seed,
        "recall": found["recall"],
        "evaluations": found.get("evaluations"),
        "tries": found.get("tries"),
        "seconds": found.get("seconds"),
    }


_COLUMNS: Columns[HeadsEdge] = {
    "H": lambda e: number(e["heads"]),
    "smallest m": lambda e: number(e["width"]),
    "crossing": lambda e: "–" if e["crossing"] is None else f"{e['crossing']:.1f}",
    "paper's m": lambda e: "–" if e["paper_width"] is None else f"{e['paper_width']:.1f}",
}


def _notes(series: HeadsSeries) -> Iterator[str]:
    if line := series["line"]:
        ours = f"{line['constant']:,.0f} − {line['rate']:.3f} d d_h H"
        yield f"  d m = {ours}{between('rate, 95 %', line['rate_interval'])}"
        if paper := line["paper"]:
            yield f"  d m = {paper['constant']:,.0f} − {paper['rate']:.3f} d d_h H in the paper"
    yield f"  fewest heads that work: {number(series['smallest_heads'])}"
    if found := series["against_paper"]:
        yield (
            f"  {found['same']} of {found['cells']} cells on the same side as in the paper, "
            f"{found['ours_only']} work here alone, {found['paper_only']} there alone"
        )
