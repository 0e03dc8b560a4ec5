"""When is there a hallucination stage? Plateaus of many exact flows against theorem 6 of arXiv 2412.06538."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, final

from factweights import theory
from factweights.domains import (
    Answers,
    CountOrNone,
    Entries,
    Exponents,
    MaybeEntries,
    MaybeSeeds,
    Positive,
    Ratios,
    Relations,
    Title,
)
from factweights.show import number
from factweights.studies.figures.gathered import (
    AgainstLength,
    AgainstPaper,
    Flow,
    FlowPoint,
    PhaseData,
    PhaseSeries,
    SeenFlow,
    Threshold,
)
from factweights.studies.figures.series import Columns, at_scale, table, take
from factweights.studies.measuring.results import FlowResult
from factweights.studies.study import Cell, Result, Study, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Shape = tuple[Relations, Answers]
RATIOS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.3, 16.0, 22.6)
SHAPES = ((2, 4), (4, 4), (4, 8), (4, 16), (8, 8), (16, 4), (32, 4), (16, 16))


@final
class PhaseDiagram(Study[PhaseData]):
    """Balanced tables of many shapes and sizes, several starts; unequal frequencies and random tables beside.

    Attributes:
        scale: what the spec is called.
        shapes: (R, D).
        ratios: S/√(R D) aimed at; S is the nearest multiple of D, so that tables are balanced. To these comes
            the first S that theorem 6 speaks of.
        inits: α of the balanced start.
        zipf_shapes, exponents, zipf_init: the same with Zipf-distributed subjects.
        random_shapes, seeds: random tables, at ``zipf_init``.
        noise: noise tokens.
    """

    name: ClassVar[str] = "phase-diagram"
    title: ClassVar[str] = "Hallucination stages: what S/√(RD) says, and what theorem 6 asks"

    scale: Title
    shapes: Annotated[tuple[Shape, ...], Entries]
    ratios: Ratios
    inits: Ratios
    zipf_shapes: Annotated[tuple[Shape, ...], MaybeEntries] = ()
    exponents: Exponents = ()
    zipf_init: Positive = 1e-5
    random_shapes: Annotated[tuple[Shape, ...], MaybeEntries] = ()
    seeds: MaybeSeeds = ()
    noise: CountOrNone = 20

    @classmethod
    def at_scale(cls, scale: str) -> "PhaseDiagram":
        """The spec called ``smoke`` (a few dozen flows), ``laptop`` (hundreds) or ``paper`` (more of them).

        Raises:
            UnknownNameError: no such scale.
        """
        more = {"zipf_shapes": ((4, 4), (8, 4)), "random_shapes": ((4, 4), (8, 4)), "seeds": (0, 1, 2)}
        specs = {
            "smoke": lambda: cls(
                scale=scale, shapes=SHAPES[1:6:2], ratios=RATIOS[1::2], inits=(1e-2, 1e-5), exponents=()
            ),
            "laptop": lambda: cls(
                scale=scale,
                shapes=SHAPES,
                ratios=RATIOS,
                inits=(1e-2, 1e-5, 1e-10),
                exponents=(0.25, 0.5, 1.0),
                **more,
            ),
            "paper": lambda: cls(
                scale=scale,
                shapes=(*SHAPES, (2, 16), (32, 16)),
                ratios=(*RATIOS, 32.0, 45.0),
                inits=(1e-1, 1e-2, 1e-3, 1e-5, 1e-10, 1e-20),
                exponents=(0.25, 0.5, 0.75, 1.0),
                **more,
            ),
        }
        return at_scale(scale, specs)

    def cells(self) -> list[Cell]:
        """One flow each."""
        return [self._cell(point) for point in self._points()]

    def _gather(self, results: Iterator[Result]) -> PhaseData:
        """Every flow with both ratios, and for each start the smallest S that shows the stage."""
        from factweights.dynamics.trace import TOLERANCE  # imports torch, which specs and cells do without

        points = self._points()
        found = zip(points, take(results, FlowResult, range(len(points))), strict=True)
        flows: list[Flow] = [{**point, **_told(point, flow)} for point, flow in found]
        main = [f for f in flows if f["kind"] == "balanced"]
        return {
            "figure": self.name,
            "scale": self.scale,
            "title": self.title,
            "tolerance": TOLERANCE,
            "series": [self._gathered(init, [f for f in main if f["init"] == init]) for init in self.inits],
            "lines": [],
            "others": [f for f in flows if f["kind"] != "balanced"],
            "settings": len(flows),
        }

    def _gathered(self, init: float, flows: list[Flow]) -> PhaseSeries:
        return {
            "label": f"balanced tables, balanced start {init:g}",
            "init": init,
            "thresholds": self._thresholds(flows),
            "against_paper": _against_paper(flows),
            "law": _against_law(flows),
            "flows": flows,
        }

    @classmethod
    def tables(cls, data: PhaseData) -> list[Table]:
        """The smallest S with a stage, for each start and shape."""
        return [_table(s) for s in data["series"]]

    @classmethod
    def draw(cls, data: PhaseData) -> "Figure":
        """Plateaus of all flows against both ratios."""
        from factweights.plots import phase_diagram

        return phase_diagram(data)

    def _points(self) -> list[FlowPoint]:
        wanted: list[FlowPoint] = []
        for R, D in self.shapes:
            promised = D * math.ceil(theory.paper_condition(R, D) / D)
            for S in sorted({*self._sizes(R, D, self.ratios), promised}):
                wanted += [_point("balanced", S, R, D, init=init) for init in self.inits]
        few = self.ratios[3::2]
        for R, D in self.zipf_shapes:
            for S in self._sizes(R, D, few):
                wanted += [_point("zipf", S, R, D, init=self.zipf_init, exponent=e) for e in self.exponents]
        for R, D in self.random_shapes:
            for S in self._sizes(R, D, few):
                wanted += [_point("random", S, R, D, init=self.zipf_init, seed=s) for s in self.seeds]
        return wanted

    @staticmethod
    def _sizes(R: int, D: int, ratios: tuple[float, ...]) -> list[int]:
        """S for each ratio, a multiple of D, each once."""
        return sorted({D * max(1, round(ratio * math.sqrt(R * D) / D)) for ratio in ratios})

    def _cell(self, point: FlowPoint) -> Cell:
        S, R, D = point["subjects"], point["relations"], point["answers"]
        arguments = {
            "subjects": S,
            "relations": R,
            "answers": D,
            "init": point["init"],
            "noise": self.noise,
            "table": "random" if point["kind"] == "random" else "structured",
            "alpha": point["exponent"],
            "seed": point["seed"],
        }
        whole = 1.0 if point["kind"] == "balanced" else 5.0 + S * R * R * D / 500
        label = f"{point['kind']}, S = {S}, R = {R}, D = {D}, start {point['init']:g}"
        return Cell(function="flow", arguments=arguments, cost=whole, label=label)

    def _thresholds(self, flows: list[Flow]) -> list[Threshold]:
        """For each (R, D) the sizes S between which the stage appears."""
        told: list[Threshold] = []
        for R, D in self.shapes:
            here = [f for f in flows if (f["relations"], f["answers"]) == (R, D)]
            shown = [f["subjects"] for f in here if f["shown"]]
            first = min(shown, default=None)
            without = [
                f["subjects"] for f in here if not f["shown"] and (first is None or f["subjects"] < first)
            ]
            told.append(
                {
                    "relations": R,
                    "answers": D,
                    "without": max(without, default=None),
                    "with": first,
                    "ratio": None if first is None else first / math.sqrt(R * D),
                    "paper": theory.paper_condition(R, D),
                    "over_paper": None if first is None else theory.paper_condition(R, D) / first,
                }
            )
        return told


def _point(
    kind: str, S: int, R: int, D: int, *, init: float, exponent: float = 0.0, seed: int = 0
) -> FlowPoint:
    return {
        "kind": kind,
        "subjects": S,
        "relations": R,
        "answers": D,
        "init": init,
        "exponent": exponent,
        "seed": seed,
        "ratio": S / math.sqrt(R * D),
        "paper_ratio": S / theory.paper_condition(R, D),
        "rate_ratio": theory.rate_ratio(S, R, D),
        "law": theory.plateau_time(S, R, D, init),
        "subject_rate": theory.subject_rate(S, R, D),
    }


def _told(point: FlowPoint, found: FlowResult) -> SeenFlow:
    length = found["hallucination"]
    return {
        "shown": length > 0,
        "length": length,
        "lifetimes": length * point["subject_rate"],
        "smallest_kl": found["smallest_kl"],
        "plateau_loss": found["plateau_loss"],
        "relation_entropy": found["relation_entropy"],
        "converged": found["converged"],
        "conservation_error": found["conservation_error"],
        "seconds": found["seconds"],
    }


def _against_paper(flows: list[Flow]) -> AgainstPaper:
    """How many flows show the stage where theorem 6 promises it, and where it does not."""
    inside = [f for f in flows if f["paper_ratio"] >= 1]
    outside = [f for f in flows if f["paper_ratio"] < 1]
    return {
        "promised": len(inside),
        "promised_and_shown": sum(f["shown"] for f in inside),
        "not_promised": len(outside),
        "not_promised_but_shown": sum(f["shown"] for f in outside),
    }


def _against_law(flows: list[Flow]) -> AgainstLength:
    """Measured length over (1/λ_sub − 1/λ_rel) ln(1/(α√A)) where the ratio of rates is at least 4."""
    found = sorted(f["length"] / f["law"] for f in flows if f["law"] > 0 and f["rate_ratio"] >= 4)
    return {"flows": len(found), "range": [found[0], found[-1]] if found else None}


_COLUMNS: Columns[Threshold] = {
    "R": lambda t: number(t["relations"]),
    "D": lambda t: number(t["answers"]),
    "S without": lambda t: number(t["without"]),
    "S with": lambda t: number(t["with"]),
    "S/√(RD)": lambda t: number(t["ratio"]),
    "theorem 6 asks S": lambda t: number(t["paper"]),
}


def _table(series: PhaseSeries) -> Table:
    a = series["against_paper"]
    notes = [
        f"  shown {a['promised_and_shown']} of {a['promised']} times where theorem 6 promises it, "
        f"{a['not_promised_but_shown']} of {a['not_promised']} times where it does not"
    ]
    if span := series["law"]["range"]:
        notes.append(
            f"  length over (1/λ_sub − 1/λ_rel) ln(1/(α√A)): {span[0]:.2f} to {span[1]:.2f} "
            f"in {series['law']['flows']} flows with λ_rel ≥ 4 λ_sub"
        )
    title = f"{series['label']}: smallest S with a hallucination stage"
    return table(title, _COLUMNS, series["thresholds"], *notes)
