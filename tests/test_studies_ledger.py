"""Specs are strict; nothing finished is lost: killed, interrupted, full, damaged or two runs at once."""

import contextlib
import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from factweights.errors import BusyError, FileFormatError, OutputError, SettingError, UnknownNameError
from factweights.studies import (
    Cell,
    Interrupted,
    LocalEngine,
    StudyError,
    estimate,
    load_spec,
    run_cells,
    run_studies,
    studies_in,
    study_from,
    study_results,
    study_status,
)
from factweights.studies.figures.linear import Fig1Left
from factweights.studies.running.engines import Outcome, Packer
from factweights.studies.running.ledger import LEDGER, Ledger


def cell(d: int = 4, seed: int = 0, cost: float = 1.0) -> Cell:
    arguments = {"method": "hebbian", "d": d, "recall": 1.0, "seed": seed}
    return Cell(function="capacity", arguments=arguments, cost=cost, label=f"d = {d}, seed {seed}")


@pytest.fixture
def calls(monkeypatch) -> list[dict]:
    """Replaces the measurement by one that takes no time, and records what was asked."""
    from factweights.studies.measuring import capacity as measure

    made: list[dict] = []

    def measured(**arguments):
        made.append(arguments)
        if arguments["d"] == 99:
            raise ValueError("99 never works")
        return {"facts": arguments["d"] + arguments["seed"], "law": 4.0, "seconds": 0.1}

    monkeypatch.setattr(measure, "measure_capacity", measured)
    return made


def rows(folder: Path, what: str = "hash, state, attempts") -> list[tuple]:
    with sqlite3.connect(folder / LEDGER) as db:
        return db.execute(f"SELECT {what} FROM cells").fetchall()


# -- specs -------------------------------------------------------------------------------------------------

SWEEP = {"study": "capacity-sweep", "methods": ["hebbian"], "sizes": [4, 6], "seeds": 2}


def test_a_spec_names_a_shipped_study_and_replaces_fields(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text('study = "fig1-left"\nscale = "smoke"\nsizes = [4, 8]\nseeds = 2\n')
    study = load_spec(path)
    assert isinstance(study, Fig1Left)
    assert (study.name, study.sizes, study.seeds) == ("fig1-left", (4, 8), (0, 1))
    again = study_from({"study": "fig1-left", "scale": "smoke", "sizes": [4, 8], "seeds": [0, 1]})
    assert study.hash == again.hash
    assert study_from({"study": "fig1-left", "scale": "smoke"}).hash != study.hash


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({}, SettingError, 'a line like study = "fig1-left"'),
        ({"study": "fig1left"}, UnknownNameError, "did you mean 'fig1-left'"),
        ({"study": "fig1-left", "scale": "labtop"}, UnknownNameError, "did you mean 'laptop'"),
        ({"study": "fig1-left", "scale": "smoke", "seedz": 3}, UnknownNameError, "did you mean 'seeds'"),
        ({"study": "fig1-left"}, SettingError, "needs the field"),
        ({**SWEEP, "recal": 1.0}, UnknownNameError, "did you mean 'recall'"),
        ({**SWEEP, "sizes": ["big"]}, SettingError, "sizes of capacity-sweep cannot be"),
        ({**SWEEP, "methods": ["hebian"]}, UnknownNameError, "did you mean 'hebbian'"),
        ({**SWEEP, "methods": [{"metod": "hebbian"}]}, UnknownNameError, "did you mean 'method'"),
        ({**SWEEP, "methods": [{"method": "ridge", "settings": {"rigde": 1}}]}, UnknownNameError, "'ridge'"),
        ({**SWEEP, "methods": [{"method": "ridge", "ratios": [1]}]}, SettingError, "has no width"),
    ],
)
def test_a_wrong_spec_is_told_before_any_work(given, error, said):
    with pytest.raises(error, match=said):
        study_from(given)


