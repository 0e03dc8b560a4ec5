"""Associations: the same bits on every machine, whole files, and no facts that cannot be meant."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from factweights.errors import FactsError, FileFormatError, OutputError, SettingError, ShapeError
from factweights.facts import Associations, FactTable, tensors

PINNED = {
    "spherical": ("7829acac7797b07795de667b10f38f3397f4a3b5315fb098767512c1d4532d6b", {}),
    "gaussian": ("460376611e5aabb18fc6e35c7368f32515c55ee7e6200e9f9e211f4355fd5800", {}),
    "orthonormal": ("b8ad29cbdced6d09e4a4ae56ac057551df22ca51cb7c9e360998aa36bf636af9", {}),
    "spiked": (
        "e7c5ffd75ec8dd58b87881dca3f5ce0911172bdb4406e4bf8997b6237fc60e3e",
        {"rank": 2, "strength": 4.0, "mean": 0.5},
    ),
}


def small(**settings) -> Associations:
    return Associations.spherical(6, 4, **settings)


@pytest.fixture
def unchecked():
    """Without the shape checker of the test run, as users are."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# -- random facts ------------------------------------------------------------------------------------------


def test_the_hash_of_the_standard_facts_is_pinned():
    assert (
        Associations.spherical(n=560, d=64, seed=0).hash
        == "562a225c539f8dfe8a0061615bec739cc71a2ebbce6193a28248ec3b25c57037"
    )


@pytest.mark.parametrize("kind", PINNED)
def test_the_hash_of_every_kind_is_pinned(kind):
    pinned, shape = PINNED[kind]
    assert Associations.random(kind, 12, 16, seed=1, outputs=5, **shape).hash == pinned


def test_tied_and_balanced_hashes_are_pinned():
    assert (
        Associations.spherical(12, 8, seed=2, tied=True).hash
        == "ab6102e70acd5547827d6438fb289acdac4b1eb80b4e4201133c30ddd98bfa9f"
    )
    assert (
        Associations.spherical(12, 8, seed=2, outputs=4, assignment="balanced").hash
        == "4b7131390c49cdb4af0851dc00f5c1fa62995ddf695217c48abc8b6b0fa26799"
    )


@given(
    st.integers(1, 20), st.integers(0, 20), st.integers(0, 2**32), st.sampled_from(["spherical", "gaussian"])
)
def test_facts_are_a_prefix_of_any_larger_set(n, more, seed, kind):
    small, large = (Associations.random(kind, m, 5, seed=seed, outputs=3) for m in (n, n + more))
    assert torch.equal(small.keys, large.keys[:n])
    assert torch.equal(small.values, large.values)
    assert torch.equal(small.targets, large.targets[:n])


@pytest.mark.parametrize("kind", ["orthonormal", "spiked"])
def test_prefixes_of_the_other_kinds(kind):
    small, large = (Associations.random(kind, n, 12, seed=3) for n in (4, 9))
    assert torch.equal(small.keys, large.keys[:4])
    assert torch.equal(small.values, large.values[:4])


def test_what_the_kinds_are():
    n, d = 4000, 16
    for kind in ("spherical", "spiked"):
        assert torch.allclose(Associations.random(kind, n, d).keys.norm(dim=1), torch.ones(n).double())
    assert Associations.gaussian(n, d).keys.var().item() == pytest.approx(1 / d, rel=0.03)
    basis = Associations.orthonormal(d, d)
    assert torch.allclose(basis.keys @ basis.keys.T, torch.eye(d).double(), atol=1e-14)
    spiked = Associations.spiked(n, d, strength=8.0).keys
    assert spiked[:, 0].var() / spiked[:, 1].var() > 4
    assert Associations.spiked(n, d, mean=2.0).keys[:, -1].mean() > 0.5


def test_keys_values_and_targets_are_independent():
    facts = small(outputs=6)
    assert not torch.equal(facts.keys, facts.values)
    assert torch.equal(small().keys, facts.keys)  # how answers are assigned does not move the keys
    assert torch.equal(small(outputs=6, assignment="balanced").values, facts.values)


def test_assignments():
    assert small().targets.tolist() == [0, 1, 2, 3, 4, 5]
    assert small(outputs=4, assignment="balanced").targets.tolist() == [0, 1, 2, 3, 0, 1]
    uniform = Associations.spherical(4000, 4, outputs=4).targets.bincount()
    assert uniform.min() > 850


def test_tied_facts_are_a_permutation_of_one_table():
    facts = Associations.spherical(50, 4, tied=True)
    assert torch.equal(facts.keys, facts.values)
    assert sorted(facts.targets.tolist()) == list(range(50))
    with pytest.raises(SettingError, match="tied"):
        small(tied=True, outputs=3)
    with pytest.raises(SettingError, match="tied"):
        small(tied=True, d_out=3)


