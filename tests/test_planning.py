"""Plans: parameters from laws and constants, limits beside them, and real builds that agree within 10 %."""

import json

import pytest

import factweights as fw
from factweights import theory
from factweights.capacity.probing import probe
from factweights.errors import SettingError, UnknownNameError
from factweights.methods import GatedFit
from factweights.planning import MEMORIES, plan


def test_every_memory_is_planned():
    made = plan(facts=100_000, answers=5_000)
    assert [m.memory for m in made.memories] == list(MEMORIES)
    linear, mlp, gated, transformer = made.memories
    assert linear.d == theory.smallest_d(100_000, 5_000, 20)
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
    assert gated.over_limit == pytest.approx(gated.parameters / theory.counting_parameters(100_000, 5_000, 3))
    assert json.loads(json.dumps(made.to_dict()))["bits"] == made.bits
    assert "100,000 facts, 5,000 answers" in str(made)
    assert len(made.to_pandas()) == 4


def test_a_given_d_is_kept_or_refused():
    (gated,) = plan(facts=2_000, answers=100, d=64, memory="gated").memories
    assert (gated.d, gated.possible) == (64, True)
    (linear,) = plan(facts=2_000, d=64, memory="linear").memories
    assert not linear.possible
    assert "a matrix needs d = " in linear.notes[0]
    (small,) = plan(facts=2_000, d=8, memory="gated").memories
    assert not small.possible
    assert "not possible at d = 8" in str(plan(facts=2_000, d=8, memory="gated"))


def test_the_transformer_asks_for_answers_per_relation():
    (few,) = plan(facts=1024, memory="transformer").memories
    (more,) = plan(facts=1024, answers=64, memory="transformer").memories
    assert 1.6 < more.parameters / few.parameters < 2.2  # larger ones hold more for each
    assert any("8 answers per relation only" in note for note in more.notes)
    assert not any("8 answers per relation only" in note for note in few.notes)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"facts": 1}, SettingError, "2 or more facts"),
        ({"facts": 10, "answers": 11}, SettingError, "2 to N answers"),
        ({"facts": 10, "d": 0}, SettingError, "d is 0"),
        ({"facts": 10, "memory": "gatd"}, UnknownNameError, "did you mean 'gated'"),
    ],
)
def test_sizes_that_mean_nothing(given, error, said):
    with pytest.raises(error, match=said):
        plan(**given)


@pytest.mark.parametrize(("n", "m"), [(120, 120), (300, 30)])
def test_a_planned_matrix_is_within_ten_per_cent_of_the_smallest(n, m):
    (planned,) = plan(facts=n, answers=m, memory="linear").memories

    def facts(d: int) -> fw.Associations:
        return fw.Associations.spherical(n, d, seed=0, outputs=None if m == n else m, assignment="balanced")

    found = fw.smallest_d(facts)
    assert found.proved == "both sides"
    assert planned.parameters == pytest.approx(found.size**2, rel=0.1)


def test_a_planned_gated_memory_is_within_ten_per_cent_of_the_smallest():
    n, d = 512, 48
    (planned,) = plan(facts=n, d=d, memory="gated").memories
    facts = fw.Associations.spherical(n, d, seed=1)
    wide = -(-11 * planned.width // 10)
    assert probe(GatedFit(wide), facts, 1.0, seed=1).verdict == "fits"
    narrow = 9 * planned.width // 10 - 1
    assert probe(GatedFit(narrow, max_evaluations=400), facts, 1.0, seed=1).verdict != "fits"
