"""Studies: cells have a lasting name, results are kept at once, failures are told, exponents are right."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from factweights import __version__
from factweights.errors import OutputError, SettingError, UnknownNameError
from factweights.studies import FIGURES, Cell, Interrupted, StudyError, power_law, reproduce, run_cells
from factweights.studies.figures.linear import SIZES, Fig1Left, Series
from factweights.studies.running.processes import run_in_processes

# Nothing heavy is imported above: worker processes import this file to find the functions below.


def cell(d: int = 4, seed: int = 0, method: str = "hebbian", **more) -> Cell:
    return Cell(
        function="capacity", arguments={"method": method, "d": d, "recall": 1.0, "seed": seed}, cost=d, **more
    )


def tiny(seeds: tuple[int, ...] = (0, 1)) -> Fig1Left:
    series = (
        Series(method="exact-linear", recall=1.0),
        Series(method="hebbian", recall=0.99, largest=4, seeds=1),
    )
    return Fig1Left(scale="tiny", sizes=(4, 8), seeds=seeds, series=series)


@pytest.fixture
def calls(monkeypatch) -> list[dict]:
    """Replaces the measurement by one that takes no time, and records what was asked."""
    from factweights.studies.measuring import capacity as measure

    made: list[dict] = []

    def measured(**arguments):
        made.append(arguments)
        return {"facts": arguments["d"] + arguments["seed"], "bound": float("inf")}

    monkeypatch.setattr(measure, "measure_capacity", measured)
    return made


# -- cells -------------------------------------------------------------------------------------------------


def test_a_cell_is_named_by_what_it_computes():
    first = cell()
    assert first.hash == cell().hash
    assert first.hash == cell(label="shown otherwise").model_copy(update={"cost": 9.0}).hash
    assert len({first.hash, cell(d=5).hash, cell(seed=1).hash, cell(method="ridge").hash}) == 4
    assert first.spec["factweights"] == __version__
    swapped = Cell(function="capacity", arguments=dict(reversed(first.arguments.items())))
    assert swapped.hash == first.hash


def test_a_cell_calls_named_functions_only():
    with pytest.raises(UnknownNameError, match="did you mean 'capacity'"):
        Cell(function="capacty", arguments={}).run()
    with pytest.raises(UnknownNameError):
        Cell(function="os:system", arguments={"command": "true"}).run()


def test_a_cell_measures():
    found = cell(d=8).run()
    assert found["facts"] > 0
    assert json.loads(json.dumps(found))["method"]["method"] == "hebbian"


# -- the engine --------------------------------------------------------------------------------------------


def test_results_are_kept_and_taken_up_again(calls, tmp_path):
    cells = [cell(d, seed) for d in (2, 3) for seed in (0, 1)]
    told: list[str] = []
    first = run_cells([*cells, cell(2, 0)], tmp_path, on_progress=lambda p: told.append(p.text))
    assert list(first) == [c.hash for c in cells]
    assert [c["d"] for c in calls] == [3, 3, 2, 2]  # costliest first, and none twice
    assert [first[c.hash]["facts"] for c in cells] == [2, 3, 3, 4]
    assert first[cells[0].hash]["bound"] == "inf"
    assert told[0] == "4 cells to run"
    assert told[-1].startswith("4/4 cells, ")
    heard: list[Cell] = []
    again = run_cells([*cells, cell(9)], tmp_path, on_result=lambda c, _: heard.append(c))
    assert {h: again[h] for h in first} == first
    assert len(calls) == 5
    assert len(heard) == 5


def test_a_record_says_what_it_is(calls, tmp_path):
    run_cells([cell()], tmp_path)
    record = json.loads((tmp_path / "cells" / f"{cell().hash}.json").read_text())
    assert record["cell"] == cell().spec
    assert record["versions"]["factweights"] == __version__
    assert {"python", "torch", "numpy"} <= set(record["versions"])
    assert record["seconds"] >= 0


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"cell": {}, "result": {}}'])
def test_a_damaged_record_is_measured_again(calls, tmp_path, damage):
    run_cells([cell()], tmp_path)
    (tmp_path / "cells" / f"{cell().hash}.json").write_bytes(damage)
    assert run_cells([cell()], tmp_path)[cell().hash]["facts"] == 4
    assert len(calls) == 2


def test_the_others_are_done_when_a_cell_fails(calls, tmp_path):
    cells = [cell(9, 0), Cell(function="capacity", arguments={"method": "hebbian"}, cost=5.0), cell(2)]
    with pytest.raises(StudyError, match="1 of 3 cells failed") as e:
        run_cells(cells, tmp_path)
    assert "KeyError: 'd'" in str(e.value)
    assert [c.get("d") for c in calls] == [9, None, 2]
    assert len(list((tmp_path / "cells").iterdir())) == 2
    (told,) = (tmp_path / "failed").iterdir()
    assert told.name == f"{cells[1].hash}.txt"
    assert "Traceback" in told.read_text()
    with pytest.raises(StudyError):
        run_cells(cells, tmp_path)
    assert len(calls) == 4  # only the failed one again


def test_a_mended_cell_leaves_no_traceback(calls, tmp_path, monkeypatch):
    from factweights.studies.measuring import capacity as measure

    working = measure.measure_capacity
    monkeypatch.setattr(measure, "measure_capacity", lambda **_: 1 / 0)
    with pytest.raises(StudyError, match="ZeroDivisionError"):
        run_cells([cell()], tmp_path)
    monkeypatch.setattr(measure, "measure_capacity", working)
    run_cells([cell()], tmp_path)
    assert list((tmp_path / "failed").iterdir()) == []


def test_an_interrupt_keeps_what_is_finished(calls, tmp_path, monkeypatch):
    from factweights.studies.measuring import capacity as measure

    working = measure.measure_capacity

    def interrupted(**arguments):
        if arguments["d"] == 2:
            raise KeyboardInterrupt
        return working(**arguments)

    monkeypatch.setattr(measure, "measure_capacity", interrupted)
    with pytest.raises(Interrupted, match="1 of 2 cells are finished and kept in"):
        run_cells([cell(3), cell(2)], tmp_path)
    assert [p.name for p in (tmp_path / "cells").iterdir()] == [f"{cell(3).hash}.json"]


def test_a_folder_that_cannot_be_written_to_is_told_first(calls, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make"):
        run_cells([cell()], tmp_path / "file")
    with pytest.raises(SettingError, match="workers cannot be 0"):
        run_cells([cell()], tmp_path / "out", workers=0)
    assert calls == []


def test_workers_find_what_one_process_finds(tmp_path):
    cells = [cell(d, method=m) for d in (4, 6) for m in ("hebbian", "exact-linear")]
    cells.append(cell(4, method="none"))
    told: list[str] = []
    with pytest.raises(StudyError, match="1 of 5 cells failed") as e:
        run_cells(cells, tmp_path / "two", workers=2, on_progress=lambda p: told.append(p.text))
    assert "no method named 'none'" in str(e.value)
    assert told[0] == "5 cells to run on 2 processes"
    two, one = (run_cells(cells[:4], tmp_path / name) for name in ("two", "one"))
    assert {h: r["runs"][0]["bracket"] for h, r in two.items()} == {
        h: r["runs"][0]["bracket"] for h, r in one.items()
    }


# -- processes ---------------------------------------------------------------------------------------------


def shout(task: str) -> str:
    if task == "die":
        os._exit(3)
    if task == "be killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{task}! {os.environ['OMP_NUM_THREADS']}"


def mourn(task: str, exitcode: int | None, seconds: float) -> str:
    return f"{task}: {exitcode}"


@pytest.mark.skipif(os.name == "nt", reason="exit codes of POSIX")
def test_a_dead_worker_costs_one_task():
    tasks = ["a", "die", "b", "be killed", "c", "d"]
    found = dict(run_in_processes(tasks, 2, shout, mourn))
    assert found == {
        "a": "a! 1",
        "b": "b! 1",
        "c": "c! 1",
        "d": "d! 1",
        "die": "die: 3",
        "be killed": "be killed: -9",
    }


def test_a_script_without_a_guard_is_told_what_is_missing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from factweights.studies import Cell, run_cells\n"
        "cells = [Cell(function='success', arguments={'method': 'ridge', 'd': 8, 'facts': 9, 'recall': 1.0,\n"
        "    'seed': s}) for s in range(2)]\n"
        "run_cells(cells, 'out', workers=2)\n"
    )
    done = subprocess.run([sys.executable, script.name], cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 1
    for said in (tmp_path / "out" / "failed").glob("*.txt"):
        assert 'has its calls under `if __name__ == "__main__":`' in said.read_text()
    assert len(list((tmp_path / "out" / "failed").iterdir())) == 2


def test_no_worker_outlives_the_work():
    import multiprocessing

    before = os.environ.get("OMP_NUM_THREADS")
    answers = run_in_processes(["a", "b", "c"], 2, shout, mourn)
    next(answers)
    assert multiprocessing.active_children()
    answers.close()
    assert not multiprocessing.active_children()
    assert os.environ.get("OMP_NUM_THREADS") == before


# -- fits --------------------------------------------------------------------------------------------------


def test_an_exact_power_has_its_exponent():
    x = [10.0, 20.0, 50.0]
    found = power_law(x, [[3 * s**0.75] * 4 for s in x])
    assert found.exponent == pytest.approx(0.75)
    assert found.exponent_interval == pytest.approx((0.75, 0.75))
    assert found.sizes == 3
    assert power_law(x, [[s] for s in x]).exponent_interval is None


def test_the_interval_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    x = 2.0 ** np.arange(4, 10)
    hits = 0
    for trial in range(100):
        runs = [s**0.9 * np.exp(rng.normal(0, 0.1, 9)) for s in x]
        low, high = power_law(x.tolist(), [r.tolist() for r in runs], draws=400, seed=trial).exponent_interval
        hits += low <= 0.9 <= high
    assert 85 <= hits <= 100


def test_sizes_without_facts_are_left_out():
    found = power_law([1, 2, 4, 8], [[0, 0, 1], [2, 2, 2], [4, 4, 4], [8, 8, 0]])
    assert found.sizes == 3
    assert found.exponent == pytest.approx(1.0)
    assert np.isfinite(found.exponent_interval).all()


@pytest.mark.parametrize(
    ("x", "runs"), [([1, 2], [[1]]), ([1, 2], [[1], []]), ([1, 2], [[1], [0]]), ([2, 2], [[1], [1]])]
)
def test_no_slope_without_two_sizes(x, runs):
    with pytest.raises(SettingError):
        power_law(x, runs)


# -- figure 1, left ----------------------------------------------------------------------------------------


def test_the_scales_are_what_they_say():
    smoke, laptop, paper = (Fig1Left.at_scale(s) for s in ("smoke", "laptop", "paper"))
    assert tuple(round(2 ** (i / 2)) for i in range(6, 17)) == SIZES
    assert (smoke.sizes[-1], laptop.sizes[-1], paper.sizes[-1]) == (32, 128, 256)
    assert [len(s.seeds) for s in (smoke, laptop, paper)] == [3, 5, 5]
    assert len({s.hash for s in (smoke, laptop, paper)}) == 3
    kept = {c.hash for c in smoke.cells()}
    assert kept < {c.hash for c in laptop.cells()} < {c.hash for c in paper.cells()}  # a larger scale goes on
    adam = [c for c in paper.cells() if c.arguments["method"] == "paper-adam"]
    assert max(c.arguments["d"] for c in adam) == 64
    assert {c.arguments["seed"] for c in adam} == {0}
    assert not any(c.arguments["method"] == "paper-adam" for c in smoke.cells())
    with pytest.raises(UnknownNameError, match="did you mean 'laptop'"):
        Fig1Left.at_scale("labtop")


def test_figure_1_left_is_reproduced(tmp_path):
    study = tiny()
    done = reproduce("fig1-left", tmp_path, study=study, workers=1)
    written = json.loads((tmp_path / "fig1-left.json").read_text())
    assert written == done.data
    assert (written["figure"], written["scale"], written["spec_hash"]) == ("fig1-left", "tiny", study.hash)
    exact, hebbian = written["series"]
    assert [p["d"] for p in exact["points"]] == [4, 8]
    assert [p["d"] for p in hebbian["points"]] == [4]
    assert hebbian["exponent"] is None
    point = exact["points"][1]
    facts = [r["facts"] for r in point["runs"]]
    assert (point["parameters"], point["facts"], point["interval"]) == (
        64,
        np.median(facts),
        [min(facts), max(facts)],
    )
    assert point["deviation"] == pytest.approx(point["facts"] / point["law"] - 1)
    assert [r["seed"] for r in point["runs"]] == [0, 1]
    assert all(set(r) == {"seed", "facts", "bracket", "proved", "seconds"} for r in point["runs"])
    low, high = exact["exponent"]["interval"]
    assert low - 1e-9 <= exact["exponent"]["value"] <= high + 1e-9
    assert {line["name"] for line in written["lines"]} >= {"law", "paper-guide", "asymptote", "hebbian-0.99"}
    assert [f.suffix for f in done.files] == [".png", ".svg", ".json"]
    assert done.to_dict()["files"] == [str(f) for f in done.files]


def test_unknown_figures_have_a_nearest():
    assert "fig1-left" in FIGURES
    with pytest.raises(UnknownNameError, match="did you mean 'fig1-left'"):
        reproduce("fig1left", "out")


ORPHANS = """
import os, sys, time
from factweights.studies.running.processes import run_in_processes