def test_a_file_that_is_not_toml(tmp_path):
    (tmp_path / "spec.toml").write_text("study = ")
    with pytest.raises(FileFormatError, match="is not TOML"):
        load_spec(tmp_path / "spec.toml")


def test_a_sweep_is_run_drawn_and_read(tmp_path):
    study = study_from(SWEEP)
    told = estimate(study, tmp_path, workers=2)
    assert (told.cells, told.finished, told.workers) == (4, 0, 2)
    assert told.seconds > 0
    assert told.memory_bytes > 1e8
    (done,) = run_studies([study], tmp_path, workers=1)
    assert [f.name for f in done.files] == [f"capacity-sweep{s}" for s in (".png", ".svg", ".json")]
    assert [p["d"] for p in done.data["series"][0]["points"]] == [4, 6]
    assert estimate(study, tmp_path).finished == 4
    status = study_status(tmp_path)
    assert [(s.study, s.cells, s.done, s.failed, s.pending) for s in status.studies] == [
        ("capacity-sweep", 4, 4, 0, 0)
    ]
    assert "4 of 4 cells done" in str(status)
    assert status.running is None
    found = study_results(tmp_path, "capacity-sweep")
    assert [(r["in.d"], r["in.seed"]) for r in found.rows] == [(4, 0), (4, 1), (6, 0), (6, 1)]
    assert all(r["facts"] > 0 for r in found.rows)
    assert json.loads(json.dumps(found.to_dict()))["rows"][0]["study"] == "capacity-sweep"
    assert [s.hash for s in studies_in(tmp_path)] == [study.hash]
    with pytest.raises(UnknownNameError, match="study in this folder"):
        study_results(tmp_path, "fig6")


def test_results_as_a_data_frame_and_parquet(calls, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    run_cells([cell(d) for d in (2, 3)], tmp_path)
    found = study_results(tmp_path)
    assert list(found.to_pandas()["facts"].sort_values()) == [2, 3]
    again = pandas.read_parquet(found.to_parquet(tmp_path / "rows.parquet"))
    assert len(again) == 2


# -- the ledger --------------------------------------------------------------------------------------------


def test_cells_of_a_version_without_ledger_are_taken_up(calls, tmp_path):
    run_cells([cell(d) for d in (2, 3)], tmp_path)
    (tmp_path / LEDGER).unlink()
    (tmp_path / "cells" / f"{'0' * 64}.json").write_text("{}")  # no cell, and no reason to stop
    assert study_status(tmp_path).done == 2
    run_cells([cell(d) for d in (2, 3, 4)], tmp_path)
    assert len(calls) == 3


def test_a_damaged_ledger_is_made_anew(calls, tmp_path):
    run_cells([cell(d) for d in (2, 3)], tmp_path)
    data = bytearray((tmp_path / LEDGER).read_bytes())
    told: list[str] = []
    for damage in (b"not a database", bytes(data[:100]) + b"\0" * 5000, b""):
        (tmp_path / LEDGER).write_bytes(damage)
        found = run_cells([cell(2), cell(3)], tmp_path, on_progress=lambda p: told.append(p.text))
        assert len(found) == 2
    assert sum("found and taken up" in t for t in told) == 3
    assert len(calls) == 2
    assert len(list(tmp_path.glob("ledger.sqlite.damaged-*"))) == 2  # an empty file is a new ledger


def test_a_changed_cell_file_is_measured_again(calls, tmp_path):
    run_cells([cell(2), cell(3)], tmp_path)
    path = tmp_path / "cells" / f"{cell(2).hash}.json"
    path.write_text(path.read_text().replace('"facts": 2', '"facts": 7'))
    told: list[str] = []
    found = run_cells([cell(2), cell(3)], tmp_path, on_progress=lambda p: told.append(p.text))
    assert found[cell(2).hash]["facts"] == 2
    assert len(calls) == 3
    assert any("1 cell files were missing or damaged" in t for t in told)


def test_a_changed_spec_shares_the_cells_in_common(calls, tmp_path):
    first = study_from(SWEEP)
    second = study_from({**SWEEP, "sizes": [4, 8]})
    run_cells(first.cells(), tmp_path, studies=[first])
    told: list[str] = []
    run_cells(second.cells(), tmp_path, studies=[second], on_progress=lambda p: told.append(p.text))
    assert len(calls) == 6
    assert any("another spec of capacity-sweep ran in this folder" in t for t in told)
    assert [s.cells for s in study_status(tmp_path).studies] == [4, 4]
    assert studies_in(tmp_path)[0].hash == second.hash


def test_failed_cells_are_tried_again_when_asked(calls, tmp_path):
    cells = [cell(2), cell(99)]
    with pytest.raises(StudyError):
        run_cells(cells, tmp_path)
    status = study_status(tmp_path)
    assert (status.done, status.failed) == (1, 1)
    assert status.failures[0] == {"cell": "d = 99, seed 0", "error": "ValueError: 99 never works"}
    with pytest.raises(StudyError, match="99 never works"):
        run_cells(cells, tmp_path, retry=False)
    assert len(calls) == 2
    with pytest.raises(StudyError):
        run_cells(cells, tmp_path)
    assert len(calls) == 3
    assert len(run_cells(cells, tmp_path, retry=False, partial=True)) == 1


def test_one_run_at_a_time(calls, tmp_path):
    with Ledger(tmp_path), pytest.raises(BusyError, match=f"process {os.getpid()} on"):
        run_cells([cell()], tmp_path)
    run_cells([cell()], tmp_path)
    assert len(calls) == 1


def test_a_later_format_is_refused(tmp_path):
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / LEDGER) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(FileFormatError, match="has format 99"):
        Ledger(tmp_path)


