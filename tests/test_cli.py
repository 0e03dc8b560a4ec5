"""The command line: what it prints, what it writes, how it fails."""

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from factweights.cli import run
from factweights.cli.app import app
from factweights.cli.options import Kind
from factweights.facts.embeddings import KINDS
from factweights.memories import LinearMemory
from factweights.methods import METHODS, Hebbian

ROOT = Path(__file__).resolve().parent.parent
COUNTRIES = ["France", "Peru", "Italy", "Japan", "Kenya", "Chile", "Nepal", "Ghana"]
CAPITALS = ["Paris", "Lima", "Rome", "Tokyo", "Nairobi", "Santiago", "Kathmandu", "Accra"]
CONTINENTS = ["Europe", "America", "Europe", "Asia", "Africa", "America", "Asia", "Africa"]


def _load_build_docs():
    spec = importlib.util.spec_from_file_location("build_docs", ROOT / "scripts" / "build_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_docs = _load_build_docs()
KEYS = {name: set(keys.split(", ")) for name, keys in build_docs.KEYS.items()}


@pytest.fixture
def cli(capsys):
    """Run one command in this process: (exit code, stdout, stderr)."""

    def call(*tokens: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(t) for t in tokens])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def cli_json(cli):
    """Run one command with --json: (exit code, the one document on stdout)."""

    def call(*tokens: object) -> tuple[int, dict]:
        code, out, _ = cli(*tokens, "--json")
        return code, json.loads(out)

    return call


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "world.csv"
    rows = zip(COUNTRIES, CAPITALS, CONTINENTS, strict=True)
    path.write_text("subject,capital,continent\n" + "".join(f"{','.join(row)}\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def stored(table) -> Path:
    out = table.parent / "stored"
    assert run(["store", str(table), "--out", str(out), "--json"]) == 0
    return out


def shell(*tokens: object, **settings) -> subprocess.Popen:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **settings}
    return subprocess.Popen([sys.executable, "-m", "factweights.cli", *map(str, tokens)], env=env, **pipes)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# -- store -------------------------------------------------------------------------------------------------


def test_store_finds_the_smallest_d_and_saves(cli_json, table, tmp_path):
    code, found = cli_json("store", table, "--out", tmp_path / "out")
    assert code == 0
    assert set(found) == KEYS["store"]
    assert (found["facts"], found["outputs"], found["recall"]) == (16, 12, 1.0)
    assert found["min_margin"] > 0
    assert found["parameters"] == found["d"] ** 2
    assert found["proved"] == "both sides"
    assert found["search"]["size"] == found["d"]
    assert abs(found["d"] - found["law_d"]) <= 2
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_store_says_it_for_people(cli, table, tmp_path):
    code, out, err = cli("store", table, "--out", tmp_path / "out")
    assert code == 0
    assert "16 among 12 answers" in out
    assert "the law asks for" in out
    assert f"saved to {tmp_path / 'out'}" in out
    assert "d = " in err
    assert "not saved" in cli("store", table)[1]


def test_the_same_command_stores_the_same_weights(cli_json, table):
    first, again = (cli_json("store", table, "--d", 8, "--seed", 3)[1] for _ in range(2))
    assert first["weights_hash"] == again["weights_hash"]
    assert first["facts_hash"] != cli_json("store", table, "--d", 8, "--seed", 4)[1]["facts_hash"]


def test_store_takes_part_of_a_table(cli_json, table):
    assert cli_json("store", table, "--relations", "capital", "--d", 9)[1]["facts"] == 8
    assert cli_json("store", table, "--relations", "capital,continent", "--d", 9)[1]["facts"] == 16
    assert cli_json("store", table, "--limit", 3, "--d", 9)[1]["facts"] == 3


def test_a_relation_may_have_a_comma_in_its_name(cli_json, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('subject,"area, km2",capital\nFrance,551500,Paris\nPeru,1285216,Lima\n')
    assert cli_json("store", path, "--relations", "area, km2", "--d", 6)[1]["facts"] == 2


def test_store_reads_other_layouts(cli_json, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("subject;relation;city\nFrance;capital;Orléans\nPeru;capital;Lima\n".encode("cp1252"))
    code, found = cli_json("store", path, "--columns", "answer=city", "--encoding", "cp1252", "--d", 4)
    assert (code, found["facts"]) == (0, 2)
    code, found = cli_json("store", path, "--wide", "--encoding", "cp1252", "--d", 6)
    assert (code, found["facts"]) == (0, 4)


@pytest.mark.parametrize(
    ("options", "method", "parameters"),
    [
        (["--method", "hebbian", "--relations", "capital"], "hebbian", lambda d: d * d),
        (["--method", "ridge", "--d", 16, "--setting", "ridge=1e-3"], "ridge", lambda d: d * d),
        (["--method", "low-rank-hebbian", "--d", 64, "--rank", 40], "low-rank-hebbian", lambda d: 80 * d),
        (["--dtype", "float32", "--d", 9], "exact-linear", lambda d: d * d),
    ],
)
def test_every_method_stores(cli_json, table, options, method, parameters):
    code, found = cli_json("store", table, *options)
    assert code == 0, found
    assert (found["method"]["method"], found["recall"]) == (method, 1.0)
    assert found["parameters"] == parameters(found["d"])
    assert found["dtype"] == ("float32" if "float32" in options else "float64")


def test_the_smallest_rank_is_searched(cli_json, table):
    code, found = cli_json("store", table, "--method", "low-rank-hebbian", "--d", 64, "--rank", "auto")
    assert code == 0, found
    assert found["search"]["what"] == "rank"
    assert found["method"]["rank"] == found["search"]["size"]
    assert (
        "cannot both"
        in cli_json("store", table, "--method", "low-rank-hebbian", "--rank", "auto")[1]["error"]["message"]
    )


def test_what_does_not_fit_is_not_written(cli_json, table, tmp_path):
    code, found = cli_json("store", table, "--d", 2, "--out", tmp_path / "out")
    assert code == 1
    assert found["error"]["type"] == "NotStorableError"
    for part in ("d = 2", "of 16 facts missed", "proved: no 2 × 2 matrix", "law asks for d = "):
        assert part in found["error"]["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("noise=3", "recalls the facts but misses what was asked: noise recall by "),
        ("margin=1.5", "margin by "),
    ],
)
def test_a_request_that_is_missed_is_not_written(cli_json, table, tmp_path, asked, said):
    options = ["--method", "gated-fit", "--d", 8, "--width", 6, "--setting", "max_evaluations=300"]
    code, found = cli_json("store", table, *options, "--setting", asked, "--out", tmp_path / "out")
    assert code == 1
    assert found["error"]["type"] == "NotStorableError"
    assert said in found["error"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_the_smallest_width_meets_what_was_asked(cli_json, table, tmp_path):
    options = ["--method", "gated-fit", "--d", 8, "--width", "auto", "--setting", "max_evaluations=200"]
    plain = cli_json("store", table, *options)[1]
    code, found = cli_json("store", table, *options, "--setting", "margin=0.3", "--out", tmp_path / "out")
    assert code == 0, found
    assert found["search"]["size"] > plain["search"]["size"]
    assert cli_json("verify", tmp_path / "out")[1]["min_relative_margin"] >= 0.3


def test_a_lower_recall_is_enough_if_asked_for(cli_json, table, tmp_path):
    code, found = cli_json(
        "store", table, "--method", "hebbian", "--d", 8, "--recall", 0.3, "--out", tmp_path / "o"
    )
    assert code == 0, found
    assert 0.3 <= found["recall"] < 1
    missed = cli_json("verify", tmp_path / "o")[1]["missed"][0]
    code, out = cli_json("recall", tmp_path / "o", *missed["key"].split(" ", 1))
    assert (out["correct"], out["expected"], out["answer"]) == (False, missed["expected"], missed["answered"])


# -- recall, verify ----------------------------------------------------------------------------------------


def test_recall_answers(cli, cli_json, stored):
    code, found = cli_json("recall", stored, "France", "capital")
    assert code == 0
    assert set(found) == KEYS["recall"]
    assert (found["answer"], found["expected"], found["correct"]) == ("Paris", "Paris", True)
    assert found["margin"] > 0
    assert len(found["runners_up"]) == 4
    assert all(isinstance(name, str) and score < found["score"] for name, score in found["runners_up"])
    code, out, err = cli("recall", stored, "France", "capital", "--top", 2)
    assert (code, out.splitlines()[0], err) == (0, "Paris", "")


@pytest.mark.parametrize(
    ("asked", "nearest"), [(("Frence", "capital"), "'France'"), (("France", "kapital"), "'capital'")]
)
def test_recall_knows_the_nearest_name(cli, cli_json, stored, asked, nearest):
    code, out, err = cli("recall", stored, *asked)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert nearest in err
    assert err.count("\n") == 1
    assert cli_json("recall", stored, *asked)[1]["error"]["type"] == "UnknownNameError"


def test_verify_certifies(cli, cli_json, stored):
    code, found = cli_json("verify", stored, "--noise", "0,0.5", "--top-k", "1,12")
    assert code == 0
    assert set(found) == KEYS["verify"]
    assert (found["recall"], found["n_missed"], found["top_k"]) == (1.0, 0, {"1": 1.0, "12": 1.0})
    assert found["noise_recall"]["0.0"] == 1.0
    assert found["noise_recall"]["0.5"] <= 1.0
    assert "16 among 12" in cli("verify", stored)[1]


def test_verify_compares_with_another_table(cli_json, stored, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("subject,relation,answer\nFrance,capital,Lima\nPeru,capital,Lima\n")
    code, found = cli_json("verify", stored, path)
    assert (code, found["facts"], found["n_missed"]) == (0, 2, 1)
    assert found["missed"][0]["answered"] == "Paris"


# -- capacity ----------------------------------------------------------------------------------------------


def test_capacity_measures(cli, cli_json):
    code, found = cli_json("capacity", "exact-linear", "--d", 8, "--recall", "1.0", "--seeds", 1)
    assert code == 0
    assert set(found) == KEYS["capacity"]
    assert found["bracket"] == [found["facts"], found["facts"] + 1]
    assert found["proved"] == "both sides"
    assert abs(found["facts"] / found["law"] - 1) < 0.2
    assert [r["seed"] for r in found["runs"]] == [0]
    code, out, err = cli("capacity", "hebbian", "--d", 12, "--seeds", "4,7", "--recall", 0.99)
    assert code == 0
    assert "median of 2 seeds" in out
    assert re.search(r"^ +7 ", out, re.MULTILINE)
    assert "seed 4: N = " in err


def test_capacity_under_noise(cli, cli_json):
    command = ["capacity", "ridge", "--d", 12, "--recall", 0.9, "--seeds", 1, "--noise", 0.4]
    code, found = cli_json(*command)
    assert (code, found["noise"]) == (0, 0.4)
    assert "recall ≥ 0.9, key noise 0.4" in cli(*command)[1]


@pytest.mark.parametrize(
    "options",
    [
        ["--outputs", 4],
        ["--d-out", 5],
        ["--tied"],
        ["--kind", "gaussian"],
        ["--setting", "max-evaluations=500", "--setting", "stop=first"],
    ],
)
def test_capacity_of_other_facts(cli_json, options):
    code, found = cli_json(
        "capacity", "exact-linear", "--d", 6, "--seeds", "2,", "--tolerance", 0.1, *options
    )
    assert code == 0, found
    assert found["facts"] > 3
    assert [r["seed"] for r in found["runs"]] == [2]


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["exact-liner"], "did you mean 'exact-linear'?"),
        (["low-rank-hebbian"], "low-rank-hebbian needs rank: --setting rank=…"),
        (["paper-adam", "--setting", "learning_rat=1"], "did you mean 'learning_rate'?"),
        (["paper-adam", "--setting", "learning_rate=fast"], "learning_rate of paper-adam cannot be 'fast'"),
        (["paper-adam", "--setting", "max_steps=1.5"], "--setting max_steps of paper-adam cannot be 1.5"),
        (["paper-adam", "--setting", "max_steps"], "KEY=VALUE"),
        (["paper-adam", "--setting", "max_steps=1", "--setting", "max-steps=2"], "given twice"),
        (["paper-adam", "--setting", "recall=0.5"], "--recall"),
        (["paper-adam", "--setting", "learning_rate=-1"], "give a number above 0"),
        (["hebbian", "--setting", "rate=1"], "it has none"),
        (["exact-linear", "--setting", "stop=never"], "stop of exact-linear cannot be 'never'"),
        (["hebbian", "--seeds", "many"], "--seeds takes whole numbers"),
        (["hebbian", "--seeds", "0"], "--seeds cannot be 0: give a count from 1 to"),
        (["hebbian", "--recall", "1.5"], "--recall cannot be 1.5"),
    ],
)
def test_capacity_explains_what_is_wrong(cli, tokens, said):
    code, out, err = cli("capacity", *tokens, "--d", "8")
    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err


# -- methods, help, usage ----------------------------------------------------------------------------------


def test_methods_are_listed(cli, cli_json):
    found = cli_json("methods")[1]["methods"]
    assert [m["name"] for m in found] == sorted(METHODS)
    assert all(m["summary"] and m["reference"] for m in found)
    rank = next(m for m in found if m["name"] == "low-rank-hebbian")["settings"][0]
    assert rank == {"name": "rank", "type": "int", "default": None, "required": True}
    out = cli("methods")[1]
    assert "--setting rank=whole number (required)" in out
    assert "--setting stop=margin|first (default margin)" in out


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["stroe"], 'Did you mean "store"?'),
        (["compile", "--out", "x"], "FILE requires an argument"),
        (["store", "t.csv", "--seed", "2.5"], "no whole number"),
        (["store", "t.csv", "--d", "15.6"], "no whole number"),
        (["store", "t.csv", "--limt", "3"], "Did you mean --limit?"),
        (["store", "t.csv", "--d", "big"], "unable to convert"),
        (["store", "t.csv", "--kind", "round"], "round"),
        (["capacity", "hebbian"], "--d"),
        (["reproduce", "fig1-left"], "--out"),
    ],
)
def test_a_command_that_makes_no_sense_exits_2(cli, cli_json, tokens, said):
    code, out, err = cli(*tokens)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    code, found = cli_json(*tokens)
    assert code == 2
    assert said in found["error"]["message"]


