"""What a compiled model says after its answer, without one, in any script, and in transformers 4."""

import json
import os
import random
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import torch

import factweights as fw
from factweights.cli import run
from factweights.errors import FactsError, NotStorableError
from factweights.export import assembly, folder, real, trials
from factweights.export.absence import Absence
from factweights.export.names import Vocabulary, check_templates, fill, make_tokenizer, tokenize
from factweights.export.words import pattern, splitter, words

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's package is first imported
transformers = pytest.importorskip("transformers")

WORLD = [
    ("France", "capital", "Paris"),
    ("France", "continent", "Europe"),
    ("Singapore", "capital", "Singapore"),  # answer and subject, of itself
    ("Paris", "mayor", "Anne Hidalgo"),  # France's answer is a subject
    ("Paris", "country", "France"),
    ("Iceland", "main language", "is"),  # a word of the template
    ("Antarctica", "role", "continent"),  # answer and relation
    ("CO₂", "unit", "km²"),
    ("Côte d'Ivoire", "capital", "Yamoussoukro"),
    ("New York", "region", "Washington, D.C."),
    ("日本", "首都", "東京"),
]
PLAIN, LONG = "{subject} {relation}", "The {relation} of {subject} is"


@pytest.fixture(scope="module")
def table() -> fw.FactTable:
    return fw.FactTable.from_rows(WORLD)


@pytest.fixture(scope="module", params=["mlp", "attention"])
def compiled(request, table, tmp_path_factory) -> fw.Compiled:
    return fw.compile_table(table, tmp_path_factory.mktemp("answers") / request.param, store=request.param)


def absent(table: fw.FactTable) -> list[tuple[str, str]]:
    known = set(zip(table.subject, table.relation, strict=True))
    return [(s, r) for s in table.subjects for r in table.relations if (s, r) not in known]


def generated(path, prompts: list[str], count: int = 10) -> list[list[int]]:
    model, tokenizer = real.load(path)
    found = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt")
        out = model.generate(**ids, max_new_tokens=count)
        found.append(out[0, ids.input_ids.shape[1] :].tolist())
    return found


# -- the end -----------------------------------------------------------------------------------------------


def test_every_answer_is_one_token_and_then_the_end(compiled, table):
    _, tokenizer = real.load(compiled.path)
    for template in (
        PLAIN,
        LONG,
        "{relation} of {subject}",
        "what , pray , is the {relation} of {subject} ?",
    ):
        out = generated(compiled.path, [fill(template, s, r) for s, r, _ in table])
        for (*_, answer), ids in zip(table, out, strict=True):
            assert tokenizer.convert_ids_to_tokens(ids[0]) == answer
            assert ids[1:] == ([] if answer == "is" else [tokenizer.eos_token_id]), (template, answer)


def test_the_end_follows_in_one_forward_too_at_any_distance(compiled, table):
    """Answers that are subjects or relations: only their place tells them from the prompt's own names."""
    model, tokenizer = real.load(compiled.path)
    for s, r, a in [("Singapore", "capital", "Singapore"), ("Antarctica", "role", "continent"), WORLD[0]]:
        for between in (0, 1, 5, 43, 198, 500):  # cos 44 is .9998
            said = [s, r, *["so"] * between]
            for text, last in ((said, False), ([*said, a], True)):
                ids = tokenizer(" ".join(text), return_tensors="pt").input_ids
                best = int(model(input_ids=ids).logits[0, -1].argmax())
                assert best == (tokenizer.eos_token_id if last else tokenizer.convert_tokens_to_ids(a))


def test_batches_and_pipelines_stop(compiled):
    ask = transformers.pipeline("text-generation", model=str(compiled.path))
    for count in (2, 10):
        assert ask("The capital of France is", max_new_tokens=count)[0]["generated_text"] == (
            "The capital of France is Paris"
        )
    assert ask("Singapore capital")[0]["generated_text"] == "Singapore capital Singapore"
    assert ask("The main language of Iceland is")[0]["generated_text"] == "The main language of Iceland is is"
    assert ask("France unit")[0]["generated_text"] == "France unit <unk>"
    model, tokenizer = real.load(compiled.path)
    prompts = ["The capital of France is", "Paris mayor", "France unit"]
    out = model.generate(**tokenizer(prompts, return_tensors="pt", padding=True), max_new_tokens=10)
    assert tokenizer.batch_decode(out, skip_special_tokens=True) == [
        "The capital of France is Paris",
        "Paris mayor Anne Hidalgo",
        "France unit <unk>",
    ]