def test_a_full_disk_loses_nothing(calls, tmp_path, monkeypatch):
    from factweights.studies.running import kept

    real, written = kept.whole_file, []

    @contextlib.contextmanager
    def whole_file(path: Path, **more):
        with real(path, **more) as tmp:
            written.append(path)
            yield tmp
            if len(written) == 4:  # the first is the test whether the folder can be written to
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept, "whole_file", whole_file)
    cells = [cell(d) for d in (2, 3, 4, 5)]
    with pytest.raises(OutputError, match=r"No space left on device.*2 of 4 cells are finished"):
        run_cells(cells, tmp_path)
    assert sorted(p.suffix for p in (tmp_path / "cells").iterdir()) == [".json", ".json"]
    assert len(run_cells(cells, tmp_path)) == 4
    assert len(calls) == 5


def test_a_full_ledger_is_told(calls, tmp_path, monkeypatch):
    with Ledger(tmp_path) as ledger:
        (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
        ledger._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match="disk is full; finished cells are kept as files"):
            ledger.add_cells([cell(d) for d in range(1, 500)])


# -- packs -------------------------------------------------------------------------------------------------


def test_small_cells_are_packed_once_their_pace_is_known():
    cells = [cell(d, cost=100.0 if d < 4 else 0.1) for d in range(400)]
    packer = Packer(cells, 2)
    large = [next(packer) for _ in range(4)]
    assert [len(p) for p in large] == [1, 1, 1, 1]
    for pack in large:
        packer.learn(pack, [Outcome({}, None, 10.0)])
    packs = list(packer)
    assert {len(p) for p in packs[:20]} > {50} or max(map(len, packs)) >= 40  # 0.5 s at 0.01 s each
    assert len(packs[-1]) == 1  # the end is dealt out finely
    assert [c for p in (*large, *packs) for c in p] == cells
    assert {len(p) for p in Packer(cells, 2, single=True)} == {1}


