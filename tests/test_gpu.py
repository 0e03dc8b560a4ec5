"""The same facts on a GPU: `make gpu` runs these where there is one."""

import pytest
import torch

import factweights as fw

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]


@pytest.mark.parametrize(
    "method", [fw.ExactLinear(), fw.Hebbian(), fw.GatedFit(width=24)], ids=lambda m: m.name
)
def test_facts_are_stored_and_verified_where_they_lie(method):
    facts = fw.Associations.spherical(n=100, d=32, seed=0)
    here = method.store(facts, seed=0)
    there = method.store(facts.to("cuda"), seed=0)
    found = fw.verify(there, facts.to("cuda"))
    assert found.device.startswith("cuda")
    assert found.recall == pytest.approx(fw.verify(here, facts).recall, abs=0.02)


def test_a_certificate_does_not_depend_on_the_device():
    facts = fw.Associations.spherical(n=60, d=16, seed=1)
    memory = fw.ExactLinear().store(facts, seed=0)
    here, there = fw.verify(memory, facts), fw.verify(memory.to("cuda"), facts.to("cuda"))
    assert (here.recall, here.n_missed) == (there.recall, there.n_missed)
    assert here.min_margin == pytest.approx(there.min_margin, rel=1e-6, abs=1e-9)
