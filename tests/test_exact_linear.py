"""ExactLinear and what it stands on, against independent solvers and plain references."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize_scalar

import factweights as fw
from factweights import theory
from factweights.certificates import Witness, bound_margins, margin_bound, margins, verify
from factweights.errors import SettingError, ShapeError
from factweights.methods.cone import ConeLoss
from factweights.methods.whiten import Whitened

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "certificates.py"


def constraint_rows(facts: fw.Associations) -> np.ndarray:
    """(v_f − v_y) ⊗ k for every fact and wrong output, as a dense matrix."""
    K, V, f = facts.keys.numpy(), facts.values.numpy(), facts.targets.numpy()
    return np.array(
        [np.outer(V[f[i]] - V[y], K[i]).ravel() for i in range(len(K)) for y in range(len(V)) if y != f[i]]
    )


def lp_margin(facts: fw.Associations) -> float:
    """The largest margin with entries of W in [−1, 1], by HiGHS: positive if and only if storable."""
    A = constraint_rows(facts)
    n = A.shape[1]
    c = np.zeros(n + 1)
    c[-1] = -1
    bounds = [(-1, 1)] * n + [(None, None)]
    r = linprog(c, A_ub=np.hstack([-A, np.ones((len(A), 1))]), b_ub=np.zeros(len(A)), bounds=bounds)
    assert r.status == 0
    return -r.fun


@pytest.mark.parametrize("d", [2, 3, 4, 5])
@pytest.mark.parametrize("outputs", [None, 2, 3, 6])
@pytest.mark.parametrize("load", [0.7, 0.95, 1.1, 1.5])
def test_agrees_with_an_independent_linear_programme(d: int, outputs: int | None, load: float):
    n = max(2, round(load * theory.linear_capacity(d, d, outputs)))
    for seed in range(3):
        facts = fw.Associations.spherical(n, d, outputs=outputs, seed=seed)
        solution = fw.ExactLinear().solve(facts)
        best = lp_margin(facts)
        assert solution.storable == (best > 1e-7), (n, seed, best)
        c = verify(solution.memory, facts)
        if solution.storable:
            assert c.recall == 1.0
            assert c.margin_bound is None
        else:
            assert c.recall < 1.0
            assert c.margin_bound is not None
            assert c.margin_bound < 1e-5


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 4), st.booleans())
def test_any_witness_bounds_any_matrix(seed: int, n: int, d: int, tied: bool):
    facts = fw.Associations.spherical(n, d, seed=seed, tied=tied)
    rng = np.random.default_rng(seed)
    row, col = np.nonzero(rng.random((n, n)) < 0.5)
    keep = col != facts.targets.numpy()[row]
    row, col = row[keep], col[keep]
    if not len(row):
        return
    weight = torch.from_numpy(rng.random(len(row)))
    bound = margin_bound(facts, Witness(torch.from_numpy(row), torch.from_numpy(col), weight))
    W = torch.from_numpy(rng.standard_normal((d, d)))
    memory = fw.LinearMemory.from_weight(W / W.norm())
    assert float(margins(memory, facts).min()) <= bound + 1e-12


def test_the_bound_is_that_of_the_plain_sum():
    facts = fw.Associations.spherical(30, 4, seed=1)
    memory = fw.ExactLinear().store(facts)
    w = memory.witness
    A = constraint_rows(facts)
    index = {(i, y): k for k, (i, y) in enumerate((i, y) for i in range(30) for y in range(30) if y != i)}
    total = sum(float(x) * A[index[int(i), int(y)]] for i, y, x in zip(w.row, w.col, w.weight, strict=True))
    plain = np.linalg.norm(total) / float(w.weight.sum())
    assert margin_bound(facts, w) == pytest.approx(plain, rel=1e-3, abs=1e-12)


def plain_loss(z: np.ndarray, f: int, margin: float) -> float:
    """½ dist² by one-dimensional minimisation over the pooled level."""
    right, others = z[f] - margin, np.delete(z, f)

    def cost(t: float) -> float:
        return 0.5 * (max(t - right, 0) ** 2 + (np.maximum(others - t, 0) ** 2).sum())

    bounds = (z.min() - 2 * margin - 1, z.max() + 1)
    return min(
        cost(right), minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-12}).fun
    )


@pytest.mark.parametrize("block", [3, 1 << 22])
@pytest.mark.parametrize("seed", [0, 1])
def test_cone_loss_is_the_squared_distance(monkeypatch: pytest.MonkeyPatch, seed: int, block: int):
    monkeypatch.setattr("factweights.methods.cone.BLOCK_ELEMENTS", block)
    facts = fw.Associations.spherical(17, 3, outputs=9, seed=seed)
    W = torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 3)))
    loss = ConeLoss(facts.keys, facts.values, facts.targets, margin=0.7)
    for _ in range(2):  # the second time starts from the active set of the first
        e = loss(W)
        Z = (facts.keys @ W.T @ facts.values.T).numpy()
        plain = sum(plain_loss(Z[i], int(facts.targets[i]), 0.7) for i in range(17))
        assert e.loss == pytest.approx(plain, rel=1e-7)
        assert torch.allclose(e.margins, margins(fw.LinearMemory.from_weight(W), facts))
        W = W + 0.1


def test_cone_gradient_by_differences():
    facts = fw.Associations.spherical(40, 5, seed=2)
    loss = ConeLoss(facts.keys, facts.values, facts.targets)
    rng = np.random.default_rng(0)
    W = torch.from_numpy(rng.standard_normal((5, 5)))
    step = torch.from_numpy(rng.standard_normal((5, 5)))
    h = 1e-5
    numeric = (loss(W + h * step).loss - loss(W - h * step).loss) / (2 * h)
    assert float((loss(W).gradient * step).sum()) == pytest.approx(numeric, rel=1e-6)


@pytest.mark.parametrize("kind", ["spherical", "spiked", "gaussian"])
def test_white_coordinates_keep_every_margin(kind: str):
    facts = fw.Associations.random(kind, 50, 6, seed=3, outputs=20)
    white = Whitened.of(facts)
    assert torch.allclose(white.keys.T @ white.keys, torch.eye(6).double() * 50 / 6)
    assert torch.allclose(white.values.T @ white.values, torch.eye(6).double() * 20 / 6)
    W = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 6)))
    ours = margins(fw.LinearMemory.from_weight(white.back(W)), facts)
    inside = fw.Associations(white.keys, white.values, white.targets)
    assert torch.allclose(ours, margins(fw.LinearMemory.from_weight(W), inside))
    assert torch.allclose(white.forth(white.back(W)), W)


def test_fewer_outputs_than_dimensions_and_fewer_facts_than_dimensions():
    for facts in (
        fw.Associations.spherical(40, 24, outputs=2, seed=0),
        fw.Associations.spherical(10, 24, seed=0),
        fw.Associations.orthonormal(24, 24, seed=0),
    ):
        memory = fw.ExactLinear().store(facts)
        assert verify(memory, facts).recall == 1.0


def test_impossible_facts_are_refuted_exactly():
    facts = fw.Associations.spherical(6, 4, seed=0)
    keys = facts.keys.clone()
    keys[1] = keys[0]  # one key, two answers
    solution = fw.ExactLinear().solve(fw.Associations(keys, facts.values, facts.targets))
    assert solution.storable is False


def test_anisotropic_facts_cost_no_more_evaluations():
    counts = {}
    for kind in ("spherical", "spiked"):
        shape = {"strength": 100.0, "mean": 1.0} if kind == "spiked" else {}
        facts = fw.Associations.random(kind, 160, 32, seed=0, **shape)
        solution = fw.ExactLinear(stop="first").solve(facts)
        assert solution.storable
        counts[kind] = solution.evaluations
    assert counts["spiked"] < 3 * counts["spherical"]


def test_a_warm_start_decides_sooner():
    facts = fw.Associations.spherical(540, 64, seed=0)
    method = fw.ExactLinear(stop="first")
    cold = method.solve(facts)
    warm = method.solve(facts, start=cold.memory)
    assert warm.storable
    assert warm.evaluations == 1


def test_the_margin_stop_widens_the_margin():
    facts = fw.Associations.spherical(500, 64, seed=0)
    first = verify(fw.ExactLinear(stop="first").store(facts), facts)
    wide = verify(fw.ExactLinear().store(facts), facts)
    assert wide.min_margin / wide.weight_norm > 2 * first.min_margin / first.weight_norm


def test_below_recall_one_it_gives_up_the_hardest_facts():
    n = round(1.03 * theory.linear_capacity(64, 64))
    facts = fw.Associations.spherical(n, 64, seed=0)
    solution = fw.ExactLinear(recall=0.99).solve(facts)
    c = verify(solution.memory, facts)
    assert solution.storable
    assert 0.99 <= c.recall < 1.0


def test_float32_facts_give_a_float32_memory():
    facts = fw.Associations.spherical(500, 64, seed=0, dtype=torch.float32)
    memory = fw.ExactLinear().store(facts)
    c = verify(memory, facts)
    assert (c.dtype, c.recall) == ("float32", 1.0)


def test_bad_settings_say_what_and_what_to_do():
    with pytest.raises(SettingError, match="recall of exact-linear cannot be"):
        fw.ExactLinear(recall=1.5)
    with pytest.raises(ShapeError, match=r"R\^4"):
        fw.ExactLinear().solve(fw.Associations.spherical(5, 3), start=fw.LinearMemory(4, 4))


def test_long_work_says_where_it_stands(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("factweights.methods.exact_solve.REPORT_EVERY", 0.0)
    heard: list[str] = []
    facts = fw.Associations.spherical(100, 32, seed=0)
    fw.ExactLinear().store(facts, on_progress=lambda p: heard.append(p.text))
    assert heard[-1].startswith("100 of 100 facts right")


# -- verdicts that hold --------------------------------------------------------------------------------------


def test_a_small_direction_decides():
    """One key direction is 2.5e-6 of the other: white coordinates without it refuted what can be stored."""
    keys = torch.tensor([[1.0, 0.0], [1.0, 5e-6]]).double()
    facts = fw.Associations.from_tensors(keys, torch.eye(2).double(), torch.tensor([0, 1]))
    solution = fw.ExactLinear().solve(facts)
    assert solution.storable
    assert verify(solution.memory, facts).n_proved == 2


@pytest.mark.parametrize(("n", "gap"), [(20_000, 1e-2), (20_000, 1e-3), (2_000, 1e-4)])
def test_two_facts_against_thousands_decide(n: int, gap: float):
    rng, d = np.random.default_rng(0), 8
    K = np.zeros((n, d))
    K[:, 0] = rng.choice([-1, 1], n) * 10
    K[:, 1:7] = rng.standard_normal((n, 6)) * 0.3
    t = (K[:, 0] > 0).astype(int)
    K[-2:] = 0
    K[-2:, 1] = 1
    K[-2:, 7] = gap / 2, -gap / 2
    t[-2:] = 1, 0
    facts = fw.Associations.from_tensors(K, np.array([[0.0, -1.0], [0.0, 1.0]]), t)
    solution = fw.ExactLinear().solve(facts)
    assert solution.storable
    assert verify(solution.memory, facts).n_proved == n


@pytest.mark.parametrize("ratio", [1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("seed", range(5))
def test_refuted_or_stored_whatever_the_scale_of_a_direction(seed: int, ratio: float):
    """Scaling one coordinate of all keys changes no answer, and no verdict above the tolerance."""
    plain = fw.Associations.spherical(24 + 4 * seed, 6, outputs=4, seed=seed)
    scaled = fw.Associations(plain.keys * torch.tensor([1, 1, 1, 1, 1, ratio]), plain.values, plain.targets)
    assert fw.ExactLinear().solve(scaled).storable == fw.ExactLinear().solve(plain).storable


@pytest.mark.parametrize("family", ["spherical", "gaussian", "spiked"])
def test_refutations_hold_in_the_given_coordinates(family: str):
    """Documented: at most 1e-6 of a typical constraint of the witness, rounding included."""
    for seed in range(12):
        facts = fw.Associations.random(family, 30 + 5 * seed, 4 + seed % 3, outputs=3 + seed % 9, seed=seed)
        solution = fw.ExactLinear(stop="first").solve(facts)
        if solution.storable is False:
            bound = bound_margins(facts, solution.witness)
            assert bound.relative <= 1e-6
            assert solution.relative_bound == bound.relative
            w = solution.witness
            away = (facts.values[facts.targets[w.row]] - facts.values[w.col]).norm(dim=1)
            typical = float((w.weight * away * facts.keys[w.row].norm(dim=1)).sum() / w.weight.sum())
            assert margin_bound(facts, w) <= 1e-6 * typical


def test_equal_values_are_refuted_at_once():
    """A value that another output has too ties, whether or not that output is anybody's answer."""
    for seed in range(400):
        rng = np.random.default_rng(seed)
        K, V = rng.standard_normal((4, 5)), rng.standard_normal((10, 5))
        V[9] = V[0]
        facts = fw.Associations.from_tensors(K, V, np.arange(4))
        solution = fw.ExactLinear(stop="first").solve(facts)
        assert (solution.storable, solution.evaluations) == (False, 0)
        assert solution.reason == "value 9 equals value 0, the answer of fact 0"
        if seed % 40 == 35:
            assert verify(solution.memory, facts).refuted
            c = verify(fw.ExactLinear().solve(facts).memory, facts)
            assert c.recall == 0.75  # the other three are stored all the same


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("zero key", "key 2 is zero"),
        ("equal keys", "facts 1 and 3 have the same key and different answers, 1 and 3"),
        ("longer key", "facts 1 and 3 have keys of one direction and different answers, 1 and 3"),
        ("between", "value 2, the answer of fact 2, lies between values 0 and 5"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_contradictions_are_found_at_once_and_said(change: str, reason: str, dtype: torch.dtype):
    facts = fw.Associations.gaussian(5, 4, outputs=6, assignment="balanced", seed=1)
    keys, values = facts.keys.clone(), facts.values.clone()
    if change == "zero key":
        keys[2] = 0
    elif change == "equal keys":
        keys[3] = keys[1]
    elif change == "longer key":
        keys[3] = 3.7 * keys[1]
    else:
        values[2] = 0.3 * values[0] + 0.7 * values[5]
    facts = fw.Associations(keys.to(dtype), values.to(dtype), facts.targets)
    if dtype == torch.float32 and change in ("longer key", "between"):
        return  # rounded to float32 they contradict each other no longer exactly
    solution = fw.ExactLinear(stop="first").solve(facts)
    assert (solution.storable, solution.evaluations) == (False, 0)
    assert solution.reason.startswith(reason)
    assert solution.witness is not None
    assert bound_margins(facts, solution.witness).refutes


def test_what_only_looks_like_a_contradiction_is_stored():
    facts = fw.Associations.gaussian(6, 4, outputs=5, seed=3)
    keys, values = facts.keys.clone(), facts.values.clone()
    keys[1] = -keys[0]  # opposite keys
    values[1] = 2 * values[0]  # one direction, but not between others
    keys[3], targets = 2 * keys[2], facts.targets.clone()
    targets[3] = targets[2]  # one direction and one answer
    assert fw.ExactLinear().solve(fw.Associations(keys, values, targets)).storable


def test_one_output_is_stored_and_said():
    solution = fw.ExactLinear().solve(fw.Associations.gaussian(3, 2, outputs=1, seed=0))
    assert solution.storable
    assert "nothing can be confused" in solution.reason


def test_certificates_against_exact_rationals_and_highs():
    """A short run of benchmarks/certificates.py; the lab log has the whole one."""
    spec = importlib.util.spec_from_file_location("certificates_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = benchmark.campaign(4, on_progress=lambda _: None)
    assert (found["wrong"], found["undecided"]) == (0, 0)
    assert min(found["storable"], found["refuted"]) > 10
