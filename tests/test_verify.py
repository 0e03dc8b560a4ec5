"""Margins, recall and certificates against the plain definition."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import factweights as fw
from factweights.certificates import (
    Witness,
    WitnessError,
    bound_margins,
    margin_bound,
    margins,
    relative_margins,
    verify,
)
from factweights.errors import SettingError, ShapeError


def plain_margins(memory: fw.Memory, facts: fw.Associations) -> list[float]:
    out = []
    for key, f in zip(facts.keys, facts.targets.tolist(), strict=True):
        scores = [float(v @ memory(key)) for v in facts.values]
        out.append(scores[f] - max(s for y, s in enumerate(scores) if y != f))
    return out


@pytest.fixture
def overloaded() -> tuple[fw.Memory, fw.Associations]:
    facts = fw.Associations.spherical(90, 8, seed=0, outputs=37)
    return fw.Hebbian().store(facts), facts


@pytest.mark.parametrize(("rows", "columns"), [(2048, 2048), (7, 5), (1, 1), (90, 36)])
def test_streamed_margins_are_the_plain_ones(overloaded, monkeypatch, rows: int, columns: int):
    monkeypatch.setattr("factweights.certificates.streaming.ROWS", rows)
    monkeypatch.setattr("factweights.certificates.streaming.COLUMNS", columns)
    memory, facts = overloaded
    plain = plain_margins(memory, facts)
    assert np.allclose(margins(memory, facts), plain)
    c = verify(memory, facts, top_k=[1, 3, 37])
    assert c.recall == pytest.approx(np.mean(np.array(plain) > 0))
    assert c.min_margin == pytest.approx(min(plain))
    assert c.top_k[1] == c.recall
    assert c.top_k[37] == 1.0
    scores = memory(facts.keys) @ facts.values.T
    right = scores.gather(1, facts.targets[:, None])
    assert c.top_k[3] == pytest.approx(float(((scores >= right).sum(1) <= 3).double().mean()))


def test_relative_margins_are_the_plain_ones_and_know_no_scale(overloaded):
    memory, facts = overloaded
    plain = np.array(plain_margins(memory, facts))
    lengths = memory(facts.keys).norm(dim=1).numpy() * float(facts.values.norm(dim=1).max())
    found = relative_margins(memory, facts)
    assert np.allclose(found, plain / lengths)
    assert verify(memory, facts).min_relative_margin == float(found.min())
    longer = fw.Associations(facts.keys, 3 * facts.values, facts.targets)
    heavier = fw.LinearMemory.from_weight(7 * memory.weight)
    assert torch.allclose(relative_margins(heavier, longer), found)
    assert verify(fw.LinearMemory(8, 8).double(), facts).min_relative_margin == 0.0


def test_an_error_of_half_the_relative_margin_changes_no_answer():
    facts = fw.Associations.spherical(100, 32, seed=0)
    memory = fw.ExactLinear().store(facts)
    gamma, out = relative_margins(memory, facts)[:, None], memory(facts.keys)
    step = torch.randn(50, *out.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = out + 0.499 * gamma * out.norm(dim=1, keepdim=True) * step / step.norm(dim=2, keepdim=True)
    assert ((moved @ facts.values.T).argmax(2) == facts.targets).all()


def test_misses_name_row_question_and_answer(overloaded):
    memory, facts = overloaded
    c = verify(memory, facts)
    assert c.n_missed == len(c.missed) > 0
    worst = c.missed[0]
    assert worst.margin == pytest.approx(c.min_margin)
    answer = int((memory(facts.keys[worst.row]) @ facts.values.T).argmax())
    assert worst.answered == f"value {answer}"
    assert worst.expected == f"value {int(facts.targets[worst.row])}"


def test_a_tie_is_a_miss():
    facts = fw.Associations.orthonormal(4, 4, seed=0)
    values = facts.values.clone()
    values[3] = values[2]  # two outputs nobody can tell apart
    tied = fw.Associations(facts.keys, values, facts.targets)
    for dtype in (torch.float32, torch.float64):
        moved = tied.to(dtype=dtype)
        c = verify(fw.Hebbian().store(moved), moved)
        assert c.recall == 0.5
        assert {m.row for m in c.missed} == {2, 3}
    silent = fw.LinearMemory(4, 4).double()  # answers zero to everything: all outputs tie
    assert verify(silent, facts).recall == 0.0


def test_recall_under_key_noise_falls_and_is_seeded():
    facts = fw.Associations.spherical(500, 64, seed=0)
    memory = fw.ExactLinear().store(facts)
    c = verify(memory, facts, noise=[0.0, 0.01, 0.5])
    assert c.noise_recall[0.0] == 1.0
    assert c.noise_recall[0.0] >= c.noise_recall[0.01] > c.noise_recall[0.5]
    assert verify(memory, facts, noise=[0.5]).noise_recall == {0.5: c.noise_recall[0.5]}
    assert verify(memory, facts, noise=[0.5], seed=1).noise_recall != {0.5: c.noise_recall[0.5]}


def test_few_facts_get_many_draws_of_noise():
    facts = fw.Associations.spherical(40, 8, seed=0)
    memory = fw.ExactLinear(stop="first").store(facts)
    once = verify(memory, facts, noise=[0.3], seed=4).noise_recall[0.3]
    assert fw.noise_recall(memory, facts, 0.3, seed=4, at_least=40) == once
    found = [fw.noise_recall(memory, facts, 0.3, seed=s, at_least=20_000) for s in (4, 5)]
    assert 0 < found[0] < 1
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], abs=0.02)
    with pytest.raises(SettingError, match="norm ≥ 0"):
        fw.noise_recall(memory, facts, -1.0)


def test_bits_count_what_is_recalled(overloaded):
    facts = fw.Associations.spherical(100, 32, seed=0, outputs=16)
    c = verify(fw.ExactLinear().store(facts), facts)
    assert c.bits == pytest.approx(100 * 4)
    assert c.bits_per_parameter == pytest.approx(400 / 1024)
    assert c.parameter_groups == {"linear": 1024}
    memory, hard = overloaded
    partial = verify(memory, hard)
    assert 0 < partial.bits < 90 * np.log2(37) * partial.recall


def test_a_certificate_is_plain_data(overloaded):
    memory, facts = overloaded
    c = verify(memory, facts, noise=[0.1], top_k=[2])
    d = json.loads(json.dumps(c.to_dict()))
    assert (d["facts"], d["outputs"], d["dtype"], d["device"]) == (90, 37, "float64", "cpu")
    assert d["facts_hash"] == facts.hash
    assert d["weights_hash"] == memory.hash
    assert "recall" in str(c)
    assert c._repr_html_().startswith("<table>")
    assert c == verify(memory, facts, noise=[0.1], top_k=[2])


def test_the_weights_hash_sees_every_bit(overloaded):
    memory, _ = overloaded
    before = memory.hash
    memory.weight.data[0, 0] = torch.nextafter(memory.weight[0, 0], torch.tensor(9.0).double())
    assert memory.hash != before


def test_bad_requests_say_what_and_what_to_do(overloaded):
    memory, facts = overloaded
    with pytest.raises(ShapeError, match=r"R\^8"):
        verify(memory, fw.Associations.spherical(5, 9))
    with pytest.raises(SettingError, match="noise cannot be"):
        verify(memory, facts, noise=[-1.0])
    with pytest.raises(SettingError, match="top_k cannot be"):
        verify(memory, facts, top_k=[0])
    foreign = Witness(torch.tensor([999]), torch.tensor([0]), torch.tensor([1.0]).double())
    with pytest.raises(ShapeError, match=r"entry 0 .*row 999.* below 90"):
        margin_bound(facts, foreign)


@pytest.mark.parametrize(
    ("row", "col", "weight", "said"),
    [
        ([0, 1], [1, 1], [1.0, 1.0], "entry 1 .*row 1, col 1.* target of that row"),
        ([0, 1], [1, 2], [1.0, 0.0], "entry 1 .*weight 0.0.* above 0"),
        ([0, 1], [1, 2], [1.0, -2.0], "entry 1 .*weight -2.0.* above 0"),
        ([0, 1], [1, 2], [float("nan"), 1.0], "entry 0 .*weight nan.* finite"),
        ([0, 1], [1, 2], [1.0, float("inf")], "entry 1 .*weight inf.* finite"),
        ([0, -1], [1, 2], [1.0, 1.0], "entry 1 .*row -1.* from 0 up and below 5"),
        ([0, 5], [1, 2], [1.0, 1.0], "entry 1 .*row 5.* below 5"),
        ([0, 1], [1, -1], [1.0, 1.0], "entry 1 .*col -1.* from 0 up and below 5"),
        ([0, 1], [5, 2], [1.0, 1.0], "entry 0 .*col 5.* below 5"),
        ([0, 1], [1], [1.0, 1.0], "one length"),
        ([[0, 1]], [[1, 2]], [[1.0, 1.0]], "one length"),
        ([], [], [], "proves nothing"),
        ([0.0, 1.0], [1, 2], [1.0, 1.0], "row .* whole numbers"),
    ],
)
def test_a_witness_cannot_be_forged(row: list, col: list, weight: list, said: str):
    facts = fw.Associations.spherical(5, 3, seed=0)
    as_index = [torch.tensor(x, dtype=None if x else torch.int64) for x in (row, col)]
    forged = Witness(*as_index, torch.tensor(weight).double())
    with pytest.raises(WitnessError, match=said):
        margin_bound(facts, forged)
    with pytest.raises(WitnessError, match=said):
        verify(fw.Hebbian().store(facts), facts, witness=forged)


@given(st.integers(0, 10_000), st.floats(-150, 150), st.floats(-150, 150))
def test_no_matrix_contradicts_a_bound_however_keys_and_values_are_scaled(seed: int, k: float, v: float):
    rng = np.random.default_rng(seed)
    facts = fw.Associations.gaussian(6, 3, outputs=4, seed=seed)
    scaled = fw.Associations(facts.keys * 10.0**k, facts.values * 10.0**v, facts.targets)
    row, col = np.nonzero(rng.random((6, 4)) < 0.7)
    keep = col != facts.targets.numpy()[row]
    row, col = row[keep], col[keep]
    if not len(row):
        return
    witness = Witness(
        torch.from_numpy(row), torch.from_numpy(col), torch.from_numpy(rng.random(len(row)) + 1e-3)
    )
    plain, found = bound_margins(facts, witness), bound_margins(scaled, witness)
    assert found.relative == pytest.approx(plain.relative, rel=1e-9)
    assert found.absolute == pytest.approx(plain.absolute * 10.0**k * 10.0**v, rel=1e-9)
    # keys scaled one by one, with multipliers to match, leave the relative bound alone
    scale = torch.from_numpy(10.0 ** rng.uniform(-3, 3, 6))
    one = fw.Associations(facts.keys * scale[:, None], facts.values, facts.targets)
    other = Witness(witness.row, witness.col, witness.weight / scale[witness.row])
    assert bound_margins(one, other).relative == pytest.approx(plain.relative, rel=1e-9)


def test_a_witness_of_other_facts_is_not_asked():
    facts = fw.Associations.spherical(30, 4, seed=1)
    memory = fw.ExactLinear().store(facts)
    assert verify(memory, facts).refuted
    c = verify(memory, facts.subset(slice(0, 5)))
    assert (c.margin_bound, c.refuted) == (None, False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_gpu_agrees(overloaded):
    memory, facts = overloaded
    cpu = verify(memory, facts)
    gpu = verify(memory.to("cuda"), facts)
    assert gpu.device.startswith("cuda")
    assert gpu.recall == cpu.recall
    assert gpu.min_margin == pytest.approx(cpu.min_margin, rel=1e-9)


# -- what a mutation run found unwatched (lab log) -----------------------------------------------------------


def test_a_margin_is_the_difference_and_not_the_sum():
    from factweights.certificates.margins import margins_of

    scores = torch.tensor([[3.0, 1.0, 2.5], [0.5, -2.0, 4.0], [-1.0, -1.0, -5.0]])
    found = margins_of(scores, torch.tensor([0, 1, 0]))
    assert found.tolist() == [0.5, -6.0, 0.0]
    assert found.dtype == torch.float64


def test_the_first_value_is_named_where_it_answers_and_nan_where_nothing_does():
    facts = fw.Associations.spherical(n=6, d=3, seed=0)
    towards_0 = fw.LinearMemory.from_weight(torch.zeros(3, 3, dtype=torch.float64))
    with torch.no_grad():  # W k = 5 u_0 for every key that is not orthogonal to their mean
        towards_0.weight.copy_(5 * torch.outer(facts.values[0], facts.keys[3]))
    missed = fw.verify(towards_0, facts).missed
    assert {m.answered for m in missed if m.key == "key 3"} == {"value 0"}
    nothing = fw.LinearMemory.from_weight(torch.full((3, 3), torch.nan, dtype=torch.float64))
    assert {m.answered for m in fw.verify(nothing, facts).missed} == {"NaN"}
