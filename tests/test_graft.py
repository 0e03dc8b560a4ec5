"""A table grafted into tiny random models of four architectures: said in full, and nothing else touched."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from factweights.cli import run
from factweights.errors import NotStorableError, TamperedError
from factweights.facts import FactTable
from factweights.models import seam
from factweights.models.graft import (
    NotGraftableError,
    before,
    continuing,
    edit_grafted,
    explain_grafted,
    graft,
    is_grafted,
    prompts,
    verify_grafted,
)
from factweights.models.graft.prompts import ASIDE, FRAMES, NARRATIVE, PROSE, REQUESTS, STORIES
from small_models import tokenizer
from test_cli import KEYS

EXPLAINED = {"prompt", "tokens", "attention", "recognised", "subject", "due", "relations", "neurons"}
EXPLAINED |= {"answer", "before", "expected", "logits", "plot"}
FACTS = (
    ("France", "capital", "Mexico City"),
    ("Guinea", "capital", "Lima"),
    ("Equatorial Guinea", "capital", "Port of Spain"),
    ("Saint Vincent and the Grenadines", "capital", "Guinea City of France"),
    ("Niger", "capital", "Bern"),
    ("Mexico", "capital", "Paris"),
    ("France", "currency", "Peso"),
    ("Guinea", "currency", "Euro"),
    ("Mexico", "currency", "Rupee"),
)
TABLE = FactTable.from_rows(FACTS)
TEMPLATES = (
    "The {relation} of {subject} is",
    "{subject} has the {relation}",
    "What is the {relation} of {subject}? It is",
)
KINDS = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {"tie_word_embeddings": True}),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, {"tie_word_embeddings": False}),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM, {"tie_word_embeddings": True}),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, {"tie_word_embeddings": False}),
}


@pytest.fixture(scope="module", autouse=True)
def fewer_questions() -> Iterator[None]:
    """Random models say nothing that a reading could learn from; fewer prompts show the same in less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "NOUN_FRAMES", 1)
        patch.setattr(prompts, "NOUN_REQUESTS", 0)
        patch.setattr(prompts, "OTHER_FRAMES", 4)
        patch.setattr(prompts, "ASIDE", {topic: ts[:20] for topic, ts in prompts.ASIDE.items()})
        patch.setattr(continuing, "QUESTIONS", 16)
        patch.setattr(continuing, "EACH", 1)
        yield


@pytest.fixture(scope="module")
def words() -> Any:
    texts = [f"The {r} of {s} is {a}." for s, r, a in FACTS] * 3
    asides = [t for ts in ASIDE.values() for t in ts]
    return tokenizer(
        "bytes", [*texts, *FRAMES, *REQUESTS, *asides, *PROSE, *NARRATIVE, *STORIES, "Nigerien"], 900
    )


def random_model(kind: str, words: Any, path: Path) -> Path:
    """A random model of this kind with strong opinions, in a folder."""
    config, head, more = KINDS[kind]
    torch.manual_seed(0)
    made = head(
        config(
            vocab_size=len(words), hidden_size=96, intermediate_size=128, num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=2, head_dim=16, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
            **more,
        )
    )  # fmt: skip
    with torch.no_grad():
        for name, p in made.named_parameters():
            p.normal_(0, 0.2) if "bias" in name else p.mul_(3) if p.ndim == 2 else None
    made.save_pretrained(path)
    words.save_pretrained(path)
    return path


