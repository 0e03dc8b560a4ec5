"""Figures 4 and 7 to 9: what is measured at which scale, how searches go, what the files and pictures say."""

import functools
import json
import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from factweights.errors import SettingError, UnknownNameError
from factweights.facts.recall_task import RecallTask
from factweights.memories.transformer import RecallTransformer
from factweights.methods.recall import RecallSolution
from factweights.studies import FIGURES, Cell, draw, reproduce
from factweights.studies.figures.heads import HEADS, WIDTHS, Fig4Right
from factweights.studies.figures.recall_series import RecallSeries
from factweights.studies.figures.transformers import (
    GUIDE,
    NINE,
    SHARES,
    SIZES,
    Fig4Left,
    Fig7,
    Fig8,
    Fig9,
    Shape,
)
from factweights.studies.measuring import capacity as measuring
from factweights.studies.measuring.capacity import fresh_recall, largest_size, measure_recall_capacity
from factweights.studies.measuring.families import FAMILIES, facts_at, size_for_bits, task_sizes
from factweights.studies.statistics import straight_line

CAPACITY_FIGURES = (Fig4Left, Fig7, Fig8, Fig9)


# -- tasks -------------------------------------------------------------------------------------------------


def test_families_of_tasks():
    assert [task_sizes(f, 50) for f in FAMILIES] == [(50, 50, 8), (50, 7, 8), (50, 50, 50)]
    assert [facts_at(f, 9) for f in FAMILIES] == [81, 27, 81]
    for family, bits in product(FAMILIES, (100.0, 5000.0, 1e5)):
        size = size_for_bits(family, bits, 8, 512)
        weights = [facts_at(family, s) * math.log2(task_sizes(family, s)[2]) for s in (size, size + 1)]
        assert weights[0] <= bits < weights[1] or size in (8, 512)
    with pytest.raises(UnknownNameError, match=r"did you mean 'S=R\^2'"):
        task_sizes("S=R2", 8)


# -- searches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guess", [8, 20, 30, 31, 33, 100, 512, 10_000])
@pytest.mark.parametrize("true", [8, 9, 30, 31, 200, 511])
def test_a_size_is_found_without_asking_twice(guess, true):
    asked: list[int] = []

    def works(size: int) -> bool:
        asked.append(size)
        return size <= true

    below, above = largest_size(works, guess, 8, 512, 0.05)
    assert len(asked) == len(set(asked)) <= 14
    assert all(8 <= size <= 512 for size in asked)
    assert below is not None
    assert above is not None
    assert below <= true < above
    assert above - below <= max(1, 0.05 * below)


def test_a_good_guess_needs_few_questions():
    for true in range(24, 37):
        asked: list[int] = []
        largest_size(lambda n: not asked.append(n) and n <= true, 30, 8, 512, 0.05)  # noqa: B023
        assert len(asked) <= 6


def test_the_ends_of_a_search():
    assert largest_size(lambda _: True, 30, 8, 64, 0.05) == (64, None)
    assert largest_size(lambda _: False, 30, 8, 64, 0.05) == (None, 8)
    assert largest_size(lambda _: True, 3, 8, 8, 0.05) == (8, None)
    for low, high, tolerance in ((0, 5, 0.1), (6, 5, 0.1), (1, 5, 0.0)):
        with pytest.raises(SettingError, match="low ≤ high"):
            largest_size(lambda _: True, 3, low, high, tolerance)


def test_a_straight_line_has_its_interval():
    rng = np.random.default_rng(0)
    x = np.arange(20.0)
    covered = 0
    for _ in range(200):
        line = straight_line(x.tolist(), (3 - 0.5 * x + rng.normal(size=20)).tolist())
        assert line is not None
        assert line.slope_interval is not None
        covered += line.slope_interval[0] <= -0.5 <= line.slope_interval[1]
    assert 180 <= covered <= 199
    exact = straight_line([0, 1], [1, 3])
    assert exact is not None
    assert (exact.slope, exact.intercept, exact.slope_interval) == (2, 1, None)
    assert straight_line([1, 1], [1, 3]) is None
    assert json.loads(json.dumps(exact.to_dict()))["points"] == 2


