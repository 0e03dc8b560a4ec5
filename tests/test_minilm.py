"""Facts from a table of embeddings, and the real one where the extra [minilm] is installed."""

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import factweights as fw
from factweights.errors import FileFormatError, MissingExtraError, SettingError
from factweights.facts import minilm

TABLE = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))


def test_keys_and_values_are_different_rows_of_the_table():
    facts = fw.Associations.from_embeddings(TABLE, 20, seed=1, outputs=7)
    rows = {tuple(r) for r in TABLE.double().tolist()}
    keys, values = ([tuple(r) for r in t.tolist()] for t in (facts.keys, facts.values))
    assert set(keys) <= rows
    assert set(values) <= rows
    assert (len(set(keys)), len(set(values)), facts.keys.dtype) == (20, 7, torch.float64)
    assert int(facts.targets.max()) < 7


def test_facts_of_a_table_are_nested_and_seeded():
    few, many = (fw.Associations.from_embeddings(TABLE, n, seed=3) for n in (10, 50))
    assert few.hash == fw.Associations.from_embeddings(TABLE, 10, seed=3).hash
    assert few.hash != fw.Associations.from_embeddings(TABLE, 10, seed=4).hash
    assert torch.equal(few.keys, many.keys[:10])
    assert torch.equal(few.values, many.values[:10])
    tied = fw.Associations.from_embeddings(TABLE, 10, seed=3, tied=True)
    assert torch.equal(tied.keys, tied.values)
    assert torch.equal(tied.keys, few.keys)
    assert sorted(tied.targets.tolist()) == list(range(10))


def test_bad_requests_say_what():
    with pytest.raises(SettingError, match="51 different embeddings cannot be drawn from a table of 50"):
        fw.Associations.from_embeddings(TABLE, 51)
    with pytest.raises(SettingError, match="leave outputs out"):
        fw.Associations.from_embeddings(TABLE, 5, outputs=3, tied=True)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(minilm, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"factweights\[minilm\]"):
        fw.minilm_embeddings()
    monkeypatch.setattr(minilm, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(FileFormatError, match="install the package anew"):
        fw.minilm_embeddings()


@pytest.mark.skipif(find_spec(minilm.PACKAGE) is None, reason="needs the extra [minilm]")
def test_the_real_table():
    table = fw.minilm_embeddings()
    assert (table.shape, table.dtype) == ((30522, 384), torch.float32)
    facts = fw.Associations.from_embeddings(table, 300)
    assert fw.verify(fw.ExactLinear().store(facts), facts).recall == 1.0