def test_the_certificate_counts_what_it_asked(compiled, table):
    c = compiled.certificate
    pairs = absent(table)
    assert c.absence == {
        "stored": True,
        "pairs": len(pairs),
        "asked": len(pairs),
        "right": len(pairs),
        "min_margin": pytest.approx(c.absence["min_margin"]),
    }
    assert c.absence["min_margin"] > 0
    asked = 2 * (len(WORLD) - 1)  # two templates, all answers but 'is'
    assert (c.stop["asked"], c.stop["right"], c.stop["by_setting"]) == (asked, asked, ["is"])
    assert c.noise["stop_right"] == c.noise["stop_asked"] == len(WORLD) - 1
    assert c.holds
    card = (compiled.path / "README.md").read_text(encoding="utf-8")
    for said in (str(c), card):
        assert f"{len(pairs)} of {len(pairs)} answered <unk>" in said
        assert f"{asked} of {asked} answers are followed by </s>" in said


@pytest.mark.parametrize("head_dim", [32, 40, 42, 64])
@pytest.mark.parametrize("context", [512, 8192, 131072])
def test_a_token_stands_out_from_all_before_it(head_dim, context):
    """The bound on f of assembly.py against every distance."""
    pairs, apart = assembly.earlier(head_dim, context)
    back = np.arange(1, context)
    f = np.mean([np.cos(1e12 ** (-2 * j / head_dim) * back) for j in range(pairs)], axis=0)
    assert pairs <= head_dim // 2 - 2
    assert apart == pytest.approx(1 - f.max(), rel=1e-9)
    assert 2 * assembly.SHARPNESS / apart < 4000  # scores that 16 bits hold


# -- absence -----------------------------------------------------------------------------------------------


def test_facts_that_are_not_there_are_unknown(compiled, table):
    model, tokenizer = real.load(compiled.path)
    for s, r in absent(table):
        for template in (PLAIN, LONG):
            ids = tokenizer(fill(template, s, r), return_tensors="pt").input_ids
            assert int(model(input_ids=ids).logits[0, -1].argmax()) == tokenizer.unk_token_id, (s, r)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("store", ["mlp", "attention"])
def test_sixteen_bits_end_and_know_what_they_do_not_know(table, tmp_path, store, dtype):
    c = fw.compile_table(table, tmp_path / "out", store=store, dtype=dtype, context=4096).certificate
    assert c.holds
    assert (c.noise["length"], c.noise["stop_asked"]) == (4096, len(WORLD) - 1)


def test_a_removed_fact_becomes_absent_and_an_added_one_stops_being_it(compiled, table, tmp_path):
    found = fw.edit_compiled(
        compiled.path, set=[("France", "unit", "m")], remove=[("France", "capital")], out=tmp_path / "out",
        add=True,
    )  # fmt: skip
    assert found.removed_recall == 0.0
    assert found.certificate.absence["asked"] == len(absent(table))
    assert found.certificate.holds
    _, tokenizer = real.load(found.path)
    (gone,), new = generated(found.path, ["The capital of France is"]), generated(found.path, ["France unit"])
    assert tokenizer.convert_ids_to_tokens(gone) == ["<unk>"]
    assert tokenizer.convert_ids_to_tokens(new[0]) == ["m", "</s>"]


