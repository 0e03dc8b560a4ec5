"""Facts that change: what is edited is there, everything else still is, and nothing is half-written."""

import importlib.util
import json
from dataclasses import replace as with_fields
from pathlib import Path

import pytest
import torch

from factweights.bundle import Bundle
from factweights.certificates import verify
from factweights.cli import run
from factweights.editing import edit, edit_facts, edit_named, edit_table, read_changes
from factweights.errors import (
    ConflictError,
    FactsError,
    NewNameError,
    NotStorableError,
    OutputError,
    SettingError,
    ShapeError,
    UnknownNameError,
)
from factweights.facts import Associations, FactTable
from factweights.memories import LinearMemory
from factweights.methods import ExactLinear, GatedFit, Hebbian, LowRankFit, Ridge
from factweights.storing import store_table

ROOT = Path(__file__).resolve().parent.parent
CITIES = [f"city {i}" for i in range(40)]
TABLE = FactTable.from_rows([(f"country {i}", "capital", c) for i, c in enumerate(CITIES)])
MOVED, NEW, GONE = (
    ("country 3", "capital", "city 9"),
    ("country 40", "capital", "city 40"),
    ("country 7", "capital"),
)
# The first two entries of a new key and of a new value, the same on every machine.
PINNED = [[0.12007269000629549, 0.685874081715762], [0.029317904552317215, -0.6221535270149023]]
METHODS = [
    (Hebbian(), 96, "closed form"),
    (ExactLinear(), 16, "warm start"),
    (GatedFit(width=8), 24, "warm start"),
    (Ridge(), 64, "stored again"),
    (LowRankFit(rank=12), 32, "stored again"),
]


@pytest.fixture(scope="module")
def stored() -> Bundle:
    return store_table(TABLE, d=16).bundle


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


# -- rows --------------------------------------------------------------------------------------------------


def test_rows_are_replaced_removed_and_added():
    facts = Associations.spherical(6, 4, seed=1)
    keys, values = torch.randn(2, 4).double(), torch.randn(1, 4).double()
    own = torch.ones(4).double()
    edited = edit_facts(
        facts,
        replace={0: 3, 4: own, 5: 6},
        remove=[2],
        keys=keys,
        targets=torch.tensor([6, 1]),
        values=values,
    )
    assert torch.equal(edited.keys, torch.cat([facts.keys[[0, 1, 3, 4, 5]], keys]))
    assert torch.equal(edited.values, torch.cat([facts.values, values, own[None]]))
    assert edited.targets.tolist() == [3, 1, 3, 7, 6, 6, 1]
    assert facts.targets.tolist() == list(range(6))
    pruned = edit_facts(facts, replace={0: 3}, remove=[2], prune=True)
    assert torch.equal(pruned.values, facts.values[[1, 3, 4, 5]])
    assert pruned.targets.tolist() == [1, 0, 1, 2, 3]
    assert edit_facts(facts).hash == facts.hash


def test_names_are_carried_along():
    facts = TABLE.to_associations(4)
    edited = edit_facts(
        facts,
        remove=[0],
        keys=facts.keys[:1],
        targets=torch.tensor([40]),
        values=facts.values[:1],
        key_names=[("a", "b")],
        value_names=["c"],
    )
    assert edited.key_names == (*facts.key_names[1:], ("a", "b"))
    assert edited.value_names == (*facts.value_names, "c")


ONE = {"keys": torch.ones(1, 4).double(), "targets": torch.tensor([0])}


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"replace": {40: 0}}, FactsError, "rows 0 to 39"),
        ({"remove": [-1]}, FactsError, "no row -1"),
        ({"replace": {1: 0}, "remove": [1]}, ConflictError, "row 1 is both"),
        ({"replace": {1: 40}}, FactsError, "use 0 to 39"),
        ({"replace": {1: torch.ones(4)}}, FactsError, "value_names="),
        ({"remove": range(40)}, FactsError, "all 40 facts"),
        ({"keys": ONE["keys"]}, ShapeError, "give both"),
        ({**ONE, "keys": torch.ones(1, 5)}, ShapeError, "these facts take (…, 4)"),
        (ONE, FactsError, "0 names for 1 new keys"),
        ({**ONE, "key_names": [("country 0", "capital")]}, FactsError, "already"),
    ],
)
def test_impossible_rows_are_explained(settings, error, said):
    with pytest.raises(error) as e:
        edit_facts(TABLE.to_associations(4), **settings)
    assert said in str(e.value)


# -- tables ------------------------------------------------------------------------------------------------


