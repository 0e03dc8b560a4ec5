"""``factweights transformer``."""

import json

import pytest

from factweights.cli import run
from factweights.memories import RecallTransformer, load_memory

TASK = ["--subjects", "8", "--relations", "4", "--answers", "3"]


def asked(capsys, *words: str) -> dict:
    assert run(["transformer", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *words: str) -> str:
    assert run(["transformer", *words, "--json"]) in (1, 2)
    return json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_construction_sizes_itself_and_is_saved(capsys, tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    found = asked(capsys, *TASK, "--method", "attention-only", "--size", "auto", "--out", str(path))
    assert (found["facts"], found["recall"]) == (32, 1.0)
    assert found["margin_all_prompts"] > 0
    assert found["sizes"]["heads"] * found["sizes"]["head_dim"] >= 12
    parameters = found["parameters"]
    assert parameters["total"] == parameters["key-query"] + parameters["output-value"] + parameters["mlp"]
    assert isinstance(load_memory(path), RecallTransformer)


@pytest.mark.parametrize("method", ["fit", "paper-adam"])
def test_training_at_given_sizes(capsys, method) -> None:
    sizes = ["--d", "16", "--heads", "4", "--head-dim", "4", "--width", "16"]
    found = asked(capsys, *TASK, "--method", method, *sizes, "--recall", "0.95")
    assert found["recall"] > 0.9
    assert found["steps"] > 0
    assert found["sizes"] == {"d": 16, "heads": 4, "head_dim": 4, "width": 16}


def test_the_smallest_width_of_a_fit(capsys) -> None:
    sizes = ["--d", "20", "--heads", "4", "--head-dim", "4"]
    found = asked(capsys, *TASK, *sizes, "--size", "auto", "--setting", "max_evaluations=400")
    assert found["recall"] >= 0.99


def test_a_table_of_facts(capsys) -> None:
    path = "tests/data/none.csv"
    assert "none.csv" in refused(capsys, "--table", path)


def test_what_cannot_be_is_told(capsys) -> None:
    assert "--subjects" in refused(capsys, "--subjects", "3")
    assert "needs d" in refused(capsys, *TASK)
    assert "fit" in refused(capsys, *TASK, "--method", "fi")
    assert "leave --d out" in refused(
        capsys, *TASK, "--method", "attention-only", "--size", "auto", "--d", "9"
    )
    assert "no setting of attention-only named 'recall'" in refused(
        capsys, *TASK, "--method", "attention-only", "--recall", "0.9"
    )