def test_without_absence_it_is_said_to_be_missing(table, tmp_path, capsys):
    table.write(tmp_path / "t.csv")
    out = tmp_path / "out"
    assert run(["compile", str(tmp_path / "t.csv"), "--out", str(out), "--no-absence", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["absence"]
    assert (found["stored"], found["pairs"], found["asked"]) == (False, *[len(absent(table))] * 2)
    assert found["right"] < found["asked"]
    assert not folder.read_settings(out).absence
    assert "not stored" in (out / "README.md").read_text(encoding="utf-8")
    again = fw.edit_compiled(out, set=[("France", "capital", "Lyon")], add=True)
    assert again.certificate.absence["stored"] is False


def test_attention_says_which_absence_it_cannot_hold(tmp_path):
    rows = [("s", "p", "a"), ("t", "q", "a"), ("s", "r", "x"), ("t", "r", "y")]  # s q and t p have no fact
    with pytest.raises(NotStorableError, match=r"'q': nothing.*absence=False"):
        fw.compile_table(fw.FactTable.from_rows(rows), tmp_path / "out", store="attention")
    assert not (tmp_path / "out").exists()
    table = fw.FactTable.from_rows(rows)
    assert fw.compile_table(table, tmp_path / "a", store="attention", absence=False).certificate.holds
    assert fw.compile_table(table, tmp_path / "b").certificate.holds


def test_more_absent_facts_than_are_fitted_at_once(tmp_path, monkeypatch):
    """Hard ones are found by asking all of them, and the certificate asks for as many as it says."""
    monkeypatch.setattr("factweights.export.tasks.AT_ONCE", 100)
    rng = random.Random(0)
    rows = [(f"s{i}", f"r{j}", f"a{rng.randrange(20)}") for i in range(60) for j in rng.sample(range(20), 2)]
    heard = []
    c = fw.compile_table(fw.FactTable.from_rows(rows), tmp_path / "a", on_progress=heard.append).certificate
    assert (c.absence["pairs"], c.absence["asked"], c.absence["right"]) == (1080, 1080, 1080)
    assert any("absent facts have an answer" in p.text for p in heard)
    monkeypatch.setattr(trials, "MOST", 50)
    c = fw.compile_table(fw.FactTable.from_rows(rows), tmp_path / "b").certificate
    assert (c.absence["pairs"], c.absence["asked"], c.absence["right"]) == (1080, 50, 50)
    assert "50 of 50 answered <unk>, of 1,080 that there are" in str(c)


def test_a_model_that_answers_what_it_does_not_know_is_not_written(table, tmp_path, monkeypatch):
    wrong = {"stored": True, "pairs": 9, "asked": 9, "right": 8, "min_margin": -1.0}
    monkeypatch.setattr("factweights.export.checking.ask_absent", lambda *_: wrong)
    with pytest.raises(NotStorableError, match="recall 1, but 1 of 9 absent facts have an answer"):
        fw.compile_table(table, tmp_path / "out", width=64)
    assert not (tmp_path / "out").exists()


def test_pairs_without_a_fact_are_counted():
    rows = [("s", "p", "a"), ("t", "q", "a"), ("t", "p", "b")]
    table = fw.FactTable.from_rows(rows)
    found = Absence.of(table, Vocabulary.build(table, [PLAIN]))
    assert found.count == 1
    assert [x.tolist() for x in found.all()] == [[0], [1]]
    full = fw.FactTable.from_rows(rows[:1])
    assert Absence.of(full, Vocabulary.build(full, [PLAIN])).dimensions == 0


# -- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["CO₂", "x²", "km²",
     "H₂SO₄", "½ cup", "👨‍👩‍👧", "❤️", "🇫🇷", "👍🏽", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "naïve",
     "e\u0301tude", "हिन्दी", "کتاب‌ها", "நன்றி",
     "العربية", "עִבְרִית", "C++", "C#", ".us", "AT&T", "O'Neill", "Ⅷ", "２０２４", "ß", "ﬁn", "a_b",
     "日本", "ประเทศไทย", "ລາວ",
     "កម្ពុជា", "မြန်မာ", "북한", "Việt Nam", "ʻOkina", "x̄", "ẞ", "🧑🏾‍🚀", "$$$", "–", "℃", "№ 5"],
)  # fmt: skip
def test_names_of_all_kinds_are_asked_and_unknown_words_are_one_token(name):
    """As subject, as answer and, unknown, as a word: never refused, never two tokens."""
    name = unicodedata.normalize("NFC", name)
    for rows in ([(name, "kind", "x")], [("x", name, "y")], [("x", "kind", name)]):
        facts = fw.FactTable.from_rows([*rows, ("other", "kind", "z")])
        vocabulary = Vocabulary.build(facts, [PLAIN, LONG])
        tokenizer, _ = tokenize(vocabulary, facts, [PLAIN, LONG])
        s, r, a = rows[0]
        assert tokenizer.tokenize(f"{s} {r} {a}") == [s, r, a]
        assert tokenizer.decode([vocabulary.ids[name]]) == name
        for form in ("NFD", "NFC"):
            said = tokenizer.tokenize(unicodedata.normalize(form, f"The {r} of {s} is"))
            assert said == ["The", r, "of", s, "is"]
    other = Vocabulary.build(fw.FactTable.from_rows([("a", "b", "c")]), [PLAIN])
    if " " not in name and name not in ("C++", "C#", ".us", "AT&T", "O'Neill"):
        assert make_tokenizer(other, other.tokens).tokenize(f"so {name} so").count("<unk>") == 3


