"""What is called proved is right in every arithmetic, and what is measured is measured."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import factweights as fw
from factweights.certificates import least_margins, margins, verify
from factweights.memories.activations import ACTIVATIONS

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
HERMITE = (0.3, -1.0, 0.5, 0.2)


def random_memory(kind: str, rng: np.random.Generator, d_in: int, d_out: int, width: int) -> fw.Memory:
    """A memory with entries of very different sizes, float64."""

    def draw(*shape: int) -> torch.Tensor:
        sizes = np.exp(rng.normal(scale=rng.choice([0.0, 1.5]), size=shape))
        return torch.from_numpy(rng.standard_normal(shape) * sizes / np.sqrt(shape[-1]))

    activation = str(rng.choice(ACTIVATIONS))
    how = {"activation": activation, "coefficients": HERMITE if activation == "hermite" else ()}
    if kind == "linear":
        return fw.LinearMemory.from_weight(draw(d_out, d_in))
    if kind == "low rank":
        return fw.LowRankMemory.from_factors(draw(d_out, width), draw(width, d_in))
    if kind == "mlp":
        return fw.MLPMemory.from_weights(draw(width, d_in), draw(d_out, width), draw(width), **how)
    return fw.GatedMemory.from_weights(draw(width, d_in), draw(width, d_in), draw(d_out, width), **how)


def shuffled_margins(memory: fw.Memory, facts: fw.Associations, rng: np.random.Generator) -> torch.Tensor:
    """Margins in the memory's dtype, with keys, hidden units and outputs summed in another order."""
    config, state = memory.config(), {k: v.clone() for k, v in memory.state_dict().items()}
    by_in, by_out = (torch.from_numpy(rng.permutation(n)) for n in (facts.d_in, facts.d_out))
    if "weight" in state:
        state["weight"] = state["weight"][by_out][:, by_in]
    else:
        hidden = torch.from_numpy(rng.permutation(state["read"].shape[0]))
        for name in ("read", "gate"):
            if name in state:
                state[name] = state[name][hidden][:, by_in]
        if "bias" in state:
            state["bias"] = state["bias"][hidden]
        state["write"] = state["write"][by_out][:, hidden]
    other = type(memory)(**config).to(memory.dtype)
    other.load_state_dict(state)
    moved = fw.Associations(facts.keys[:, by_in], facts.values[:, by_out], facts.targets)
    return margins(other, moved)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["linear", "low rank", "mlp", "gated"])
def test_no_evaluation_falls_below_the_bound(kind: str, dtype: torch.dtype):
    """In the dtype, in other orders of summation, and in float64 with the facts as given."""
    proved = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        d_in, d_out, width, n = (int(x) for x in rng.integers(1, 24, 4))
        facts = fw.Associations.gaussian(n, d_in, d_out=d_out, outputs=int(rng.integers(1, 9)), seed=seed)
        exact = random_memory(kind, rng, d_in, d_out, width)
        memory = type(exact)(**exact.config()).double()
        memory.load_state_dict(exact.state_dict())
        memory = memory.to(dtype)
        least = least_margins(memory, facts)
        assert least is not None
        for _ in range(3):
            assert not (shuffled_margins(memory, facts, rng).double() < least).any()
        finer = type(memory)(**memory.config()).double()
        finer.load_state_dict({k: v.double() for k, v in memory.state_dict().items()})
        assert not (margins(finer, facts) < least).any()
        proved += int((least > 0).sum())
    assert proved > {torch.float64: 100, torch.float32: 100, torch.float16: 30, torch.bfloat16: 0}[dtype]


def test_the_bound_holds_in_exact_rationals():
    for seed in range(10):
        facts = fw.Associations.gaussian(6, 3, outputs=4, seed=seed)
        memory = fw.LinearMemory.from_weight(
            torch.from_numpy(np.random.default_rng(seed).normal(size=(3, 3)))
        )
        for dtype in DTYPES:
            cast = fw.LinearMemory.from_weight(memory.weight.to(dtype))
            least = least_margins(cast, facts)
            W = [[Fraction(x) for x in row] for row in cast.weight.double().tolist()]
            V = [[Fraction(x) for x in row] for row in facts.values.tolist()]
            for i, k in enumerate(facts.keys.tolist()):
                x = [sum(w * Fraction(kj) for w, kj in zip(row, k, strict=True)) for row in W]
                scores = [sum(a * b for a, b in zip(v, x, strict=True)) for v in V]
                own = scores.pop(int(facts.targets[i]))
                assert least is not None
                assert own - max(scores) >= Fraction(float(least[i]))


