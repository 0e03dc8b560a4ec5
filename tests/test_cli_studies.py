"""Studies, reports and plans on the command line: what is printed, written and promised in JSON."""

import json

import pytest

from test_cli import KEYS, cli, cli_json  # noqa: F401  (fixtures)

SPEC = 'study = "capacity-sweep"\nmethods = ["hebbian"]\nsizes = [4, 6]\nseeds = 2\n'


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return path


def test_a_study_from_dry_run_to_results(cli, cli_json, spec, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    code, found = cli_json("study", "run", spec, "--out", out, "--dry-run")
    assert (code, found["cells"], found["finished"]) == (0, 4, 0)
    assert not out.exists()
    code, found = cli_json("study", "run", spec, "--out", out, "--workers", 1)
    assert code == 0
    assert set(found) == KEYS["study run"]
    assert found["studies"][0]["figure"] == "capacity-sweep"
    code, text, err = cli("study", "run", spec, "--out", out, "--workers", 1)
    assert code == 0
    assert "0 cells to run, 4 finished earlier" in err
    assert "hebbian, proved on lower side" in text
    code, found = cli_json("study", "status", out)
    assert set(found) == KEYS["study status"]
    assert found["done"] == 4
    assert "4 of 4 cells done" in cli("study", "status", out)[1]
    code, found = cli_json("study", "results", out, "--parquet", tmp_path / "rows.parquet")
    assert set(found) == KEYS["study results"]
    assert len(found["rows"]) == 4
    assert (tmp_path / "rows.parquet").stat().st_size > 100
    assert "hebbian, d = 4, seed 1" in cli("study", "results", out, "--study", "capacity-sweep")[1]
    code, found = cli_json("study", "retry", out, "--workers", 1)
    assert set(found) == KEYS["study retry"]


def test_failed_cells_wait_until_they_are_retried(cli, spec, tmp_path, monkeypatch):  # noqa: F811
    from factweights.studies.measuring import capacity as measure

    working = measure.measure_capacity
    monkeypatch.setattr(measure, "measure_capacity", lambda **_: 1 / 0)
    out = tmp_path / "out"
    code, _, err = cli("study", "run", spec, "--out", out, "--workers", 1)
    assert (code, "4 of 4 cells failed" in err) == (1, True)
    monkeypatch.setattr(measure, "measure_capacity", working)
    code, _, err = cli("study", "run", spec, "--out", out, "--workers", 1)
    assert code == 1
    assert "ZeroDivisionError" in err
    assert cli("study", "retry", out, "--workers", 1)[0] == 0
    assert (out / "capacity-sweep.json").exists()


def test_everything_ends_in_a_report(cli, cli_json, tmp_path, monkeypatch):  # noqa: F811
    from factweights.studies import FIGURES, SuccessCurve
    from factweights.studies.figures.linear import Fig1Left, Series

    series = (Series(method="exact-linear", recall=1.0), Series(method="hebbian", recall=0.99))
    tiny = {
        "fig1-left": Fig1Left(scale="smoke", sizes=(4, 6), seeds=(0, 1), series=series),
        "success-curve": SuccessCurve(scale="smoke", sizes=(6,), loads=(0.5, 1.0, 1.6), seeds=(0, 1)),
    }
    for name in list(FIGURES):
        if name in tiny:
            monkeypatch.setattr(type(tiny[name]), "at_scale", lambda scale, name=name: tiny[name])
        else:
            monkeypatch.delitem(FIGURES, name)
    out = tmp_path / "all"
    code, found = cli_json("reproduce", "all", "--out", out, "--workers", 1)
    assert code == 0
    assert [f["figure"] for f in found["figures"]] == list(tiny)
    assert (out / "report.html").stat().st_size > 10_000
    code, found = cli_json("report", out, "--markdown", tmp_path / "claims.md")
    assert set(found) == KEYS["report"]
    assert found["shown"] == list(tiny)
    assert "| claim | figure |" in (tmp_path / "claims.md").read_text()
    assert "linear-law" in cli("report", out, "--out", tmp_path / "r.html")[1]


def test_plan_on_the_command_line(cli, cli_json):  # noqa: F811
    code, found = cli_json("plan", "--facts", 1000, "--answers", 50)
    assert code == 0
    assert set(found) == KEYS["plan"]
    assert [m["memory"] for m in found["memories"]] == ["linear", "mlp", "gated", "transformer"]
    assert json.dumps(found)
    assert "1,000 facts, 50 answers" in cli("plan", "--facts", 1000, "--answers", 50, "--memory", "gated")[1]


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["study", "status", "{tmp}/none"], "nothing was run in"),
        (["study", "run", "{tmp}/spec.toml", "--out", "{tmp}/o"], "did you mean 'sizes'"),
        (["report", "{tmp}"], "no study has left its numbers"),
        (["plan", "--facts", "1"], "--facts cannot be 1"),
    ],
)
def test_errors_say_what_to_do(cli, tmp_path, tokens, said):  # noqa: F811
    (tmp_path / "spec.toml").write_text(SPEC.replace("sizes", "sizess"))
    code, out, err = cli(*[t.format(tmp=tmp_path) for t in tokens])
    assert (code, out) == (1, "")
    assert said in err
