"""Which models can be grafted, and what must be known of them: sizes, rotary frequencies, norms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from factweights.errors import FactweightsError, FileFormatError

KINDS = ("llama", "mistral", "qwen2", "qwen3")
STATIC_ROPE = ("default", "linear", "llama3", "yarn")
LEAST_LAYERS = 4  # one to read in, and three to decide which relation fires
LEAST_HEAD = 8  # value dimensions: codes of tokens and names travel through one head
REASONS = {
    "gpt2": "it has layer norms, which mix every new coordinate into the old ones, and absolute positions",
    "gpt_neox": "it has layer norms, which mix every new coordinate into the old ones",
    "gpt_neo": "it has layer norms and absolute positions",
    "opt": "it has layer norms and absolute positions",
    "bloom": "it has layer norms and no rotary positions",
    "phi": "it has layer norms, which mix every new coordinate into the old ones",
    "gemma": "its norms add 1 to their weights and its embeddings are scaled by the hidden size",
    "gemma2": "its embeddings are scaled by the hidden size and its logits are capped",
    "gemma3_text": "its embeddings are scaled by the hidden size",
    "smollm3": "some of its layers have no positions",
    "mamba": "it has no attention to copy a subject with",
}


class NotGraftableError(FactweightsError, ValueError):
    """A model, or names, that facts cannot be grafted for; the reason is in the message."""


@dataclass(frozen=True)
class Architecture:
    """What a graft must know of a model of the Llama type.

    Attributes:
        kind: transformers' ``model_type``.
        d, layers, heads, kv_heads, head_dim, mlp, vocabulary: sizes.
        eps: of the norms.
        tied: whether the unembedding is the embedding.
        qkv_bias, o_bias, mlp_bias: which projections have biases.
        head_norm: whether queries and keys are normed in each head (Qwen3).
        reach: how many tokens back a new layer may look: the context, or the sliding window if shorter.
        frequencies: ``(head_dim / 2,)`` radians a token of each rotary pair.
    """

    kind: str
    d: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocabulary: int
    eps: float
    tied: bool
    qkv_bias: bool
    o_bias: bool
    mlp_bias: bool
    head_norm: bool
    reach: int
    frequencies: tuple[float, ...]

    @property
    def group(self) -> int:
        """Query heads that share a key-value head."""
        return self.heads // self.kv_heads


def architecture(model: Any) -> Architecture:
    """Read off a loaded model.

    Raises:
        NotGraftableError: it is of another type, with the reason.
    """
    config, state = model.config, model.state_dict()
    _must_be_llama_like(config, state)
    first = "model.layers.0."
    rotary = model.model.rotary_emb
    heads, kv = config.num_attention_heads, config.num_key_value_heads or config.num_attention_heads
    head_dim = state[f"{first}self_attn.q_proj.weight"].shape[0] // heads
    frequencies = tuple(float(f) for f in rotary.inv_freq.double())
    if 2 * len(frequencies) != head_dim or float(getattr(rotary, "attention_scaling", 1.0)) <= 0:
        raise NotGraftableError(
            "only part of each head turns with the position; give a model with full rotary heads"
        )
    window = getattr(config, "sliding_window", None) if _slides(config) else None
    found = Architecture(
        kind=config.model_type,
        d=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=heads,
        kv_heads=kv,
        head_dim=head_dim,
        mlp=config.intermediate_size,
        vocabulary=state["model.embed_tokens.weight"].shape[0],
        eps=float(config.rms_norm_eps),
        tied=bool(config.tie_word_embeddings),
        qkv_bias=f"{first}self_attn.q_proj.bias" in state,
        o_bias=f"{first}self_attn.o_proj.bias" in state,
        mlp_bias=f"{first}mlp.gate_proj.bias" in state,
        head_norm=f"{first}self_attn.q_norm.weight" in state,
        reach=min(config.max_position_embeddings, window or config.max_position_embeddings),
        frequencies=frequencies,
    )
    if found.layers < LEAST_LAYERS or found.head_dim < LEAST_HEAD:
        raise NotGraftableError(
            f"{found.layers} layers and heads of {found.head_dim} are too few: a graft needs at least "
            f"{LEAST_LAYERS} layers and heads of {LEAST_HEAD}"
        )
    return found


def _must_be_llama_like(config: Any, state: Mapping[str, torch.Tensor]) -> None:
    kind = config.model_type
    if any(getattr(config, n, None) for n in ("num_experts", "num_local_experts", "n_routed_experts")):
        raise NotGraftableError(
            f"a mixture of experts ({kind}) cannot be grafted: which MLP a token meets depends on its "
            f"state, so no new neuron is met for certain; give a dense model ({', '.join(KINDS)})"
        )
    if kind not in KINDS:
        reason = REASONS.get(kind, "it is not built as they are")
        raise NotGraftableError(
            f"a model of type {kind!r} cannot be grafted: {reason}. Models of the types "
            f"{', '.join(KINDS)} can"
        )
    if config.hidden_act != "silu":
        raise NotGraftableError(f"the MLP's gate must be SiLU, got {config.hidden_act!r}")
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    rope_type = rope.get("rope_type", "default")
    if rope_type not in STATIC_ROPE:
        raise NotGraftableError(
            f"rotary frequencies of the type {rope_type!r} change with the length of the text; a graft needs "
            f"fixed ones ({', '.join(STATIC_ROPE)})"
        )
    if missing := [n for n in ("model.embed_tokens.weight", "model.norm.weight") if n not in state]:
        raise FileFormatError(f"the model has no {missing[0]}; is it a language model of the type {kind}?")


def _slides(config: Any) -> bool:
    """Whether attention in new layers would see a window only."""
    return config.model_type == "mistral" or (
        bool(getattr(config, "use_sliding_window", False)) and not hasattr(config, "layer_types")
    )
