"""What a compiled model was asked, and what not: nothing that was never asked counts as recalled."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import factweights as fw
from factweights.cli import run
from factweights.errors import (
    FactsError,
    FileFormatError,
    NotStorableError,
    SettingError,
    UnknownNameError,
)

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's package is first imported
pytest.importorskip("transformers")

from factweights.export import asking, checking, compiling, folder, real
from factweights.export.names import Vocabulary, prompts_of

TEMPLATE = "The capital of {subject} is"
ROWS = [(f"Land {i}", "capital", f"Town {i}") for i in range(6)] + [
    (f"Land {i}", "currency", f"Coin {i % 5}") for i in range(30)
]


@pytest.fixture(scope="module")
def table() -> fw.FactTable:
    return fw.FactTable.from_rows(ROWS)


@pytest.fixture(scope="module")
def compiled(table, tmp_path_factory) -> fw.Compiled:
    return fw.compile_table(table, tmp_path_factory.mktemp("asked") / "out", templates=[TEMPLATE])


def test_a_relation_that_no_template_asks_gets_a_plain_one(compiled, table):
    c = compiled.certificate
    assert compiled.unasked == {"currency": 30}
    assert list(c.templates) == [TEMPLATE, "{subject} {relation}"]
    assert [found["facts"] for found in c.templates.values()] == [6, 36]
    assert (c.facts, c.asked, c.prompts, c.never_asked, c.recall) == (36, 36, 42, {}, 1.0)
    said = str(compiled)
    assert "no template given asks for 'currency' (30); '{subject} {relation}' was added" in said
    assert "36 facts in 42 prompts of 2 templates" in said
    assert folder.read_settings(compiled.path).templates == list(c.templates)


def test_the_command_says_so_before_and_after(table, tmp_path, capsys):
    table.write(tmp_path / "p.csv")
    out = tmp_path / "out"
    assert run(["compile", str(tmp_path / "p.csv"), "--template", TEMPLATE, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "no template given asks for 'currency' (30)" in shown.err
    assert "'{subject} {relation}' was added" in shown.out
    assert run(["compile", str(tmp_path / "p.csv"), "--out", str(tmp_path / "usual"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["unasked"], found["asked"], found["prompts"]) == ({}, 36, 72)


@pytest.mark.parametrize("template", ["About {subject} :", "The capitol of {subject} is"])
def test_a_template_that_asks_for_nothing_is_refused(table, tmp_path, template):
    with pytest.raises(SettingError, match="names no relation"):
        fw.compile_table(table, tmp_path / "out", templates=[TEMPLATE, template])
    assert not (tmp_path / "out").exists()


def test_a_folder_with_facts_never_asked_is_not_written(table, tmp_path, monkeypatch):
    """The last line of defence: whatever lets a relation slip through, its facts count as missed."""
    monkeypatch.setattr(compiling, "complete", lambda templates, *_: (tuple(templates), {}))
    with pytest.raises(NotStorableError, match=r"30 of 36 facts missed.*asks for 'currency' \(30\)"):
        fw.compile_table(table, tmp_path / "out", templates=[TEMPLATE], width=64)
    assert not (tmp_path / "out").exists()


def test_facts_never_asked_are_counted_and_named(compiled, table):
    settings = folder.read_settings(compiled.path)
    c = checking.check_model(
        compiled.path, table, settings.vocabulary, settings.residual, [TEMPLATE], absence=True
    )
    assert (c.asked, c.never_asked, c.n_missed) == (6, {"currency": 30}, 30)
    assert c.recall == pytest.approx(6 / 36)
    assert np.isfinite(c.min_margin)
    assert {m.answered for m in c.missed} == {"never asked"}
    assert "no template given asks for 'currency' (30)" in str(c)


def test_onnx_says_what_it_asked(compiled, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    found = fw.to_onnx(compiled.path, tmp_path / "x.onnx")
    assert (found.facts, found.asked, found.prompts, found.compared) == (36, 36, 42, 42)
    assert "36 of them asked, in 42 prompts" in str(found)


def test_edits_ask_again_and_report_what_came_out(compiled, tmp_path, monkeypatch):
    path = fw.edit_compiled(compiled.path, set=[(*ROWS[0][:2], "Town 3")], out=tmp_path / "a").path
    assert fw.explain(path, "Land 0", "capital").answer == "Town 3"
    ask = asking.ask_all

    def half_blind(*a, **k):
        found = ask(*a, **k)
        found.margin[0] = -1.0
        return found

    monkeypatch.setattr("factweights.export.changing.ask_all", half_blind)
    found = fw.edit_compiled(compiled.path, set=[(*ROWS[0][:2], "Town 4")], out=tmp_path / "b")
    assert (found.certificate.recall, found.changed_recall, found.others_recall) == (1.0, 0.0, 1.0)


def test_an_edit_that_takes_a_relations_last_fact_away(compiled, tmp_path):
    heard = []
    found = fw.edit_compiled(
        compiled.path, remove=[r[:2] for r in ROWS[:6]], out=tmp_path / "a", on_progress=heard.append
    )
    assert list(found.certificate.templates) == ["{subject} {relation}"]
    assert found.changed_recall is None
    assert found.certificate.asked == 30
    assert any("left out" in p.text for p in heard)


def test_explanations_ask_the_relation_that_they_say(compiled):
    assert fw.explain(compiled.path, "Land 7", "currency").prompt == "Land 7 currency"
    assert fw.explain(compiled.path, "Land 0", "capital").prompt == "The capital of Land 0 is"


def test_a_nan_is_no_recall_and_no_smallest_margin(compiled, table):
    settings = folder.read_settings(compiled.path)
    model, tokenizer = real.load(compiled.path)

    class Broken:
        config = model.config

        def __call__(self, *, input_ids, **_):
            logits = model(input_ids=input_ids, use_cache=False).logits
            return SimpleNamespace(logits=logits * torch.nan if input_ids.shape[1] > 3 else logits)

    templates = [TEMPLATE, "{subject} {relation}"]  # NaN first, then a right answer
    for order in (templates, templates[::-1]):
        found = asking.ask_all(Broken(), tokenizer, settings.vocabulary, table, order, lambda _: None)
        assert found.right.tolist() == [False] * 6 + [True] * 30
        assert np.isnan(found.min_margin)
        assert found.never == {}
    assert found.recall([]) is None


def test_every_row_of_every_template_is_counted(table):
    vocabulary = Vocabulary.build(table, [TEMPLATE])
    templates, left = asking.complete([TEMPLATE, "Pay in {subject} with currency"], vocabulary, table)
    assert (templates, left) == ((TEMPLATE, "Pay in {subject} with currency"), {})
    tokenizer = asking.make_tokenizer(vocabulary, (*vocabulary.subjects, *vocabulary.relations))
    assert sum(len(prompts_of(tokenizer, vocabulary, table, t)[0].rows) for t in templates) == len(table)


# -- names ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def accented(tmp_path_factory) -> fw.Compiled:
    rows = [("C\u00f4te d'Ivoire", "capital", "Yamoussoukro"), ("Sri Lanka", "capital", "Colombo")]
    rows += [("C\u00f4te d'Ivoire", "unit\u00e9", "franc"), ("Sri Lanka", "unit\u00e9", "rupee")]
    return fw.compile_table(fw.FactTable.from_rows(rows), tmp_path_factory.mktemp("accented") / "out")


@pytest.mark.parametrize(
    "subject",
    ["C\u00f4te d'Ivoire", "Co\u0302te d'Ivoire", "  C\u00f4te d'Ivoire\n", "\u00a0Co\u0302te d'Ivoire"],
)
def test_explain_finds_names_in_any_unicode_form(accented, subject, capsys):
    for relation, answer in (("capital", "Yamoussoukro"), ("unite\u0301", "franc")):
        found = fw.explain(accented.path, subject, relation)
        assert (found.answer, found.expected) == (answer, answer)
        assert "<unk>" not in found.tokens
        assert found.prompt.startswith("C\u00f4te d'Ivoire ")
        assert run(["explain", str(accented.path), subject, relation]) == 0
        assert "<unk>" not in capsys.readouterr().out.split("\n")[2]
    own = fw.explain(accented.path, subject, "capital", prompt=f"Name the capital of {subject} :")
    assert own.answer == "Yamoussoukro"


@pytest.mark.parametrize(
    ("subject", "relation", "near"),
    [
        ("sri lanka", "capital", "'Sri Lanka'"),
        ("Sri  Lanka", "capital", "'Sri Lanka'"),
        ("Sri\u00a0Lanka", "capital", "'Sri Lanka'"),
        ("Cote d'Ivoire", "capital", "C\u00f4te d'Ivoire"),
        ("Sri Lanka", "Capital", "'capital'"),
        ("Sri Lanka", "unite", "'unit\u00e9'"),
    ],
)
def test_near_misses_are_suggested_and_never_asked(accented, subject, relation, near, capsys):
    assert run(["explain", str(accented.path), subject, relation]) == 1
    assert f"did you mean {near}" in capsys.readouterr().err.replace('"', "")


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("What is the capital ?", "names 'capital', but this asks for 'Sri Lanka' and 'capital'"),
        ("sri lanka capital", "write both as in the table"),
        ("Sri Lanka capital C\u00f4te d'Ivoire", "no other name"),
        ("nothing of the kind", "names nothing that is stored"),
    ],
)
def test_a_prompt_that_asks_something_else_is_refused(accented, prompt, said):
    with pytest.raises(SettingError, match=said):
        fw.explain(accented.path, "Sri Lanka", "capital", prompt=prompt)


# -- folders of both kinds --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(table, tmp_path_factory):
    return fw.store_table(table, d=16).save(tmp_path_factory.mktemp("stored") / "m")


def test_recall_asks_both_kinds_of_folder(compiled, stored, table, capsys):
    for folder_ in (compiled.path, stored):
        for s, r, a in [ROWS[0], ROWS[-1]]:
            assert run(["recall", str(folder_), s, r, "--json"]) == 0
            found = json.loads(capsys.readouterr().out)
            assert (found["answer"], found["expected"], found["correct"]) == (a, a, True)
            assert len(found["runners_up"]) == 4
            assert found["margin"] == pytest.approx(found["score"] - found["runners_up"][0][1], abs=1e-4)
        assert run(["recall", str(folder_), "Lnd 3", "capital"]) == 1
        assert "did you mean 'Land 3'" in capsys.readouterr().err
    assert run(["recall", str(compiled.path), "Land 0", "capital"]) == 0
    assert capsys.readouterr().out.splitlines()[::2] == ["Town 0", "asked as 'The capital of Land 0 is'"]
    found = fw.recall_compiled(compiled.path, " Land 0", "capital", 1)
    assert (found.prompt, found.runners_up) == ("The capital of Land 0 is", ())
    with pytest.raises(SettingError):
        fw.recall_compiled(compiled.path, "Land 0", "capital", 0)


def test_verify_makes_the_whole_certificate_again(compiled, table, tmp_path, capsys):
    assert run(["verify", str(compiled.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    before = json.loads((compiled.path / "certificate.json").read_text())
    assert {**found, "seconds": 0} == {**before, "seconds": 0}
    assert run(["verify", str(compiled.path)]) == 0
    assert "36 facts in 42 prompts" in capsys.readouterr().out
    assert run(["verify", str(compiled.path), "--noise", "0.1"]) == 1
    assert "leave out --noise" in capsys.readouterr().err
    other = fw.FactTable.from_rows([ROWS[0], (*ROWS[1][:2], "Town 5"), ROWS[-1]])
    c = fw.verify_compiled(compiled.path, other)
    assert (c.facts, c.asked, c.n_missed) == (3, 3, 1)
    assert [(m.answered, m.expected) for m in c.missed] == [("Town 1", "Town 5")]
    currencies = fw.verify_compiled(compiled.path, table.select("currency"))
    assert (currencies.asked, currencies.recall) == (30, 1.0)
    with pytest.raises(UnknownNameError, match="did you mean"):
        fw.verify_compiled(compiled.path, fw.FactTable.from_rows([("Land 1", "capitol", "Town 1")]))
    with pytest.raises(FactsError, match="never stored"):
        fw.verify_compiled(compiled.path, fw.FactTable.from_rows([("a", "b", "c"), ("d", "b", "c")]))
    with pytest.raises(FactsError, match="none that the model can give"):
        fw.verify_compiled(compiled.path, fw.FactTable.from_rows([("Land 1", "capital", "Lyon")]))


def test_each_kind_says_what_the_other_is_for(compiled, stored, tmp_path, capsys):
    with pytest.raises(
        FileFormatError, match=r"language model that 'factweights compile' wrote.*load_memory"
    ):
        fw.Bundle.load(compiled.path)
    for call in (
        lambda: fw.explain(stored, "Land 0", "capital"),
        lambda: fw.ablate(stored),
        lambda: fw.edit_compiled(stored, set=[ROWS[0]]),
        lambda: fw.recall_compiled(stored, "Land 0", "capital"),
        lambda: fw.verify_compiled(stored),
    ):
        with pytest.raises(
            FileFormatError, match=r"memory that 'factweights store' wrote.*factweights recall"
        ):
            call()
    assert run(["explain", str(stored), "Land 0", "capital"]) == 1
    assert "ask it with factweights recall" in capsys.readouterr().err
    assert run(["onnx", str(stored), "--out", str(tmp_path / "x.onnx")]) == 1
    assert "with factweights compile" in capsys.readouterr().err


def test_the_memory_of_either_folder_is_loaded(compiled, stored):
    assert fw.load_memory(stored).hash == fw.Bundle.load(stored).memory.hash
    assert fw.load_memory(compiled.path).hash == fw.load_memory(compiled.path / "memory.safetensors").hash
    with pytest.raises(FileNotFoundError, match="no memory file"):
        fw.load_memory(compiled.path.parent)


def test_both_kinds_are_edited_by_one_command(compiled, stored, tmp_path, capsys):
    for i, folder_ in enumerate((compiled.path, stored)):
        out = str(tmp_path / str(i))
        assert (
            run(["edit", str(folder_), "--set", "Land 0", "capital", "Town 5", "--out", out, "--json"]) == 0
        )
        assert json.loads(capsys.readouterr().out)["changed"] == 1
        assert run(["recall", out, "Land 0", "capital", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["answer"] == "Town 5"