def test_sizes_and_how_facts_are_shown():
    facts = small(outputs=3, d_out=7, seed=9, dtype=torch.float32)
    assert (facts.n_facts, facts.n_outputs, facts.d_in, facts.d_out, len(facts)) == (6, 3, 4, 7, 6)
    assert repr(facts) == "Associations(6 facts, 3 outputs, d_in 4, d_out 7, spherical, seed 9, float32)"


def test_the_spec_makes_the_facts_again():
    facts = Associations.spiked(5, 6, outputs=3, d_out=4, seed=7, rank=2, assignment="balanced")
    assert Associations.random(**facts.spec).hash == facts.hash


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Associations.spherical(0, 4), "n cannot be 0"),
        (lambda: Associations.spherical(4, 0), "d cannot be 0"),
        (lambda: Associations.spherical(4, 4, outputs=0), "outputs cannot be 0"),
        (lambda: Associations.spherical(4, 4, d_out=0), "d_out cannot be 0"),
        (lambda: Associations.spherical(4, 4, seed=-1), "seed.*-1"),
        (lambda: Associations.orthonormal(5, 4), "n = 5 > d = 4"),
        (lambda: Associations.spiked(4, 4, rank=5), "rank=5"),
        (lambda: Associations.spiked(4, 4, strength=-1.0), "strength=-1"),
    ],
)
def test_settings_without_meaning(make, message):
    with pytest.raises(SettingError, match=message):
        make()


# -- the same facts otherwise ------------------------------------------------------------------------------


def test_other_dtypes_and_subsets():
    facts = FactTable.from_rows([("a", "r", "x"), ("b", "r", "y"), ("c", "r", "x")]).to_associations(4)
    single = facts.to(dtype=torch.float32)
    assert single.keys.dtype == single.values.dtype == torch.float32
    assert single.targets.dtype == torch.int64
    assert single.hash != facts.hash
    assert len(facts.to(dtype=torch.bfloat16).hash) == 64
    part = facts.subset(torch.tensor([2, 0]))
    assert part.key_names == (("c", "r"), ("a", "r"))
    assert part.n_outputs == 2
    assert torch.equal(part.keys, facts.keys[[2, 0]])
    assert facts.subset(slice(1, None)).targets.tolist() == [1, 0]


def test_the_hash_sees_what_matters_and_nothing_else():
    facts = small()
    strided = torch.stack([facts.keys, facts.keys], dim=1)[:, 0]
    assert replace(facts, keys=strided, spec={}).hash == facts.hash
    nudged = facts.keys.clone()
    nudged[0, 0] = np.nextafter(nudged[0, 0].item(), 2)
    others = [
        replace(facts, keys=nudged),
        replace(facts, targets=facts.targets.flip(0)),
        replace(facts, keys=facts.values, values=facts.keys),
        facts.to(dtype=torch.float32),
    ]
    assert len({facts.hash, *(other.hash for other in others)}) == 5


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"keys": torch.ones(6).double()}, ShapeError, r"keys are \(N, d_in\).*got \(6,\)"),
        ({"keys": torch.ones(5, 4).double()}, ShapeError, "5 keys but 6 targets"),
        ({"keys": torch.ones(0, 4).double(), "targets": torch.ones(0).long()}, FactsError, "no facts"),
        ({"values": torch.ones(6, 4)}, ShapeError, "one float dtype"),
        ({"targets": torch.ones(6).int()}, ShapeError, "long"),
        ({"targets": torch.tensor([0, 1, 2, 3, 4, 6])}, FactsError, "0 to 6 but there are 6 values"),
        ({"targets": torch.tensor([0, 1, 2, 3, 4, -1])}, FactsError, "from -1"),
        ({"keys": torch.full((6, 4), torch.nan).double()}, FactsError, "6 rows of the keys hold NaN"),
        ({"values": torch.full((6, 4), torch.inf).double()}, FactsError, "values hold NaN or infinity"),
        ({"key_names": (("a", "b"),)}, ShapeError, "1 key names for 6 keys"),
        ({"value_names": ("a",)}, ShapeError, "1 value names"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_facts_that_do_not_fit(change, error, message):
    with pytest.raises(error, match=message):
        replace(small(), **change)


# -- tensors of one's own ----------------------------------------------------------------------------------


def test_from_tensors_and_arrays():
    facts = small()
    assert Associations.from_tensors(facts.keys, facts.values).hash == facts.hash
    k, v, t = (x.numpy() for x in (facts.keys, facts.values, facts.targets))
    assert Associations.from_tensors(k, v, t.astype(np.int32)).hash == facts.hash
    assert Associations.from_tensors(k.astype(">f8"), v[::-1][::-1], t.astype(np.uint8)).hash == facts.hash
    named = Associations.from_tensors(k, v, key_names=[("s", str(i)) for i in range(6)], value_names="abcdef")
    assert named.key_names[1] == ("s", "1")
    assert named.value_names == tuple("abcdef")


def test_arrays_are_copied_and_gradients_left_behind():
    facts = small()
    k = facts.keys.numpy().copy()
    made = Associations.from_tensors(k, facts.values.requires_grad_())
    k[:] = 0
    assert made.hash == small().hash
    assert not made.values.requires_grad


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros(6), "float64; give the row"),
        (torch.zeros(6, dtype=torch.bool), "bool"),
        (np.array(list("abcdef")), "array of <U1"),
        (None, "6 keys share 2 values; say with targets="),
    ],
)
def test_targets_that_are_no_rows(targets, message):
    facts = small(outputs=2)
    with pytest.raises(ShapeError, match=message):
        Associations.from_tensors(facts.keys, facts.values, targets)