def test_a_table_is_edited_by_name():
    plan = edit_table(TABLE, set=[MOVED, NEW, ("country 1", "capital", " city 1 ")], remove=[GONE], add=True)
    rows = [(s, r, "city 9" if s == "country 3" else a) for s, r, a in TABLE if s != "country 7"]
    assert list(plan.table) == [*rows, NEW]
    assert (plan.replaced, plan.removed, plan.added, plan.unchanged) == ((3,), (7,), 1, (1,))
    assert [plan.table.subject[i] for i in plan.written] == ["country 3", "country 40"]
    assert sorted((*plan.written, *plan.untouched)) == list(range(40))
    assert not edit_table(TABLE, set=[next(iter(TABLE))])


def cased(name: str) -> list[str]:
    """Ways in which a name is misspelt."""
    return [
        name.swapcase(),
        name.replace(" ", "  "),
        name + "s",
        name[:-2] + name[-1],
        name.replace(" ", "\u00a0"),
    ]


@pytest.mark.parametrize("subject", cased("country 33"))
@pytest.mark.parametrize("relation", ["capital", *cased("capital")])
def test_a_misspelt_name_becomes_no_fact(subject, relation):
    wrong = [(subject, relation, "Lyon"), ("country 33", relation, "Lyon")]
    for row in wrong:
        if row[0] in TABLE.subjects and row[1] in TABLE.relations:
            continue
        with pytest.raises(NewNameError) as e:
            edit_table(TABLE, set=[row])
        assert "did you mean" in str(e.value), row
        assert "add=True" in str(e.value)
        plan = edit_table(TABLE, set=[row], add=True)
        assert plan.added == 1
        assert len(plan.new_subjects) + len(plan.new_relations) == sum(
            n not in known for n, known in ((row[0], TABLE.subjects), (row[1], TABLE.relations))
        )


def test_known_names_may_get_a_fact_and_answers_may_be_new():
    table = FactTable.from_rows([("France", "capital", "Paris"), ("Peru", "currency", "sol")])
    plan = edit_table(table, set=[("Peru", "capital", "Lima"), ("France", "capital", "paris")])
    assert (plan.added, plan.replaced) == (1, (0,))
    assert plan.new_names() == {"new_subjects": [], "new_relations": [], "new_answers": ["paris", "Lima"]}
    assert plan.said_new() == [("new answers", "'paris' (looks like 'Paris'), 'Lima'")]
    both = edit_table(table, set=[("france", "capitol", "Paris")], add=True)
    assert both.said_new() == [
        ("new subjects", "'france' (looks like 'France')"),
        ("new relations", "'capitol' (looks like 'capital')"),
    ]
    with pytest.raises(NewNameError, match=r"no subject named 'capital' .*The order is subject, relation"):
        edit_table(table, set=[("capital", "France", "Paris")])
    many = [(f"Land {i}", "capital", "Paris") for i in range(9)]
    with pytest.raises(NewNameError, match="and 4 more; new subjects"):
        edit_table(table, set=many)


def test_new_vectors_depend_on_the_name_alone():
    facts = TABLE.to_associations(6, d_out=5, seed=3)
    both = [NEW, ("country 41", "capital", "city 41")]
    plan = edit_table(TABLE, set=both, add=True)
    at_once = edit_named(facts, plan)
    table, one_by_one = TABLE, facts
    for row in reversed(both):
        step = edit_table(table, set=[row], add=True)
        table, one_by_one = step.table, edit_named(one_by_one, step)
    assert torch.equal(at_once.keys[:40], facts.keys)
    assert torch.equal(at_once.values[:40], facts.values)
    assert torch.equal(at_once.keys[40:].flip(0), one_by_one.keys[40:])
    assert torch.equal(at_once.values[40:].flip(0), one_by_one.values[40:])
    assert torch.allclose(at_once.keys[40:].norm(dim=1), torch.ones(2).double())
    other_seed = edit_named(TABLE.to_associations(6, d_out=5, seed=4), plan)
    assert not torch.equal(at_once.keys[40:], other_seed.keys[40:])
    drawn = [at_once.keys[40, :2].tolist(), at_once.values[40, :2].tolist()]
    assert drawn == PINNED


@pytest.mark.parametrize("kind", ["gaussian", "spiked", "orthonormal"])
def test_new_vectors_are_of_the_same_kind(kind):
    facts = TABLE.to_associations(42, kind=kind, dtype=torch.float32)
    more = edit_named(facts, edit_table(TABLE, set=[NEW, ("country 41", "capital", "city 41")], add=True))
    assert (more.keys.shape, more.keys.dtype) == ((42, 42), torch.float32)
    if kind == "orthonormal":
        assert torch.allclose(more.keys @ more.keys.T, torch.eye(42), atol=1e-5)
        with pytest.raises(FactsError, match="no further orthonormal key"):
            edit_named(TABLE.to_associations(40, kind=kind), edit_table(TABLE, set=[NEW], add=True))


