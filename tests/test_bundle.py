"""Bundles: a stored memory comes back as it was, or says why not."""

import errno
import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from factweights.bundle import FORMAT, Bundle, Recalled
from factweights.errors import (
    ConflictError,
    FactsError,
    FileFormatError,
    OutputError,
    SettingError,
    ShapeError,
    TamperedError,
    UnknownNameError,
)
from factweights.facts import Associations, FactTable
from factweights.folders import plain, sha256
from factweights.folders.manifests import _checksum
from factweights.memories import LinearMemory

ROWS = [
    ("France", "capital", "Paris"),
    ("France", "continent", "Europe"),
    ("Peru", "capital", "Lima"),
    ("Peru", "continent", "America"),
    ("Italy", "continent", "Europe"),
]
NAMES = {"memory.safetensors", "facts.safetensors", "facts.csv", "names.json", "certificate.json"}
NAMES |= {"manifest.json"}
CERTIFICATE = {"recall": 1.0, "margin": np.float64(0.25), "missed": (), "bound": float("inf")}


def bundle(dtype: torch.dtype = torch.float64, table: FactTable | None = None) -> Bundle:
    """Orthonormal keys, so that the sum of outer products recalls every fact with its exact scores."""
    table = table or FactTable.from_rows(ROWS)
    facts = table.to_associations(8, d_out=6, kind="orthonormal")
    weight = (facts.values[facts.targets].T @ facts.keys).to(dtype)
    return Bundle(
        LinearMemory.from_weight(weight), facts, table, CERTIFICATE, {"method": "hebbian", "steps": 3}
    )


@pytest.fixture
def saved(tmp_path) -> Path:
    return bundle().save(tmp_path / "out")


# -- folders -----------------------------------------------------------------------------------------------


def test_what_is_saved_comes_back(saved):
    given, read = bundle(), Bundle.load(saved)
    assert {f.name for f in saved.iterdir()} == NAMES
    assert read.memory.hash == given.memory.hash
    assert read.facts.hash == given.facts.hash
    assert read.facts.key_names == given.facts.key_names
    assert read.facts.spec == given.facts.spec
    assert read.table == given.table
    assert read.method == {"method": "hebbian", "steps": 3}
    assert read.certificate == {"recall": 1.0, "margin": 0.25, "missed": [], "bound": "inf"}
    assert repr(read) == repr(given)
    assert "FactTable(5 facts" in repr(read)


def test_the_manifest_says_what_is_there(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["format"] == FORMAT
    assert set(manifest["files"]) == NAMES - {"manifest.json"}
    assert manifest["table_hash"] == bundle().table.hash
    assert manifest["facts_hash"] == bundle().facts.hash
    assert manifest["weights_hash"] == bundle().memory.hash
    assert str(saved) not in (saved / "manifest.json").read_text()


def test_facts_without_names(tmp_path):
    facts = Associations.orthonormal(3, 4)
    weight = facts.values.T @ facts.keys
    read = Bundle.load(Bundle(LinearMemory.from_weight(weight), facts, None, {}, {}).save(tmp_path / "out"))
    assert read.table is None
    assert not (tmp_path / "out" / "facts.csv").exists()
    assert "Associations(3 facts" in repr(read)
    with pytest.raises(FactsError, match="no key names"):
        read.recall("a", "b")


def test_any_certificate_that_can_be_written_down():
    certificate = types.SimpleNamespace(to_dict=lambda: {"recall": 1.0})
    b = bundle()
    assert Bundle(b.memory, b.facts, None, certificate, {}).certificate == {"recall": 1.0}


def test_plain_is_strict_json():
    value = {
        1: (np.float32(0.5), np.int64(2), torch.tensor([1, 2])),
        "x": {"y": float("nan")},
        "p": Path("a"),
    }
    value |= {"none": None, "yes": True, "array": np.array([np.inf]), "dtype": torch.float32}
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "1": [0.5, 2, [1, 2]],
        "x": {"y": "nan"},
        "p": "a",
        "none": None,
        "yes": True,
        "array": ["inf"],
        "dtype": "torch.float32",
    }


