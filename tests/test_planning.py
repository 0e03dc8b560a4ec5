"""Plans: parameters from laws and constants, limits beside them, and real builds that agree within 10 %."""

import json
import shlex

import pytest

import factweights as fw
from factweights import theory
from factweights.cli import run
from factweights.errors import SettingError, UnknownNameError
from factweights.methods import GatedFit, MLPFit
from factweights.planning import MEMORIES, plan
from factweights.sizing.probing import probe


def test_every_memory_is_planned():
    made = plan(facts=100_000, answers=5_000)
    assert [m.memory for m in made.memories] == list(MEMORIES)
    linear, mlp, gated, transformer = made.memories
    law = theory.smallest_d(100_000, 5_000, 20)
    assert law < linear.d <= 1.03 * law
    assert linear.parameters == linear.d**2
    assert mlp.parameters == mlp.width * (2 * mlp.d + 1)
    assert gated.parameters == 3 * gated.width * gated.d
    assert (
        transformer.parameters
        == 4 * 8 * transformer.head_dim * transformer.d + 2 * transformer.width * transformer.d
    )
    for m in made.memories:
        assert m.possible
        assert m.bits_per_parameter == pytest.approx(theory.bits_of_facts(100_000, 5_000) / m.parameters)
        assert m.over_information == pytest.approx(32 / m.bits_per_parameter)
        assert m.over_limit is None or m.over_limit > 1
        assert m.notes
    assert linear.over_limit == pytest.approx(
        linear.parameters / theory.counting_parameters(100_000, 5_000, 1)
    )
    assert gated.over_limit is None  # Warren's count is for polynomials, SiLU is none
    assert json.loads(json.dumps(made.to_dict()))["bits"] == made.bits
    assert "100,000 facts, 5,000 answers" in str(made)
    assert len(made.to_pandas()) == 4


def test_a_given_d_is_kept_or_refused():
    (gated,) = plan(facts=2_000, answers=100, d=64, memory="gated").memories
    assert (gated.d, gated.possible) == (64, True)
    (linear,) = plan(facts=2_000, d=64, memory="linear").memories
    assert not linear.possible
    assert "a matrix needs d = " in linear.notes[0]
    assert linear.command is None
    assert "not possible at d = 64" in str(plan(facts=2_000, d=64, memory="linear"))
    (small,) = plan(facts=2_000, d=8, memory="gated").memories
    assert small.possible  # SiLU gates have no d (d + 1) / 2 features to run out of


def test_the_transformer_asks_for_answers_per_relation():
    (few,) = plan(facts=1024, memory="transformer").memories
    (more,) = plan(facts=1024, answers=64, memory="transformer").memories
    assert 1.6 < more.parameters / few.parameters < 2.2  # larger ones hold more for each
    assert any("8 answers per relation only" in note for note in more.notes)
    assert not any("8 answers per relation only" in note for note in few.notes)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"facts": 1}, SettingError, "facts cannot be 1: give a whole number from 2"),
        ({"facts": 10, "answers": 11}, SettingError, "answers from 2 to facts"),
        ({"facts": 10, "answers": 1}, SettingError, "answers cannot be 1"),
        ({"facts": 10, "d": 0}, SettingError, "d cannot be 0"),
        ({"facts": 10, "memory": "gatd"}, UnknownNameError, "did you mean 'gated'"),
    ],
)
def test_sizes_that_mean_nothing(given, error, said):
    with pytest.raises(error, match=said):
        plan(**given)


@pytest.mark.parametrize("memory", ["linear", "mlp", "gated"])
@pytest.mark.parametrize(("n", "m"), [(100, 100), (300, 300), (300, 5)])
def test_a_planned_command_succeeds(memory, n, m, capsys):
    (planned,) = plan(facts=n, answers=m, memory=memory).memories
    assert planned.possible
    words = shlex.split(planned.command)
    assert words[0] == "factweights"
    assert run([*words[1:], "--json"]) == 0
    stored = json.loads(capsys.readouterr().out)
    assert (stored["facts"], stored["outputs"], stored["recall"]) == (n, m, 1.0)
    assert stored["parameters"] == planned.parameters


def test_sizes_off_the_grid_that_once_failed():
    """Issue 13: 300 facts at d = 16 and 1,000 at d = 24 were planned too narrow."""
    for memory, n, d in (("gated", 300, 16), ("mlp", 1000, 24)):
        (planned,) = plan(facts=n, d=d, memory=memory).memories
        facts = fw.Associations.spherical(n, d, seed=0)
        made = {"gated": GatedFit, "mlp": MLPFit}[memory](planned.width, activation="silu")
        assert probe(made, facts, 1.0).verdict == "fits"


def test_any_number_is_answered_at_once():
    made = plan(facts=10**15, answers=5)
    assert all(m.possible and m.command is None for m in made.memories)
    assert "beyond" in str(made)
