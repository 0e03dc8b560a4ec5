"""Limits against brute force and convex optimisation on small cases; every draw is seeded."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from factweights import theory
from factweights.errors import SettingError


def test_minimal_cross_entropy_ends_and_middle():
    p = np.array([0.1, 0.6, 0.3])
    assert theory.minimal_cross_entropy(0, 8, p) == pytest.approx(math.log(8))
    assert theory.minimal_cross_entropy(9, 8, p) == pytest.approx(0)
    assert theory.minimal_cross_entropy(1e9, 8, p) == 0
    assert theory.minimal_cross_entropy(4.5, 8, p) == pytest.approx((0.3 / 2 + 0.1) * math.log(8))
    losses = [theory.minimal_cross_entropy(b, 8, p) for b in np.linspace(0, 10, 41)]
    assert losses == sorted(losses, reverse=True)


def test_minimal_cross_entropy_is_the_minimum_of_its_programme():
    rng = np.random.default_rng(9)
    for _ in range(20):
        n, outputs = int(rng.integers(1, 8)), int(rng.integers(2, 20))
        p = rng.dirichlet(np.ones(n))
        bits = float(rng.uniform(0, n * math.log2(outputs)))
        done = linprog(
            -p, A_ub=np.ones((1, n)), b_ub=[bits * math.log(2)], bounds=(0, math.log(outputs)), method="highs"
        )
        least = math.log(outputs) + done.fun
        assert theory.minimal_cross_entropy(bits, outputs, p) == pytest.approx(least, abs=1e-9)


def test_no_encoder_of_one_bit_beats_the_minimal_cross_entropy():
    p = np.array([0.5, 0.3, 0.2])
    tables = np.array(list(itertools.product([0, 1], repeat=3)))
    bound = theory.minimal_cross_entropy(1, 2, p)
    losses = []
    for code in itertools.product([0, 1], repeat=len(tables)):
        loss = 0.0
        for weights in (0, 1):
            seen = tables[np.array(code) == weights]
            if len(seen):
                ones = np.clip(seen.mean(axis=0), 1e-12, 1 - 1e-12)
                entropy = -ones * np.log(ones) - (1 - ones) * np.log(1 - ones)
                loss += len(seen) / len(tables) * float(p @ entropy)
        losses.append(loss)
    assert min(losses) == pytest.approx(bound, abs=1e-9)  # storing the most asked fact is best


def test_fano_ends_and_slope():
    assert theory.fano_bits(100, 32) == theory.bits_of_facts(100, 32) == 500
    assert theory.fano_bits(100, 32, 1 - 1 / 32) == 0
    assert theory.fano_bits(100, 32, 1) == 0
    assert theory.fano_bits(7, 1) == 0
    needed = [theory.fano_bits(100, 32, e) for e in np.linspace(0, 1, 41)]
    assert needed == sorted(needed, reverse=True)
    assert min(needed) >= 0


@pytest.mark.parametrize("error", [0.05, 0.2, 0.5])
def test_fano_is_the_least_information_of_any_channel(error):
    outputs = 3

    def information(flat: np.ndarray) -> float:
        channel = np.clip(flat.reshape(outputs, outputs), 1e-12, 1)
        return float((channel * np.log2(channel / channel.mean(axis=0))).sum() / outputs)

    rules = [
        {"type": "eq", "fun": lambda x: x.reshape(outputs, outputs).sum(axis=1) - 1},
        {"type": "ineq", "fun": lambda x: np.trace(x.reshape(outputs, outputs)) / outputs - (1 - error)},
    ]
    start = (np.eye(outputs) * 2 + np.arange(1, 10).reshape(3, 3) / 10).ravel()
    done = minimize(information, start / 3, bounds=[(0, 1)] * 9, constraints=rules, method="SLSQP")
    assert done.success
    assert theory.fano_bits(1, outputs, error) == pytest.approx(done.fun, abs=1e-5)


def test_power_law_loss():
    for alpha in (1.5, 2.0, 3.0):
        assert theory.power_law_loss(0, 32, alpha) == pytest.approx(math.log(32))
        a, b = (theory.power_law_loss(bits, 32, alpha) for bits in (1e6, 1e8))
        assert math.log(b / a) / math.log(100) == pytest.approx(1 - alpha, abs=1e-3)
    for bits in (0, 7, 1003.3):
        finite = theory.power_law_loss(bits, 32, 3.0, n_facts=200_000)
        assert theory.power_law_loss(bits, 32, 3.0) == pytest.approx(finite, rel=1e-4, abs=1e-9)
    assert theory.power_law_loss(30, 8, 0, n_facts=40) == pytest.approx(math.log(8) * 30 / 40)


@pytest.mark.parametrize(("subjects", "answers", "vocabulary"), [(1, 2, 3), (2, 2, 4), (3, 2, 5), (4, 3, 5)])
def test_recall_task_bits_bound_the_entropy_of_the_answers(subjects, answers, vocabulary):
    chances: dict[tuple[int, ...], float] = {}
    sets = list(itertools.combinations(range(vocabulary), answers))
    for s in sets:
        for row in itertools.product(s, repeat=subjects):
            chances[row] = chances.get(row, 0) + 1 / len(sets) / answers**subjects
    entropy = -sum(p * math.log2(p) for p in chances.values())
    bound = theory.recall_task_bits(subjects, 1, answers, vocabulary)
    assert subjects * math.log2(answers) < bound <= entropy + 1e-9
    assert theory.recall_task_bits(subjects, 5, answers, vocabulary) == pytest.approx(5 * bound)
    known_sets = theory.recall_task_bits(subjects, 1, answers, vocabulary, 0)
    assert known_sets == pytest.approx(subjects * math.log2(answers))


def test_counting_allows_all_that_a_perceptron_does():
    for parameters, n in itertools.product((1, 2, 5, 20), (1, 3, 8, 30, 200)):
        cover = 2 * sum(math.comb(n - 1, k) for k in range(parameters))
        assert math.log2(cover) <= theory.counting_bits(parameters, n, 2) + 1e-9
    for parameters in (1, 7, 100):  # every map of n ≤ P points in general position
        assert theory.counting_facts(parameters, 2) >= parameters


@pytest.mark.parametrize("outputs", [2, 3, 32, 1000])
@pytest.mark.parametrize("degree", [1, 3])
def test_counting_parameters_and_facts_are_where_the_bits_run_out(outputs, degree):
    for n in (10, 1000, 12345):
        p = theory.counting_parameters(n, outputs, degree)
        every = theory.bits_of_facts(n, outputs)
        assert theory.counting_bits(p, n, outputs, degree) == pytest.approx(every)
        if p > 1:
            assert theory.counting_bits(p - 1, n, outputs, degree) < every
        most = theory.counting_facts(p, outputs, degree)
        assert most >= n
        assert theory.counting_bits(p, most + 1, outputs, degree) < theory.bits_of_facts(most + 1, outputs)


@pytest.mark.parametrize("counts", [(1, 1, 1, 1), (2, 2), (3, 1), (4, 0), (2, 1, 1), (0,), (5,)])
def test_bits_of_a_map_count_the_maps(counts: tuple[int, ...]):
    n, m = sum(counts), len(counts)
    maps = sum(tuple(f.count(y) for y in range(m)) == counts for f in itertools.product(range(m), repeat=n))
    assert theory.map_bits(list(counts)) == pytest.approx(math.log2(maps))
    assert theory.map_bits(list(counts)) <= theory.bits_of_facts(n, m) + 1e-9


def test_a_permutation_has_fewer_bits_than_independent_answers():
    for d, n, width, independent, of_the_map in ((32, 256, 8, 2.67, 2.19), (64, 512, 9, 2.67, 2.24)):
        parameters = theory.gated_count(d, width)
        assert theory.bits_of_facts(n, n) / parameters == pytest.approx(independent, abs=0.006)
        assert theory.map_bits([1] * n) / parameters == pytest.approx(of_the_map, abs=0.006)
    total = theory.map_bits([1] * 100)
    assert theory.fano_bits(100, 100, 0.0, total) == total
    assert 0 < theory.fano_bits(100, 100, 0.1, total) < 0.9 * total
    assert theory.fano_bits(100, 100, 0.9, total) == 0.0
    for wrong in ([1.5], [-1], [[1]], [math.nan]):
        with pytest.raises(SettingError, match="counts"):
            theory.map_bits(wrong)