def work(_):
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    list(run_in_processes([0], 1, work, lambda *_: None))
"""


def test_workers_leave_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not _alive(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker went on without its parent")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# -- what a study costs beside its cells -------------------------------------------------------------------


def test_cells_are_made_and_hashed_once(monkeypatch, tmp_path):
    from factweights.studies import SuccessCurve, run_studies, study

    hashed, made = [], []
    plain, cells = study.canonical_hash, SuccessCurve.cells
    monkeypatch.setattr(study, "canonical_hash", lambda value: hashed.append(value) or plain(value))
    monkeypatch.setattr(SuccessCurve, "cells", lambda self: made.append(1) or cells(self))
    spec = SuccessCurve(sizes=(4, 6), loads=(0.5, 1.5), seeds=(0, 1))
    (done,) = run_studies([spec], tmp_path, workers=1)
    assert (done.data["cells"], len(made)) == (8, 1)
    assert len([value for value in hashed if "function" in value]) == 8
    assert len(hashed) - 8 <= 1  # the spec


def test_a_study_takes_a_result_for_each_cell():
    from factweights.studies import SuccessCurve

    spec = SuccessCurve(sizes=(4,), loads=(0.5,), seeds=(0, 1))
    with pytest.raises(SettingError, match="2 cells"):
        spec.gather([{}])
