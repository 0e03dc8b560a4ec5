"""Figures 1 right and 6: what is measured at which scale, what the files say, how the picture looks."""

import json
from itertools import pairwise
from typing import Any

import pytest
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from factweights import theory
from factweights.errors import UnknownNameError
from factweights.studies import FIGURES, draw, reproduce
from factweights.studies.figures.mlp import RATIOS, SIZES, Fig1Right, Fig6, MLPCapacity
from factweights.studies.figures.mlp_series import MLPSeries
from factweights.studies.measuring.capacity import measure_capacity

FIGURE_CLASSES = (Fig1Right, Fig6)


def tiny(figure: type[MLPCapacity], seeds: tuple[int, ...] = (0, 1)) -> MLPCapacity:
    series = (
        MLPSeries(method="gated-hebbian", recall=1.0, settings={"readout": "whitened"}, note="whitened"),
        MLPSeries(method="hermite-ntk", recall=0.9, most=64, alone=10),
    )
    return figure(scale="tiny", sizes=(6, 8), ratios=(1, 2), seeds=seeds, series=series, tolerance=0.1)


# -- what is measured --------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", FIGURE_CLASSES)
def test_the_scales_are_what_they_say(figure):
    smoke, laptop, paper = (figure.at_scale(s) for s in ("smoke", "laptop", "paper"))
    assert tuple(round(2 ** (i / 2)) for i in range(6, 14)) == SIZES
    assert RATIOS == (1, 2, 4, 8)
    assert (smoke.sizes, smoke.ratios, smoke.seeds) == ((8, 11, 16), (1, 2), (0,))
    assert (laptop.sizes[-1], len(laptop.seeds)) == (64, 3)
    assert (paper.sizes, paper.ratios, len(paper.seeds)) == (SIZES, RATIOS, 5)
    assert not any(c.arguments["method"] == "paper-adam-mlp" for c in smoke.cells())
    assert {c.hash for c in laptop.cells()} < {c.hash for c in paper.cells()}  # a larger scale goes on
    adam = [c.arguments for c in paper.cells() if c.arguments["method"] == "paper-adam-mlp"]
    assert {(c["recall"], c["seed"]) for c in adam} == {(0.99, 0)}
    assert max(c["d"] for c in adam) == 32
    with pytest.raises(UnknownNameError, match="did you mean 'smoke'"):
        figure.at_scale("smok")


