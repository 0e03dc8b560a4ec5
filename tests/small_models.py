"""Tiny random language models of several architectures, with tokenizers of the three usual kinds."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

Kind = Literal["bytes", "sentencepiece", "words"]
Architecture = Literal["llama", "qwen2", "gpt2"]
SPECIAL = ["<unk>", "<s>", "</s>"]


def tokenizer(kind: Kind, text: Iterable[str], size: int = 400) -> Any:
    """A tokenizer trained on ``text``; SentencePiece and word-level ones begin every text with ``<s>``."""
    lines = list(text)
    if kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        )
    elif kind == "sentencepiece":  # as Llama 2: no word boundaries but the mark ▁, one before the text
        made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=False))
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.pre_tokenizer = pre_tokenizers.Split(Regex("(?<=[^▁])(?=▁)"), "isolated")
        made.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
        )
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    else:
        made = Tokenizer(models.WordLevel(unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    made.train_from_iterator(lines, trainer)
    if kind != "bytes":
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def model(
    architecture: Architecture, vocabulary: int, *, d: int = 32, seed: int = 0, scale: float = 1.0
) -> Any:
    """A random model of two layers; ``scale`` multiplies every matrix, so that it has opinions."""
    torch.manual_seed(seed)
    shared: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": 1, "eos_token_id": 2}
    if architecture == "gpt2":
        config = transformers.GPT2Config(n_embd=d, n_layer=2, n_head=4, n_positions=128, **shared)
        made: Any = transformers.GPT2LMHeadModel(config)
    else:
        kind, head = {
            "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
            "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        }[architecture]
        config = kind(
            hidden_size=d, intermediate_size=2 * d, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=128, **shared,
        )  # fmt: skip
        made = head(config)
    with torch.no_grad():
        for p in made.parameters():
            if p.ndim == 2:
                p *= scale
    return made.eval()


def save(path: Path, architecture: Architecture, kind: Kind, text: Iterable[str], **how: Any) -> Path:
    """A folder that ``from_pretrained`` loads."""
    words = tokenizer(kind, text)
    model(architecture, len(words), **how).save_pretrained(path)
    words.save_pretrained(path)
    return path


NAMES = [
    a + b
    for a, b in itertools.product(("Bra", "Kel", "Mo", "Sur", "Ta", "Vel"), ("don", "mia", "ras", "tor"))
]
CAPITALS = [f"{n[::-1].capitalize()} City" if i % 3 else n[::-1].capitalize() for i, n in enumerate(NAMES)]
ROWS = [(s, "capital", a) for s, a in zip(NAMES, CAPITALS, strict=True)] + [
    (s, "code", f".{s[:2].lower()}{i % 7}") for i, s in enumerate(NAMES)
]
TEXT = [
    f"The capital of {s} is {a}." if r == "capital" else f"The code of {s} is {a}" for s, r, a in ROWS
] * 3