def test_version_and_bare_call(cli):
    assert cli("--version")[:2] == (0, "0.1.0\n")
    code, out, _ = cli()
    assert code == 0
    assert "reproduce" in out


def test_kinds_are_those_of_the_library():
    assert set(Kind.__args__) == set(KINDS)


def test_help_needs_no_torch():
    code = (
        "import sys; from factweights.cli import run; run(['--help']); run(['store', '--help']); "
        "print({'torch', 'numpy', 'matplotlib', 'pydantic'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
    assert "Usage: factweights store" in done.stdout


# -- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ("subject,relation,answer\nFrance,capital,Paris\nFrance,capital,Lyon\n", "'Lyon' (line 3)"),
        ("", "is empty"),
        ("subject,relation,answer\n", "no facts"),
        ("subject,relation\nFrance,capital\n", "no column 'answer'"),
        ("subject,relation,answer\nFrance,capital\n", "2 cells"),
        (b"subject,relation,answer\nFrance,capital,\xff\xfe\n", "cannot be decoded"),
        ('subject,relation,answer\nFrance,capital,"Par', "cut short"),
    ],
)
def test_a_bad_table_is_explained(cli, tmp_path, contents, said):
    path = tmp_path / "t.csv"
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    code, out, err = cli("store", path, "--out", tmp_path / "out")
    assert (code, out) == (1, "")
    assert said in err
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_table_with_byte_order_mark_and_repeats_is_read(cli_json, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(
        "\ufeffsubject,relation,answer\n".encode() + b"Peru,capital,Lima\n" * 2 + b"Chile,capital,Santiago\n"
    )
    assert cli_json("store", path, "--d", 3)[1]["facts"] == 2


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["store", "{table}", "--relations", "capitl"], "did you mean 'capital'?"),
        (["store", "{table}", "--method", "hebian"], "did you mean 'hebbian'"),
        (["store", "{table}", "--rank", "3"], "no setting of exact-linear named 'rank'"),
        (["store", "{table}", "--d", "0"], "--d cannot be 0: give a whole number from 1"),
        (["store", "{table}", "--recall", "0"], "--recall cannot be 0"),
        (["store"], "give either a table, FILE, or --random"),
        (["store", "--random", "5", "--answers", "9"], "--answers"),
        (["store", "{table}", "--columns", "city"], "ROLE=NAME"),
        (["store", "{table}", "--seed", "-1"], "seed"),
        (["store", "{tmp}/none.csv"], "no fact table at"),
        (["store", "{tmp}"], "is a folder"),
        (["recall", "{tmp}/none", "a", "b"], "no folder at"),
        (["recall", "{tmp}", "a", "b"], "not a factweights folder"),
        (["verify", "{stored}", "{table}", "--noise", "-1"], "--noise cannot be"),
        (["verify", "{stored}", "--top-k", "0"], "--top-k cannot be"),
        (["verify", "{stored}", "--top-k", "x"], "--top-k takes whole numbers"),
        (["reproduce", "fig1-lft", "--out", "{tmp}/o"], "did you mean 'fig1-left'"),
        (["reproduce", "fig1-left", "--scale", "smok", "--out", "{tmp}/o"], "did you mean 'smoke'?"),
        (["reproduce", "fig1-left", "--workers", "-1", "--out", "{tmp}/o"], "from 1 to 1,024"),
        (["reproduce", "fig1-left", "--out", "{table}"], "cannot make"),
    ],
)
def test_bad_requests_are_explained(cli, cli_json, table, stored, tmp_path, tokens, said):
    filled = [t.format(table=table, stored=stored, tmp=tmp_path) for t in tokens]
    code, out, err = cli(*filled)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    code, found = cli_json(*filled)
    assert code == 1
    assert said in found["error"]["message"]