def test_vectors_may_be_given():
    facts = with_fields(TABLE.to_associations(4), spec={})
    plan, ones = edit_table(TABLE, set=[NEW], add=True), torch.ones(4)
    edited = edit_named(facts, plan, keys={NEW[:2]: ones}, values={"city 40": -ones})
    assert edited.keys[-1].tolist() == [1.0] * 4
    assert edited.values[-1].tolist() == [-1.0] * 4
    for keys, said in (({}, "do not say how"), ({NEW[:2]: ones[:3]}, "shape (3,)")):
        with pytest.raises(FactsError) as e:
            edit_named(facts, plan, keys=keys, values={"city 40": ones})
        assert said in str(e.value)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"set": [MOVED, (*MOVED[:2], "city 8")]}, ConflictError, "set to 'city 9' and set to 'city 8'"),
        ({"set": [(*GONE, "x")], "remove": [GONE]}, ConflictError, "set to 'x' and removed"),
        ({"remove": [("contry 7", "capital")]}, UnknownNameError, "did you mean 'country 7'"),
        ({"remove": [("country 7", "kapital")]}, UnknownNameError, "did you mean 'capital'"),
        ({"set": [("a", "b", " ")]}, FactsError, "empty cell"),
        ({"set": ["abc"]}, FactsError, "give (subject, relation, answer)"),
        ({"remove": [("a",)]}, FactsError, "give (subject, relation)"),
        ({"remove": [(s, r) for s, r, _ in TABLE]}, FactsError, "all 40 facts"),
    ],
)
def test_impossible_changes_are_explained(changes, error, said):
    with pytest.raises(error) as e:
        edit_table(TABLE, **changes)
    assert said in str(e.value)


def test_changes_are_read_from_a_file(tmp_path):
    path = tmp_path / "changes.csv"
    path.write_text(
        "Answer,subject,note,relation\ncity 9,country 3,moved,capital\n ,country 7,gone,capital\n"
    )
    assert read_changes(path) == ([MOVED], [GONE])
    for text, said in (
        ("subject,relation\na,b\n", "0 columns named 'answer'"),
        ("subject,relation,answer\n,b,c\n", "line 2: no subject"),
    ):
        path.write_text(text)
        with pytest.raises(FactsError) as e:
            read_changes(path)
        assert said in str(e.value)


# -- memories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "d", "how"), METHODS, ids=lambda x: getattr(x, "name", None))
def test_an_edited_memory_holds_what_is_new_and_all_the_rest(method, d, how):
    before = store_table(TABLE, method, d=d).bundle
    edited = edit(before, set=[MOVED, NEW], remove=[GONE], add=True)
    bundle, certificate = edited.bundle, edited.certificate
    assert (edited.how, edited.refitted) == (how, how == "stored again")
    assert (certificate.facts, certificate.outputs, certificate.recall) == (40, 41, 1.0)
    assert (edited.changed_recall, edited.others_recall, edited.kept) == (1.0, 1.0, True)
    assert certificate.facts_hash == bundle.facts.hash != before.certificate["facts_hash"]
    assert certificate.weights_hash == bundle.memory.hash != before.certificate["weights_hash"]
    assert all(bundle.recall(s, r).answer == a for s, r, a in bundle.table)
    assert bundle.recall("country 3", "capital").answer == "city 9"
    assert before.recall("country 3", "capital").answer == "city 3"
    assert bundle.method == before.method
    with pytest.raises(UnknownNameError):
        bundle.recall(*GONE)


def test_a_hebbian_matrix_is_edited_exactly():
    before = store_table(TABLE, Hebbian(), d=96, dtype=torch.float32).bundle
    edited = edit(before, set=[MOVED, NEW], remove=[GONE], add=True)
    again = Hebbian().store(edited.bundle.facts)
    assert torch.allclose(edited.bundle.memory.weight, again.weight, atol=1e-5)
    back = edit(
        edited.bundle, set=[("country 3", "capital", "city 3"), (*GONE, "city 7")], remove=[NEW[:2]], add=True
    )
    assert back.bundle.facts.n_outputs == 41
    assert back.certificate.recall == 1.0
    assert edited.removed_recall == 0.0


