"""A grafted model out of the model and the circuit, of the same class as before."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.models.graft.architecture import Architecture
from factweights.models.graft.circuit import SMALL, Circuit, back, front, private_embedding, reading_neurons
from factweights.models.graft.layers import State, new_layer
from factweights.models.graft.space import Depth, Space
from factweights.models.graft.widening import widened


def row_sizes(
    embedding: Float[Tensor, "v d"],
    arch: Architecture,
    space: Space,
    coded: Iterable[int],
    words: Iterable[int],
) -> Float[Tensor, " v"]:
    """ρ of every token: what the first norm divides by, private coordinates and ε counted, float64.

    n private coordinates of size SMALL ρ give ρ² = (Σ e² + n (SMALL ρ)²) / D + ε d / D.
    """
    n = torch.ones(len(embedding), dtype=torch.float64)
    n[list(coded)] += space.token_bits
    n[list(words)] += 1
    own = (embedding.double().square().sum(1) + arch.eps * arch.d) / space.hidden
    return (own / (1 - n * SMALL**2 / space.hidden)).sqrt()


def goes_on_in_small_letters(tokenizer: Any, vocabulary: int) -> Tensor:
    """``(v,)`` 1 for tokens that begin with a small letter and no space before it."""
    size = min(len(tokenizer), vocabulary)
    letter = torch.zeros(vocabulary, dtype=torch.float64)
    anchor = tokenizer("a", add_special_tokens=False).input_ids
    alone = tokenizer.decode(anchor)
    texts = tokenizer.batch_decode([[*anchor, i] for i in range(size)], clean_up_tokenization_spaces=False)
    for i, text in enumerate(texts):
        rest = text[len(alone) :]
        letter[i] = bool(rest) and rest[0].islower()
    return letter


def grafted_state(state: Mapping[str, Tensor], c: Circuit) -> State:
    """Every tensor of the grafted model, in the dtype that the model has."""
    dtype = state["model.embed_tokens.weight"].dtype
    out = widened(state, c.arch, c.space, c.depth)
    out["model.embed_tokens.weight"][:, c.space.d :] = private_embedding(c).to(dtype)
    if c.arch.tied and "lm_head.weight" in out:
        out["lm_head.weight"] = out["model.embed_tokens.weight"]
    private = torch.zeros(c.space.hidden, dtype=torch.float64)
    private[c.space.d :] = 1.0
    ahead, behind = front(c), back(c)
    new: State = {}
    for i, layer in enumerate(ahead):
        new |= new_layer(layer, private / SMALL, i)
    first = c.depth.front + c.arch.layers
    for i, layer in enumerate(behind):
        new |= new_layer(layer, private * (c.reading.typical[-1] / c.unit), first + i)
    out |= {name: w.to(dtype) for name, w in new.items()}
    _read_relations(out, c, dtype)
    return out


def _read_relations(out: State, c: Circuit, dtype: torch.dtype) -> None:
    """The new neurons of the model's own layers, and what their norms give them of private coordinates."""
    seen = [i for n in ("unit", "due score", "due", "score", "eager") for i in c.space.at(n)]
    layers = reading_neurons(c)
    typical = dict(zip(layers, c.reading.typical, strict=False))
    for number, layer in layers.items():
        at = f"model.layers.{number + c.depth.front}."
        rows = slice(c.arch.mlp, c.arch.mlp + layer.used)
        out[f"{at}mlp.gate_proj.weight"][rows] = layer.gate[: layer.used].to(dtype)
        out[f"{at}mlp.up_proj.weight"][rows] = layer.up[: layer.used].to(dtype)
        out[f"{at}mlp.down_proj.weight"][:, rows] = layer.down[:, : layer.used].to(dtype)
        norm = out[f"{at}post_attention_layernorm.weight"]
        norm[seen] = torch.tensor(typical[number] / c.unit, dtype=torch.float64).to(dtype)


def grafted_config(config: Any, arch: Architecture, space: Space, depth: Depth) -> Any:
    """The model's configuration with the new sizes."""
    new = copy.deepcopy(config)
    layers = arch.layers + depth.front + depth.back
    new.hidden_size, new.num_hidden_layers = space.hidden, layers
    new.intermediate_size, new.head_dim = arch.mlp + depth.width, arch.head_dim
    new.rms_norm_eps = arch.eps * arch.d / space.hidden
    kinds = getattr(config, "layer_types", None)
    if kinds:
        whole = "full_attention"
        new.layer_types = [whole] * depth.front + list(kinds) + [whole] * depth.back
    if getattr(config, "max_window_layers", None) is not None:
        new.max_window_layers = config.max_window_layers + depth.front
    return new


def grafted_model(model: Any, c: Circuit) -> Any:
    """The model with the circuit in it, of the same class, on the CPU."""
    config = grafted_config(model.config, c.arch, c.space, c.depth)
    return with_state(type(model), config, grafted_state(model.state_dict(), c))


def with_state(kind: Any, config: Any, state: Mapping[str, Tensor]) -> Any:
    """A model of this class, configuration and state, without drawing random weights first."""
    with torch.device("meta"):
        made = kind(config)
    made.load_state_dict(dict(state), strict=False, assign=True)
    made.tie_weights()
    rotary = type(made.model.rotary_emb)(config)  # its buffers are in no checkpoint
    made.model.rotary_emb = rotary
    return made.eval()