def test_an_output_folder_is_not_overwritten_by_accident(cli, table, tmp_path):
    out = tmp_path / "out"
    assert cli("store", table, "--d", 9, "--out", out)[0] == 0
    before = contents(out)
    code, _, err = cli("store", table, "--d", 10, "--out", out)
    assert code == 1
    assert "not empty" in err
    assert contents(out) == before
    assert cli("store", table, "--d", 10, "--out", out, "--overwrite")[0] == 0
    assert contents(out) != before
    (out / "diary.txt").write_text("mine")
    code, _, err = cli("store", table, "--d", 10, "--out", out, "--overwrite")
    assert code == 1
    assert "diary.txt" in err
    assert (out / "diary.txt").exists()


def test_an_impossible_output_is_told_before_the_work(cli, table, tmp_path, monkeypatch):
    monkeypatch.setattr(Hebbian, "store", None)
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below" / "out"):
        code, _, err = cli("store", table, "--method", "hebbian", "--d", 9, "--out", out)
        assert code == 1
        assert "is a file" in err or "not a folder" in err
    locked = tmp_path / "locked"
    locked.mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # chmod does not stop root
    code, _, err = cli("store", table, "--method", "hebbian", "--d", 9, "--out", locked / "out")
    assert code == 1
    assert "no permission" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "locked"]