def test_every_ratio_up_to_d_32_is_fitted_on_a_laptop():
    cells = [c.arguments for c in Fig1Right.at_scale("laptop").cells()]
    fitted = {(c["d"], c["settings"]["width"] // c["d"]) for c in cells if c["method"] == "gated-fit"}
    assert fitted == {(d, ratio) for d in SIZES if d <= 32 for ratio in RATIOS if ratio * d**2 <= 4096}
    closed = {c["d"] for c in cells if c["method"] == "gated-hebbian"}
    assert max(closed) == 64


def test_points_with_too_many_facts_are_left_out():
    laptop, paper = (
        {c.arguments["settings"]["width"] * c.arguments["d"] for c in Fig6.at_scale(s).cells()}
        for s in ("laptop", "paper")
    )
    assert max(paper) == 8 * 91**2
    assert 6 * max(laptop) / theory.delta(32) <= 20_000


def test_large_points_have_one_seed():
    study = tiny(Fig1Right)
    cells = [c.arguments for c in study.cells()]
    assert len([c for c in cells if c["method"] == "gated-hebbian"]) == 8
    alone = [(c["d"], c["seed"]) for c in cells if c["method"] == "hermite-ntk"]
    assert alone == [(6, 0), (8, 0)]  # m·d = 36 and 64; 72 and 128 are beyond


def test_figure_6_asks_for_balanced_answers():
    (first, *_), (injective, *_) = (tiny(f).cells() for f in (Fig6, Fig1Right))
    assert (first.arguments["outputs"], first.arguments["assignment"]) == (32, "balanced")
    assert "outputs" not in injective.arguments
    found = measure_capacity(**first.arguments)
    assert (found["outputs"], found["parameters"]) == (32, 3 * 6 * 6)


# -- what comes out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("figure", "outputs"), [(Fig1Right, None), (Fig6, 32)])
def test_a_figure_is_reproduced(figure, outputs, tmp_path):
    name = figure.name
    assert FIGURES[name] is figure
    done = reproduce(name, tmp_path, study=tiny(figure), workers=1)
    assert [f.name for f in done.files] == [f"{name}{suffix}" for suffix in (".png", ".svg", ".json")]
    written = json.loads((tmp_path / f"{name}.json").read_text())
    assert written == done.data
    assert set(written) >= {"figure", "scale", "title", "series", "lines", "spec_hash", "spec", "versions"}
    hebbian, ntk = written["series"]
    assert hebbian["label"] == "gated-hebbian (whitened), recall 1.0"
    assert [(p["d"], p["ratio"], p["count"]) for p in hebbian["points"]] == [
        (6, 1, 36),
        (6, 2, 72),
        (8, 1, 64),
        (8, 2, 128),
    ]
    assert [len(p["runs"]) for p in ntk["points"]] == [1, 1]
    point = hebbian["points"][-1]
    n = round(point["facts"])
    assert (point["width"], point["parameters"]) == (16, 3 * 16 * 8)
    assert point["interval"][0] <= point["facts"] <= point["interval"][1]
    assert point["over_guide"] == pytest.approx(point["facts"] / theory.mlp_guide_capacity(128, outputs))
    assert point["n_delta_per_parameter"] == pytest.approx(n * theory.delta(outputs or n) / (3 * 128))
    assert point["bits_per_parameter"] == pytest.approx(theory.bits_of_facts(n, outputs or n) / (3 * 128))
    assert 0 < hebbian["exponent"]["value"] < 3


def test_the_lines_are_the_guide_and_the_laws():
    for figure, outputs in ((Fig1Right, None), (Fig6, 32)):
        study = tiny(figure)
        results = [{"runs": [run(c)], "law": None, "parameters": 100} for c in study.cells()]
        lines = {line["name"]: line["points"] for line in study.gather(results)["lines"]}
        assert set(lines) == {"paper-guide", "law", "gated-load"}
        assert (lines["law"][0][0], lines["law"][-1][0]) == pytest.approx((36, 128))
        for x, n in lines["paper-guide"]:
            assert theory.mlp_guide_parameters(n, outputs) == pytest.approx(x)
        x, n = lines["law"][-1]
        assert n * theory.delta(outputs or round(n)) == pytest.approx(x, rel=0.02)
        assert all(
            more > less for (_, more), (_, less) in zip(lines["gated-load"], lines["law"], strict=True)
        )


# -- the picture -------------------------------------------------------------------------------------------


def run(cell, facts: float | None = None) -> dict:
    found = facts if facts is not None else cell.arguments["d"] + cell.arguments["seed"]
    return {
        "seed": cell.arguments["seed"],
        "facts": found,
        "bracket": [found, found + 1],
        "proved": "lower side",
        "seconds": 0.1,
    }


def drawn(figure: type[MLPCapacity], scale: str, share=lambda c: c.arguments["settings"]["width"]) -> Any:
    study = figure.at_scale(scale)
    results = []
    for cell in study.cells():
        found = run(cell, share(cell) + cell.arguments["seed"])
        results.append({"runs": [found], "law": None, "parameters": 10 * cell.arguments["d"]})
    return study.gather(results)


@pytest.mark.parametrize(
    "given",
    [
        drawn(Fig1Right, "smoke"),
        drawn(Fig1Right, "paper"),
        drawn(Fig6, "laptop"),
        drawn(Fig6, "smoke", lambda c: 0),
    ],
    ids=["smoke", "paper", "fig6", "nothing stored"],
)
def test_everything_is_inside_and_nothing_overlaps(given):
    figure = draw(given)
    figure.canvas.draw()
    axes = figure.axes[0]
    inside = figure.bbox.padded(1)
    legends = [c for c in axes.get_children() if isinstance(c, Legend)]
    boxes = [legend.get_window_extent() for legend in legends]
    boxes.append(axes.get_window_extent())
    assert len(boxes) == 3
    for i, box in enumerate(boxes):
        assert inside.contains(*box.min)
        assert inside.contains(*box.max)
        assert not any(box.overlaps(other) for other in boxes[:i])
    low, high = axes.get_xlim()
    ticks = [t for t in axes.get_xticklabels() if t.get_text() and low <= t.get_position()[0] <= high]
    for text in [axes.title, axes.xaxis.label, axes.yaxis.label, *ticks, *axes.texts]:
        box = text.get_window_extent()
        assert inside.contains(*box.min), text
        assert inside.contains(*box.max), text
    assert not any(a.overlaps(b) for a, b in pairwise(t.get_window_extent() for t in ticks))


def test_every_series_names_its_criterion_and_looks_different():
    axes = draw(drawn(Fig1Right, "paper")).axes[0]
    measured, theories = [c for c in axes.get_children() if isinstance(c, Legend)]
    labels = [text.get_text() for text in measured.get_texts()]
    assert len(labels) == len(set(labels)) == 7
    assert all("recall" in label for label in labels)
    assert any("conjecture" in text.get_text() for text in theories.get_texts())
    looks = {
        (h.get_marker(), h.get_markerfacecolor() == "none")
        for h in measured.legend_handles
        if isinstance(h, Line2D)
    }
    assert len(looks) == 7
