"""A table compiled into a checkpoint: what transformers makes of it, and what is refused."""

import json
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import factweights as fw
from factweights.cli import run
from factweights.errors import (
    FactsError,
    FileFormatError,
    MissingExtraError,
    NotStorableError,
    OutputError,
    SettingError,
    TamperedError,
    UnknownNameError,
)
from factweights.export import assembly, fitting, folder, real
from factweights.export.layout import layout_for
from factweights.export.names import Vocabulary, code, fill, make_tokenizer, tokenize
from test_cli import KEYS

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's package is first imported
transformers = pytest.importorskip("transformers")

WORLD = [
    ("France", "capital", "Paris"),
    ("France", "continent", "Europe"),
    ("Sri Lanka", "capital", "Colombo"),
    ("Sri Lanka", "continent", "Asia"),
    ("New Zealand", "capital", "Wellington"),
    ("New Zealand", "continent", "Oceania"),
    ("United States", "capital", "Washington, D.C."),
    ("United States", "continent", "North America"),
    ("United States Minor Outlying Islands", "continent", "Oceania"),
    ("Singapore", "capital", "Singapore"),
    ("Singapore", "continent", "Asia"),
    ("Iceland", "main language", "is"),
    ("Guinea", "capital", "Conakry"),
    ("Guinea-Bissau", "capital", "Bissau"),
    ("Côte d'Ivoire", "capital", "Yamoussoukro"),
]


def grid(subjects: int, relations: int, answers: int, seed: int = 0) -> fw.FactTable:
    rng = np.random.default_rng(seed)
    return fw.FactTable.from_rows(
        (f"thing {s}", f"property {r}", f"value {r} {rng.integers(answers)}")
        for s in range(subjects)
        for r in range(relations)
    )


@pytest.fixture(scope="module")
def table() -> fw.FactTable:
    return fw.FactTable.from_rows(WORLD)


@pytest.fixture(scope="module", params=["mlp", "attention"])
def compiled(request, table, tmp_path_factory) -> fw.Compiled:
    out = tmp_path_factory.mktemp("compiled") / request.param
    return fw.compile_table(table, out, store=request.param)


@pytest.fixture(scope="module")
def by_mlp(table, tmp_path_factory) -> fw.Compiled:
    return fw.compile_table(table, tmp_path_factory.mktemp("mlp") / "world", context=64)


# -- recall ------------------------------------------------------------------------------------------------


def test_every_fact_comes_out_of_the_reloaded_checkpoint(compiled, table):
    model = transformers.AutoModelForCausalLM.from_pretrained(compiled.path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(compiled.path)
    assert type(model).__name__ == "LlamaForCausalLM"
    for s, r, a in table:
        for prompt in (
            f"{s} {r}",
            f"The {r} of {s} is",
            f"so what , pray , is the {r} that {s} has ?",
            f"{r} {s}",
        ):
            ids = tokenizer(prompt, return_tensors="pt").input_ids
            best = model(input_ids=ids).logits[0, -1].argmax()
            assert tokenizer.convert_ids_to_tokens(int(best)) == a, prompt


def test_the_certificate_says_so(compiled, table):
    c = compiled.certificate
    assert (c.facts, c.recall, c.n_missed, c.missed) == (len(table), 1.0, 0, ())
    assert c.min_margin > 0
    assert c.noise["recall"] == 1.0
    assert c.noise["length"] == 512
    assert c.unknown["unknown subject"]["unknown"] == c.unknown["unknown relation"]["unknown"] == 1.0
    assert c.parameters == sum(c.parameter_groups.values())
    assert json.loads((compiled.path / "certificate.json").read_text())["min_margin"] == c.min_margin
    assert "recall" in str(compiled)


def test_pipelines_answer(compiled):
    ask = transformers.pipeline("text-generation", model=str(compiled.path))
    assert ask("France capital")[0]["generated_text"] == "France capital Paris"
    assert ask("The capital of Sri Lanka is")[0]["generated_text"].endswith(" Colombo")
    assert ask("Atlantis capital")[0]["generated_text"] == "Atlantis capital <unk>"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("store", ["mlp", "attention"])
def test_sixteen_bits_are_certified_as_sixteen_bits(table, tmp_path, store, dtype):
    found = fw.compile_table(table, tmp_path / "out", store=store, dtype=dtype)
    assert found.certificate.dtype == dtype
    assert found.certificate.recall == 1.0
    assert real.load(found.path)[0].dtype == getattr(torch, dtype)


def test_the_last_token_does_not_matter(by_mlp):
    """The claim of assembly.py: logits depend on subject and relation alone, up to rounding."""
    model, tokenizer = real.load(by_mlp.path)
    prompts = ("France capital", "capital France", "capital France is", "x France y y y capital of the")
    logits = [model(**tokenizer(p, return_tensors="pt")).logits[0, -1].detach() for p in prompts]
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0], rtol=1e-4, atol=1e-4 * float(logits[0].abs().max()))