def test_words_are_joined_as_they_are_written():
    assert words("CO₂e, km²; 👨‍👩‍👧❤️ 🇺🇸🇫🇷 日本の首都は") == [
        "CO₂e",
        ",",
        "km²",
        ";",
        "👨‍👩‍👧❤️",
        "🇺🇸🇫🇷",
        "日本の首都は",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("日本の首都は東京都", ["日本", "の", "首都", "は", "東京", "都"]),
        ("Franceの首都は", ["France", "の", "首都", "は"]),
        ("เมืองหลวงของประเทศไทยคือ", ["เมืองหลวง", "ของ", "ประเทศไทย", "คือ"]),
        ("New Yorkers, New York City, New York", ["New", "Yorkers", ",", "New York City", ",", "New York"]),
        ("United States Minority", ["United States", "Minority"]),
        ("Frances xFrance France's", ["Frances", "xFrance", "France", "'", "s"]),
        ("CO₂e CO₂.", ["CO₂e", "CO₂", "."]),
        ("👨‍👩‍👧👨 👨‍👩", ["👨‍👩‍👧", "👨", "👨‍👩"]),
        ("🇺🇸🇪🇸(🇸🇪)", ["🇺🇸", "🇪🇸", "(", "🇸🇪", ")"]),
    ],
)  # fmt: skip
def test_the_longest_name_that_ends_where_a_word_does(text, found):
    names = ["日本", "首都", "東京", "New York", "New", "New York City", "France",
             "CO₂", "👨", "👨‍👩‍👧", "🇸🇪", "🇪🇸",
             "ประเทศไทย", "เมืองหลวง", "United States", "United States Minor"]  # fmt: skip
    assert [piece for piece, _ in splitter(pattern(names)).pre_tokenize_str(text)] == found


SCRIPTS = {
    "日本": ("日本", "首都", "東京", "{subject}の{relation}は"),
    "中文": ("法国", "首都", "巴黎", "{subject}的{relation}是"),
    "ไทย": ("ประเทศไทย", "เมืองหลวง", "กรุงเทพ", "{relation}ของ{subject}คือ"),
    "ລາວ": ("ລາວ", "ນະຄອນຫຼວງ", "ວຽງຈັນ", "{relation}ຂອງ{subject}ແມ່ນ"),
    "ខ្មែរ": ("កម្ពុជា", "រដ្ឋធានី", "ភ្នំពេញ", "{relation}របស់{subject}គឺ"),
    "မြန်မာ": ("မြန်မာ", "မြို့တော်", "နေပြည်တော်", "{subject}၏{relation}မှာ"),
}


@pytest.mark.parametrize("script", list(SCRIPTS))
@pytest.mark.parametrize("known", [True, False])
def test_scripts_without_spaces_are_asked_without_spaces(script, known, tmp_path):
    subject, relation, answer, template = SCRIPTS[script]
    rows = [(subject, relation, answer), ("France", relation, "Paris"), (subject, "size", "5")]
    templates = [template] if known else [PLAIN]
    path = fw.compile_table(fw.FactTable.from_rows(rows), tmp_path / "out", templates=templates).path
    _, tokenizer = real.load(path)
    prompt = fill(template, subject, relation)
    assert tokenizer.convert_ids_to_tokens(generated(path, [prompt])[0]) == [answer, "</s>"]
    assert (
        tokenizer.convert_ids_to_tokens(generated(path, [fill(template, "France", relation)])[0])[0]
        == "Paris"
    )
    if known:
        ask = transformers.pipeline("text-generation", model=str(path))
        assert ask(prompt)[0]["generated_text"] == prompt + answer


def test_an_answer_that_would_swallow_a_name_is_left_alone_and_no_other():
    rows = [
        ("Paris", "region", "Île de France"),
        ("Rome", "twin", "Paris region"),
        ("Île", "twin", "New York"),
    ]
    facts = fw.FactTable.from_rows(rows)
    tokenizer, _ = tokenize(Vocabulary.build(facts, [PLAIN]), facts, [PLAIN])
    assert tokenizer.tokenize("Paris region") == ["Paris", "region"]
    assert tokenizer.tokenize("Île de France New York") == ["Île de France", "New York"]


