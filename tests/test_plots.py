"""Figures: nothing overlaps or is cut off, the same data give the same bytes, no global state."""

import subprocess
import sys
from itertools import pairwise

import pytest
from matplotlib.legend import Legend

from factweights.errors import OutputError, UnknownNameError
from factweights.plots import save
from factweights.studies import draw
from factweights.studies.figures.linear import _lines


def data(sizes=(8, 16, 32, 64, 128, 181, 256), seeds: int = 5, facts=lambda d, s: d * d // 8 + s) -> dict:
    def series(method: str, recall: float, share: float) -> dict:
        points = []
        for d in sizes:
            found = [share * facts(d, s) for s in range(seeds)]
            points.append(
                {
                    "d": d,
                    "parameters": d * d,
                    "facts": sorted(found)[seeds // 2],
                    "interval": [min(found), max(found)],
                    "runs": [{"seed": s} for s in range(seeds)],
                }
            )
        criterion = "recall 1.0" if recall == 1 else f"recall ≥ {recall}"
        return {"method": method, "recall": recall, "label": f"{method}, {criterion}", "points": points}

    return {
        "figure": "fig1-left",
        "title": "Facts stored by a linear memory of d × d weights",
        "series": [
            series("exact-linear", 1.0, 1.0),
            series("exact-linear", 0.99, 1.1),
            series("paper-adam", 0.99, 0.8),
            series("hebbian", 1.0, 0.1),
            series("hebbian", 0.99, 0.2),
        ],
        "lines": _lines(min(sizes), max(sizes)),
    }


@pytest.mark.parametrize(
    "given", [data(), data((8, 11), seeds=1), data((4,)), data(facts=lambda d, s: d > 100)]
)
def test_everything_is_inside_and_nothing_overlaps(given):
    figure = draw(given)
    figure.canvas.draw()
    axes = figure.axes[0]
    inside = figure.bbox.padded(1)
    legends = [c for c in axes.get_children() if isinstance(c, Legend)]
    assert len(legends) == 2
    boxes = [legend.get_window_extent() for legend in legends]
    boxes.append(axes.get_window_extent())
    for i, box in enumerate(boxes):
        assert inside.contains(*box.min)
        assert inside.contains(*box.max)
        assert not any(box.overlaps(other) for other in boxes[:i])
    texts = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.texts]
    for text in texts:
        box = text.get_window_extent()
        assert inside.contains(*box.min), text
        assert inside.contains(*box.max), text
    ticks = [t.get_window_extent() for t in axes.get_xticklabels() if t.get_text()]
    assert not any(a.overlaps(b) for a, b in pairwise(ticks))


def test_every_criterion_is_named_and_every_series_looks_different():
    axes = draw(data()).axes[0]
    legends = [c for c in axes.get_children() if isinstance(c, Legend)]
    labels = [text.get_text() for legend in legends for text in legend.get_texts()]
    assert len(labels) == 10
    assert all("recall" in label for label in labels)
    assert any("conjecture" in label for label in labels)
    looks = [
        (str(vars(line)["_dash_pattern"]), line.get_marker(), line.get_markerfacecolor())
        for line in axes.lines
    ]
    without_colour = {(dashes, marker, face == "none") for dashes, marker, face in looks}
    assert len(without_colour) == 10


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix, start):
    first, again = (save(draw(data()), tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
    assert first.startswith(start)
    assert first == again


def test_nothing_is_left_of_a_figure_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save(draw(data()), tmp_path / "file" / "x.png")
    with pytest.raises(UnknownNameError, match="no figure named"):
        draw({"figure": "fig99"})


def test_pyplot_stays_out():
    code = "import sys, factweights.plots; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