def test_parts_that_do_not_belong_together():
    b = bundle()
    with pytest.raises(ShapeError, match="maps dimension 8 to 5, the facts 8 to 6"):
        Bundle(LinearMemory(8, 5), b.facts, b.table, {}, {})
    swapped = FactTable.from_rows([("France", "capital", "Lima"), *ROWS[1:]])
    for table in (b.table.head(4), swapped, FactTable.from_rows(ROWS[::-1])):
        with pytest.raises(FactsError, match="does not name these facts"):
            Bundle(b.memory, b.facts, table, {}, {})


def test_only_bundles_are_overwritten(tmp_path, saved):
    with pytest.raises(OutputError, match="not empty"):
        bundle().save(saved)
    bundle(torch.float32).save(saved, overwrite=True)
    assert Bundle.load(saved).memory.dtype == torch.float32
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds other files.*'notes\.txt'"):
        bundle().save(saved, overwrite=True)
    assert (saved / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError):
            bundle().save(path, overwrite=True)


@pytest.mark.parametrize("method", ["write_bytes", "write_text"])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, method):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, method, full)
    with pytest.raises(OutputError, match="No space left"):
        bundle().save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# -- folders that are not what they should be --------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(NAMES - {"manifest.json"}))
def test_every_changed_or_missing_file_is_found(saved, name):
    raw = (saved / name).read_bytes()
    (saved / name).write_bytes(raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:])
    with pytest.raises(TamperedError, match=f"{name} is not the file that was saved"):
        Bundle.load(saved)
    (saved / name).unlink()
    for check in (True, False):
        with pytest.raises(TamperedError, match=f"{name} is missing"):
            Bundle.load(saved, check=check)


def test_an_unchecked_folder_opens_as_it_is(saved):
    (saved / "certificate.json").write_text('{"recall": 0.5}')
    assert Bundle.load(saved, check=False).certificate == {"recall": 0.5}


def test_files_of_another_bundle(saved, tmp_path):
    other = bundle(table=FactTable.from_rows([("a", "b", "c")])).save(tmp_path / "other")
    shutil.copy(other / "facts.csv", saved / "facts.csv")
    with pytest.raises(TamperedError, match="do not belong together"):
        Bundle.load(saved, check=False)


def sealed_by_hand(manifest: dict) -> dict:
    return manifest | {"checksum": _checksum(manifest)}


def test_a_manifest_of_this_version_needs_its_checksum(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps(manifest | {"checksum": None}))
    with pytest.raises(TamperedError, match=r"manifest\.json is not as it was saved"):
        Bundle.load(saved)


def edit(saved: Path, **changes) -> None:
    """As a forger does, who writes a checksum that is right."""
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps(sealed_by_hand(manifest | changes)))


def test_a_changed_manifest_is_found(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["method"]["steps"] += 1
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TamperedError, match=r"manifest\.json is not as it was saved"):
        Bundle.load(saved)
    assert Bundle.load(saved, check=False).method["steps"] == 4


@pytest.mark.parametrize("what", ["facts_hash", "weights_hash", "table_hash"])
def test_hashes_of_something_else(saved, what):
    edit(saved, **{what: "0" * 64})
    with pytest.raises(TamperedError, match="hashes of other weights or facts"):
        Bundle.load(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": "factweights.bundle.9", "factweights": "9.9"},
            r"bundle\.9.*open it with factweights 9\.9",
        ),
        ({"format": None}, "format None"),
        ({"files": []}, "files: Input should be a valid dict"),
        ({"files": {}}, "it lists"),
        ({"files": {"../../secret": "0"}}, "files"),
        ({"method": 3}, "method"),
    ],
)
def test_damaged_manifests(saved, changes, message):
    edit(saved, **changes)
    with pytest.raises(FileFormatError, match=message):
        Bundle.load(saved)


@pytest.mark.parametrize("contents", [b"", b"{", b'{"format": "fact', b"[]", b"\xff\xfe", b"[" * 100_000])
def test_manifests_that_are_none(saved, contents):
    (saved / "manifest.json").write_bytes(contents)
    with pytest.raises(FileFormatError, match=r"manifest\.json"):
        Bundle.load(saved)