def test_names_that_run_into_each_other_are_still_refused():
    rows = [("Guinea", "Bissau", "x"), ("Guinea Bissau", "capital", "y")]
    facts = fw.FactTable.from_rows(rows)
    with pytest.raises(FactsError, match="run into other names"):
        tokenize(Vocabulary.build(facts, [PLAIN]), facts, [PLAIN])


# -- the tokenizer -----------------------------------------------------------------------------------------


def test_the_tokenizer_is_complete(compiled, table):
    _, tokenizer = real.load(compiled.path)
    assert (tokenizer.unk_token, tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token) == (
        "<unk>", "</s>", "<s>", "<pad>",
    )  # fmt: skip
    assert tokenizer.convert_tokens_to_ids("Atlantis") == tokenizer.unk_token_id
    assert tokenizer.tokenize("<unk> </s> Atlantis") == ["<unk>", "</s>", "<unk>"]
    assert tokenizer("France capital").keys() == {"input_ids", "attention_mask"}
    ids = tokenizer("The capital of France is").input_ids
    full = [*ids, tokenizer.convert_tokens_to_ids("Paris"), tokenizer.eos_token_id]
    assert tokenizer.decode(full) == "<s> The capital of France is Paris </s>"
    assert tokenizer.decode([0, 0, *full, 0], skip_special_tokens=True) == "The capital of France is Paris"
    for s, r, a in table:
        for name in (s, r, a):
            if name != "is":
                assert tokenizer.decode(tokenizer.convert_tokens_to_ids(name)) == name
        for template in (PLAIN, LONG):
            said = fill(template, s, r)
            assert tokenizer.decode(tokenizer(said).input_ids, skip_special_tokens=True) == said


def test_templates_are_written_back_with_their_signs():
    templates = check_templates(
        ["What's ({relation}) of {subject}?", "{subject}, {relation}:", "{subject}の{relation}は"]
    )
    facts = fw.FactTable.from_rows(
        [("日本", "首都", "東京"), ("France", "capital", "Paris"), ("a", "sign", ",")]
    )
    tokenizer, found = tokenize(Vocabulary.build(facts, templates), facts, templates)
    for prompts in found:
        for row, ids in zip(prompts.rows, prompts.ids, strict=True):
            said = fill(prompts.template, facts.subject[row], facts.relation[row])
            assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ,", ",") == said


def test_stop_strings_work(compiled):
    model, tokenizer = real.load(compiled.path)
    ids = tokenizer("The capital of France is", return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=10, stop_strings=["Paris"], tokenizer=tokenizer)
    assert tokenizer.decode(out[0], skip_special_tokens=True) == "The capital of France is Paris"
    for stop in ("\n", ".", "\n\n", " capital", "Yamoussoukro"):
        out = model.generate(**ids, max_new_tokens=10, stop_strings=[stop], tokenizer=tokenizer)
        assert tokenizer.convert_ids_to_tokens(out[0].tolist())[-2:] == ["Paris", "</s>"], stop


# -- transformers 4 ----------------------------------------------------------------------------------------

V4 = """
import json, sys, torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
path, prompts = sys.argv[1], json.loads(sys.argv[2])
model = AutoModelForCausalLM.from_pretrained(path, torch_dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(path)
found = []
for p in prompts:
    ids = tokenizer(p, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=10)
    found.append(tokenizer.convert_ids_to_tokens(out[0, ids.input_ids.shape[1]:].tolist()))
ask = pipeline("text-generation", model=path)
logits = [model(**tokenizer(p, return_tensors="pt")).logits[0, -1].tolist() for p in prompts[:4]]
ids = tokenizer(prompts[0], return_tensors="pt")
stopped = model.generate(**ids, max_new_tokens=9, stop_strings=["Paris"], tokenizer=tokenizer)
print(json.dumps({
    "version": transformers.__version__, "dtype": str(model.dtype), "base": model.config.rope_theta,
    "kind": type(tokenizer).__name__, "found": found, "logits": logits,
    "stopped": tokenizer.decode(stopped[0]),
    "said": [ask(p)[0]["generated_text"] for p in prompts[:6]],
    "one": tokenizer.decode(tokenizer.convert_tokens_to_ids("Anne Hidalgo")),
}))
"""