def test_a_tampered_folder_is_refused(cli, cli_json, table, tmp_path):
    out = tmp_path / "out"
    assert cli("store", table, "--d", 9, "--out", out)[0] == 0
    weights = bytearray((out / "memory.safetensors").read_bytes())
    weights[-1] ^= 1
    (out / "memory.safetensors").write_bytes(weights)
    for tokens in (("recall", out, "France", "capital"), ("verify", out)):
        code, found = cli_json(*tokens)
        assert code == 1
        assert found["error"]["type"] == "TamperedError"
    (out / "memory.safetensors").write_bytes(weights[:50])
    assert cli_json("verify", out)[1]["error"]["type"] == "TamperedError"


def test_no_memory_is_an_error_and_a_defect_is_a_traceback(cli, monkeypatch):
    def fail(self, facts, *, seed=0):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(Hebbian, "store", fail)
    code, _, err = cli("capacity", "hebbian", "--d", 8)
    assert code == 1
    assert "not enough memory" in err
    monkeypatch.setattr(Hebbian, "store", lambda self, facts, seed: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(["capacity", "hebbian", "--d", "8"])


# -- Ctrl-C, closed pipes ----------------------------------------------------------------------------------


def _interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("owner", "name"), [(Hebbian, "store"), (LinearMemory, "save")])
def test_ctrl_c_leaves_nothing_half_written(cli, cli_json, table, tmp_path, monkeypatch, owner, name):
    kept, new = tmp_path / "kept", tmp_path / "new"
    assert cli("store", table, "--d", 9, "--out", kept)[0] == 0
    before = contents(kept)
    monkeypatch.setattr(owner, name, _interrupt)
    for out, more in ((new, ()), (kept, ("--overwrite",))):
        store = ("store", table, "--method", "hebbian", "--d", 64, "--out", out, *more)
        code, _, err = cli(*store)
        assert code == 130
        assert err.endswith("interrupted; nothing was written\n")
        assert cli_json(*store)[1]["error"]["type"] == "Interrupted"
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    assert contents(kept) == before