def test_a_cancelling_term_is_charged_at_its_full_size():
    """W + c u kᵀ with u orthogonal to all values: answers of float32 that float64 contradicts."""
    facts = fw.Associations.spherical(400, 16, d_out=17, outputs=2, seed=0)
    flat = facts.values.clone()
    flat[:, -1] = 0
    turn = torch.linalg.qr(torch.randn(17, 17, generator=torch.Generator().manual_seed(1)).double())[0]
    turned = fw.Associations(facts.keys, flat @ turn.T, facts.targets)
    W = torch.from_numpy(np.random.default_rng(0).standard_normal((17, 16)))
    contradicted = 0
    for size in (1.0, 1e6, 1e7, 1e8):
        step = torch.zeros(17, 16).double()
        step[-1] = size * facts.keys[0]
        heavy = fw.LinearMemory.from_weight((turn @ (W + step)).float())
        exact = fw.LinearMemory.from_weight(heavy.weight.double())
        coarse, fine, least = margins(heavy, turned), margins(exact, turned), least_margins(heavy, turned)
        assert least is not None
        contradicted += int(((coarse > 0) & (fine < 0)).sum())
        assert (fine[least > 0] > 0).all()
        assert (size == 1.0) == (int((least > 0).sum()) > 0.9 * int((coarse > 0).sum()))
    assert contradicted > 10


def test_recall_is_measured_and_beside_it_what_is_proved():
    facts = fw.Associations.spherical(100, 32, seed=0)
    memory = fw.ExactLinear().store(facts)
    fine = verify(memory, facts, top_k=[1])
    assert (fine.recall, fine.n_proved, fine.proved) == (1.0, 100, True)
    assert 0 < fine.proved_margin <= fine.min_margin
    coarse = verify(fw.LinearMemory.from_weight(memory.weight.bfloat16()), facts, top_k=[1])
    assert (coarse.recall, coarse.n_missed, coarse.missed, coarse.top_k) == (1.0, 0, (), {1: 1.0})
    assert coarse.min_margin > 0.5
    assert (coarse.n_proved, coarse.proved, coarse.dtype) == (0, False, "bfloat16")
    assert ("proved", "0 of the 100 recalled, beyond any rounding in bfloat16") in coarse.lines()
    assert coarse.to_dict()["n_proved"] == 0


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_weights_that_are_no_numbers_recall_nothing(dtype: torch.dtype):
    facts = fw.Associations.spherical(10, 4, outputs=5, seed=0)
    for entry, everywhere in ((np.nan, True), (np.nan, False), (np.inf, True)):
        memory = fw.Hebbian().store(facts).to(dtype)
        if everywhere:
            memory.weight.data[:] = entry
        else:
            memory.weight.data[0, 0] = entry
        c = verify(memory, facts, top_k=[1, 4], noise=[0.1])
        assert (c.recall, c.n_missed, c.n_proved, c.noise_recall) == (0.0, 10, 0, {0.1: 0.0})
        assert c.top_k == {1: 0.0, 4: 0.0}
        assert c.missed[0].answered == "NaN"


@given(st.integers(0, 10_000), st.sampled_from(DTYPES))
def test_recall_is_recall_in_top_one_and_never_less_than_what_is_proved(seed: int, dtype: torch.dtype):
    rng = np.random.default_rng(seed)
    facts = fw.Associations.gaussian(int(rng.integers(1, 12)), 3, outputs=int(rng.integers(1, 6)), seed=seed)
    values = facts.values.clone()
    values[rng.integers(len(values))] = values[rng.integers(len(values))]
    keys = facts.keys.clone()
    keys[rng.integers(len(keys))] *= rng.choice([0, 1])
    facts = fw.Associations(keys, values, facts.targets)
    c = verify(fw.Hebbian().store(facts).to(dtype), facts, top_k=[1])
    assert c.n_proved is not None
    assert c.top_k[1] == c.recall >= c.n_proved / len(facts)


def test_equal_values_tie_in_every_kernel():
    """Two columns of a product may round differently: that parts no equal values."""
    rng = np.random.default_rng(0)
    for seed in range(50):
        facts = fw.Associations.gaussian(7, 5, outputs=9, seed=seed)
        values = facts.values.clone()
        values[(int(facts.targets[3]) + 1) % 9] = values[int(facts.targets[3])]
        tied = fw.Associations(facts.keys, values, facts.targets)
        memory = fw.LinearMemory.from_weight(torch.from_numpy(rng.standard_normal((5, 5))))
        c = verify(memory, tied, top_k=[1])
        assert not (margins(memory, tied)[facts.targets == facts.targets[3]] > 0).any()
        assert c.top_k[1] == c.recall <= 1 - 1 / 7


def test_one_output_is_nothing_to_confuse():
    facts = fw.Associations.gaussian(5, 3, outputs=1, seed=0)
    c = verify(fw.Hebbian().store(facts), facts)
    assert c.recall == 1.0
    assert c.bits == 0
    assert "nothing to confuse" in dict(c.lines())["recall"]


def test_fewer_bits_in_products_prove_less():
    facts = fw.Associations.spherical(100, 32, seed=0, dtype=torch.float32)
    memory = fw.ExactLinear().store(facts)
    assert verify(memory, facts).n_proved == 100
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert verify(memory, facts).n_proved == 0
    finally:
        torch.set_float32_matmul_precision(before)