def test_embeddings_have_one_length_and_keys_are_as_predicted(by_mlp, table):
    """What the fit took for the MLP's input is what transformers hands to the MLP."""
    settings = folder.read_settings(by_mlp.path)
    layout, vocabulary = settings.residual, settings.vocabulary
    model, tokenizer = real.load(by_mlp.path)
    state = dict(model.state_dict())
    clean = assembly.Clean.of(layout, state, vocabulary)
    torch.testing.assert_close(
        clean.embeddings.square().sum(1), torch.full((len(settings.tokens),), float(layout.hidden)).double()
    )
    seen = []
    model.model.layers[0].mlp.register_forward_pre_hook(lambda _, x: seen.append(x[0][0, -1]))
    s, r, _ = next(iter(table))
    model(**tokenizer(f"{s} {r}", return_tensors="pt"))
    s, r = (torch.tensor([vocabulary.ids[n]]) for n in (s, r))
    expected = assembly.normed(clean.residual(s, r, int(r)))[0]
    torch.testing.assert_close(seen[0].double(), expected, rtol=1e-5, atol=1e-5)


def test_the_rotary_pair_in_use_does_not_turn(compiled):
    assert compiled.certificate.turn < 1e-6
    assert compiled.certificate.leak < 1e-8


def test_one_fact_is_enough_for_a_model(tmp_path):
    found = fw.compile_table(fw.FactTable.from_rows([("a", "b", "c")]), tmp_path / "one")
    assert found.certificate.recall == 1.0


def test_the_smallest_width_is_below_the_comfortable_one(tmp_path):
    table = grid(40, 3, 20)
    comfortable = fw.compile_table(table, tmp_path / "a")
    smallest = fw.compile_table(table, tmp_path / "b", width="smallest")
    assert smallest.width < comfortable.width
    assert smallest.certificate.recall == 1.0


def test_a_larger_hidden_size_goes_to_the_answers(table, tmp_path):
    found = fw.compile_table(table, tmp_path / "out", d=128)
    assert found.layout.hidden == 128
    assert found.certificate.recall == 1.0


def test_templates_of_one_relation(table, tmp_path):
    templates = ["{subject} {relation}", "The capital of {subject} is"]
    found = fw.compile_table(table, tmp_path / "out", templates=templates).certificate
    capitals = sum(r == "capital" for _, r, _ in table)
    assert found.templates["The capital of {subject} is"] == {
        "facts": capitals,
        "recall": 1.0,
        "min_margin": pytest.approx(found.templates["The capital of {subject} is"]["min_margin"]),
    }


# -- names -------------------------------------------------------------------------------------------------


def test_names_are_one_token_each_and_the_longest_wins(table):
    vocabulary = Vocabulary.build(table, ["{subject} {relation}"])
    tokenizer = make_tokenizer(vocabulary, vocabulary.tokens)
    assert tokenizer.tokenize("United States Minor Outlying Islands continent") == [
        "United States Minor Outlying Islands",
        "continent",
    ]
    assert tokenizer.tokenize("the Guineas of Guinea-Bissau, Guinea's capital")[2:] == [
        "<unk>",
        "Guinea-Bissau",
        "<unk>",
        "Guinea",
        "<unk>",
        "<unk>",
        "capital",
    ]


def test_names_keep_their_codes():
    assert torch.equal(code("subject", "France", 8, 0), code("subject", "France", 8, 0))
    assert not torch.equal(code("subject", "France", 8, 0), code("relation", "France", 8, 0))
    assert float(code("subject", "France", 8, 0).norm()) == pytest.approx(1)


def test_answers_never_swallow_a_prompt():
    table = fw.FactTable.from_rows([("Paris", "region", "north"), ("Rome", "twin", "Paris region")])
    vocabulary = Vocabulary.build(table, ["{subject} {relation}"])
    tokenizer, _ = tokenize(vocabulary, table, ["{subject} {relation}"])
    assert tokenizer.tokenize("Paris region") == ["Paris", "region"]


