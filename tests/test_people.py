"""Invented people, the bits that are in them, and stock models that learn them."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from factweights.errors import SettingError
from factweights.models.people import training
from factweights.models.people.population import Population
from factweights.models.people.table import people_table
from factweights.studies import Cell, reproduce
from factweights.studies.figures.capacity_lm import Beside, CapacityLM, TrainedSeries

ROOT = Path(__file__).resolve().parent.parent


@given(st.integers(2, 200), st.integers(1, 8), st.integers(2, 40), st.integers(0, 5))
def test_lines_say_what_was_drawn(people: int, attributes: int, values: int, seed: int):
    p = Population(people, syllables=3, alphabet=16, attributes=attributes, values=values, seed=seed)
    assert len({tuple(n) for n in p.names.tolist()}) == people
    lines = p.lines(np.arange(people), np.random.default_rng(0))
    assert lines.shape == (people, p.length)
    assert lines.min() >= 0
    assert lines.max() < p.vocabulary
    for line, name, told in zip(lines.tolist(), p.names.tolist(), p.told.tolist(), strict=True):
        assert line[:4] == [0, *name]
        phrases, said = line[4::2], line[5::2]
        assert sorted(phrases) == list(range(17, 17 + attributes))
        assert [said[phrases.index(17 + k)] for k in range(attributes)] == told


def test_bits_by_the_bound():
    p = Population(100, syllables=2, alphabet=32, attributes=3, values=16)
    assert p.knowledge(math.log(32**2), math.log(16**3)) == pytest.approx((0, 0))
    names, told = p.knowledge(math.log(100), 0.0)  # one of the hundred names, and all that is told
    assert names == pytest.approx(100 * math.log2(32**2 / 100))
    assert told == pytest.approx(100 * 12)
    assert p.knowledge(99.0, 99.0) == (0, 0)
    assert p.bits == pytest.approx(math.log2(math.comb(1024, 100)) + 1200)
    assert p.bits >= names + told - 100 * math.log2(math.e)  # Stirling


def test_too_many_people_are_refused():
    with pytest.raises(SettingError, match="give more syllables"):
        Population(600, syllables=2, alphabet=32)
    with pytest.raises(SettingError, match="attributes at most"):
        Population(10, attributes=9)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("shape", list(training.SHAPES))
def test_models_have_the_size_that_was_asked_for(architecture: str, shape: str):
    for parameters in (14_000, 200_000):
        settings = training.sized(architecture, shape, parameters, 70, 15)
        found = training.build(settings)
        assert abs(math.log(training.count(found) / parameters)) < 0.6
        assert training.count(found) == found.num_parameters()
        mlp = sum(p.numel() for n, p in found.named_parameters() if "mlp" in n)
        attention = sum(p.numel() for n, p in found.named_parameters() if "attn" in n)
        assert shape == "balanced" or (mlp > attention) == (shape == "mlp")


def test_a_small_model_learns_people():
    population = Population(12, syllables=2, alphabet=8, attributes=2, values=8)
    settings = training.config("llama", "balanced", 32, 2, population.vocabulary, population.length)
    found = training.learn(population, settings, training.Recipe(250, 4, 0.1))
    assert found.right == 1.0
    assert found.bits == pytest.approx(12 * (6 + 6 - math.log2(12)), rel=0.1)
    assert found.bits <= population.bits * 1.1
    assert found.bits_int8 == pytest.approx(found.bits, rel=0.05)
    assert found.steps == 750
    untrained = training.learn(population, settings, training.Recipe(0, 4, 0.1))
    assert untrained.bits < 0.1 * found.bits


def test_rounding_leaves_255_levels():
    settings = training.config("gpt2", "balanced", 16, 1, 40, 10)
    found = training.build(settings)
    before = {n: p.detach().clone() for n, p in found.named_parameters()}
    training.round_to_int8(found)
    for name, p in found.named_parameters():
        if p.ndim == 2:
            step = before[name].abs().amax(1, keepdim=True) / 127
            assert (p - before[name]).abs().le(step / 2 + 1e-7).all()
            assert torch.allclose(p / step, (p / step).round(), atol=1e-3)
        else:
            assert torch.equal(p, before[name])


def test_people_as_a_table():
    table = people_table(20, seed=1)
    assert (len(table), len(table.subjects), len(table.relations)) == (100, 20, 5)
    assert table.hash == people_table(20, seed=1).hash != people_table(20, seed=2).hash
    for relation in table.relations:
        assert len(set(table.select(relation).answer)) <= 32


# -- the study -----------------------------------------------------------------------------------------------


def tiny() -> CapacityLM:
    series = [
        TrainedSeries(architecture=a, exposures=3, sizes=(2_000, 4_000), loads=(1.0, 2.0))
        for a in ("llama", "gpt2")
    ]
    return CapacityLM(series=tuple(series), beside=(Beside(kind="gated", sizes=(4,)),), seeds=(0, 1))


def test_the_study_runs_and_is_drawn(tmp_path: Path):
    done = reproduce("capacity-lm", tmp_path, study=tiny(), workers=1)
    data = json.loads((tmp_path / "capacity-lm.json").read_text())
    assert data["series"] == done.data["series"]
    for s in data["series"]:
        for p in s["points"]:
            assert p["bits_per_parameter"] <= p["table_bits"] / p["parameters"] * 1.05
            assert [r["seed"] for r in p["runs"]] == [0, 1]
    (gated,) = data["beside"]
    assert 0.5 < gated["points"][0]["bits_per_parameter"] < 4
    assert {f.suffix for f in done.files} == {".png", ".svg", ".json"}


def test_a_compiled_table_of_people_is_measured():
    (cell,) = CapacityLM(series=(), beside=(Beside(kind="compiled", sizes=(10,)),)).cells()
    found = cell.run()
    assert found["recall"] == 1.0
    table = people_table(10)
    exact = sum(math.log2(len(set(table.select(r).answer))) for r in table.relation)
    assert found["bits"] == pytest.approx(exact, rel=0.01)


def test_scales_grow_and_every_cell_is_known():
    sizes = [CapacityLM.at_scale(scale).cells() for scale in ("smoke", "laptop", "paper")]
    assert [len(c) for c in sizes] == sorted(len(c) for c in sizes)
    for cells in sizes:
        assert len({c.hash for c in cells}) == len(cells)
        assert {c.function for c in cells} <= {"trained-lm", "compiled-lm", "capacity"}
    assert isinstance(sizes[0][0], Cell)


def test_the_gpu_script_runs_with_little_installed():
    """Neither pydantic nor jaxtyping nor scipy is imported on the way."""
    code = (
        "import sys; sys.argv = ['gpu', '--smoke', '--device', 'cpu']\n"
        "for name in ('pydantic', 'jaxtyping', 'cyclopts', 'matplotlib'): sys.modules[name] = None\n"
        "import runpy; runpy.run_path('scripts/gpu_capacity_lm.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert [m["architecture"] for m in found["models"]] == ["llama", "gpt2"]
    assert all(m["bits_per_parameter"] >= 0 for m in found["models"])
    assert dataclasses.fields(training.Learnt)[0].name in found["models"][0]