@pytest.mark.usefixtures("unchecked")
def test_arrays_that_are_no_numbers():
    with pytest.raises(ShapeError, match="array of object"):
        Associations.from_tensors(np.array([[None]]), np.ones((1, 1)))
    with pytest.raises(ShapeError, match="int64"):
        Associations.from_tensors(np.ones((2, 2), dtype=int), np.ones((2, 2), dtype=int))


# -- files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_files_give_the_same_facts_back(tmp_path, dtype):
    table = FactTable.from_rows([("a", "r", "é\n"), ("b", 'q"', "x"), ("c", "r", "x")])
    facts = table.to_associations(4, dtype=dtype, kind="spiked", rank=2)
    read = Associations.read(facts.write(tmp_path / "f.safetensors"))
    assert read.hash == facts.hash
    assert read.key_names == facts.key_names
    assert read.value_names == facts.value_names
    assert read.spec == facts.spec


def test_the_same_facts_are_the_same_bytes(tmp_path):
    facts = small(tied=True)  # keys and values share memory, which safetensors would refuse
    files = [facts.write(tmp_path / f"{i}.safetensors").read_bytes() for i in range(5)]
    assert len(set(files)) == 1
    part = facts.subset(slice(0, 3))
    assert Associations.read(part.write(tmp_path / "p.safetensors")).hash == part.hash


def test_foreign_tensor_files(tmp_path):
    facts = small(outputs=3)
    arrays = {"keys": facts.keys.numpy(), "values": facts.values.numpy(), "targets": facts.targets.numpy()}
    np.savez(tmp_path / "f.npz", **arrays)
    assert Associations.read(tmp_path / "f.npz").hash == facts.hash
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    read = Associations.read(
        tmp_path / "keys.npy", values=tmp_path / "values.npy", targets=str(tmp_path / "targets.npy")
    )
    assert read.hash == facts.hash
    save_file({"keys": facts.keys, "values": facts.keys.clone()}, tmp_path / "f.safetensors")
    read = Associations.read(tmp_path / "f.safetensors")
    assert read.targets.tolist() == list(range(6))
    assert read.key_names is None


def test_paths_that_do_not_fit(tmp_path):
    np.save(tmp_path / "k.npy", np.eye(2))
    np.savez(tmp_path / "f.npz", keys=np.eye(2), values=np.eye(2))
    for call, error, message in [
        (lambda: Associations.read(tmp_path / "none.npz"), FileNotFoundError, "no facts file"),
        (
            lambda: Associations.read(tmp_path / "k.npy", values=tmp_path / "v.npy"),
            FileNotFoundError,
            "v.npy",
        ),
        (lambda: Associations.read(tmp_path / "k.npy"), SettingError, "values="),
        (
            lambda: Associations.read(tmp_path / "f.npz", values=tmp_path / "k.npy"),
            SettingError,
            "leave values=",
        ),
        (lambda: Associations.read(tmp_path / "f.csv"), FileFormatError, "FactTable.read"),
        (lambda: Associations.read(tmp_path / "f.pt"), FileFormatError, "safetensors, .npz and .npy"),
        (lambda: small().write(tmp_path / "f.npz"), SettingError, "written as .safetensors"),
    ]:
        with pytest.raises(error, match=message):
            call()
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(FileFormatError, match="is a folder"):
        Associations.read(tmp_path / "d.npz")


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "npy"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.97])
def test_truncated_files(tmp_path, suffix, keep):
    path = tmp_path / f"f.{suffix}"
    facts = Associations.spherical(50, 8)
    if suffix == "npy":
        np.save(path, facts.keys.numpy())
    elif suffix == "npz":
        np.savez(path, keys=facts.keys.numpy(), values=facts.values.numpy())
    else:
        facts.write(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    with pytest.raises(FileFormatError, match="not a whole"):
        Associations.read(path, values=path if suffix == "npy" else None)


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "npy"])
@pytest.mark.parametrize("contents", [b"", b"hello world, this is text", b"\x80\x04\x95.", b"\xff" * 100])
def test_files_that_are_something_else(tmp_path, suffix, contents):
    path = tmp_path / f"f.{suffix}"
    path.write_bytes(contents)
    with pytest.raises(FileFormatError):
        Associations.read(path, values=path if suffix == "npy" else None)


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "f.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(FileFormatError, match=r"Python objects|allow_pickle=False"):
        Associations.read(tmp_path / "f.npy", values=tmp_path / "f.npy")