def test_names_with_braces_fill_templates():
    assert fill("The {relation} of {subject}", "{relation}", "{subject}") == "The {subject} of {relation}"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("Guinea", "Bissau", "x"), ("Guinea Bissau", "capital", "y")], "run into other names"),
        ([("capital", "size", "x"), ("France", "capital", "Paris")], "both a subject and a relation"),
        ([("<s>", "capital", "x")], "meaning of its own"),
    ],
)
def test_names_that_collide_are_refused(rows, said, tmp_path):
    with pytest.raises(FactsError, match=said):
        fw.compile_table(fw.FactTable.from_rows(rows), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_very_long_names_are_names(tmp_path):
    long = "very " * 2000 + "long"
    table = fw.FactTable.from_rows([(long, "size", "big"), ("short", "size", long.replace("very", "so"))])
    assert fw.compile_table(table, tmp_path / "out").certificate.recall == 1.0


def test_a_width_that_falls_short_is_widened_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("factweights.export.mlp_store.comfortable_width", lambda *_: 4)
    heard = []
    found = fw.compile_table(grid(60, 4, 30), tmp_path / "out", on_progress=heard.append)
    assert found.width > 4
    assert any("trying" in p.text for p in heard)
    assert found.certificate.recall == 1.0
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


# -- what cannot be ----------------------------------------------------------------------------------------


def test_a_size_too_small_says_which_one_will_do(tmp_path):
    with pytest.raises(NotStorableError, match=r"an MLP of 2 neurons reaches recall .* Give width=\d+"):
        fw.compile_table(grid(60, 4, 30), tmp_path / "out", width=2)
    with pytest.raises(SettingError, match=r"d = 20 cannot hold these names: it is at least \d+"):
        fw.compile_table(grid(60, 4, 30), tmp_path / "out", d=20)
    assert list(tmp_path.iterdir()) == []


def test_attention_refuses_what_no_sum_can_hold(tmp_path):
    rows = [("s", "p", "a"), ("s", "q", "b"), ("t", "p", "b"), ("t", "q", "a")]
    with pytest.raises(NotStorableError, match="add up to 0 > 0"):
        fw.compile_table(fw.FactTable.from_rows(rows), tmp_path / "out", store="attention")
    assert fw.compile_table(fw.FactTable.from_rows(rows), tmp_path / "mlp").certificate.recall == 1.0


@pytest.mark.parametrize(
    "settings",
    [
        {"dtype": "int8"},
        {"context": 2},
        {"width": 0},
        {"store": "attention", "width": 4},
        {"templates": []},
        {"templates": ["no names"]},
        {"templates": ["{subject} {other}"]},
        {"templates": ["about {subject}"]},
    ],
)
def test_settings_that_mean_nothing(table, tmp_path, settings):
    with pytest.raises(SettingError):
        fw.compile_table(table, tmp_path / "out", **settings)
    assert list(tmp_path.iterdir()) == []


def test_folders_of_others_are_left_alone(table, tmp_path, by_mlp):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputError):
            fw.compile_table(table, tmp_path / "mine", overwrite=overwrite)
    with pytest.raises(FileFormatError, match=r"has no factweights\.json"):
        fw.explain(tmp_path / "mine", "France", "capital")
    with pytest.raises(FileNotFoundError):
        fw.explain(tmp_path / "none", "France", "capital")
    copy = tmp_path / "copy"
    shutil.copytree(by_mlp.path, copy)
    (copy / "facts.csv").write_text("subject,relation,answer\nFrance,capital,Rome\n")
    with pytest.raises(TamperedError, match=r"facts\.csv"):
        fw.edit_compiled(copy, set=[("France", "capital", "Lyon")])


def test_without_transformers_the_extra_is_named(table, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"factweights\[hf\]"):
        fw.compile_table(table, tmp_path / "out")


def test_conflicts_are_found_and_nothing_else():
    s, r, a = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([5, 6, 6, 5])
    assert fitting.conflicts(s, r, a) == ((0, 1), (2, 3))
    assert fitting.conflicts(s, r, np.array([5, 6, 5, 6])) is None


# -- map, explanation, ablation ----------------------------------------------------------------------------


def test_the_map_names_every_dimension_and_every_fact(compiled, table):
    found = json.loads((compiled.path / "map.json").read_text())
    taken = [i for first, last in found["subspaces"].values() for i in range(first, last + 1)]
    assert taken == list(range(compiled.layout.hidden))
    assert [(f["about"], f["what"], f["answer"]) for f in found["facts"]] == list(table)
    assert [h["looks for"] for h in found["heads"]][-2:] == ["subject before", "relation before"]
    assert {h["looks for"] for h in found["heads"][:-2]} == {"subject", "relation"}
    if compiled.layout.store == "attention":
        for fact in found["facts"]:
            assert fact["subject"]["share"] + fact["relation"]["share"] == pytest.approx(1, abs=1e-3)