def test_a_start_saves_evaluations():
    table = FactTable.from_rows([(f"s{i}", "r", f"a{i}") for i in range(300)])
    method, facts = ExactLinear(stop="first"), table.to_associations(50)
    before = method.store(facts)
    plan = edit_table(table, set=[("s5", "r", "a9"), ("new", "r", "a300")], remove=[("s7", "r")], add=True)
    edited = edit_named(facts, plan)
    warm, cold = method.solve(edited, start=before), method.solve(edited)
    assert warm.storable
    assert cold.storable
    assert verify(warm.memory, edited).recall == 1.0
    assert 2 * warm.evaluations <= cold.evaluations


def test_a_start_that_leads_nowhere_is_given_up(stored, monkeypatch):
    def store(self, facts, *, seed=0, start=None, **told):
        return (
            real(self, facts, start=start)
            if start is None
            else LinearMemory(facts.d_in, facts.d_out).double()
        )

    real = ExactLinear.store
    monkeypatch.setattr(ExactLinear, "store", store)
    told = []
    edited = edit(stored, set=[MOVED], on_progress=lambda p: told.append(p.text))
    assert (edited.refitted, edited.certificate.recall) == (True, 1.0)
    assert "from nothing" in told[-1]


def test_another_method_stores_again(stored):
    edited = edit(stored, set=[MOVED], method=LowRankFit(rank=14))
    assert (edited.how, edited.bundle.method["method"]) == ("stored again", "low-rank-fit")


def test_a_start_of_another_form_stores_again(stored, monkeypatch):
    def store(self, facts, *, seed=0, start=None, **told):
        if start is not None:
            raise ShapeError("other gates")
        return real(self, facts)

    real = ExactLinear.store
    monkeypatch.setattr(ExactLinear, "store", store)
    assert edit(stored, set=[MOVED]).refitted


def test_the_certificate_answers_the_same_questions(stored):
    asked = stored.verify(noise=[0.1], top_k=[2])
    before = Bundle(stored.memory, stored.facts, stored.table, asked, stored.method)
    certificate = edit(before, set=[MOVED]).certificate
    assert set(certificate.noise_recall) == {0.1}
    assert certificate.top_k == {2: 1.0}


def test_nothing_to_do_leaves_the_weights(stored):
    same = edit(stored, set=[next(iter(TABLE))])
    assert same.how == "unchanged"
    assert same.certificate.weights_hash == stored.certificate["weights_hash"]
    assert same.bundle.facts.hash == stored.facts.hash
    assert same.to_dict()["unchanged"] == 1
    assert (same.changed_recall, same.others_recall, same.kept) == (None, 1.0, True)


def test_unused_answers_stay_unless_pruned(stored):
    assert edit(stored, set=[MOVED]).certificate.outputs == 40
    pruned = edit(stored, set=[MOVED], prune=True)
    assert pruned.certificate.outputs == 39
    assert pruned.bundle.recall("country 39", "capital").answer == "city 39"


def test_a_lower_recall_is_counted_honestly():
    before = store_table(TABLE, Hebbian(), d=24, recall=0.5).bundle
    had = before.certificate["recall"]
    assert 0.5 <= had < 1
    edited = edit(
        before, set=[(f"new {i}", "capital", f"city {i}") for i in range(40)], add=True, recall=0.01
    )
    assert edited.certificate.facts == 80
    halves = (edited.changed_recall + edited.others_recall) / 2
    assert halves == pytest.approx(edited.certificate.recall)
    assert not edited.kept
    assert "some that were recalled before are lost" in str(edited)


def test_what_no_longer_fits_is_refused(stored):
    more = [(f"new {i}", "capital", f"town {i}") for i in range(200)]
    with pytest.raises(NotStorableError) as e:
        edit(stored, set=more, add=True)
    for part in ("of 240 facts missed", "proved: no 16 × 16 matrix", "law asks for d = "):
        assert part in str(e.value)
    low_rank = store_table(TABLE, LowRankFit(rank=8), d=32).bundle
    with pytest.raises(NotStorableError, match="with 512 parameters"):
        edit(low_rank, set=more, add=True)


def test_requests_that_make_no_sense(stored):
    with pytest.raises(SettingError, match="recall cannot be"):
        edit(stored, set=[MOVED], recall=2.0)
    for method, error, said in (
        ({}, SettingError, "does not say which method"),
        ({"method": "exact-liner"}, UnknownNameError, "exact-linear"),
        ({"method": "hebbian", "rate": 1}, SettingError, "cannot have the settings"),
    ):
        odd = Bundle(stored.memory, stored.facts, stored.table, stored.certificate, method)
        with pytest.raises(error) as e:
            edit(odd, set=[MOVED])
        assert said in str(e.value)
    with pytest.raises(FactsError, match="no names"):
        edit(Bundle(stored.memory, stored.facts, None, stored.certificate, stored.method), set=[MOVED])