def test_cells_with_and_without_gpus_share_no_pack():
    cells = [cell(d).model_copy(update={"gpus": float(d < 20)}) for d in range(40)]
    assert cells[0].hash == cell(0).hash
    packer = Packer(cells, 1)
    packer.learn((cells[0],), [Outcome({}, None, 1e-3)])
    assert all(len({c.gpus for c in pack}) == 1 for pack in packer)


def test_an_engine_needs_a_worker():
    with pytest.raises(SettingError, match="workers cannot be 0"):
        LocalEngine(0)


# -- processes that die ------------------------------------------------------------------------------------

SCRIPT = """
import sys
import faulty
from factweights.studies import measuring
measuring.FUNCTIONS["capacity"] = faulty.work
from factweights.studies import Cell, run_cells

if __name__ == "__main__":
    made = [Cell(function="capacity", arguments={"d": d}, label=str(d)) for d in range(int(sys.argv[2]))]
    run_cells(made, sys.argv[1], workers=int(sys.argv[3]), on_progress=lambda p: print(p.text, flush=True))
"""
FAULTY = """
import os, pathlib, signal, time
here = pathlib.Path(__file__).parent

def work(d):
    with open(here / "log", "a") as log:
        log.write(f"{d} {os.getpid()}\\n")
    if (here / f"die-{d}").exists():
        if not (here / "always").exists():
            (here / f"die-{d}").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if (here / "slow").exists():
        time.sleep(0.1 if d < 4 else 60)
    return {"facts": d}
"""