# -- measurements ------------------------------------------------------------------------------------------


class Copying:
    """Stands in for training: one head that reads subject and relation and knows ``share`` of the facts."""

    def __init__(self, d: int, heads: int, head_dim: int, width: int, share: float = 1.0) -> None:
        self.sizes, self.share = (d, heads, head_dim, width), share
        self.trained: list[int] = []

    def solve(self, task: RecallTask, *, seed: int = 0) -> RecallSolution:
        """After 17 steps."""
        return RecallSolution(self.store(task, seed=seed), 17)

    def store(self, task: RecallTask, *, seed: int = 0) -> RecallTransformer:
        """Attention is uniform over the tokens of a prompt; tokens are axes, so that sums are exact."""
        n = task.n_tokens
        memory = RecallTransformer(n, task.n_answers, n, 1, n, 0)
        U = torch.zeros(task.n_answers, n)
        known = int(self.share * len(task))
        U[task.target[:known], task.subject[:known]] = 1
        for r, answers in enumerate(task.answer_sets):
            U[answers, task.n_subjects + r] = 1
        memory.set_embeddings(torch.eye(n), U)
        memory.value.copy_(torch.eye(n)[None])
        memory.output.copy_(torch.eye(n)[None])
        return memory


def test_recall_is_measured_on_fresh_prompts():
    task = RecallTask.random(5, 1, 5, seed=1)
    whole = Copying(4, 1, 4, 0).store(task)
    assert fresh_recall(whole, task, prompts=100) == 1.0
    none = Copying(4, 1, 4, 0, share=0.0).store(task)
    assert fresh_recall(none, task, prompts=100) == float(
        len(set(task.target.tolist())) == 1
    )  # ties are misses
    half = Copying(4, 1, 4, 0, share=0.6).store(task)
    assert fresh_recall(half, task, prompts=100) == fresh_recall(half, task, prompts=5) < 1
    assert fresh_recall(half, task, prompts=7, seed=3) == fresh_recall(half, task, prompts=7, seed=3)


@pytest.fixture
def methods(monkeypatch) -> dict[str, type]:
    """Replaces the registry of recall methods."""
    from factweights.methods import recall

    known = {"copy": Copying}
    monkeypatch.setattr(recall, "RECALL_METHODS", known, raising=False)
    return known


SETTINGS = {"d": 4, "heads": 1, "head_dim": 4, "width": 0}


def test_a_cell_trains_one_transformer(methods):
    task = {"subjects": 5, "relations": 1, "answers": 5, "seed": 1}
    found = Cell(
        function="recall", arguments={"method": "copy", "settings": SETTINGS, **task, "prompts": 50}
    ).run()
    assert (found["recall"], found["facts"], found["tries"]) == (1.0, 5, 1)
    assert found["parameters"]["key-query"] == 2 * 13**2
    assert found["paper_count"] == 4 * 13**2
    assert found["evaluations"] == 17
    assert json.loads(json.dumps(found))["seconds"] >= 0
    shares = [{"share": s} for s in (0.2, 0.6, 0.4, 1.0, 0.0)]
    tried = measuring.measure_recall("copy", SETTINGS, **task, variants=shares, prompts=50)
    assert (tried["recall"], tried["variant"], tried["tries"]) == (1.0, {"share": 1.0}, 4)
    best = measuring.measure_recall("copy", SETTINGS, **task, variants=shares[:3], prompts=50)
    assert (best["variant"], best["tries"]) == ({"share": 0.6}, 3)
    with pytest.raises(UnknownNameError, match="did you mean 'copy'"):
        measuring.measure_recall("cpy", SETTINGS, **task)