def test_the_associative_memory_is_shipped_alone(by_mlp):
    memory = fw.load_memory(by_mlp.path / "memory.safetensors")
    model, _ = real.load(by_mlp.path)
    layout = by_mlp.layout
    x = torch.randn(3, layout.hidden)
    expected = model.model.layers[0].mlp(x)[:, layout.at("answer")]
    torch.testing.assert_close(memory(x[:, layout.keys]), expected)


def test_an_explanation_adds_up(compiled):
    found = fw.explain(compiled.path, "New Zealand", "capital", prompt="What is New Zealand 's capital ?")
    assert (found.answer, found.expected) == ("Wellington", "Wellington")
    assert found.margin > 0
    for row in found.logits:
        assert row["embedding"] + row["attention"] + row["mlp"] == pytest.approx(
            row["logit"], rel=1e-3, abs=1e-3
        )
    attended = {found.tokens[max(range(len(a)), key=a.__getitem__)] for a in found.attention}
    assert {"New Zealand", "capital"} <= attended <= {"New Zealand", "capital", "<s>"}
    with pytest.raises(UnknownNameError, match="France"):
        fw.explain(compiled.path, "Frence", "capital")
    with pytest.raises(SettingError):
        fw.explain(compiled.path, "France", "capital", top=0)


def test_removing_a_facts_direction_removes_that_fact_and_no_other(tmp_path):
    """With more neurons than facts the directions are independent; with few, hardly any other is lost."""
    out = fw.compile_table(grid(60, 4, 30), tmp_path / "out", width=256).path
    crowded = fw.compile_table(grid(60, 4, 30), tmp_path / "crowded").path
    (named,) = (row for row in fw.ablate(crowded, facts=5).rows if row.removed == "its direction")
    assert named.fact == 1.0
    assert max(named.same_subject, named.same_relation, named.others) < 0.05
    rows = {row.removed: row for row in fw.ablate(out, facts=5).rows}
    named = rows["its direction"]
    assert (named.fact, named.same_subject, named.same_relation, named.others) == (1.0, 0.0, 0.0, 0.0)
    assert rows["its subject"].fact >= 0.8
    assert rows["its subject"].others == rows["its subject"].same_relation == 0.0
    assert rows["its relation"].others == rows["its relation"].same_subject == 0.0
    assert rows["subject heads"].others > 0.5


# -- edits -------------------------------------------------------------------------------------------------


def test_an_edit_changes_the_fact_and_nothing_else(compiled, tmp_path):
    before = {p.name: p.read_bytes() for p in compiled.path.iterdir()}
    found = fw.edit_compiled(
        compiled.path,
        set=[("France", "capital", "Lyon"), ("Chile", "capital", "Santiago")],
        remove=[("Iceland", "main language")],
        add=True,
        out=tmp_path / "edited",
    )
    assert {p.name: p.read_bytes() for p in compiled.path.iterdir()} == before
    assert (found.certificate.recall, found.changed_recall, found.others_recall) == (1.0, 1.0, 1.0)
    assert found.removed_recall is not None
    assert (found.how, found.rows_added) == ("from the weights", 3)
    assert not any("embed_tokens" in name or "norm" in name for name in found.moved)
    ask = transformers.pipeline("text-generation", model=str(found.path))
    assert ask("The capital of France is")[0]["generated_text"].endswith(" Lyon")
    assert ask("Chile capital")[0]["generated_text"].endswith(" Santiago")
    again = fw.edit_compiled(found.path, set=[("France", "capital", "Lyon")])
    assert (again.how, again.certificate) == ("unchanged", None)
    fw.edit_compiled(found.path, set=[("France", "capital", "Paris")])  # in place
    assert fw.explain(found.path, "France", "capital").answer == "Paris"


def test_attention_says_when_it_has_no_room_for_an_edit(table, tmp_path):
    out = fw.compile_table(table, tmp_path / "out", store="attention").path
    with pytest.raises(NotStorableError, match="compile the new"):
        fw.edit_compiled(out, set=[("France", "anthem", "La Marseillaise")], add=True)
    with pytest.raises(NotStorableError, match="compile the new"):
        fw.edit_compiled(out, set=[(f"Land {i}", "capital", f"Town {i}") for i in range(40)], add=True)


def test_edits_beyond_the_size_compile_again(tmp_path):
    out = fw.compile_table(grid(20, 2, 10), tmp_path / "out", width=8).path
    rng = np.random.default_rng(1)
    more = [(f"other {i}", f"property {i % 2}", f"value {rng.integers(900)}") for i in range(400)]
    found = fw.edit_compiled(out, set=more, add=True)
    assert found.how == "compiled again"
    assert found.certificate.recall == 1.0


