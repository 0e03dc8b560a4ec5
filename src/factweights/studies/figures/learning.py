"""Figure 5 of arXiv 2412.06538: sequential learning, the published stochastic run and the exact flow."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, final

from factweights.domains import Count, Positive, Rate, SomeSeeds, Title
from factweights.show import number
from factweights.studies.figures.gathered import LearningData, LearningSeries
from factweights.studies.figures.series import at_scale, take
from factweights.studies.measuring.results import ComparedDescent, FlowResult, TokenMapsResult
from factweights.studies.study import Cell, Result, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER_STAGES = (1800, 5000)  # steps at which the paper's shading changes
FRAMES = (0.0, 150.0, 250.0, 410.0, 450.0, 800.0)


@final
class Fig5(Study[LearningData]):
    """S = 16, R = 4, D = 8, 20 noise tokens, T = 32, all weights 1e-5, learning rate 0.1, 8,192 steps.

    Attributes:
        scale: what the spec is called.
        seeds: of the prompts.
        batch: prompts per step.
        steps, rate, init: of the descent; the flow runs for rate × steps.
        look_every: steps between readings.
    """

    name: ClassVar[str] = "fig5"
    title: ClassVar[str] = "Relations first, then a plateau, then subjects"

    scale: Title
    seeds: SomeSeeds
    batch: Count = 1024
    steps: Count = 8192
    rate: Rate = 0.1
    init: Positive = 1e-5
    look_every: Count = 16

    @classmethod
    def at_scale(cls, scale: str) -> "Fig5":
        """The spec called ``smoke`` (64 prompts a step), ``laptop`` (three seeds) or ``paper`` (five).

        Raises:
            UnknownNameError: no such scale.
        """
        specs = {
            "smoke": lambda: cls(scale=scale, seeds=(0,), batch=64, look_every=32),
            "laptop": lambda: cls(scale=scale, seeds=(0, 1, 2)),
            "paper": lambda: cls(scale=scale, seeds=(0, 1, 2, 3, 4), look_every=8),
        }
        return at_scale(scale, specs)

    def cells(self) -> list[Cell]:
        """One descent per seed, the flow, and its maps before, on and after the plateau."""
        return [*(self._descent(seed) for seed in self.seeds), self._flow(), self._maps()]

    def _gather(self, results: Iterator[Result]) -> LearningData:
        """Curves and stages of both."""
        found = take(results, ComparedDescent, self.seeds)
        runs: list[ComparedDescent] = [
            {"seed": seed, **run} for seed, run in zip(self.seeds, found, strict=True)
        ]
        (flow,) = take(results, FlowResult, (0,))
        descent: LearningSeries = {
            "kind": "descent",
            "label": f"stochastic gradient descent,\nrate {self.rate:g}, {self.batch:,} prompts a step",
            "runs": runs,
        }
        exact: LearningSeries = {"kind": "flow", "label": "exact population gradient flow", "runs": [flow]}
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "task": _TASK,
            "rate": self.rate,
            "init": self.init,
            "paper_stages": [self.rate * step for step in PAPER_STAGES],
            "relation_entropy": flow["relation_entropy"],
            "series": [descent, exact],
            "maps": take(results, TokenMapsResult, (0,))[0],
            "lines": [],
        }

    @classmethod
    def tables(cls, data: LearningData) -> list[Table]:
        """When each stage begins and ends, for every run."""
        columns = ("seed", "stages, start – end", "plateau loss", "off the flow at most")
        return [
            Table(s["label"].replace("\n", " "), columns, tuple(_stages(run) for run in s["runs"]))
            for s in data["series"]
        ]

    @classmethod
    def draw(cls, data: LearningData) -> "Figure":
        """Loss, recall and norms over time, the published stages shaded."""
        from factweights.plots import fig5

        return fig5(data)

    @classmethod
    def pictures(cls, data: LearningData) -> "dict[str, Figure]":
        """``fig5-maps``: attention scores and the output-value map, where the numbers have them."""
        from factweights.plots import fig5_maps

        return {"maps": fig5_maps(data)} if "maps" in data else {}

    def _descent(self, seed: int) -> Cell:
        settings = {
            "rate": self.rate,
            "steps": self.steps,
            "batch": self.batch,
            "init": self.init,
            "look_every": self.look_every,
        }
        return Cell(
            function="descent",
            arguments={**_TASK, "settings": settings, "seed": seed},
            cost=self.batch * self.steps / 2**20,
            label=f"descent, seed {seed}",
        )

    def _flow(self) -> Cell:
        end = self.rate * self.steps
        arguments = {
            **_TASK,
            "init": self.init,
            "start": "uniform",
            "end": end,
            "goal": 1e-6,
            "frames": [t for t in FRAMES if t <= end],
            "curves": True,
        }
        return Cell(function="flow", arguments=arguments, cost=0.3, label="exact flow")

    def _maps(self) -> Cell:
        arguments = {**_TASK, "init": self.init, "start": "uniform"}
        return Cell(function="token-maps", arguments=arguments, cost=0.3, label="maps of the exact flow")


def _stages(run: ComparedDescent | FlowResult) -> tuple[str, ...]:
    told = ", ".join(f"{number(s['start'])} – {number(s['end'])}" for s in run["stages"])
    off = f"{run['off_flow']['largest']:.1%}" if "off_flow" in run else "–"
    return number(run.get("seed")), told, f"{run['plateau_loss']:.4f}", off


_TASK = {"subjects": 16, "relations": 4, "answers": 8, "noise": 20}