def test_paths_that_are_no_bundles(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder at"):
        Bundle.load(tmp_path / "none")
    with pytest.raises(FileFormatError, match=r"no manifest\.json: not a factweights folder"):
        Bundle.load(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileFormatError, match="is a file; give the folder"):
        Bundle.load(tmp_path / "file")


def test_memories_are_checked_too(saved):
    save_file({"weight": torch.zeros(2)}, saved / "memory.safetensors")
    with pytest.raises(FileFormatError, match="not written by factweights"):
        Bundle.load(saved, check=False)


# -- asking ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_fact_is_recalled_like_the_table(dtype):
    b = bundle(dtype)
    for subject, relation, answer in b.table:
        found = b.recall(subject, relation)
        assert found.answer == found.expected == b.table.lookup(subject, relation) == answer
        assert found.correct
        assert found.margin == pytest.approx(1.0, abs=1e-6)
        assert found.score == pytest.approx(1.0, abs=1e-6)
        assert len(found.runners_up) == 3
        scores = [s for _, s in found.runners_up]
        assert scores == sorted(scores, reverse=True)
    assert len(b.recall("Peru", "capital", top=1).runners_up) == 0
    assert b.recall(" Peru ", "capital", top=99).answer == "Lima"


def test_a_wrong_answer_is_shown_as_one():
    b = bundle()
    wrong = b.facts.values[b.facts.targets.roll(1)].T @ b.facts.keys
    found = Bundle(LinearMemory.from_weight(wrong), b.facts, b.table, {}, {}).recall("France", "continent")
    assert (found.answer, found.expected, found.correct) == ("Paris", "Europe", False)
    assert found.margin == pytest.approx(-1.0)
    assert "Paris, not Europe (margin -1; then" in str(found)
    assert found.to_dict()["correct"] is False


def test_a_tie_is_no_recall():
    b = bundle()
    found = Bundle(LinearMemory(8, 6), b.facts, b.table, {}, {}).recall("Peru", "capital")
    assert found.margin == 0
    assert not found.correct


def test_one_answer_wins_by_any_margin():
    found = bundle(table=FactTable.from_rows([("a", "b", "c")])).recall("a", "b")
    assert (found.answer, found.margin, found.runners_up) == ("c", float("inf"), ())


def test_names_that_are_unknown():
    b = bundle()
    with pytest.raises(UnknownNameError, match="no subject named 'Perú'; did you mean 'Peru'"):
        b.recall("Perú", "capital")
    with pytest.raises(
        UnknownNameError, match=r"no relation of 'Italy' named 'capital'.*\(it has continent\)"
    ):
        b.recall("Italy", "capital")
    with pytest.raises(SettingError, match="got 0"):
        b.recall("Peru", "capital", top=0)


def test_names_that_stand_there_twice():
    facts = Associations.from_tensors(
        torch.eye(2).double(), torch.eye(2).double(), key_names=[("a", "b")] * 2, value_names=["x", "x"]
    )
    with pytest.raises(FactsError, match="1 key names stand there twice"):
        Bundle(LinearMemory(2, 2), facts, None, {}, {}).recall("a", "b")


def test_recalled_is_escaped_in_notebooks():
    found = Recalled("<b>", "r", "x", 1.0, "x", (), 1.0)
    assert found._repr_html_() == "<p>&lt;b&gt;, r: x (margin 1)</p>"


# -- another table -----------------------------------------------------------------------------------------


@given(st.permutations(ROWS), st.integers(1, len(ROWS)))
def test_another_table_picks_its_facts_by_name(rows, n):
    b = bundle()
    facts = b.facts_of(FactTable.from_rows(rows[:n]))
    assert facts.key_names == tuple(row[:2] for row in rows[:n])
    assert [facts.value_names[i] for i in facts.targets.tolist()] == [row[2] for row in rows[:n]]
    for i, row in enumerate(rows[:n]):
        assert torch.equal(facts.keys[i], b.facts.keys[ROWS.index(row)])
    assert torch.equal(facts.values, b.facts.values)


def test_another_table_that_does_not_fit():
    b = bundle()
    with pytest.raises(UnknownNameError, match="no subject named 'Spain'"):
        b.facts_of(FactTable.from_rows([*ROWS, ("Spain", "continent", "Europe")]))
    with pytest.raises(FactsError, match=r"7 facts of the table were never stored: .*'s4'.*…"):
        b.facts_of(FactTable.from_rows([*ROWS, *((f"s{i}", "r", "Europe") for i in range(7))]))
    with pytest.raises(FactsError, match="1 answers of the table are none that the memory can give: 'Cusco'"):
        b.facts_of(FactTable.from_rows([("Peru", "capital", "Cusco")]))
    with pytest.raises(ConflictError):
        FactTable.from_rows([*ROWS, ("Peru", "capital", "Paris")])


def test_verify_runs_again_on_any_table():
    pytest.importorskip("factweights.certificates")
    b = bundle()
    assert b.verify().recall == 1.0
    assert b.verify(b.table.head(2)).recall == 1.0
    changed = FactTable.from_rows([("Peru", "capital", "Paris"), *ROWS[:1]])
    assert b.verify(changed).recall == 0.5


# -- names in a file of their own ---------------------------------------------------------------------------


def test_bundles_of_earlier_versions_still_load(saved):
    b = bundle()
    b.facts.write(saved / "facts.safetensors")  # with the names in its header
    (saved / "names.json").unlink()
    manifest = json.loads((saved / "manifest.json").read_text())
    files = {n: sha256(saved / n) for n in manifest["files"] if n != "names.json"}
    edit(saved, format="factweights.bundle.1", files=files)
    read = Bundle.load(saved)
    assert read.table == b.table
    assert read.facts.key_names == b.facts.key_names
    assert Bundle.load_one(saved, "Peru", "capital").recall("Peru", "capital").answer == "Lima"


def test_one_fact_is_asked_for_without_the_others(saved, monkeypatch):
    whole = Bundle.load(saved)
    monkeypatch.setattr(FactTable, "read", None)  # nor is the table read
    for subject, relation, _ in ROWS:
        one = Bundle.load_one(saved, f" {subject}", relation)
        assert len(one.facts) == 1
        assert one.recall(subject, relation) == whole.recall(subject, relation)
    with pytest.raises(UnknownNameError, match="did you mean 'Peru'"):
        Bundle.load_one(saved, "Perú", "capital")
    raw = (saved / "facts.csv").read_bytes()
    (saved / "facts.csv").write_bytes(raw[:-1])
    with pytest.raises(TamperedError, match="is not the file that was saved"):
        Bundle.load_one(saved, "Peru", "capital")


def test_names_longer_than_a_header_of_tensors(tmp_path, monkeypatch):
    from factweights.facts import tensors

    monkeypatch.setattr(tensors, "MAX_HEADER", 500)
    b = bundle(table=FactTable.from_rows([(f"s{i}" * 100, "r", f"a{i}") for i in range(5)]))
    with pytest.raises(FactsError, match="MB; store fewer facts"):
        b.facts.write(tmp_path / "facts.safetensors")
    assert Bundle.load(b.save(tmp_path / "out")).table == b.table


@pytest.mark.parametrize(
    "change", [{"key_names": None}, {"value_names": ["x"]}, {"key_names": [["a"]]}, {"x": 1}]
)
def test_names_of_another_kind_are_errors(saved, change):
    names = json.loads((saved / "names.json").read_text())
    (saved / "names.json").write_text(json.dumps(names | change))
    manifest = json.loads((saved / "manifest.json").read_text())
    edit(saved, files={**manifest["files"], "names.json": sha256(saved / "names.json")})
    for load in (Bundle.load, lambda path: Bundle.load_one(path, "Peru", "capital")):
        with pytest.raises(FileFormatError):
            load(saved)


@pytest.mark.parametrize(
    "change", [{"recall": "x"}, {"recall": 2.0}, {"noise_recall": 3}, {"top_k": {"x": 1.0}}]
)
def test_certificates_of_another_kind_are_errors(saved, change):
    (saved / "certificate.json").write_text(json.dumps({"recall": 1.0, **change}))
    with pytest.raises(FileFormatError, match=r"certificate\.json is damaged"):
        Bundle.load(saved, check=False)