def test_a_capacity_keeps_every_probe(monkeypatch):
    monkeypatch.setattr(measuring, "measure_recall", _recalls_up_to(500))
    found = measure_recall_capacity("fit", SETTINGS, "S=R", 3, guess=18, tolerance=0.05)
    (run,) = found["runs"]
    assert (found["facts"], run["size"], run["facts"], run["seed"]) == (22**2, 22, 22**2, 3)
    assert run["bracket"] == (22**2, 23**2)
    assert run["probes"][0]["size"] == 18
    assert {p["verdict"] for p in run["probes"]} == {"fits", "not found"}
    assert all(p["facts"] == p["size"] * p["relations"] for p in run["probes"])
    assert found["seconds"] == run["seconds"]
    wide = measure_recall_capacity("fit", SETTINGS, "S=R^2", 0, high=16)["runs"][0]
    assert (wide["facts"], wide["bracket"]) == (64, (64, None))
    monkeypatch.setattr(measuring, "measure_recall", _recalls_up_to(63))
    none = measure_recall_capacity("fit", SETTINGS, "D=S", 0)["runs"][0]
    assert (none["facts"], none["bracket"]) == (0, (0, 64))


def _recalls_up_to(most: int):
    def measured(method, settings, subjects, relations, answers, *more):
        facts = subjects * relations
        return {"facts": facts, "recall": min(1.0, most / facts), "seconds": 0.1, "evaluations": 5}

    return measured


# -- what is measured --------------------------------------------------------------------------------------


def test_the_heat_map_is_the_papers():
    smoke, laptop, paper = (Fig4Right.at_scale(s) for s in ("smoke", "laptop", "paper"))
    assert (len(HEADS), len(WIDTHS)) == (13, 13)
    assert (HEADS[0], HEADS[-1], WIDTHS[0], WIDTHS[-1]) == (1, 32, 1, 128)
    assert len(smoke.cells()) == 9
    assert not smoke.is_papers
    for study, seeds in ((laptop, 1), (paper, 5)):
        assert study.is_papers
        fits = [c.arguments for c in study.cells() if c.arguments["method"] == "fit"]
        assert len(fits) == 169 * seeds
        assert all(
            (c["settings"]["d"], c["settings"]["head_dim"], c["subjects"]) == (32, 8, 32) for c in fits
        )
    assert {c.hash for c in laptop.cells()} < {c.hash for c in paper.cells()}  # a larger scale goes on
    adam = [c.arguments for c in paper.cells() if c.arguments["method"] == "paper-adam"]
    assert {c["seed"] for c in adam} == {0}
    assert [v["learning_rate"] for v in adam[0]["variants"]] == [1e-2, 3e-3, 1e-3]
    assert (adam[0]["settings"]["steps"], adam[0]["settings"]["batch"]) == (2**14, 1024)
    with pytest.raises(UnknownNameError, match="did you mean 'smoke'"):
        Fig4Right.at_scale("smok")


@pytest.mark.parametrize("figure", CAPACITY_FIGURES)
def test_every_quotient_of_attention_and_mlp_occurs(figure):
    smoke, laptop = figure.at_scale("smoke"), figure.at_scale("laptop")
    assert [a / m for a, m in NINE] == [2.0**i for i in range(-4, 5)]
    assert len(smoke.cells()) < 10
    points: dict[float, set[int]] = {}
    for shape in laptop._shapes(laptop.series[0]):
        points.setdefault(shape.quotient, set()).add(shape.parameters)
        assert 50 <= GUIDE * shape.parameters <= 2800
    step, fewest = (2, 2) if figure in (Fig8, Fig9) else (1, 3)
    assert sorted(points) == [2.0**i for i in range(-4, 5, step)]
    assert min(len(p) for p in points.values()) >= fewest  # with three every slope has an interval
    for cell in laptop.cells():
        a = cell.arguments
        assert (a["settings"]["heads"], a["family"], a["low"], a["high"]) == (8, figure.family, 8, 512)
        assert a["low"] <= a["guess"] <= a["high"]


def test_the_paper_scale_has_all_pairs_and_sizes():
    assert tuple(round(2 ** (i / 2)) for i in range(6, 16)) == SIZES
    laptop, paper = Fig8.at_scale("laptop"), Fig8.at_scale("paper")
    assert len(paper.pairs) == len(SHARES) ** 2 == 25
    assert {c.hash for c in laptop.cells()} < {c.hash for c in paper.cells()}  # a larger scale goes on
    adam = [c.arguments for c in paper.cells() if c.arguments["method"] == "paper-adam"]
    assert max(c["settings"]["d"] for c in adam) == 64