@pytest.fixture
def script(tmp_path):
    """Starts a run in a process of its own: script(cells, workers)."""
    (tmp_path / "main.py").write_text(SCRIPT)
    (tmp_path / "faulty.py").write_text(FAULTY)
    started = []

    def start(cells: int, workers: int) -> subprocess.Popen:
        command = [sys.executable, str(tmp_path / "main.py"), str(tmp_path / "out"), str(cells), str(workers)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
        started.append(
            subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def log(tmp_path: Path) -> list[list[str]]:
    return [line.split() for line in (tmp_path / "log").read_text().splitlines()]


def wait_for(process: subprocess.Popen, word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    pytest.fail(f"{word!r} was never said")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_killed_worker_costs_one_try(script, tmp_path):
    (tmp_path / "die-5").touch()
    out = script(8, 2).communicate(timeout=120)[0]
    assert "lost, again" in out
    states = rows(tmp_path / "out", "label, state, attempts")
    assert {s for _, s, _ in states} == {"done"}
    assert {label: n for label, _, n in states}["5"] == 2


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_cell_that_kills_every_worker_fails_alone(script, tmp_path):
    (tmp_path / "die-2").touch()
    (tmp_path / "always").touch()
    process = script(6, 2)
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert "1 of 6 cells failed" in out
    assert "signal 9" in out
    assert sorted(s for _, s, _ in rows(tmp_path / "out")) == ["done"] * 5 + ["failed"]
    assert [d for d, _ in log(tmp_path)].count("2") == 3


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("how", ["kill -9", "ctrl-c twice"])
def test_a_run_that_is_stopped_loses_the_cells_in_flight(script, tmp_path, how):
    (tmp_path / "slow").touch()
    process = script(8, 2)
    wait_for(process, "4/8 cells")
    with pytest.raises(BusyError, match=f"process {process.pid} on"):
        Ledger(tmp_path / "out")
    if how == "kill -9":
        process.kill()
    else:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    if how != "kill -9":
        assert "4 of 8 cells are finished and kept in" in rest
    workers = {int(pid) for _, pid in log(tmp_path)}
    deadline = time.monotonic() + 20
    while any(_alive(w) for w in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(w) for w in workers)
    (tmp_path / "slow").unlink()
    script(8, 2).communicate(timeout=120)
    states = rows(tmp_path / "out", "label, state")
    assert {s for _, s in states} == {"done"}
    tried = [d for d, _ in log(tmp_path)]
    assert sorted(set(tried)) == [str(d) for d in range(8)]
    assert len(tried) <= 8 + 2  # no finished cell twice, at most one for each worker
    assert not list((tmp_path / "out" / "cells").glob(".*"))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_declaring_a_study_imports_no_torch():
    """The coordinator would pay seconds for it that no worker shares."""
    code = (
        "import sys; from factweights.studies import FIGURES; "
        "print(sum(len(f.at_scale('smoke').cells()) for f in FIGURES.values()), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    cells, torch = done.stdout.split()
    assert int(cells) > 100
    assert torch == "False"


# -- a ledger that is gone, damaged or held ----------------------------------------------------------------


def changed_digit(path: Path) -> None:
    path.write_text(path.read_text().replace('"facts": 4', '"facts": 5'))


def test_a_changed_digit_is_seen_without_a_ledger(tmp_path, calls):
    run_cells([cell(4), cell(5)], tmp_path)
    (tmp_path / LEDGER).unlink()
    changed_digit(tmp_path / "cells" / f"{cell(4).hash}.json")
    found = run_cells([cell(4), cell(5)], tmp_path)
    assert found[cell(4).hash]["facts"] == 4
    assert len(calls) == 3


def test_cells_that_were_taken_up_are_known_by_their_digest(tmp_path, calls):
    """Files of earlier versions have no checksum of their own."""
    run_cells([cell(4)], tmp_path)
    path = tmp_path / "cells" / f"{cell(4).hash}.json"
    record = json.loads(path.read_text())
    del record["checksum"]
    path.write_text(json.dumps(record))
    (tmp_path / LEDGER).unlink()
    Ledger(tmp_path).close()
    assert len(rows(tmp_path, "sha256")[0][0]) == 64
    changed_digit(path)
    assert study_results(tmp_path).rows == ()
    assert run_cells([cell(4)], tmp_path)[cell(4).hash]["facts"] == 4
    assert len(calls) == 2


@pytest.mark.parametrize(
    "change",
    [
        "hash = 'x'",
        "hash = '0000000000000000000000000000000000000000000000000000000000000000'",
        "hash = CAST(X'ff' AS TEXT)",
        "sha256 = 'x'",
        "sha256 = 3",
        "state = 'finished'",
        "attempts = -1",
        "attempts = 'many'",
        "arguments = '{'",
        "arguments = '{}'",
        "function = NULL",
        "seconds = X'00'",
    ],
)
def test_a_ledger_with_a_damaged_row_is_set_aside(tmp_path, calls, change):
    run_cells([cell(4)], tmp_path)
    with sqlite3.connect(tmp_path / LEDGER) as db:
        db.execute(f"UPDATE cells SET {change}")
    told = []
    found = run_cells([cell(4)], tmp_path, on_progress=told.append)
    assert found[cell(4).hash]["facts"] == 4
    assert any("the ledger was damaged" in p.text for p in told)
    assert (tmp_path / f"{LEDGER}.damaged-1").is_file()
    assert len(calls) == 1


def test_every_flipped_byte_of_a_ledger_is_survived(tmp_path, calls):
    run_cells([cell(4)], tmp_path)
    raw = (tmp_path / LEDGER).read_bytes()
    for at in range(0, len(raw), max(1, len(raw) // 60)):
        (tmp_path / LEDGER).write_bytes(raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :])
        assert run_cells([cell(4)], tmp_path)[cell(4).hash]["facts"] == 4


def test_retry_takes_the_spec_that_ran_last(tmp_path, calls):
    a, b = (study_from({**SWEEP, "sizes": [d]}) for d in (4, 5))
    for study in (a, b, a):
        with Ledger(tmp_path) as ledger:
            ledger.add_study(study, study.cells())
    assert studies_in(tmp_path) == [a]


def test_a_pipe_in_the_place_of_a_cell_is_no_cell(tmp_path, calls):
    run_cells([cell(4)], tmp_path)
    path = tmp_path / "cells" / f"{cell(4).hash}.json"
    path.unlink()
    os.mkfifo(path)
    assert study_results(tmp_path).rows == ()
    assert estimate_of(tmp_path) == 0
    (tmp_path / LEDGER).unlink()
    Ledger(tmp_path).close()


def estimate_of(folder: Path) -> int:
    study = study_from({**SWEEP, "sizes": [4]})
    return estimate(study, folder).finished


HOLDS = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT * FROM cells").fetchall()
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_a_reader_that_holds_the_ledger_is_waited_for(tmp_path, calls):
    run_cells([cell(4)], tmp_path)
    command = [sys.executable, "-c", HOLDS, str(tmp_path / LEDGER), "4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        assert reader.stdout.readline() == b"held\n"
        assert run_cells([cell(4), cell(5)], tmp_path)[cell(5).hash]["facts"] == 5
        reader.kill()


def test_reading_writes_nothing(tmp_path, calls):
    run_cells([cell(4)], tmp_path)
    for ledger in (True, False):
        if not ledger:
            (tmp_path / LEDGER).unlink()
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
        assert study_status(tmp_path).done == 1
        assert len(study_results(tmp_path).rows) == 1
        estimate_of(tmp_path)
        assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_ctrl_c_while_drawing_says_what_is_kept(tmp_path, calls, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["factweights.studies.reproduce"], "_finish", interrupted)
    study = study_from({**SWEEP, "sizes": [4]})
    with pytest.raises(Interrupted, match=r"while drawing; . of . cells are finished and kept in .*cells"):
        run_studies([study], tmp_path, workers=1)


@pytest.mark.parametrize("text", ["seeds = " + "9" * 5000, "x = " + "[" * 9000, "\udcff", "a = 1\na = 2"])
def test_specs_that_are_no_toml(tmp_path, text):
    (tmp_path / "spec.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FileFormatError, match="is not TOML"):
        load_spec(tmp_path / "spec.toml")


@pytest.mark.parametrize("seconds", ["nan", "inf", -1e400, None, [], "1"])
def test_cells_with_seconds_that_are_none(tmp_path, calls, seconds):
    run_cells([cell(4)], tmp_path)
    path = tmp_path / "cells" / f"{cell(4).hash}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": seconds}))
    assert estimate_of(tmp_path) == 0
    assert study_results(tmp_path).rows == ()
    (tmp_path / LEDGER).unlink()
    assert run_cells([cell(4)], tmp_path)[cell(4).hash]["facts"] == 4
    assert len(calls) == 2


@pytest.mark.parametrize("value", ["1e999", "NaN", "9" * 5000, "[" * 9000])
def test_cells_with_numbers_that_are_none(tmp_path, calls, value):
    run_cells([cell(4)], tmp_path)
    path = tmp_path / "cells" / f"{cell(4).hash}.json"
    path.write_text(path.read_text().replace('"facts": 4', f'"facts": {value}'))
    (tmp_path / LEDGER).unlink()
    assert study_results(tmp_path).rows == ()
    assert run_cells([cell(4)], tmp_path)[cell(4).hash]["facts"] == 4


@pytest.mark.parametrize(
    "change", ["cells SET arguments = '{'", "studies SET spec = 'x'", "studies SET name = X'00'"]
)
def test_reading_a_ledger_with_a_damaged_row_is_an_error(tmp_path, calls, change):
    study = study_from({**SWEEP, "sizes": [4]})
    run_cells(study.cells(), tmp_path, studies=[study])
    with sqlite3.connect(tmp_path / LEDGER) as db:
        db.execute(f"UPDATE {change}")
    for read in (study_status, study_results, studies_in):
        with pytest.raises(FileFormatError, match="is damaged"):
            read(tmp_path)
    assert run_cells(study.cells(), tmp_path)  # sets it aside
