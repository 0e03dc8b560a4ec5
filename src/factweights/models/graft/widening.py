"""The model's own layers with more coordinates, more neurons and other numbers; what they say is the same.

*Claim.* If every private coordinate is p_i and Σ p_i² = π, a widened layer does to the own coordinates
exactly
what the old one did to a state whose norm is larger by the factor √(1 + π / Σ x_i²).

*Proof.* New rows and columns of q, k, v, o, gate, up and down are zero, so own coordinates are read and
written
as before, from what the norm gives them. It gives x_i w'_i / √(Σ x² / D + π / D + ε'), and with w' = w
√(d/D),
ε' = ε d / D this is x_i w_i / √((Σ x² + π) / d + ε). The final norm's private weights are zero, so the logits
see own coordinates only. ∎

With private coordinates of a hundredth of the embedding's root mean square the factor is 1 + 5 · 10⁻⁵ n / d
at
most for n of them.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from factweights.models.graft.architecture import Architecture
from factweights.models.graft.layers import State
from factweights.models.graft.space import Depth, Space

NORMS = ("input_layernorm", "post_attention_layernorm")


def padded(w: Tensor, rows: int | None = None, columns: int | None = None) -> Tensor:
    """``w`` with zero rows and columns behind it."""
    shape = [w.shape[0] if rows is None else rows]
    if w.ndim == 2:
        shape.append(w.shape[1] if columns is None else columns)
    out = torch.zeros(shape, dtype=w.dtype)
    out[tuple(slice(n) for n in w.shape)] = w
    return out


def widened(state: Mapping[str, Tensor], arch: Architecture, space: Space, depth: Depth) -> State:
    """All tensors of the old model under their new names and with their new shapes."""
    D, F = space.hidden, arch.mlp + depth.width
    shrink = math.sqrt(arch.d / D)
    shapes = {
        "q_proj.weight": (None, D),
        "k_proj.weight": (None, D),
        "v_proj.weight": (None, D),
        "o_proj.weight": (D, None),
        "o_proj.bias": (D, None),
        "gate_proj.weight": (F, D),
        "up_proj.weight": (F, D),
        "gate_proj.bias": (F, None),
        "up_proj.bias": (F, None),
        "down_proj.weight": (D, F),
        "down_proj.bias": (D, None),
        "embed_tokens.weight": (None, D),
        "lm_head.weight": (None, D),
    }
    out: State = {}
    for name, w in state.items():
        if name.endswith("inv_freq"):
            continue
        new = _renumbered(name, depth.front)
        kind = ".".join(name.split(".")[-2:])
        if kind in shapes:
            out[new] = padded(w, *shapes[kind])
        elif name == "model.norm.weight" or name.split(".")[-2] in NORMS:
            out[new] = padded((w.double() * shrink).to(w.dtype), D)
        else:  # biases of queries, keys and values, norms within a head
            out[new] = w.clone()
    return out


def narrowed(
    state: Mapping[str, Tensor], arch: Architecture, norms: Mapping[str, Tensor], front: int
) -> State:
    """The old model's tensors out of a widened checkpoint, bit for bit.

    Args:
        state: of the widened model.
        arch: of the old model.
        norms: its norms' weights, which were rescaled, under their old names.
        front: layers that were added before its own.
    """
    sizes = {"gate_proj": (arch.mlp, arch.d), "up_proj": (arch.mlp, arch.d), "down_proj": (arch.d, arch.mlp)}
    q, kv = arch.heads * arch.head_dim, arch.kv_heads * arch.head_dim
    sizes |= {"q_proj": (q, arch.d), "k_proj": (kv, arch.d), "v_proj": (kv, arch.d), "o_proj": (arch.d, q)}
    sizes |= dict.fromkeys(("embed_tokens", "lm_head"), (arch.vocabulary, arch.d))
    out: State = {}
    for name, w in state.items():
        old = _renumbered(name, -front)
        number = layer_number(old)
        if number is not None and not 0 <= number < arch.layers:
            continue
        part = old.split(".")[-2]
        if old in norms:
            out[old] = norms[old].to(w.dtype)
        elif part in sizes:
            rows, columns = sizes[part]
            out[old] = (w[:rows, :columns] if w.ndim == 2 else w[:rows]).clone()
        else:
            out[old] = w.clone()
    return out


def own_norms(state: Mapping[str, Tensor]) -> State:
    """The weights that widening rescales."""
    return {n: w.clone() for n, w in state.items() if n == "model.norm.weight" or n.split(".")[-2] in NORMS}


def layer_number(name: str) -> int | None:
    """Which layer a tensor belongs to."""
    parts = name.split(".")
    return int(parts[2]) if parts[:2] == ["model", "layers"] else None


def _renumbered(name: str, by: int) -> str:
    number = layer_number(name)
    if number is None:
        return name
    parts = name.split(".")
    parts[2] = str(number + by)
    return ".".join(parts)