def test_figure_7_has_the_cells_of_figure_4_left():
    for scale in ("smoke", "laptop"):
        four, seven = ({c.hash for c in f.at_scale(scale).cells()} for f in (Fig4Left, Fig7))
        assert four == seven
        assert not four & {c.hash for c in Fig8.at_scale(scale).cells()}


def test_shapes_are_whole_and_near_what_was_asked():
    shape = Shape.of(32, 0.25, 4.0)
    assert shape is not None
    assert (shape.head_dim, shape.width, shape.quotient) == (1, 128, 1 / 16)
    assert (shape.attention_parameters, shape.mlp_parameters) == (4 * 8 * 32, 2 * 128 * 32)
    assert shape.parameters == 1024 + 8192
    assert Shape.of(8, 0.25, 1.0) is None  # a quarter of a dimension for each head
    assert Shape.of(16, 0.25, 1.0) is None  # half of one


# -- what comes out ----------------------------------------------------------------------------------------


def recall_result(cell: Cell, constant: float = 2300.0, rate: float = 0.5, wall: int = 5) -> dict:
    """Recall as the paper's boundary has it, falling from it at a steady rate."""
    s = cell.arguments["settings"]
    over = s["d"] * s["width"] - constant + rate * s["d"] * s["head_dim"] * s["heads"]
    reached = 0.99 + over / 1e5 if s["heads"] >= wall else 0.1 * s["heads"]
    return {"recall": max(0.0, min(1.0, reached)), "evaluations": 9, "tries": 1, "seconds": 0.1}


def capacity_result(cell: Cell, share: float = 0.2) -> dict:
    """A share of the parameters, a little more for the second seed."""
    a = cell.arguments
    s = a["settings"]
    parameters = 4 * 8 * s["head_dim"] * s["d"] + 2 * s["width"] * s["d"]
    facts = share * parameters * (1 + 0.01 * a["seed"])
    run = {
        "seed": a["seed"],
        "size": round(facts**0.5),
        "facts": facts,
        "bracket": [facts, facts + 1],
        "proved": "lower side",
        "probes": [{}, {}],
        "seconds": 0.1,
    }
    return {"runs": [run], "law": None, "seconds": 0.1}


@functools.cache
def gathered_at(name: str, scale: str) -> dict:
    """Data of a figure at a scale, which takes a while at paper scale; not to be changed."""
    return gathered(FIGURES[name].at_scale(scale))


def gathered(study, result=None) -> dict:
    made = result or (recall_result if study.name == "fig4-right" else capacity_result)
    return study.gather([made(c) for c in study.cells()])


def test_the_papers_boundary_is_found_where_it_is():
    data = gathered(Fig4Right.at_scale("laptop"))
    assert json.loads(json.dumps(data))["figure"] == "fig4-right"
    (series,) = data["series"]
    assert len(series["cells"]) == 169
    edges = {e["heads"]: e for e in series["boundary"]}
    assert edges[4]["width"] is edges[4]["paper_width"] is None
    assert (edges[6]["width"], edges[16]["width"], edges[20]["width"]) == (48, 8, 1)
    assert (
        edges[6]["crossing"] == pytest.approx((2300 - 128 * 6) / 32) == pytest.approx(edges[6]["paper_width"])
    )
    assert (edges[20]["crossing"], edges[20]["paper_width"]) == (None, 0)
    assert series["line"]["constant"] == pytest.approx(2300)
    assert series["line"]["rate"] == pytest.approx(0.5)
    assert series["line"]["heads"] == [6, 16]
    assert series["line"]["rate_interval"] == pytest.approx([0.5, 0.5])
    assert (series["smallest_heads"], series["without_mlp"]) == (6, 20)
    told = series["against_paper"]
    assert (told["same"], told["ours_only"], told["paper_only"]) == (169, 0, 0)
    assert told["works"] == told["paper_works"] > 90
    (line,) = data["lines"]
    assert line["points"] == [[5120, 8192], [5120, 2 * (2300 - 640)], [pytest.approx(4 * 4600), 0]]


