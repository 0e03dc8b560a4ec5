"""Facts in embeddings, read by a selector of the relation: the construction, its certificate and its laws."""

import math

import numpy as np
import pytest
import torch

from factweights import theory
from factweights.errors import ShapeError, UnknownNameError
from factweights.memories import GatedMemory, MLPMemory
from factweights.methods.superposition import superpose
from factweights.studies import reproduce
from factweights.studies.figures.superposition import SuperpositionStudy
from factweights.studies.measuring.superposition import measure_superposition


def bijections(subjects: int, relations: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([rng.permutation(subjects) for _ in range(relations)]))


@pytest.mark.parametrize(("selector", "kind"), [("product", GatedMemory), ("relu", MLPMemory)])
def test_the_selector_turns_every_sign_that_the_relation_has(selector, kind):
    made = superpose(bijections(6, 3), 20, selector=selector, seed=1)
    assert isinstance(made.memory, kind)
    for r in range(3):
        for s in range(6):
            expected = sum(
                made.signs[r] * made.signs[q] * made.answers[made.answer_of[q, s]] for q in range(3)
            )
            key = torch.cat([made.subjects[s], torch.eye(3, dtype=torch.float64)[r]])
            assert torch.allclose(made.memory(key), torch.as_tensor(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("selector", ["product", "relu"])
@pytest.mark.parametrize(("subjects", "relations"), [(16, 2), (16, 8), (64, 4), (200, 5)])
def test_a_fifth_above_its_law_nearly_every_draw_recalls_every_fact(subjects, relations, selector):
    d = math.ceil(1.2 * theory.superposition_dimension(subjects, relations))
    facts = bijections(subjects, relations)
    found = [superpose(facts, d, selector=selector, seed=s).verify() for s in range(3)]
    assert all(c.facts == subjects * relations for c in found)
    assert sum(c.recall == 1.0 and c.n_proved == c.facts for c in found) >= 2
    low = superpose(facts, d // 3, selector=selector).verify()
    assert low.n_missed > 0


def test_the_certificate_says_what_a_plain_lookup_says():
    made = superpose(bijections(32, 4), 60)
    right = 0
    for r in range(4):
        scores = (made.signs[r] * made.subjects) @ made.answers.T
        right += int((scores.argmax(1) == made.answer_of[r]).sum())
    assert made.verify().recall == right / 128
    assert 0.5 < right / 128 < 1.0  # both answers occur


def test_fitted_embeddings_need_fewer_dimensions_and_no_other_selector():
    facts = bijections(32, 4)
    d = math.ceil(1.8 * theory.best_superposition_dimension(32, 4))
    assert d < theory.superposition_dimension(32, 4) / 2
    plain, fitted = superpose(facts, d), superpose(facts, d, embedding="fit")
    assert plain.verify().recall < 0.95
    assert fitted.verify().recall == 1.0
    assert fitted.memory.hash == plain.memory.hash  # the facts lie in the embeddings alone


def test_the_selector_serves_facts_that_it_never_saw():
    one, other = (superpose(bijections(32, 4, seed), 140, seed=3) for seed in (1, 2))
    assert one.memory.hash == other.memory.hash
    assert one.facts.hash != other.facts.hash
    assert one.verify().recall == other.verify().recall == 1.0


def test_laws_of_superposition():
    # misses in expectation at the law's d are ln 2
    N, R = 256, 8
    x = math.sqrt(theory.superposition_dimension(N, R) / (2 * R - 1))
    misses = R * N * (N - 1) * math.erfc(x / math.sqrt(2)) / 2
    assert misses == pytest.approx(math.log(2))
    assert theory.superposition_dimension(1e30, 1e6) / (1e6 * math.log(1e30)) == pytest.approx(8, rel=0.15)
    assert theory.best_superposition_dimension(N, R) == pytest.approx(R * theory.delta(N))
    with pytest.raises(ValueError, match="subjects"):
        theory.superposition_dimension(1, 4)


def test_the_search_brackets_the_least_dimension():
    found = measure_superposition(24, 4, "sum", 0)
    assert found["failed_at"] < found["d"] <= found["failed_at"] * 1.03 + 1
    assert found["recall"] == found["recall_relu"] == 1.0
    assert found["proved"] == found["facts"] == 96
    rng = np.random.default_rng([0, 0x5E1EC7])
    facts = torch.from_numpy(np.stack([rng.permutation(24) for _ in range(4)]))
    assert superpose(facts, found["failed_at"]).verify().n_missed > 0


def test_what_is_no_bijection_is_refused():
    with pytest.raises(ShapeError, match="permutation"):
        superpose(torch.tensor([[0, 0, 1]]), 4)
    with pytest.raises(ShapeError, match="permutation"):
        superpose(torch.zeros(0, 3, dtype=torch.int64), 4)
    with pytest.raises(UnknownNameError, match="selector"):
        superpose(bijections(3, 2), 4, selector="gates")
    with pytest.raises(UnknownNameError, match="embedding"):
        superpose(bijections(3, 2), 4, embedding="product")


def test_the_study_runs_and_is_drawn(tmp_path):
    study = SuperpositionStudy(scale="test", subjects=(8, 16), relations=(2, 4), seeds=(0, 1))
    done = reproduce("superposition", tmp_path, study=study, workers=1)
    sums, fits = done.data["series"]
    for a, b in zip(sums["points"], fits["points"], strict=True):
        assert (a["subjects"], a["relations"]) == (b["subjects"], b["relations"])
        assert b["d"] < a["d"]
        assert a["size"] == pytest.approx(a["relations"] * math.log(a["subjects"]))
    assert (tmp_path / "superposition.png").exists()
    assert [len(t.rows) for t in SuperpositionStudy.tables(done.data)] == [4, 4]
    sizes = [len(SuperpositionStudy.at_scale(s).cells()) for s in ("smoke", "laptop", "paper")]
    assert sizes == sorted(sizes)
