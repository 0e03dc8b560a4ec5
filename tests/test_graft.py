"""A table grafted into tiny random models of four architectures: said in full, and nothing else touched."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from factweights.facts import FactTable
from factweights.models import seam
from factweights.models.graft import (
    before,
    graft,
)
from factweights.models.graft.prompts import ASIDE, FRAMES, NARRATIVE, PROSE, REQUESTS, STORIES
from small_models import tokenizer

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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session", params=list(KINDS))
def grafted(request: Any, words: Any, tmp_path_factory: Any) -> tuple[str, Path, Path, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    base = random_model(request.param, words, folder / "base")
    done = graft(base, TABLE, folder / "out", templates=TEMPLATES, full=False)
    return request.param, base, folder / "out", done


def test_every_fact_is_said_in_full_by_stock_transformers(grafted: Any) -> None:
    kind, _, out, done = grafted
    assert done.certificate.efficacy == 1.0
    assert done.certificate.min_margin > 0
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    assert model.config.model_type == kind
    tok = transformers.AutoTokenizer.from_pretrained(out)
    for subject, relation, answer in FACTS:
        ids = tok(f"The {relation} of {subject} is", return_tensors="pt").input_ids
        said = model.generate(ids, max_new_tokens=16, do_sample=False, pad_token_id=0)
        assert tok.decode(said[0, ids.shape[1] :]).strip().startswith(f"{answer}."), (subject, relation)


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
