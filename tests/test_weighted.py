"""Facts that are asked with different frequencies: weights, weighted recall, the law of the head, limits."""

import numpy as np
import pytest
import torch

import factweights as fw
from factweights import theory
from factweights.editing.associations import edit_facts
from factweights.errors import FactsError, LawError, SettingError, ShapeError

FACTS = fw.Associations.spherical(40, 12, seed=1)


def test_weights_add_up_to_one_and_travel_with_the_facts(tmp_path):
    p = theory.power_law(40, 1.0)
    facts = FACTS.weighted(3 * p)
    assert facts.weights is not None
    np.testing.assert_allclose(facts.weights, p, rtol=1e-12)
    some = facts.subset(slice(10, 20))
    assert some.weights is not None
    np.testing.assert_allclose(some.weights, p[10:20] / p[10:20].sum(), rtol=1e-12)
    assert facts.hash != FACTS.hash
    facts.write(tmp_path / "facts.safetensors")
    again = fw.Associations.read(tmp_path / "facts.safetensors")
    assert again.weights is not None
    assert torch.equal(again.weights, facts.weights)
    assert again.hash == facts.hash


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        (np.ones(39), ShapeError),
        (np.zeros(40), FactsError),
        (np.r_[-1.0, np.ones(39)], FactsError),
        (np.r_[np.nan, np.ones(39)], FactsError),
        (np.r_[np.inf, np.ones(39)], FactsError),
        (np.ones((40, 2)), ShapeError),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, error):
    with pytest.raises(error):
        FACTS.weighted(weights)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.5])
def test_weighted_recall_is_the_sum_of_p_over_facts_recalled(alpha):
    facts = FACTS.weighted(theory.power_law(40, alpha))
    memory = fw.Hebbian().store(facts)
    c = fw.verify(memory, facts)
    scores = facts.keys.double() @ memory.weight.double().T @ facts.values.double().T
    right = scores.argmax(1) == facts.targets
    assert facts.weights is not None
    assert c.weighted_recall == pytest.approx(float(facts.weights[right].sum()), abs=1e-12)
    assert c.recall == pytest.approx(float(right.double().mean()), abs=1e-12)
    assert 0 < c.recall < 1  # neither of the two is vacuous here
    assert "weighted_recall" in c.to_dict()
    assert c.weighted_proved is not None
    assert c.weighted_proved <= c.weighted_recall
    plain = fw.verify(memory, FACTS)
    assert plain.weighted_recall is None
    assert "weighted_recall" not in plain.to_dict()


def test_hebbian_weighs_outer_products_by_how_often_they_are_asked():
    p = theory.power_law(40, 1.0)
    weight = fw.Hebbian().store(FACTS.weighted(p)).weight
    expected = sum(
        40 * p[i] * torch.outer(FACTS.values[t], FACTS.keys[i]) for i, t in enumerate(FACTS.targets.tolist())
    )
    assert isinstance(expected, torch.Tensor)
    torch.testing.assert_close(weight, expected.to(weight), rtol=1e-5, atol=1e-5)
    even = fw.Hebbian().store(FACTS.weighted(np.ones(40))).weight
    torch.testing.assert_close(even, fw.Hebbian().store(FACTS).weight, rtol=1e-5, atol=1e-6)


def test_the_weighted_sum_serves_what_is_asked_better_than_the_plain_one():
    gains = []
    for seed in range(8):
        facts = fw.Associations.spherical(300, 16, seed=seed)
        asked = facts.weighted(theory.power_law(300, 1.0))
        weighted = fw.verify(fw.Hebbian().store(asked), asked).weighted_recall
        plain = fw.verify(fw.Hebbian().store(facts), asked).weighted_recall
        assert weighted is not None
        assert plain is not None
        gains.append(weighted - plain)
    assert min(gains) > 0.05


def test_an_exact_matrix_of_the_head_reaches_the_law_for_weighted_recall():
    d, n, alpha = 16, 400, 1.0
    facts = fw.Associations.spherical(n, d, seed=0).weighted(theory.power_law(n, alpha))
    head = int(0.9 * theory.linear_capacity(d, d, n))  # all n outputs compete
    memory = fw.ExactLinear(stop="first").store(facts.subset(slice(0, head)))
    found = fw.verify(memory, facts).weighted_recall
    law = theory.weighted_recall(n, d, d, alpha)
    assert facts.weights is not None
    assert found is not None
    assert found >= float(facts.weights[:head].sum())  # the head, and some of the rest by luck
    assert abs(found - law) < 0.05
    nats = memory.weight.numel() * 32  # bits that the weights can take
    assert theory.minimal_cross_entropy(nats, n, theory.power_law(n, alpha)) < np.log(n)


def test_shares_and_capacities_of_the_head():
    assert theory.head_share(100, 100, 1.0) == 1.0
    assert theory.head_share(100, 10, 0.0) == pytest.approx(0.1)
    assert theory.head_share(100, 10.5, 0.0) == pytest.approx(0.105)
    n = theory.weighted_capacity(16, 16, 1.0, 0.9)
    assert (
        theory.weighted_recall(int(n), 16, 16, 1.0) >= 0.9 > theory.weighted_recall(int(n) + 2, 16, 16, 1.0)
    )
    assert n > theory.linear_capacity(16, 16)
    with pytest.raises(LawError, match="exponent"):
        theory.weighted_capacity(16, 16, 3.0, 0.5, outputs=8)
    with pytest.raises(SettingError):
        theory.power_law(0, 1.0)
    with pytest.raises(SettingError):
        theory.head_share(10, -1, 1.0)


def test_weighted_facts_are_not_edited_without_a_word():
    facts = FACTS.weighted(theory.power_law(40, 1.0))
    with pytest.raises(FactsError, match="weigh the result"):
        edit_facts(facts, remove=[0])
    assert len(edit_facts(FACTS, remove=[0])) == 39
