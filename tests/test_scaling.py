"""Every method's measured capacity grows with the dimension as its prediction does."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import factweights as fw
from factweights import theory
from factweights.methods import METHODS, Method


@dataclass(frozen=True)
class Case:
    """A method at several sizes, what predicts its capacity there, and how near the exponents must be."""

    name: str
    method: Callable[[int], Method]
    sizes: tuple[int, ...]
    predicted: Callable[[int], float]
    within: float
    recall: float = 1.0
    seeds: int = 3


def log_corrected_square(d: int) -> float:
    """N ln N ∝ d²: the shape shared by all full matrices without a law of their own."""
    return theory.hebbian_capacity(d, "every")


CASES = [
    Case("hebbian", lambda d: fw.Hebbian(), (32, 45, 64, 91, 128), log_corrected_square, 0.25, seeds=7),
    Case(
        "hebbian",
        lambda d: fw.Hebbian(),
        (32, 64, 128, 256),
        lambda d: theory.hebbian_capacity(d, "0.99"),
        0.15,
        recall=0.99,
        seeds=5,
    ),
    Case(
        "tail-average",
        lambda d: fw.TailAverage(share=0.25),
        (12, 16, 23, 32),
        lambda d: theory.tail_average_capacity(d, d, 0.25),
        0.15,
        seeds=3,
    ),
    Case("ridge", lambda d: fw.Ridge(), (16, 23, 32, 45, 64), log_corrected_square, 0.3, seeds=5),
    Case(
        "exact-linear",
        lambda d: fw.ExactLinear(),
        (8, 16, 23, 32, 45),
        lambda d: theory.linear_capacity(d, d),
        0.08,
    ),
    Case(
        "paper-adam",
        lambda d: fw.PaperAdam(max_steps=400),
        (8, 11, 16),
        lambda d: theory.linear_capacity(d, d),
        0.2,
        recall=0.99,
        seeds=1,
    ),
    Case(
        "low-rank-fit",
        lambda d: fw.LowRankFit(rank=d // 4, max_evaluations=250),
        (16, 20, 28),
        lambda d: theory.low_rank_capacity(d, d // 4),
        0.2,
        seeds=2,
    ),
    Case(
        "low-rank-hebbian",
        lambda d: fw.LowRankHebbian(rank=d // 4),
        (32, 48, 64, 96, 128),
        log_corrected_square,
        0.35,
        seeds=9,
    ),
    Case(
        "random-features",
        lambda d: fw.RandomFeatures(width=d, stop="first"),
        (12, 16, 24),
        lambda d: theory.feature_capacity(d, d),
        0.2,
    ),
    Case(
        "encoder-decoder",
        lambda d: fw.EncoderDecoder(width=3 * d, code_dim=24),
        (24, 36, 48),
        lambda d: float(d * d),
        0.3,
        seeds=1,
    ),
    # Leading order only: at these sizes the terms 1/d and 3/m of the noise still fall, which steepens both.
    Case("hermite-ntk", lambda d: fw.HermiteNTK(width=16 * d), (24, 36, 48), log_corrected_square, 1.0),
    Case(
        "gated-hebbian", lambda d: fw.GatedHebbian(width=2 * d), (16, 24, 36, 48), log_corrected_square, 0.4
    ),
    Case(
        "gated-fit",
        lambda d: fw.GatedFit(width=d // 4, max_evaluations=250),
        (24, 32, 44),
        lambda d: theory.facts_for_budget(2.0 * 3 * (d // 4) * d),
        0.25,
        seeds=1,
    ),
    Case(
        "mlp-fit",
        lambda d: fw.MLPFit(width=d, max_evaluations=300),
        (12, 16, 22),
        lambda d: theory.facts_for_budget(1.5 * 2 * d * d),
        0.5,  # ReLU starts vary by a fifth at these sizes
        recall=0.99,
        seeds=1,
    ),
    Case(
        "paper-adam-mlp",
        lambda d: fw.PaperAdamMLP(width=d, max_steps=500),
        (8, 12, 16),
        lambda d: theory.mlp_guide_capacity(d * d),
        0.5,
        recall=0.99,
        seeds=1,
    ),
]


def test_no_method_is_left_out():
    assert {c.name for c in CASES} == set(METHODS)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.name}-{c.recall:g}")
def test_the_exponent_is_the_predicted_one(case: Case):
    measured = [
        fw.capacity(case.method(d), d=d, recall=case.recall, seeds=case.seeds, tolerance=0.03).facts
        for d in case.sizes
    ]
    x = np.log([float(d) for d in case.sizes])
    slope = np.polyfit(x, np.log(measured), 1)[0]
    law = np.polyfit(x, np.log([case.predicted(d) for d in case.sizes]), 1)[0]
    assert slope == pytest.approx(law, abs=case.within), (measured, slope, law)


@pytest.mark.slow
@pytest.mark.parametrize(("d", "published"), [(64, 109), (128, 451), (256, 1699)])
def test_the_hebbian_constant_at_recall_099(d: int, published: int):
    measured = fw.capacity(fw.Hebbian(), d=d, recall=0.99, seeds=9).facts
    assert measured == pytest.approx(0.026 * d * d, rel=0.2)
    assert measured == pytest.approx(published, rel=0.2)


def test_the_two_hebbian_criteria():
    """d² = 8 N ln N marks where every fact is right, 2 N ln N where a typical one is."""
    d = 256
    every = round(theory.hebbian_capacity(d, "every"))
    typical = round(theory.hebbian_capacity(d, "typical"))
    assert every * 8 * math.log(every) == pytest.approx(d * d, rel=0.01)
    recalls = []
    for n in (every, typical):
        facts = fw.Associations.spherical(n, d, seed=0)
        recalls.append(fw.verify(fw.Hebbian().store(facts), facts).recall)
    assert recalls[0] > 0.995
    assert 0.5 < recalls[1] < 0.8  # the typical fact is on the verge, those with luckier noise are right


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [2, 8, 16, 32, 64, 128])
def test_non_injective_targets_follow_the_law(outputs: int):
    c = fw.capacity(fw.ExactLinear(), d=32, outputs=outputs, seeds=3, tolerance=0.02)
    assert c.proved == "both sides"
    assert c.facts == pytest.approx(theory.linear_capacity(32, 32, outputs), rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("d", [24, 48])
def test_injective_capacity_lies_a_little_above_the_law(d: int):
    """A finding: shared competitors cost less than fresh ones; tests/test_shared.py has the law that fits."""
    c = fw.capacity(fw.ExactLinear(), d=d, seeds=3, tolerance=0.02)
    assert c.proved == "both sides"
    assert 1.0 < c.facts / theory.linear_capacity(d, d) < 1.1


def test_exact_linear_holds_at_least_what_the_papers_recipe_finds():
    adam = fw.capacity(fw.PaperAdam(max_steps=1000), d=16, recall=0.99, seeds=1)
    exact = fw.capacity(fw.ExactLinear(), d=16, recall=0.99, seeds=1)
    assert exact.runs[0].facts >= adam.runs[0].facts