def test_a_failed_save_leaves_the_old_folder(stored, tmp_path, monkeypatch):
    folder = stored.save(tmp_path / "b")
    before = contents(folder)
    edited = edit(Bundle.load(folder), set=[MOVED])
    monkeypatch.setattr(LinearMemory, "save", _full_disk)
    with pytest.raises(OutputError):
        edited.save(folder, overwrite=True)
    assert contents(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    monkeypatch.undo()
    edited.save(folder, overwrite=True)
    assert Bundle.load(folder).recall("country 3", "capital").answer == "city 9"


def _full_disk(*_, **__):
    raise OSError(28, "No space left on device")


# -- command line ------------------------------------------------------------------------------------------


@pytest.fixture
def cli(capsys):
    """Run one command with --json: (exit code, the one document on stdout)."""

    def call(*tokens: object) -> tuple[int, dict]:
        capsys.readouterr()
        code = run([*map(str, tokens), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def _promised() -> set[str]:
    spec = importlib.util.spec_from_file_location("build_docs", ROOT / "scripts" / "build_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return set(module.KEYS["edit"].split(", "))


def test_the_command_edits_in_place(cli, stored, tmp_path, capsys):
    folder = stored.save(tmp_path / "b")
    changes = tmp_path / "changes.csv"
    changes.write_text("subject,relation,answer\ncountry 5,capital,-5\ncountry 6,capital,\n")
    code, found = cli(
        "edit", folder, "--set", *MOVED, "--set", *NEW, "--add", "--remove", *GONE, "--from", changes
    )
    assert code == 0, found
    assert set(found) == _promised()
    counts = [found[k] for k in ("facts", "changed", "added", "removed", "unchanged")]
    assert counts == [39, 2, 1, 2, 0]
    assert (found["recall"], found["changed_recall"], found["others_recall"]) == (1.0, 1.0, 1.0)
    assert (found["refitted"], found["kept"], found["out"]) == (False, True, str(folder))
    assert cli("recall", folder, *NEW[:2])[1]["answer"] == "city 40"
    assert cli("recall", folder, "country 5", "capital")[1]["answer"] == "-5"
    assert cli("verify", folder)[1]["weights_hash"] == found["weights_hash"]
    assert run(["edit", str(folder), "--set", "country 5", "capital", "-6"]) == 0
    out = capsys.readouterr().out
    assert "1 changed" in out
    assert "all kept" in out
    assert f"saved to {folder}" in out


def test_the_command_writes_elsewhere(cli, stored, tmp_path):
    folder, out = stored.save(tmp_path / "b"), tmp_path / "c"
    before = contents(folder)
    code, found = cli("edit", folder, "--remove", *GONE, "--out", out)
    assert (code, found["out"], found["facts"]) == (0, str(out), 39)
    assert contents(folder) == before
    assert cli("verify", out)[1]["facts"] == 39
    code, found = cli("edit", folder, "--set", *next(iter(TABLE)))
    assert (code, found["changed"], found["unchanged"], found["out"]) == (0, 0, 1, None)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("tokens", "error", "said"),
    [
        ([], "SettingError", "nothing to change"),
        (["--remove", "country 77", "capital"], "UnknownNameError", "did you mean"),
        (["--set", *GONE, "x", "--remove", *GONE], "ConflictError", "set to 'x' and removed"),
        (["--set", *MOVED, "--out", "{folder}"], "OutputError", "not empty"),
        (["--from", "{folder}/none.csv"], "FileNotFoundError", "no fact table"),
        (["--from", "{many}", "--add"], "NotStorableError", "law asks for"),
        (["--from", "{many}"], "NewNameError", "no subject named 's0', "),
        (["--set", "Country 3", "capital", "x"], "NewNameError", "(did you mean 'country 3'?)"),
        (["--set", "country 3", "capitol", "x"], "NewNameError", "only taken with --add"),
    ],
)
def test_a_refused_command_leaves_the_folder(cli, stored, tmp_path, tokens, error, said):
    folder, many = stored.save(tmp_path / "b"), tmp_path / "many.csv"
    many.write_text("subject,relation,answer\n" + "".join(f"s{i},r,a{i}\n" for i in range(300)))
    before = contents(folder)
    code, found = cli("edit", folder, *(t.format(folder=folder, many=many) for t in tokens))
    assert (code, found["error"]["type"]) == (1, error)
    assert said in found["error"]["message"]
    assert contents(folder) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "many.csv"]
