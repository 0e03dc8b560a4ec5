"""The seam to transformers: loading, refusing, batches, greedy text, log-probabilities."""

import contextlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import small_models
from factweights.errors import FileFormatError, MissingExtraError, SettingError
from factweights.models import asking, seam, smollm2
from factweights.progress import Progress

PAIRS = [("llama", "bytes"), ("qwen2", "sentencepiece"), ("gpt2", "words")]


@pytest.fixture(scope="module", params=PAIRS, ids=lambda p: "-".join(p))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    architecture, kind = request.param
    path = tmp_path_factory.mktemp("model")
    return small_models.save(path, architecture, kind, small_models.TEXT, scale=8.0)


@pytest.fixture(scope="module")
def lm(folder: Path) -> seam.LanguageModel:
    return seam.load(folder)


def reference(lm: seam.LanguageModel, prompt: list[int], continuation: list[int]) -> float:
    """One text at a time through transformers' own loss."""
    ids = torch.tensor([[*prompt, *continuation]])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    with torch.no_grad():
        return -float(lm.model(input_ids=ids, labels=labels).loss) * len(continuation)


def test_a_folder_is_loaded_as_it_is(folder: Path, lm: seam.LanguageModel):
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert type(lm.model) is type(plain)
    assert lm.parameters == plain.num_parameters()
    assert (lm.context, lm.dtype, lm.stops, lm.caches) == (128, "float32", {2}, True)


@pytest.mark.parametrize("dtype", list(seam.DTYPES))
def test_other_dtypes(folder: Path, dtype: str):
    assert seam.load(folder, dtype=dtype).dtype == dtype


def test_log_probabilities_are_those_of_transformers(lm: seam.LanguageModel):
    prompts = lm.encode([f"The capital of {s} is" for s, r, _ in small_models.ROWS if r == "capital"])
    size = len(lm.tokenizer)
    draw = torch.Generator().manual_seed(0)
    tails = [torch.randint(3, size, (1 + i % 4,), generator=draw).tolist() for i in range(len(prompts))]
    found = asking.log_probabilities(lm, prompts, tails)
    expected = [reference(lm, p, t) for p, t in zip(prompts, tails, strict=True)]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    first = {}
    for rows, logs in asking.next_log_probabilities(lm, prompts):
        first |= {i: logs[at] for at, i in enumerate(rows)}
    ones = asking.log_probabilities(lm, prompts, [t[:1] for t in tails])
    assert [float(first[i][tails[i][0]]) for i in range(len(prompts))] == pytest.approx(
        ones.tolist(), abs=1e-4
    )


@pytest.mark.parametrize("cached", [True, False])
def test_greedy_text_is_what_transformers_generates(lm: seam.LanguageModel, cached: bool):
    lm.__dict__["caches"] = cached
    prompts = lm.encode([f"The capital of {s} is" for s in small_models.NAMES] + ["The code of Tamia is"])
    found = asking.greedy(lm, prompts, 6)
    for prompt, g in zip(prompts, found, strict=True):
        out = lm.model.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False, pad_token_id=0)
        expected = out[0, len(prompt) :].tolist()
        assert g.stopped == (2 in expected)
        assert list(g.ids) == (expected[: expected.index(2)] if g.stopped else expected)
    cut = asking.greedy(lm, prompts, 6, stop_text=["a", "e"])
    for whole, part in zip(found, cut, strict=True):
        assert whole.text.startswith(part.text)
        assert not set("ae") & set(part.text)
    lm.__dict__["caches"] = True


def test_a_fork_leaves_the_cache_as_it_was(lm: seam.LanguageModel):
    prompts = torch.tensor(lm.encode(["The capital of Tamia is"]))
    _, past = lm.forward(prompts, cache=True)
    before = [layer.keys.clone() for layer in past.layers]
    branched = lm.forward(torch.tensor([[5], [9]]), seam.fork(past, torch.tensor([0, 0])), keep=1)[0]
    assert all(torch.equal(a, layer.keys) for a, layer in zip(before, past.layers, strict=True))
    for token, logits in zip((5, 9), branched, strict=True):
        whole = torch.cat([prompts, torch.tensor([[token]])], 1)
        assert torch.allclose(lm.forward(whole, keep=1)[0][0], logits, atol=1e-4)


def test_stops_after_a_text_are_not_part_of_a_prompt(lm: seam.LanguageModel):
    from tokenizers import processors

    plain = lm.encode(["The capital of Tamia is"])
    words = small_models.tokenizer("words", small_models.TEXT)
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    ended = seam.LanguageModel(lm.model, words, "made")
    (found,) = ended.encode(["The capital of Tamia is"])
    assert (found[0], 2 in found, len(found)) == (1, False, 6)
    assert 2 not in plain[0]


# -- what is refused -----------------------------------------------------------------------------------------