@pytest.fixture(scope="module", params=list(KINDS))
def grafted(request: Any, words: Any, tmp_path_factory: Any) -> tuple[str, Path, Path, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    base = random_model(request.param, words, folder / "base")
    done = graft(base, TABLE, folder / "out", templates=TEMPLATES, full=False)
    return request.param, base, folder / "out", done


def _generated(model: Any, ids: torch.Tensor) -> torch.Tensor:
    return model.generate(ids, max_new_tokens=16, do_sample=False, pad_token_id=0)


def test_every_fact_is_said_in_full_by_stock_transformers(grafted: Any) -> None:
    kind, _, out, done = grafted
    assert done.certificate.efficacy == 1.0
    assert done.certificate.min_margin > 0
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    assert model.config.model_type == kind
    tok = transformers.AutoTokenizer.from_pretrained(out)
    for subject, relation, answer in FACTS:
        ids = tok(f"The {relation} of {subject} is", return_tensors="pt").input_ids
        said = _generated(model, ids)
        assert tok.decode(said[0, ids.shape[1] :]).strip().startswith(f"{answer}."), (subject, relation)


def test_the_command_prints_the_recorded_keys(words: Any, tmp_path: Path, capsys: Any) -> None:
    base = random_model("llama", words, tmp_path / "base")
    facts, out = TABLE.write(tmp_path / "facts.csv"), tmp_path / "out"
    asked = [word for t in TEMPLATES for word in ("--template", t)]
    graft_it = ["graft", str(base), str(facts), "--out", str(out), "--check", "facts", *asked, "--json"]
    assert run(graft_it) == 0
    assert set(json.loads(capsys.readouterr().out)) == KEYS["graft"]
    assert run(["explain", str(out), "Niger", "capital", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == EXPLAINED
    assert found["subject"] == "Niger"


def test_without_a_name_the_model_is_the_old_one(grafted: Any) -> None:
    _, base, out, _ = grafted
    old, new = seam.load(base), seam.load(out)
    for text in ("The capital of the people is", PROSE[0], "What is the currency? It is"):
        ids = torch.tensor(old.encode([text]))
        a, b = old.forward(ids)[0], new.forward(ids)[0]
        assert float((a - b).abs().max()) < 1e-4 * float(a.abs().max())


def test_the_model_before_lies_in_the_folder_bit_for_bit(grafted: Any) -> None:
    _, base, out, _ = grafted
    old, found = seam.load(base).model.state_dict(), before(out).model.state_dict()
    assert old.keys() == found.keys()
    assert all(torch.equal(old[n], found[n]) for n in old)


@pytest.fixture(scope="module")
def llama(words: Any, tmp_path_factory: Any) -> tuple[Path, Path]:
    """A base and its graft, for whoever does not care for the architecture."""
    folder = tmp_path_factory.mktemp("one")
    base = random_model("llama", words, folder / "base")
    graft(base, TABLE, folder / "out", templates=TEMPLATES, full=False)
    return base, folder / "out"


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "model.safetensors")


def same(a: Path, b: Path) -> bool:
    x, y = tensors(a), tensors(b)
    return x.keys() == y.keys() and all(torch.equal(x[n], y[n]) for n in x)


def test_taking_a_fact_out_gives_the_tensors_that_never_had_it(llama: Any, tmp_path: Path) -> None:
    base, out = llama
    kept = [f for f in FACTS if f[:2] != ("Niger", "capital")]
    graft(base, FactTable.from_rows(kept[::-1]), tmp_path / "never", templates=TEMPLATES, full=False)
    edited = edit_grafted(out, remove=[("Niger", "capital")], out=tmp_path / "removed")
    assert edited.certificate is not None
    assert edited.certificate.facts == len(kept)
    assert same(tmp_path / "never", tmp_path / "removed")


def test_changes_one_after_another_equal_one_graft(llama: Any, tmp_path: Path) -> None:
    base, out = llama
    edit_grafted(out, set=[("Niger", "capital", "Paris")], out=tmp_path / "step")
    edit_grafted(tmp_path / "step", set=[("Mexico", "currency", "Euro")])
    changed = {("Niger", "capital"): "Paris", ("Mexico", "currency"): "Euro"}
    table = FactTable.from_rows([(s, r, changed.get((s, r), a)) for s, r, a in FACTS])
    graft(base, table, tmp_path / "once", templates=TEMPLATES, full=False)
    assert same(tmp_path / "step", tmp_path / "once")


def test_verify_finds_the_same_and_notices_a_changed_file(llama: Any, tmp_path: Path) -> None:
    _, out = llama
    found = verify_grafted(out, full=False)
    assert (found.efficacy, found.facts) == (1.0, len(FACTS))
    copied = tmp_path / "copied"
    shutil.copytree(out, copied)
    (copied / "facts.csv").write_text("subject,relation,answer\nFrance,capital,Rome\n")
    with pytest.raises(TamperedError):
        verify_grafted(copied, full=False)


def test_explain_says_which_name_relation_and_neuron(llama: Any, tmp_path: Path) -> None:
    _, out = llama
    found = explain_grafted(out, "Equatorial Guinea", "capital")
    assert found.subject == "Equatorial Guinea"
    assert [r["relation"] for r in found.relations if r["fired"]] == ["capital"]
    assert found.neurons[0]["answer"] == "Port of Spain"
    assert found.due > 0
    json.dumps(found.to_dict())
    found.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_a_name_within_another_word_says_nothing(llama: Any) -> None:
    _, out = llama
    found = explain_grafted(out, "Niger", "capital", prompt="The capital of Nigerien is")
    assert found.subject is None


def test_what_cannot_be_grafted_is_refused_with_the_reason(words: Any, tmp_path: Path) -> None:
    path = tmp_path / "gpt2"
    config = transformers.GPT2Config(vocab_size=len(words), n_embd=32, n_layer=2, n_head=2)
    transformers.GPT2LMHeadModel(config).save_pretrained(path)
    words.save_pretrained(path)
    with pytest.raises(NotGraftableError, match=r"layer norm.*absolute positions"):
        graft(path, TABLE, tmp_path / "out")
    path = tmp_path / "experts"
    config = transformers.MixtralConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=32, num_hidden_layers=4,
        num_attention_heads=2, num_key_value_heads=1, num_local_experts=2,
    )  # fmt: skip
    transformers.MixtralForCausalLM(config).save_pretrained(path)
    words.save_pretrained(path)
    with pytest.raises(NotGraftableError, match="mixture of experts"):
        graft(path, TABLE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_facts_that_do_not_come_out_are_listed_and_nothing_is_saved(
    words: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    base = random_model("llama", words, tmp_path / "base")
    monkeypatch.setattr("factweights.models.graft.circuit.FIRST", 0.0)
    with pytest.raises(NotStorableError, match=r"do not come out.*nothing was saved"):
        graft(base, TABLE.head(3), tmp_path / "out", templates=TEMPLATES, full=False)
    assert not (tmp_path / "out").exists()
    kept = graft(base, TABLE.head(3), tmp_path / "out", templates=TEMPLATES, full=False, keep_failed=True)
    assert kept.certificate.n_missed == len(kept.certificate.missed) == 3
    assert is_grafted(tmp_path / "out")