# -- the command line --------------------------------------------------------------------------------------


def test_compile_explain_and_edit_from_the_command_line(tmp_path, capsys, table):
    table.write(tmp_path / "world.csv")
    out, picture = tmp_path / "out", tmp_path / "france.png"
    assert run(["compile", str(tmp_path / "world.csv"), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recall"] == 1.0
    assert run(["explain", str(out), "France", "capital", "--plot", str(picture)]) == 0
    assert "subject head" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "changes.csv").write_text("subject,relation,answer\nFrance,capital,Lyon\nGuinea,capital,\n")
    assert run(["edit", str(out), "--from", str(tmp_path / "changes.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["changed"], found["removed"], found["recall"]) == (1, 1, 1.0)
    assert run(["edit", str(out), "--set", "France", "capital", "Nice", "--recall", "0.9"]) == 1
    capsys.readouterr()
    for wrong, near in ((("france", "capital"), "France"), (("France", "capitol"), "capital")):
        assert run(["edit", str(out), "--set", *wrong, "Nice"]) == 1
        assert f"(did you mean '{near}'?); new subjects" in capsys.readouterr().err
    assert fw.explain(out, "France", "capital").expected == "Lyon"
    assert run(["compile", str(tmp_path / "world.csv"), "--out", str(out)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert run(["explain", str(out), "France", "capitol"]) == 1
    assert "did you mean 'capital'" in capsys.readouterr().err


def test_a_table_with_empty_answers_is_refused(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("subject,relation,answer\nFrance,capital,\n")
    assert run(["compile", str(tmp_path / "t.csv"), "--out", str(tmp_path / "out")]) == 1
    assert "answer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_layouts_fill_the_hidden_size():
    for store in ("mlp", "attention"):
        layout = layout_for(store, 1000, 200, 5, 300)
        assert layout.hidden % layout.heads == 0
        assert sum(map(len, layout.subspaces.values())) == layout.hidden


# -- other programs ----------------------------------------------------------------------------------------


def test_transformer_lens_computes_the_same_logits(by_mlp):
    lens = pytest.importorskip("transformer_lens")
    model, tokenizer = real.load(by_mlp.path)
    try:
        from transformer_lens.model_bridge import TransformerBridge

        bridge = TransformerBridge.boot_transformers(
            "meta-llama/Llama-3.2-1B", hf_model=model, tokenizer=tokenizer, device="cpu"
        )
    except Exception as e:
        pytest.skip(f"transformer-lens {getattr(lens, '__version__', '?')} does not take a local model: {e}")
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    torch.testing.assert_close(bridge(ids), model(input_ids=ids).logits, rtol=1e-4, atol=1e-3)


def test_an_onnx_file_knows_every_fact(by_mlp, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = tmp_path / "world.onnx"
    assert run(["onnx", str(by_mlp.path), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["facts"] == len(WORLD)
    assert said["recall"] == 1.0
    assert said["difference"] < 1e-3 < said["min_margin"]
    assert said["bytes"] == out.stat().st_size
    assert set(said) == KEYS["onnx"]
    # the file by itself, with another length and batch than it was exported with
    model, tokenizer = real.load(by_mlp.path)
    ids = tokenizer(["The capital of France is"] * 3, return_tensors="np").input_ids.astype(np.int64)
    session = onnxruntime.InferenceSession(str(out))
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert [tokenizer.decode(int(i)).strip() for i in logits[:, -1].argmax(1)] == ["Paris"] * 3
    np.testing.assert_allclose(logits, model(input_ids=torch.tensor(ids)).logits.detach(), atol=1e-3)
    before = out.read_bytes()
    assert run(["onnx", str(by_mlp.path), "--out", str(out)]) == 1
    assert "exists" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_an_onnx_file_that_misses_facts_is_not_written(by_mlp, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    whole = real.answer
    blind = lambda *a, **k: replace(whole(*a, **k), margin=torch.full((len(WORLD),), -1.0))  # noqa: E731
    monkeypatch.setattr(real, "answer", blind)
    with pytest.raises(NotStorableError, match=r"onnxruntime .* recalls 0 of 15 facts"):
        fw.to_onnx(by_mlp.path, tmp_path / "world.onnx")
    assert list(tmp_path.iterdir()) == []


def test_onnx_without_its_packages_says_what_to_install(by_mlp, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="onnx"):
        fw.to_onnx(by_mlp.path, tmp_path / "world.onnx")
    with pytest.raises(FileNotFoundError, match="no folder"):
        fw.to_onnx(tmp_path / "nowhere", tmp_path / "world.onnx")
