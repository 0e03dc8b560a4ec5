"""Tail-average margins: against their definition and a linear programme, the law against capacity."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import norm

import factweights as fw
from factweights import theory
from factweights.certificates import averaged, bound_margins, least_tail_margins
from factweights.errors import LawError, SettingError
from factweights.methods.tail_average import TailLoss
from factweights.sizing.probing import probe


def plain_tail(scores: np.ndarray, target: int, k: float) -> float:
    """Score of the target less the mean of the k best others, the last one in part."""
    others = sorted(np.delete(scores, target), reverse=True)
    total, left = 0.0, k
    for z in others:
        part = min(1.0, left)
        total, left = total + part * z, left - part
        if left <= 0:
            break
    return scores[target] - total / k


def best_tail_margin(facts: fw.Associations, share: float) -> float:
    """The largest smallest tail-average margin of any W with entries in [−1, 1], by a linear programme.

    The mean of the k best is min_t t + Σ (z − t)₊/k: variables W, a t for each fact, an excess for each
    competitor, and the margin.
    """
    K, V, f = (x.numpy() for x in (facts.keys, facts.values, facts.targets))
    n, m, p = len(K), len(V), K.shape[1] * V.shape[1]
    k = averaged(share, m)
    size = p + n + n * (m - 1) + 1
    rows = []
    for i in range(n):
        row = np.zeros(size)  # margin + t + Σ e/k − z_f ≤ 0
        row[:p] = -np.outer(V[f[i]], K[i]).ravel()
        row[p + i], row[-1] = 1, 1
        first = p + n + i * (m - 1)
        row[first : first + m - 1] = 1 / k
        rows.append(row)
        for j, y in enumerate(y for y in range(m) if y != f[i]):
            row = np.zeros(size)  # z_y − t − e ≤ 0
            row[:p] = np.outer(V[y], K[i]).ravel()
            row[p + i], row[first + j] = -1, -1
            rows.append(row)
    bounds = [(-1, 1)] * p + [(None, None)] * n + [(0, None)] * (n * (m - 1)) + [(None, None)]
    cost = np.zeros(size)
    cost[-1] = -1
    found = linprog(cost, A_ub=np.array(rows), b_ub=np.zeros(len(rows)), bounds=bounds)
    assert found.status == 0
    return -float(found.fun)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.37, 0.8])
def test_margins_are_the_definition(share: float):
    facts = fw.Associations.spherical(23, 6, seed=1, outputs=17)
    memory = fw.Hebbian().store(facts)
    scores = (memory(facts.keys) @ facts.values.T).numpy()
    k = max(1.0, share * 16)
    plain = [plain_tail(s, f, k) for s, f in zip(scores, facts.targets.tolist(), strict=True)]
    found = fw.tail_margins(memory, facts, share)
    assert found.tolist() == pytest.approx(plain, abs=1e-12)
    least = least_tail_margins(memory, facts, share)
    assert least is not None
    assert bool((least < found).all())
    assert torch.allclose(least, found, atol=1e-9)
    if share == 0.02:  # less than one competitor: the usual margin
        assert torch.allclose(found, fw.margins(memory, facts))


def test_a_positive_tail_average_margin_is_a_place_among_the_best():
    facts = fw.Associations.spherical(90, 8, seed=0, outputs=40)
    share = 0.2
    rank = math.ceil(averaged(share, 40))
    memory = fw.TailAverage(share=share).solve(facts).memory
    scores = memory(facts.keys) @ facts.values.T
    right = scores.gather(1, facts.targets[:, None])
    leading = (scores > right).sum(1)
    above = fw.tail_margins(memory, facts, share) > 0
    assert int(above.sum()) > 0
    assert int(leading[above].max()) < rank


@pytest.mark.parametrize("k", [1.0, 2.4, 5.0])
def test_the_loss_is_its_definition_and_its_gradient_right(k: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("factweights.methods.tail_average.BLOCK", 40)
    facts = fw.Associations.spherical(13, 4, seed=2, outputs=9)
    loss = TailLoss(facts.keys, facts.values, facts.targets, k)
    rng = np.random.default_rng(0)
    W, step = (torch.from_numpy(rng.standard_normal((4, 4))) for _ in range(2))
    e = loss(W)
    total, memory = 0.0, fw.LinearMemory.from_weight(W)
    scores = (memory(facts.keys) @ facts.values.T).numpy()
    for z, f in zip(scores, facts.targets.tolist(), strict=True):
        w = np.clip(np.delete(z, f) - plain_level(np.delete(z, f), k), 0, 1) / k
        assert w.sum() == pytest.approx(1)
        total += 0.5 * max(0, 1 - z[f] + w @ np.delete(z, f) - 0.5 * k * w @ w) ** 2
    assert e.loss == pytest.approx(total)
    numeric = (loss(W + 1e-6 * step).loss - loss(W - 1e-6 * step).loss) / 2e-6
    assert float((e.gradient * step).sum()) == pytest.approx(numeric, rel=1e-6)
    true = [plain_tail(z, f, k) for z, f in zip(scores, facts.targets.tolist(), strict=True)]
    assert all(a <= b + 1e-12 for a, b in zip(e.margins.tolist(), true, strict=True))


def plain_level(z: np.ndarray, k: float) -> float:
    low, high = z.min() - 1, z.max()
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if np.clip(z - t, 0, 1).sum() >= k else (low, t)
    return low


@pytest.mark.parametrize("share", [0.15, 0.4, 0.7])
def test_verdicts_are_those_of_a_linear_programme(share: float):
    verdicts = set()
    for n in (3, 4, 6, 9, 14, 24):
        facts = fw.Associations.spherical(n, 3, seed=n, outputs=8)
        found = fw.TailAverage(share=share).solve(facts)
        best = best_tail_margin(facts, share)
        verdicts.add(found.storable)
        if found.storable:
            assert best > 0
            assert float(fw.tail_margins(found.memory, facts, share).min()) > 0
        else:
            assert found.storable is False
            assert best == pytest.approx(0, abs=1e-7)
    assert verdicts == {True, False}


def test_a_refutation_is_checked_in_the_given_coordinates_and_obeys_the_cap():
    facts = fw.Associations.spherical(200, 8, seed=0, outputs=30)
    share = 0.3
    found = fw.TailAverage(share=share).solve(facts)
    assert found.storable is False
    assert found.witness is not None
    assert bound_margins(facts, found.witness).relative <= 1e-6
    k, per_fact = averaged(share, 30), torch.zeros(200, dtype=torch.float64)
    per_fact.index_add_(0, found.witness.row, found.witness.weight)
    assert bool((found.witness.weight <= per_fact[found.witness.row] / k * (1 + 1e-8)).all())
    assert found.memory.witness is found.witness
    assert probe(fw.TailAverage(share=share), facts, 1.0).verdict == "refuted"


def test_a_share_of_one_competitor_is_full_recall():
    """Then the method decides what exact-linear decides."""
    seen = set()
    for n in (40, 60, 75, 100):
        facts = fw.Associations.spherical(n, 16, seed=3, outputs=20)
        listwise = fw.TailAverage(share=0.01).solve(facts).storable
        assert listwise == fw.ExactLinear().solve(facts).storable
        seen.add(listwise)
    assert seen == {True, False}


def test_store_keeps_the_dtype_and_tells_what_is_missed():
    facts = fw.Associations.spherical(60, 16, seed=0, dtype=torch.float32)
    method = fw.TailAverage(share=0.25)
    memory = method.store(facts)
    assert memory.weight.dtype == torch.float32
    assert method.unmet(memory, facts) == {}
    assert "tail-average margin" in method.unmet(fw.LinearMemory.from_weight(0 * memory.weight), facts)


def test_the_threshold_and_the_law():
    draws = np.sort(np.random.default_rng(0).standard_normal(400_000))[::-1]
    for r in (0.5, 0.25, 0.1, 0.05, 0.01):
        kappa = theory.tail_average_threshold(r)
        assert kappa == pytest.approx(draws[: int(r * len(draws))].mean(), rel=0.01)
        assert kappa == pytest.approx(norm.pdf(norm.isf(r)) / r)
        square = np.maximum(kappa - draws, 0) ** 2
        assert theory.tail_average_load(r) == pytest.approx(1 / square.mean(), rel=0.01)
    assert theory.tail_average_capacity(32, 32, 0.25) == pytest.approx(1024 * theory.tail_average_load(0.25))
    with pytest.raises(LawError, match="less than one"):
        theory.tail_average_capacity(8, 8, 0.01)
    with pytest.raises(LawError, match="span less"):
        theory.tail_average_capacity(32, 32, 0.25, outputs=16)
    with pytest.raises(SettingError, match="share"):
        theory.tail_average_threshold(0)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "low", "high"), [(0.5, 0.9, 1.15), (0.1, 1.05, 1.2)])
def test_measured_capacity_is_near_the_law_on_both_sides(share: float, low: float, high: float):
    """A finding: the law is low where r (M − 1) is small; both ends of the bracket are proved."""
    c = fw.capacity(fw.TailAverage(share=share), d=24, seeds=3, tolerance=0.02)
    assert c.proved == "both sides"
    assert c.law is not None
    assert low < c.facts / c.law < high


def test_key_noise_is_refused_and_the_command_line_knows_the_method(capsys: pytest.CaptureFixture[str]):
    from factweights.cli import run

    with pytest.raises(SettingError, match="key noise"):
        fw.capacity("tail-average", d=8, noise=0.1, seeds=1)
    code = run(["capacity", "tail-average", "--d", "12", "--setting", "share=0.25", "--seeds", "1"])
    assert code == 0
    said = capsys.readouterr().out
    assert "both sides" in said
    assert "law" in said
