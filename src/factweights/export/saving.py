"""A compiled model written to a folder: the checkpoint, and what is known of its facts."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from factweights.export import real
from factweights.export.assembly import EPS, Head, State
from factweights.export.card import card
from factweights.export.checking import ModelCertificate
from factweights.export.folder import CARD, CERTIFICATE, FACTS, MAP, MEMORY, WEIGHTS, write_settings
from factweights.export.layout import LONGEST_TURN, Layout
from factweights.export.maps import map_of
from factweights.export.names import EOS, UNK, Vocabulary
from factweights.export.plans import Plan
from factweights.export.stores import store_of
from factweights.folders import plain, read_json, write_json


def config_of(layout: Layout, vocabulary: Vocabulary, width: int, context: int, dtype: torch.dtype) -> Any:
    """The stock configuration."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(vocabulary.tokens),
        hidden_size=layout.hidden,
        intermediate_size=width,
        num_hidden_layers=1,
        num_attention_heads=layout.heads,
        num_key_value_heads=layout.heads,
        head_dim=layout.head_dim,
        max_position_embeddings=context,
        rms_norm_eps=EPS,
        rope_parameters={"rope_type": "default", "rope_theta": LONGEST_TURN},
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        dtype=dtype,
    )


def empty(layout: Layout, vocabulary: Vocabulary, width: int) -> Any:
    """The model without weights, for what can be said before there are any."""
    package = real.transformers()
    with torch.device("meta"):
        return package.LlamaForCausalLM(config_of(layout, vocabulary, width, 1, torch.float32))


def save_checkpoint(plan: Plan, folder: Path, tokenizer: Any, state: State, width: int) -> None:
    """The checkpoint itself."""
    package = real.transformers()
    config = config_of(plan.layout, plan.vocabulary, width, plan.context, plan.dtype)
    config.architectures = ["LlamaForCausalLM"]
    with real.quiet():
        config.save_pretrained(folder)
        tokenizer.model_max_length = plan.context
        tokenizer.save_pretrained(folder)
        package.GenerationConfig(
            max_new_tokens=2,  # an answer and </s>
            do_sample=False,
            bos_token_id=config.bos_token_id,
            eos_token_id=plan.vocabulary.of((EOS, UNK, *plan.vocabulary.ending)),
            pad_token_id=config.pad_token_id,
        ).save_pretrained(folder)
    # What version 4 looks for: the rotary base by this name, else it takes 10,000 without a word.
    numbers = {"rope_theta": LONGEST_TURN, "torch_dtype": str(plan.dtype).removeprefix("torch.")}
    _amend(folder / "config.json", numbers)
    # A class that both versions know. An empty list of added tokens leaves them as tokenizer.json has them;
    # without one, both would make </s> and <unk> special where decoding needs to see them.
    _amend(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {}},
    )
    weights = save({k: w.contiguous() for k, w in state.items()}, metadata={"format": "pt"})
    (folder / WEIGHTS).write_bytes(weights)


def _amend(path: Path, fields: dict[str, Any]) -> None:
    write_json(path, read_json(path) | fields)


def save_knowledge(
    plan: Plan, folder: Path, state: State, head: Head, c: ModelCertificate, width: int
) -> None:
    """What is known of the facts, beside the checkpoint."""
    layout, vocabulary = plan.layout, plan.vocabulary
    store_of(layout).memory(state, vocabulary).to(plan.dtype).save(folder / MEMORY)
    plan.table.write(folder / FACTS)
    write_json(folder / CERTIFICATE, plain(c.to_dict()))
    (folder / MAP).write_text(map_of(layout, vocabulary, plan.table, state), encoding="utf-8")
    (folder / CARD).write_text(card(plan.table, c, layout, width, plan.templates), encoding="utf-8")
    write_settings(
        folder,
        layout=layout.to_dict(),
        width=width,
        dtype=str(plan.dtype).removeprefix("torch."),
        templates=list(plan.templates),
        context=plan.context,
        absence=plan.absence,
        seed=plan.seed,
        head=head.to_dict(),
        subjects=list(vocabulary.subjects),
        relations=list(vocabulary.relations),
        answers=list(vocabulary.answers),
        words=list(vocabulary.words),
        tokens=list(vocabulary.tokens),
        table_hash=plan.table.hash,
    )