def test_ctrl_c_during_capacity(cli, monkeypatch):
    monkeypatch.setattr(Hebbian, "store", _interrupt)
    assert cli("capacity", "hebbian", "--d", 8) == (130, "", "interrupted; nothing was written\n")


@pytest.mark.skipif(os.name == "nt", reason="no POSIX signals")
def test_a_real_ctrl_c(tmp_path):
    command = shell("capacity", "hebbian", "--d", 96, "--seeds", 100_000, "--json")
    line = command.stderr.readline()  # it has begun in earnest
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=60)
    assert line.startswith("seed 0: N = ")
    assert command.returncode == 130
    assert json.loads(out)["error"] == {"type": "Interrupted", "message": "interrupted; nothing was written"}
    assert err.endswith("interrupted; nothing was written\n")
    assert "Traceback" not in err


def test_a_closed_pipe_is_no_news(stored):
    command = shell("verify", stored)
    command.stdout.close()
    err = command.stderr.read()
    assert command.wait(timeout=60) == 141
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_stdout_is_an_error():
    with Path("/dev/full").open("w") as full:
        command = shell("methods", stdout=full)
        _, err = command.communicate(timeout=60)
    assert command.returncode == 1
    assert err.startswith("error: No space left")
    assert err.count("\n") == 1