def test_archives_under_the_wrong_name(tmp_path):
    with (tmp_path / "f.npy").open("wb") as f:
        np.savez(f, keys=np.eye(2), values=np.eye(2))
    with (tmp_path / "f.npz").open("wb") as f:
        np.save(f, np.eye(2))
    with pytest.raises(FileFormatError, match=r"name it \.npz"):
        Associations.read(tmp_path / "f.npy", values=tmp_path / "f.npy")
    with pytest.raises(FileFormatError, match=r"name it \.npy"):
        Associations.read(tmp_path / "f.npz")


def test_tensors_that_are_missing_or_do_not_fit(tmp_path):
    path = tmp_path / "f.npz"
    np.savez(path, weights=np.eye(2), keys=np.eye(2))
    with pytest.raises(FileFormatError, match="lacks values; it holds keys, weights"):
        Associations.read(path)
    save_file({"weight": torch.eye(2)}, tmp_path / "f.safetensors")
    with pytest.raises(FileFormatError, match="lacks keys and values; it holds weight"):
        Associations.read(tmp_path / "f.safetensors")
    np.savez(path, keys=np.eye(2), values=np.full((2, 2), np.nan))
    with pytest.raises(FactsError, match=r"f\.npz: 2 rows of the values hold NaN"):
        Associations.read(path)
    np.savez(path, keys=np.eye(2), values=np.eye(2), targets=np.array([0, 2]))
    with pytest.raises(FactsError, match=r"f\.npz: targets run from 0 to 2"):
        Associations.read(path)


@pytest.mark.parametrize(
    ("header", "error", "message"),
    [
        ("{", FileFormatError, "damaged"),
        ("[]", FileFormatError, "damaged"),
        ("{}", FileFormatError, "damaged"),
        (json.dumps({"format": "factweights.associations.9"}), FileFormatError, "associations.9"),
        (
            json.dumps({"format": tensors.FORMAT, "key_names": [["a"]], "value_names": None, "spec": {}}),
            FileFormatError,
            "damaged",
        ),
        (
            json.dumps(
                {"format": tensors.FORMAT, "key_names": [["a", "b"]], "value_names": None, "spec": {}}
            ),
            ShapeError,
            "1 key names for 2 keys",
        ),
    ],
)
def test_damaged_names(tmp_path, header, error, message):
    path = tmp_path / "f.safetensors"
    save_file({"keys": torch.eye(2), "values": torch.eye(2)}, path, metadata={"factweights": header})
    with pytest.raises(error, match=message):
        Associations.read(path)


def test_writing_fails_whole(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        small().write(tmp_path / "file" / "f.safetensors")
    with pytest.raises(FactsError, match="spec"):
        replace(small(), spec={"made by": object()}).write(tmp_path / "f.safetensors")
    with monkeypatch.context() as m:
        m.setattr(tensors, "MAX_HEADER", 10)
        with pytest.raises(FactsError, match="safetensors header"):
            small().write(tmp_path / "f.safetensors")

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        small().write(tmp_path / "f.safetensors")
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


def test_a_numpy_header_that_python_cannot_read(tmp_path):
    np.save(tmp_path / "f.npy", np.eye(3))
    raw = (tmp_path / "f.npy").read_bytes()
    for old, new in ((b"(3, 3)", b"(3, 3("), (b"(3, 3)", b"9" * 6), (b"'<f8'", b"'<f9'"), (b"{", b"\\")):
        (tmp_path / "f.npy").write_bytes(raw.replace(old, new))
        with pytest.raises(FileFormatError, match="not a whole numpy file"):
            Associations.read(tmp_path / "f.npy", values=tmp_path / "f.npy")
