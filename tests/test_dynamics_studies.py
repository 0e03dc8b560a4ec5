"""Figure 5, the phase diagram, pictures of the probabilities, and ``factweights dynamics``."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import factweights as fw
from factweights.cli import run
from factweights.dynamics import token_maps
from factweights.dynamics.population import Population
from factweights.errors import OutputError, SettingError
from factweights.facts import RecallTask
from factweights.plots import animate, frames_panel, save_frames
from factweights.studies import FIGURES, draw, reproduce, run_cells
from factweights.studies.figures.learning import Fig5
from factweights.studies.figures.phase_diagram import PhaseDiagram
from factweights.studies.figures.random_embeddings import RandomEmbeddings, middle

TASK = ["--subjects", "8", "--relations", "2", "--answers", "4", "--init", "1e-3"]


def asked(capsys, *words: str) -> dict:
    assert run(["dynamics", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *words: str) -> str:
    assert run(["dynamics", *words, "--json"]) in (1, 2)
    return json.loads(capsys.readouterr().out)["error"]["message"]


def gathered(study, folder):
    found = run_cells(study.cells(), folder)
    return study.gather([found[cell.hash] for cell in study.cells()])


@pytest.fixture(scope="module")
def flow():
    return fw.gradient_flow(RecallTask.structured(8, 2, 2, noise=3), init=1e-3)


def test_figure_5_at_a_small_size(tmp_path):
    study = Fig5(scale="test", seeds=(0,), batch=16, steps=512, init=1e-2, rate=0.5, look_every=8)
    found = gathered(study, tmp_path)
    descent, flow = found["series"]
    assert descent["runs"][0]["off_flow"]["median"] < 0.1
    assert [s["name"] for s in flow["runs"][0]["stages"]] == ["initial", "hallucination", "convergence"]
    assert len(flow["runs"][0].get("frames", {}).get("probabilities", ())) > 2
    json.dumps(found, allow_nan=False)
    figure = draw(found)
    figure.canvas.draw()
    inside = figure.bbox.padded(1)
    legends = [c for axes in figure.axes for c in axes.get_children() if type(c).__name__ == "Legend"]
    assert len(legends) == 2
    for legend in legends:
        box = legend.get_window_extent()
        assert inside.contains(*box.min)
        assert inside.contains(*box.max)


def test_the_maps_of_figure_5_before_on_and_after_the_plateau():
    task = RecallTask.structured(16, 4, 8, noise=20)
    flow = fw.gradient_flow(task, start="uniform", init=1e-5)
    before, on, after = token_maps(flow)
    assert [m.moment for m in (before, on, after)] == ["before", "on", "after"]
    assert before.scores == pytest.approx(1e-5, rel=1e-9)
    assert before.values == pytest.approx(1e-5, rel=1e-9)  # interpolation rounds
    S, R, sets = 16, 4, task.answer_sets.numpy()
    # on the plateau relations stand alone, and each speaks for all of its answers alike
    assert np.abs(on.scores[:S]).max() < 0.05 * on.scores[S : S + R].min()
    for r in range(R):
        of_r = on.values[:, S + r]
        assert of_r[sets[r]].min() > 0 > of_r[~sets[r]].max()
        assert np.ptp(of_r[sets[r]]) < 0.01
    # afterwards each subject speaks for its own answer of every relation and against all others
    own = np.zeros((task.n_answers, S), dtype=bool)
    own[task.target.numpy(), task.subject.numpy()] = True
    assert after.values[:, :S][own].min() > 0 > after.values[:, :S][~own].max()
    for m in (before, on, after):  # w and O are all that the loss depends on
        logits = (m.scores * m.values)[:, Population.of(task).tokens_of] @ Population.of(
            task
        ).times_of  # (A, N)
        assert Population.of(task).loss(logits.T) == pytest.approx(m.loss, abs=1e-9)
    assert on.loss == pytest.approx(task.relation_entropy, abs=0.02)


def test_reproduce_writes_the_maps_beside_figure_5(tmp_path):
    study = Fig5(scale="test", seeds=(0,), batch=4, steps=16, init=1e-2, look_every=8)
    done = reproduce("fig5", tmp_path, study=study, workers=1)
    names = {f"fig5{part}{kind}" for part in ("", "-maps") for kind in (".png", ".svg")}
    assert {f.name for f in done.files} == {*names, "fig5.json"}
    maps = done.data["maps"]
    assert [m["moment"] for m in maps["moments"]] == ["before", "on", "after"]
    figure = Fig5.pictures(done.data)["maps"]
    assert [a.get_title(loc="left") for a in figure.axes[:3]] == [
        "before: nothing is learnt",
        "on the plateau: relations are learnt",
        "after: subjects are learnt",
    ]
    without = {k: v for k, v in done.data.items() if k != "maps"}
    assert Fig5.pictures(without) == {}  # numbers of an older version are drawn without them


def test_a_phase_diagram_at_a_small_size(tmp_path):
    study = PhaseDiagram(
        scale="test",
        shapes=((4, 2),),
        ratios=(0.7, 1.4, 2.1, 2.2),  # the last two round to one S
        inits=(1e-3,),
        zipf_shapes=((2, 2),),
        exponents=(1.0,),
        random_shapes=((2, 2),),
        seeds=(0,),
    )
    cells = study.cells()
    assert len({c.hash for c in cells}) == len(cells)
    found = gathered(study, tmp_path)
    assert found["settings"] == len(cells)
    for series in found["series"]:
        assert series["against_paper"]["promised"] == series["against_paper"]["promised_and_shown"] == 1
        assert series["against_paper"]["not_promised_but_shown"] > 0
        for t in series["thresholds"]:
            assert t["with"] < t["paper"] / 4
    figure = draw(found)
    figure.canvas.draw()
    json.dumps(found, allow_nan=False)


def test_random_embeddings_at_a_small_size(tmp_path):
    study = RandomEmbeddings(
        scale="test", ratios=(0.1, 2.0), seeds=(0, 1), batch=128, steps=3584, init=1e-4, rate=0.2
    )
    cells = study.cells()
    assert len({c.hash for c in cells}) == len(cells) == 6
    assert [c.label.split(",")[0] for c in cells[::2]] == ["orthonormal", "d = 4", "d = 82"]
    found = gathered(study, tmp_path)
    orthonormal, narrow, wide = found["series"]
    for r in orthonormal["runs"]:
        assert r["shown"]
        assert r["relation_time"] < r["subject_time"]
    for r in wide["runs"]:  # both are learnt, relations first, but nowhere is the model at the plateau
        assert not r["shown"]
        assert r["relation_time"] < r["subject_time"]
        assert r["accuracy"] == 1.0
    for r in narrow["runs"]:
        assert r["subject_time"] is None
        assert r["accuracy"] < 0.5
    (table,) = RandomEmbeddings.tables(found)
    assert [row[2] for row in table.rows] == ["2 of 2", "0 of 2", "0 of 2"]
    assert table.rows[1][4] == "–"
    draw(found).canvas.draw()
    json.dumps(found, allow_nan=False)


def test_a_median_in_which_what_never_came_is_late():
    assert middle([{"t": 1.0}, {"t": None}, {"t": 3.0}], "t") == 3.0
    assert middle([{"t": None}, {"t": None}, {"t": 3.0}], "t") is None
    assert middle([{"t": 1.0}, {"t": 2.0}], "t") == 1.5


@pytest.mark.parametrize("name", ["fig5", "phase-diagram", "random-embeddings"])
def test_every_scale_has_a_spec(name):
    sizes = [len(FIGURES[name].at_scale(scale).cells()) for scale in ("smoke", "laptop", "paper")]
    assert sizes == sorted(sizes)
    if name == "phase-diagram":
        assert sizes[1] >= 200
        for cell in FIGURES[name].at_scale("laptop").cells():
            if cell.arguments["table"] == "structured" and cell.arguments["alpha"] == 0:
                assert cell.arguments["subjects"] % cell.arguments["answers"] == 0


def test_frames_are_written_whole_or_not_at_all(flow, tmp_path):
    data = flow.frames([0.0, flow.end])
    paths = save_frames(data, tmp_path / "frames")
    assert [p.name for p in paths] == ["frame-000.png", "frame-001.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in paths)
    with pytest.raises(OutputError, match="not empty"):
        save_frames(data, tmp_path / "frames")
    with pytest.raises(SettingError, match="no frames"):
        save_frames({**data, "times": []}, tmp_path / "none")
    path = animate(data, tmp_path / "a.gif")
    assert path.read_bytes().startswith(b"GIF89a")
    with pytest.raises(SettingError, match=r"\.gif"):
        animate(data, tmp_path / "a.mp4")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        animate(data, tmp_path / "file" / "a.gif")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "file", "frames"]


def test_the_panel_shows_every_stage(flow):
    figure = frames_panel(flow.frames(flow.telling_times()))
    figure.canvas.draw()
    titles = " ".join(axes.get_title() for axes in figure.axes)
    for name in ("initial", "hallucination", "convergence", "learnt"):
        assert name in titles


def test_the_command_tells_what_the_library_does(capsys):
    found = asked(capsys, *TASK, "--structured")
    wanted = {"stages", "loss", "plateau_loss", "relation_entropy", "kl_at_plateau", "rates", "seconds"}
    assert wanted | {"conservation_error", "facts"} <= set(found)
    flow = fw.gradient_flow(RecallTask.structured(8, 2, 4), init=1e-3)
    assert found["stages"] == [s.to_dict() for s in flow.stages]
    assert found["rates"]["subject"]["theory"] == flow.rates["subject"].theory
    assert found["loss"][-1][1] == pytest.approx(0.01)


def test_the_command_takes_steps_and_draws(capsys, tmp_path):
    steps = ["--descend", "--rate", "0.5", "--steps", "64", "--batch", "0"]
    found = asked(capsys, *TASK, *steps)
    assert found["loss"][-1][0] == 32
    assert found["batch"] is None
    panel = tmp_path / "panel.svg"
    assert run(["dynamics", *TASK, "--panel", str(panel)]) == 0
    assert "hallucination" in capsys.readouterr().out
    assert panel.exists()
    assert "leave --descend out" in refused(capsys, *TASK, *steps, "--panel", str(panel))
    assert "--subjects" in refused(capsys, "--subjects", "3")
    assert "above 0" in refused(capsys, *TASK[:-2], "--init", "0")


def test_the_command_promises_its_keys(capsys):
    path = Path(__file__).resolve().parent.parent / "scripts" / "build_docs.py"
    spec = importlib.util.spec_from_file_location("build_docs_for_dynamics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(asked(capsys, *TASK)) == set(module.KEYS["dynamics"].split(", "))