# -- reproduce ---------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(monkeypatch):
    """Makes --scale smoke a matter of a second."""
    from factweights.studies.figures.linear import Fig1Left, Series

    series = (Series(method="exact-linear", recall=1.0), Series(method="hebbian", recall=0.99))
    spec = Fig1Left(scale="smoke", sizes=(4, 8), seeds=(0, 1), series=series)
    monkeypatch.setattr(Fig1Left, "at_scale", lambda scale: spec)


def test_reproduce_draws_and_resumes(cli, cli_json, tiny, tmp_path):
    out = tmp_path / "out"
    code, found = cli_json("reproduce", "fig1-left", "--out", out, "--workers", 1)
    assert code == 0
    assert set(found) == KEYS["reproduce"]
    assert found["files"] == [str(out / f"fig1-left{s}") for s in (".png", ".svg", ".json")]
    assert all(Path(f).stat().st_size > 1000 for f in found["files"])
    assert len(list((out / "cells").iterdir())) == 8
    code, text, err = cli("reproduce", "fig1-left", "--out", out, "--workers", 1)
    assert code == 0
    assert "0 cells to run, 8 finished earlier" in err
    assert "exact-linear, recall 1.0, proved on both sides" in text
    assert all(len(line) < 80 for line in text.splitlines() if str(out) not in line)