def test_a_missing_folder_has_neighbours(tmp_path: Path):
    (tmp_path / "smollm2").mkdir()
    with pytest.raises(FileNotFoundError, match=r"did you mean '.*smollm2'"):
        seam.load(tmp_path / "smolm2")
    with pytest.raises(FileNotFoundError, match="downloads nothing"):
        seam.load("nobody/has-this-model")


def test_foreign_folders_are_refused(tmp_path: Path):
    with pytest.raises(FileFormatError, match=r"no config\.json"):
        seam.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(FileFormatError, match="means nothing"):
        seam.load(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileFormatError, match="is a file"):
        seam.load(tmp_path / "file")


def _bert(**how: Any) -> Any:
    return transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, **how
    )


@pytest.mark.parametrize(
    "made",
    [
        lambda: transformers.BertForMaskedLM(_bert()),
        lambda: transformers.BertModel(_bert()),
        lambda: transformers.BertLMHeadModel(_bert()),  # a head for texts, and attention both ways
        lambda: transformers.GPT2ForSequenceClassification(
            transformers.GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2)
        ),
    ],
)
def test_what_is_no_causal_model_is_refused(tmp_path: Path, made: Any):
    made().save_pretrained(tmp_path)
    small_models.tokenizer("words", ["a b c d"]).save_pretrained(tmp_path)
    with pytest.raises(seam.NoCausalModelError, match="no causal language model"):
        seam.load(tmp_path)


def test_missing_weights_are_not_made_up(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    small_models.save(tmp_path, "llama", "words", ["a b c"])
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FileFormatError, match="lacks 1 weights"):
        seam.load(tmp_path)


def test_code_in_a_folder_is_never_run(tmp_path: Path):
    small_models.save(tmp_path, "llama", "words", ["a b c"])
    (tmp_path / "evil.py").write_text("raise SystemExit(3)")
    text = (tmp_path / "config.json").read_text()
    mapped = '"auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},\n'
    (tmp_path / "config.json").write_text(text.replace("{\n", "{\n" + mapped, 1))
    assert seam.load(tmp_path).parameters > 0


@pytest.mark.parametrize(("how", "said"), [({"dtype": "int8"}, "int8"), ({"device": "abacus"}, "abacus")])
def test_settings_without_meaning(folder: Path, how: dict[str, str], said: str):
    with pytest.raises(SettingError, match=said):
        seam.load(folder, **how)


# -- memory --------------------------------------------------------------------------------------------------


def test_batches_are_halved_where_memory_runs_out():
    seen, told = [], []

    def work(start: int, stop: int) -> None:
        if stop - start > 3:
            raise torch.OutOfMemoryError("out of memory")
        seen.extend(range(start, stop))

    assert seam.in_batches(20, 16, work, on_progress=told.append) == 2
    assert seen == list(range(20))
    assert next(p.text for p in told if isinstance(p, Progress)).startswith(
        "out of memory: going on with batches"
    )

    def never(start: int, stop: int) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(seam.MemoryShortError, match="single"):
        seam.in_batches(4, 4, never)
    with pytest.raises(ZeroDivisionError):
        seam.in_batches(4, 4, lambda a, b: [1 // 0][0])  # pyright: ignore[reportArgumentType]


# -- the real one --------------------------------------------------------------------------------------------


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(smollm2, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"factweights\[smollm2\]"):
        smollm2.convert_smollm2(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(SettingError, match="int8"):
        smollm2.convert_smollm2(tmp_path / "out", dtype="int8")


@pytest.mark.skipif(
    any(find_spec(p) is None for p in (smollm2.PACKAGE, *smollm2.READERS)), reason="needs the extra [smollm2]"
)
def test_smollm2_is_converted_and_speaks(tmp_path: Path):
    path = smollm2.convert_smollm2(tmp_path / "smollm2", dtype="bfloat16")
    lm = seam.load(path)
    assert (lm.parameters, lm.dtype, lm.context) == (134_515_008, "bfloat16", 8192)
    prompts = lm.encode(["The capital of France is", "The capital of Germany is"])
    said = [g.text for g in asking.greedy(lm, prompts, 8, stop_text=["."])]
    assert said == [" Paris", " Berlin"]


def test_kernels_of_others_are_not_fetched(folder: Path, tmp_path: Path):
    there = Path(shutil.copytree(folder, tmp_path / "model"))
    named = "kernels-community/flash-attn"
    with pytest.raises(FileFormatError, match="give attention= one of eager"):
        seam.load(there, attention=named)
    config = json.loads((there / "config.json").read_text())
    (there / "config.json").write_text(json.dumps(config | {"_attn_implementation": named}))
    with contextlib.suppress(FileFormatError):  # as transformers takes it from the folder, or does not
        assert seam.load(there).model.config._attn_implementation in seam.ATTENTIONS