def test_another_boundary_is_told_from_the_papers():
    data = gathered(Fig4Right.at_scale("laptop"), lambda c: recall_result(c, 1500, 0.25, wall=3))
    (series,) = data["series"]
    assert series["line"]["constant"] == pytest.approx(1500)
    assert series["line"]["rate"] == pytest.approx(0.25)
    told = series["against_paper"]
    assert (series["smallest_heads"], told["paper_only"] > 0, told["ours_only"] > 0) == (4, True, True)
    assert told["same"] + told["ours_only"] + told["paper_only"] == 169


def test_nothing_works_or_everything_does():
    for recall, heads in ((0.5, None), (1.0, 1)):
        data = gathered(Fig4Right.at_scale("laptop"), lambda c, r=recall: {**recall_result(c), "recall": r})
        assert data["series"][0]["smallest_heads"] == heads
        assert data["series"][0]["line"] is None
        draw(data).canvas.draw()
    holes = gathered(
        Fig4Right.at_scale("smoke"),
        lambda c: {"recall": float(c.arguments["settings"]["width"] == 8), "seconds": 1.0},
    )
    assert [e["failed_above"] for e in holes["series"][0]["boundary"]] == [1, 1, 1]
    assert holes["lines"] == []
    assert holes["series"][0]["against_paper"] is None


def test_slopes_are_told_for_every_quotient():
    data = gathered(Fig4Left.at_scale("laptop"))
    assert json.loads(json.dumps(data))["family"] == "S=R"
    assert [s["quotient"] for s in data["series"]] == [2.0**i for i in range(-4, 5)]
    for series in [*data["series"], *data["overall"]]:
        assert series["exponent"]["value"] == pytest.approx(1, abs=0.01)
        low, high = series["line"]["slope_interval"]
        assert low <= series["line"]["slope"] <= high
        assert low == pytest.approx(1, abs=0.1)
        assert series["per_parameter"] == pytest.approx(0.2, rel=0.02)
    assert "H d_h / m = 1/16" in data["series"][0]["label"]
    point = next(p for p in data["series"][4]["points"] if p["d"] == 23)
    assert (point["head_dim"], point["width"]) == (3, 23)
    assert point["parameters"] == point["attention_parameters"] + point["mlp_parameters"]
    assert point["bits_per_parameter"] == pytest.approx(3 * point["per_parameter"])
    assert (point["probes"], len(point["runs"])) == (4, 2)
    assert data["lines"][0]["points"][0][1] == pytest.approx(GUIDE * data["lines"][0]["points"][0][0])
    assert len(data["overall"]) == 1
    shapes = [(p["d"], p["head_dim"], p["width"]) for series in data["series"] for p in series["points"]]
    assert data["overall"][0]["points"] == len(set(shapes)) < len(shapes)  # a transformer counts once
    cells = Fig4Left.at_scale("laptop").cells()
    assert data["overall"][0]["line"]["points"] == len({c.hash for c in cells})


def test_searches_that_hit_an_end_are_not_in_the_slope():
    def ends(cell):
        found = capacity_result(cell)
        if cell.arguments["settings"]["d"] == 8:
            found["runs"][0] |= {"facts": 0, "size": 0, "bracket": [0, 64]}
        if cell.arguments["settings"]["d"] == 16:
            found["runs"][0]["bracket"] = [64, None]
        return found

    study = Fig9.at_scale("laptop").model_copy(update={"sizes": SIZES[:6], "seeds": (0, 1), "fewest": None})
    data = gathered(study, ends)
    series = next(s for s in data["series"] if s["quotient"] == 1)
    assert [p["d"] for p in series["points"]] == [8, 11, 16, 23, 32, 45]
    assert [p["capped"] for p in series["points"]] == [False, False, True, False, False, False]
    assert (series["exponent"]["sizes"], series["line"]["points"]) == (4, 7)
    draw(data).canvas.draw()


def test_adam_stands_beside_the_fits_at_paper_scale():
    data = gathered_at("fig8", "paper")
    assert [s["method"] for s in data["series"]] == ["fit"] * 9 + ["paper-adam"] * 9
    assert len({s["label"] for s in data["series"]}) == 18
    assert [o["method"] for o in data["overall"]] == ["fit", "paper-adam"]


# -- the pictures ------------------------------------------------------------------------------------------