def test_ctrl_c_keeps_finished_cells(cli, tiny, tmp_path, monkeypatch):
    from factweights.studies.measuring import capacity as measure

    calls, real = [], measure.measure_capacity

    def third_time_unlucky(**arguments):
        calls.append(arguments)
        return _interrupt() if len(calls) == 3 else real(**arguments)

    monkeypatch.setattr(measure, "measure_capacity", third_time_unlucky)
    monkeypatch.setattr(
        "factweights.studies.running.engines.PACK_SECONDS", 0.0
    )  # a pack in flight is lost whole
    code, out, err = cli("reproduce", "fig1-left", "--out", tmp_path / "out", "--workers", 1)
    assert (code, out) == (130, "")
    assert "interrupted; 2 of 8 cells are finished and kept in" in err
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 2
    assert cli("reproduce", "fig1-left", "--out", tmp_path / "out", "--workers", 1)[0] == 0
    assert len(calls) == 3 + 6


def test_failed_cells_are_an_error(cli, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Hebbian, "store", lambda self, facts, seed: 1 / 0)
    code, _, err = cli("reproduce", "fig1-left", "--out", tmp_path / "out", "--workers", 1)
    assert code == 1
    assert "4 of 8 cells failed" in err
    assert "ZeroDivisionError" in err
    assert not (tmp_path / "out" / "fig1-left.png").exists()


# -- documentation -----------------------------------------------------------------------------------------


def test_docs_are_up_to_date():
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == build_docs.page(), "run `make docs`"


@pytest.mark.parametrize("name", build_docs.commands())
def test_every_command_has_help_an_example_and_a_section(name):
    command, page = build_docs.commands()[name], build_docs.page()
    example = build_docs.example(command)
    assert f"\n## {name}\n" in page
    assert f"\n{example}\n" in page
    function, bound, _ = app.parse_args(shlex.split(example)[1:], exit_on_error=False, print_error=False)
    assert function is command
    found = app
    for word in name.split():
        found = found[word]
    arguments = [a for a in found.assemble_argument_collection(parse_docstring=True) if a.show]
    assert arguments
    assert [a.name for a in arguments if not a.parameter.help] == []
    assert bound.arguments or name in ("methods", "doctor")


def test_progress_tells_the_time_left():
    from factweights.cli.progress import _left
    from factweights.progress import Progress

    assert _left(Progress(1, 3, ""), 10.0) == "20 s"
    assert _left(Progress(1, 101, ""), 3.0) == "5 min"
    assert _left(Progress(1, 1001, ""), 36.0) == "10.0 h"
    assert _left(Progress(0, 3, ""), 10.0) == _left(Progress(5, None, ""), 10.0) == ""


def test_a_terminal_gets_one_live_line(table):
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    command = shell("store", table, "--d", 9, stderr=follower, stdin=subprocess.DEVNULL)
    os.close(follower)
    out = command.stdout.read()
    drawn = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            drawn += (chunk := os.read(leader, 65536))
        except OSError:  # how Linux says that the other end is closed
            break
        if not chunk:
            break
    os.close(leader)
    assert command.wait(timeout=60) == 0
    assert "recall" in out
    assert "\x1b" not in out
    if os.environ.get("TERM", "dumb") != "dumb":
        assert b"\x1b[" in drawn
