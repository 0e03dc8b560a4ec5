"""Laws against closed forms, brute force and simulation; every draw is seeded."""

import inspect
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import linprog
from scipy.stats import norm

import factweights as fw
from factweights import theory
from factweights.errors import LawError, SettingError, UnknownNameError

DELTA = {2: 0.5, 8: 1.759194307, 32: 3.324312978, 128: 5.129408445, 1024: 8.156428827, 10**7: 23.677603609}


def sphere(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    x = rng.standard_normal((n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def storable(keys: np.ndarray, values: np.ndarray, targets: np.ndarray) -> bool:
    """Whether some W recalls all facts: a linear programme in W, margins at least 1."""
    rows = []
    for key, y in zip(keys, targets, strict=True):
        rivals = np.delete(values, y, axis=0) - values[y]
        rows.append(np.einsum("ro,i->roi", rivals, key).reshape(len(rivals), -1))
    a = np.concatenate(rows)
    done = linprog(np.zeros(a.shape[1]), A_ub=a, b_ub=-np.ones(len(a)), bounds=(None, None), method="highs")
    return bool(done.status == 0)


# -- δ(M) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outputs", "value"), DELTA.items())
def test_delta_has_its_known_values(outputs, value):
    assert theory.delta(outputs) == pytest.approx(value, abs=1e-8)


def test_delta_of_few_outputs_in_closed_form():
    assert theory.delta(2) == 1 / 2
    assert theory.delta(3) == pytest.approx(5 / 6, abs=1e-11)
    three_above = 1 / 8 + 3 * math.asin(-1 / 3) / (4 * math.pi)  # an orthant of three normals
    assert theory.delta(4) == pytest.approx((1 / 2 - three_above) + 2 / 4 + 3 * three_above, abs=1e-11)


@pytest.mark.parametrize("outputs", [2, 3, 4, 5, 17, 100, 2048, 10**5, 10**7, 10**12])
def test_pooled_probabilities_are_those_of_a_cone(outputs):
    p = theory.pooled_probabilities(outputs)
    assert p[0] == 1 / outputs
    assert p.sum() == pytest.approx(1, abs=1e-9)
    # Gauss-Bonnet: the faces of even and of odd dimension weigh the same. Nothing in the formula knows it.
    assert p[::2].sum() == pytest.approx(1 / 2, abs=1e-9)


@pytest.mark.parametrize("outputs", [2, 5, 32, 300])
def test_delta_is_both_the_squared_distance_and_the_number_pooled(outputs):
    rng = np.random.default_rng(outputs)
    g = rng.standard_normal((20_000, outputs))
    rivals = -np.sort(-g[:, 1:], axis=1)
    means = (g[:, :1] + np.cumsum(rivals, axis=1)) / np.arange(2, outputs + 1)
    means = np.concatenate([g[:, :1], means], axis=1)  # of g0 and the top k rivals, k = 0 … M−1
    pooled = (rivals > means[:, :-1]).sum(axis=1)
    t = means[np.arange(len(g)), pooled]
    distance = np.maximum(t - g[:, 0], 0) ** 2 + (np.maximum(rivals - t[:, None], 0) ** 2).sum(axis=1)
    for sample in (distance, pooled):
        assert abs(sample.mean() - theory.delta(outputs)) < 4 * sample.std() / math.sqrt(len(g))


def test_delta_rises_and_stays_below_its_limit():
    sizes = [2, 3, 4, 7, 20, 100, 101, 10**4, 10**6, 10**7, 10**9]
    values = [theory.delta(m) for m in sizes]
    assert values == sorted(values)
    assert all(v < 2 * math.log(m) for m, v in zip(sizes, values, strict=True))
    ratios = [v / (2 * math.log(m)) for m, v in zip(sizes[4:], values[4:], strict=True)]
    assert ratios == sorted(ratios)


# -- one matrix ------------------------------------------------------------------------------------------


def test_linear_law_at_its_known_points():
    measured = {16: 63, 32: 180, 48: 365, 64: 570}  # injective facts, exact fits
    for d, n in measured.items():
        assert theory.linear_capacity(d, d) == pytest.approx(n, rel=0.04)
    fits = {2: 67, 8: 137, 16: 189, 32: 289, 64: 247, 128: 198}  # d = 32
    for outputs, n in fits.items():
        assert theory.linear_capacity(32, 32, outputs) == pytest.approx(n, rel=0.08)
    assert theory.linear_capacity(32, 32, 2) == 64  # Cover: twice the dimension


def test_linear_law_lies_between_what_linear_programming_stores_and_what_it_does_not():
    d = 11
    n = theory.linear_capacity(d, d)
    rng = np.random.default_rng(3)
    below, above = [], []
    for _ in range(3):
        for factor, seen in ((0.8, below), (1.3, above)):
            size = round(factor * n)
            seen.append(storable(sphere(rng, size, d), sphere(rng, size, d), np.arange(size)))
    assert all(below)
    assert not any(above)


def test_linear_floors_are_stored_whatever_the_law_says():
    rng = np.random.default_rng(4)
    # narrow keys, wide values, injective: d_out + 1 facts
    assert theory.linear_floor(2, 12) == 13
    assert storable(sphere(rng, 13, 2), sphere(rng, 13, 12), np.arange(13))
    # more outputs than the law can serve: d_in facts
    assert theory.linear_floor(10, 2, 100) == 10
    assert storable(sphere(rng, 10, 10), sphere(rng, 100, 2), rng.integers(0, 100, 10))


def most(d: int, outputs: int | None) -> float:
    law = theory.where_it_applies(theory.linear_capacity, d, d, outputs)
    return max(law or 0.0, theory.linear_floor(d, d, outputs))


@pytest.mark.parametrize(
    ("law", "sizes", "reason"),
    [
        (theory.linear_capacity, (1, 5, None), "unit keys are ±1"),
        (theory.linear_capacity, (1, 5, 3), "unit keys are ±1"),
        (theory.linear_capacity, (4, 1, 3), "on a line"),
        (theory.linear_capacity, (2, 12, None), "linear algebra alone gives 13"),
        (theory.linear_capacity, (10, 2, 100), "linear algebra alone gives 10"),
        (theory.linear_capacity, (8, 2, 100), "linear algebra alone gives 8"),
        (theory.linear_capacity, (64, 2, None), "linear algebra alone gives 64"),
        (theory.low_rank_capacity, (1, 1, 2), "unit keys and values"),
        (theory.low_rank_capacity, (2, 2, 10_000), "linear algebra alone gives 2"),
        (theory.feature_capacity, (2, 40, 100), "linear algebra alone gives 40"),
        (theory.feature_capacity, (8, 1, None), "on a line"),
    ],
)
def test_the_laws_say_where_they_do_not_apply(law, sizes, reason: str):
    with pytest.raises(LawError, match=reason):
        law(*sizes)
    assert theory.where_it_applies(law, *sizes) is None


def test_the_shared_law_is_never_below_what_linear_algebra_gives():
    """A cone in R^d costs at most d dimensions, so N δ_d = d² gives at least d facts."""
    for d, outputs in ((2, 2000), (3, 500), (8, 100)):
        assert theory.shared_capacity(d, outputs, samples=200)[0] >= d


def test_one_dimension_holds_what_it_holds():
    """Two injective facts on a line: their unit keys are equal half of the time."""
    found = [fw.ExactLinear().solve(fw.Associations.spherical(2, 1, seed=s)).storable for s in range(40)]
    assert 0 < sum(map(bool, found)) < 40
    assert theory.smallest_d(2) == theory.smallest_d(2, 2) == 2
    assert fw.ExactLinear().predicted_capacity(1, 5) is None


@pytest.mark.parametrize("outputs", [None, 2, 3, 32, 1000])
def test_smallest_d_inverts_the_capacity(outputs):
    for n in (1, 2, 3, 4, 9, 40, 128, 1000, 5001):
        d = theory.smallest_d(n, outputs)
        assert (d > 1) == (n > (1 if outputs in (None, 2) else 0))
        if d > 1:
            assert most(d, outputs) >= n - 1e-6
        if d > 2:
            assert most(d - 1, outputs) < n


def test_bits_per_parameter_fall_from_two_to_their_limit():
    bits = [theory.bits_per_parameter(m) for m in (2, 4, 64, 1024, 10**7, 10**12)]
    assert bits[0] == 2
    assert bits == sorted(bits, reverse=True)
    assert bits[-1] > 1 / (2 * math.log(2))


def test_laws_of_the_form_n_log_n():
    for d in (4, 64, 1000):
        for constant, n in (
            (8, theory.hebbian_capacity(d, "every")),
            (2, theory.hebbian_capacity(d, "typical")),
            (2, theory.asymptotic_capacity(d)),
            (1.3, theory.paper_guide(d)),
        ):
            assert constant * n * math.log(n) == pytest.approx(d**2)
    assert theory.asymptotic_capacity(64) < theory.linear_capacity(64, 64)


def test_hebbian_rule_of_thumb_fits_what_was_measured():
    for d, n in {32: 26, 64: 109, 128: 451, 256: 1699}.items():
        assert theory.hebbian_capacity(d, "0.99") == pytest.approx(n, rel=0.06)
    rng = np.random.default_rng(5)
    keys, values = sphere(rng, 451, 128), sphere(rng, 451, 128)
    recall = ((keys @ keys.T @ values @ values.T).argmax(axis=1) == np.arange(451)).mean()
    assert recall == pytest.approx(0.99, abs=0.01)


@pytest.mark.parametrize("sharing", [1, 4])
def test_hebbian_noise_is_what_the_outer_product_shows(sharing):
    rng = np.random.default_rng(6)
    n, d = 120, 24
    right = []
    for _ in range(100):
        keys, values = sphere(rng, n, d), sphere(rng, n // sharing, d)
        chosen = values[np.arange(n) // sharing]
        right.append(((keys @ keys.T @ chosen) * chosen).sum(axis=1) - 1)
    assert np.mean(np.square(right)) == pytest.approx(theory.hebbian_noise(n, d, sharing), rel=0.03)


def test_low_rank_share_is_that_of_a_random_matrix():
    table = {1: 1, 1 / 2: 0.8937, 1 / 4: 0.6229, 1 / 8: 0.3759, 1 / 16: 0.2099}
    for kappa, share in table.items():
        assert theory.low_rank_fraction(kappa) == pytest.approx(share, abs=1e-4)
    rng = np.random.default_rng(7)
    for p, q in ((300, 300), (150, 300)):
        power = np.linalg.svd(rng.standard_normal((p, q)), compute_uv=False) ** 2
        for kappa in (0.1, 0.5, 0.9):
            share = power[: round(kappa * p)].sum() / power.sum()
            assert theory.low_rank_fraction(kappa, p / q) == pytest.approx(share, abs=0.01)


def test_low_rank_capacity():
    measured = {24: 338, 12: 250, 6: 167, 3: 100}
    for rank, n in measured.items():
        assert theory.low_rank_capacity(48, rank) == pytest.approx(n, rel=0.06)
    assert theory.low_rank_capacity(48, 48) == pytest.approx(theory.linear_capacity(48, 48))
    # nine outputs need eight directions and no more
    assert theory.low_rank_capacity(32, 8, outputs=9) == theory.linear_capacity(32, 32, 9)
    assert theory.low_rank_capacity(32, 4, outputs=9) < theory.linear_capacity(32, 32, 9)


def test_feature_capacity_is_the_linear_law_in_the_width():
    assert theory.feature_capacity(16, 40) == theory.linear_capacity(40, 16)
    assert theory.feature_capacity(16, 40, outputs=8) == theory.linear_capacity(40, 16, 8)
    n = theory.feature_capacity(32, 64)
    assert n * theory.delta(round(n)) == pytest.approx(32 * 64, rel=0.01)


def test_tail_average_load():
    table = {0.5: 0.658, 0.25: 0.388, 0.1: 0.246, 0.05: 0.190, 0.01: 0.123, 0.001: 0.081}
    for r, load in table.items():
        assert theory.tail_average_load(r) == pytest.approx(load, abs=6e-4)
        k = norm.pdf(norm.isf(r)) / r
        mean_square, _ = quad(lambda g, k=k: (k - g) ** 2 * norm.pdf(g), -12, k)
        assert theory.tail_average_load(r) == pytest.approx(1 / mean_square, rel=1e-6)


# -- MLP -------------------------------------------------------------------------------------------------


def test_mlp_guides_and_their_inverses():
    assert theory.mlp_guide_parameters(1000) == pytest.approx(350 * math.log(1000))
    assert theory.mlp_guide_parameters(1000, 32) == 1200
    for outputs in (None, 32):
        width_times_d = theory.mlp_guide_parameters(777, outputs)
        assert theory.mlp_guide_capacity(width_times_d, outputs) == pytest.approx(777)


def test_parameter_counts():
    d, m = 16, 40
    assert theory.paper_mlp_count(d, m) == m * d
    assert theory.mlp_count(d, m) == 2 * m * d + m
    assert theory.gated_count(d, m) == 3 * m * d
    assert theory.mlp_count(d, m, d_out=5) == m * d + m + 5 * m
    assert theory.gated_count(d, m, d_out=5) == 2 * m * d + 5 * m


@pytest.mark.parametrize(("n", "width", "d"), [(300, 400, 32), (60, 2000, 32), (1500, 100, 40)])
def test_ntk_noise_is_what_the_construction_shows(n, width, d):
    rng = np.random.default_rng(8)
    signal, noise = [], []
    for _ in range(12):
        keys, values = sphere(rng, n, d), sphere(rng, n, d)
        gates, columns = rng.standard_normal((width, d)), sphere(rng, width, d)
        gated = keys @ gates.T
        up = (gated * (values @ columns.T)).T @ keys / width
        scores = (keys @ up.T * gated) @ columns @ values.T
        signal.append(np.diag(scores).mean())
        noise.append((scores**2)[~np.eye(n, dtype=bool)].mean())
    measured = np.mean(noise) / np.mean(signal) ** 2
    assert measured == pytest.approx(theory.ntk_noise(n, width, d), rel=0.15)


# -- manners ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: theory.delta(1),
        lambda: theory.pooled_probabilities(0),
        lambda: theory.linear_capacity(0, 4),
        lambda: theory.linear_capacity(4, 4, 1),
        lambda: theory.linear_capacity(4, 1),
        lambda: theory.smallest_d(0),
        lambda: theory.bits_per_parameter(1),
        lambda: theory.asymptotic_capacity(0),
        lambda: theory.paper_guide(0),
        lambda: theory.hebbian_capacity(0),
        lambda: theory.hebbian_noise(3, 8, 4),
        lambda: theory.low_rank_fraction(0),
        lambda: theory.low_rank_fraction(0.5, 2),
        lambda: theory.low_rank_capacity(8, 9),
        lambda: theory.feature_capacity(8, 0),
        lambda: theory.tail_average_load(1.0),
        lambda: theory.mlp_guide_parameters(100, 16),
        lambda: theory.mlp_guide_capacity(-1),
        lambda: theory.ntk_noise(0, 8, 8),
        lambda: theory.mlp_count(8, 0),
        lambda: theory.minimal_cross_entropy(-1, 2, [1.0]),
        lambda: theory.minimal_cross_entropy(float("nan"), 2, [1.0]),
        lambda: theory.minimal_cross_entropy(1, 2, [0.5, 0.6]),
        lambda: theory.fano_bits(1, 2, -0.1),
        lambda: theory.power_law_loss(1, 2, 1.0),
        lambda: theory.recall_task_bits(4, 4, 8, 7),
        lambda: theory.recall_task_bits(4, 4, 8, 16, 2),
        lambda: theory.counting_bits(0, 1, 2),
        lambda: theory.counting_parameters(1, 1),
        lambda: theory.bits_of_facts(-1, 2),
    ],
)
def test_settings_without_meaning_are_refused(call):
    with pytest.raises(SettingError, match=r"give|only"):
        call()


def test_unknown_criterion_names_the_known_ones():
    unchecked = inspect.unwrap(theory.hebbian_capacity)  # past the shape and type checks of the test run
    with pytest.raises(UnknownNameError, match="did you mean 'every'"):
        unchecked(64, "evry")


def test_theory_imports_neither_torch_nor_scipy():
    code = (
        "import sys, factweights.theory as t; print({'torch', 'scipy'} & set(sys.modules)); print(t.delta(2))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["set()", "0.5"]