def tiny(name: str):
    known = FIGURES[name].at_scale("smoke")
    series = (RecallSeries(method="fit", settings={"max_evaluations": 5}),)
    return known.model_copy(update={"series": series})


@pytest.mark.parametrize("name", ["fig4-right", "fig4-left", "fig7", "fig8", "fig9"])
def test_figures_are_reproduced_and_told(name, monkeypatch, tmp_path):
    from factweights.cli.engines import study_lines

    def measured(function, made):
        return lambda **arguments: made(Cell(function=function, arguments=arguments))

    monkeypatch.setattr(measuring, "measure_recall", measured("recall", recall_result))
    monkeypatch.setattr(measuring, "measure_recall_capacity", measured("recall-capacity", capacity_result))
    done = reproduce(name, tmp_path, study=tiny(name), workers=1)
    written = json.loads((tmp_path / f"{name}.json").read_text())
    assert written == done.data
    assert set(written) >= {"figure", "scale", "title", "series", "lines", "spec_hash", "spec", "versions"}
    assert [f.suffix for f in done.files] == [".png", ".svg", ".json"]
    told = "\n".join(map(str, study_lines(written, ())))
    assert "recall ≥ 0.99" in told
    assert all(len(line) < 90 for line in told.splitlines())


def test_the_cli_compares_with_the_paper():
    from factweights.cli.engines import study_lines

    told = "\n".join(map(str, study_lines(gathered(Fig4Right.at_scale("laptop")), ())))
    assert "d m = 2,300 − 0.500 d d_h H in the paper" in told
    assert "169 of 169 cells on the same side as in the paper" in told


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        *product(("fig4-right", "fig4-left", "fig7"), ("smoke", "laptop")),
        *(("fig4-right", "paper"), ("fig8", "paper")),
    ],
)
def test_everything_is_inside_and_nothing_overlaps(name, scale):
    figure = draw(gathered_at(name, scale))
    figure.canvas.draw()
    inside = figure.bbox.padded(1)
    legends = [c for axes in figure.axes for c in axes.get_children() if isinstance(c, Legend)]
    boxes = [a.get_window_extent() for a in (*figure.axes, *legends, *figure.legends)]
    for i, box in enumerate(boxes):
        assert inside.contains(*box.min)
        assert inside.contains(*box.max)
        assert not any(box.overlaps(other) for other in boxes[:i])
    for axes in figure.axes:
        assert all(inside.contains(*t.get_window_extent().max) for t in axes.texts)
        for place, axis in enumerate((axes.xaxis, axes.yaxis)):
            low, high = axis.get_view_interval()
            at = [t for t in axis.get_ticklabels() if low <= t.get_position()[place] <= high]
            shown = [t.get_window_extent() for t in at if t.get_text()]
            assert not any(a.overlaps(b) for a, b in pairwise(shown))
            assert all(inside.contains(*b.min) and inside.contains(*b.max) for b in shown)


def test_the_heat_map_has_its_cells_and_both_boundaries():
    figure = draw(gathered_at("fig4-right", "paper"))
    axes = figure.axes[0]
    (mesh,) = axes.collections
    assert mesh.get_array().size == 169
    labels = [line.get_label() for line in axes.lines]
    assert len(labels) == len(set(labels)) == 5
    assert sum("paper's boundary" in label for label in labels) == 1
    assert sum("narrowest MLP" in label for label in labels) == 2
    assert len(figure.legends[0].get_texts()) == 5
    stairs = next(line for line in axes.lines if str(line.get_label()).startswith("fit: narrowest"))
    assert len(stairs.get_xdata()) == 26


def test_every_quotient_looks_different():
    axes = draw(gathered_at("fig8", "paper")).axes[0]
    measured, theory = [c for c in axes.get_children() if isinstance(c, Legend)]
    looks = {
        (h.get_marker(), h.get_markerfacecolor() == "none")
        for h in measured.legend_handles
        if isinstance(h, Line2D)
    }
    assert len(measured.get_texts()) == len(looks) == 18
    assert ["paper's guide" in t.get_text() for t in theory.get_texts()] == [True]
    panels = draw(gathered_at("fig7", "laptop")).axes
    assert [a.get_xlabel().split()[0] for a in panels] == ["attention", "MLP"]