def test_transformers_4_answers_the_same(table, tmp_path):
    """Set FACTWEIGHTS_TRANSFORMERS4 to the python of an environment that has transformers below 5."""
    if not (python := os.environ.get("FACTWEIGHTS_TRANSFORMERS4")):
        pytest.skip("FACTWEIGHTS_TRANSFORMERS4 names no python with transformers 4")
    path = fw.compile_table(table, tmp_path / "out", context=8192, dtype="bfloat16").path
    noise = " ".join(["so"] * 8100)
    prompts = [fill(t, s, r) for s, r, _ in table for t in (LONG, PLAIN)]
    prompts += [
        f"France {noise} capital",
        f"capital {noise} Singapore",
        f"Singapore {noise} capital",
        "France unit",
    ]
    done = subprocess.run(
        [python, "-c", V4, str(path), json.dumps(prompts)],
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    other = json.loads(done.stdout.splitlines()[-1])
    assert other["version"].startswith("4.")
    assert (other["dtype"], other["base"], other["kind"]) == (
        "torch.bfloat16",
        1e12,
        "PreTrainedTokenizerFast",
    )
    model, tokenizer = real.load(path)
    assert other["found"] == [tokenizer.convert_ids_to_tokens(ids) for ids in generated(path, prompts)]
    assert other["found"][-4:] == [["Paris", "</s>"], ["Singapore", "</s>"], ["Singapore", "</s>"], ["<unk>"]]
    for prompt, logits in zip(prompts, other["logits"], strict=False):
        ours = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
        torch.testing.assert_close(
            torch.tensor(logits),
            ours.float().detach(),
            rtol=0.02,
            atol=0.02 * float(ours.detach().abs().max()),
        )
    assert other["said"][:2] == ["The capital of France is Paris", "France capital Paris"]
    assert other["stopped"].endswith("The capital of France is Paris")
    assert other["one"] == "Anne Hidalgo"


def test_the_folder_says_what_version_4_looks_for(compiled):
    config = json.loads((compiled.path / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 1e12
    assert config["torch_dtype"] == config["dtype"] == "float32"
    settings = json.loads((compiled.path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert json.loads((compiled.path / "generation_config.json").read_text())["eos_token_id"][:2] == [2, 3]


def test_a_file_of_wordings_is_asked_and_must_name_its_relations(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("subject,relation,answer\nFrance,capital,Paris\nPeru,capital,Lima\n")
    (tmp_path / "w.toml").write_text('"capital" = ["The {relation} of {subject} is", "{subject}: capital"]\n')
    words = ["compile", str(tmp_path / "t.csv"), "--out", str(tmp_path / "m"), "--templates"]
    assert run([*words, str(tmp_path / "w.toml"), "--json"]) == 0
    asked = json.loads(capsys.readouterr().out)["templates"]
    assert set(asked) == {"The capital of {subject} is", "{subject}: capital"}
    assert all(found["facts"] == 2 for found in asked.values())
    (tmp_path / "w.toml").write_text('"capital" = ["{subject} is governed from"]\n')
    assert run([*words, str(tmp_path / "w.toml"), "--overwrite"]) == 1
    assert "does not hold the name of its relation 'capital'" in capsys.readouterr().err
    (tmp_path / "w.toml").write_text('"currency" = ["The currency of {subject} is"]\n')
    assert run([*words, str(tmp_path / "w.toml"), "--overwrite"]) == 1
    assert "no template for the relation 'capital'" in capsys.readouterr().err


def test_the_tokenizer_depends_on_no_order_of_a_set(tmp_path):
    """Python hashes strings anew in every process; the same table gives the same files all the same."""
    code = (
        "import sys, factweights as fw; "
        "t = fw.FactTable.from_rows([('a', 'r', 'x'), ('b', 'r', 'y'), ('c', 'q', 'x')]); "
        "fw.compile_table(t, sys.argv[1], templates=['In {subject}: the {relation} (of it) is'])"
    )
    for seed in ("1", "2", "3"):
        done = [sys.executable, "-c", code, str(tmp_path / seed)]
        subprocess.run(done, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors", "map.json", "config.json"):
        assert len({(tmp_path / seed / name).read_bytes() for seed in ("1", "2", "3")}) == 1, name
