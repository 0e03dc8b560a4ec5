"""Layers written by hand: heads and neurons by what they read and write, as tensors of a checkpoint."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from factweights.models.graft.architecture import Architecture, NotGraftableError
from factweights.models.graft.turns import Turn

State = dict[str, Tensor]


@dataclass
class Layer:
    """One layer, float64; everything is zero until written.

    Shapes are the checkpoint's: ``q`` (heads · head_dim, D), ``k`` and ``v`` (kv heads · head_dim, D), ``o``
    (D, heads · head_dim), ``gate`` and ``up`` (width, D), ``down`` (D, width). Rows of the MLP are filled
    from
    the front.
    """

    arch: Architecture
    hidden: int
    width: int
    q: Tensor = field(init=False)
    k: Tensor = field(init=False)
    v: Tensor = field(init=False)
    o: Tensor = field(init=False)
    gate: Tensor = field(init=False)
    up: Tensor = field(init=False)
    down: Tensor = field(init=False)
    used: int = field(init=False, default=0)
    names: list[str] = field(init=False, default_factory=list)
    query_size: float = field(init=False, default=1.0)  # root mean square of a query, and of a key
    key_size: float = field(init=False, default=1.0)

    def __post_init__(self) -> None:
        a, D = self.arch, self.hidden
        zeros = lambda *shape: torch.zeros(*shape, dtype=torch.float64)  # noqa: E731
        self.q, self.o = zeros(a.heads * a.head_dim, D), zeros(D, a.heads * a.head_dim)
        self.k, self.v = zeros(a.kv_heads * a.head_dim, D), zeros(a.kv_heads * a.head_dim, D)
        self.gate, self.up, self.down = zeros(self.width, D), zeros(self.width, D), zeros(D, self.width)

    @property
    def room(self) -> int:
        """Neurons that are still free."""
        return self.width - self.used

    def keys(self, turn: Turn, source: int, strength: float, groups: Sequence[int] | None = None) -> None:
        """Key-value heads, all or some: (m_f, 0) in pair f times ``source``, which reads ``strength``."""
        half = self.arch.head_dim // 2
        size = np.sqrt(np.hypot(turn.cosine, turn.sine))  # split evenly between query and key
        for head in range(self.arch.kv_heads) if groups is None else groups:
            at = head * self.arch.head_dim
            self.k[at : at + half, source] = torch.from_numpy(size) / strength
        self.key_size = float(np.sqrt(np.square(size).sum() / self.arch.head_dim))

    def query(self, head: int, turn: Turn, shift: int, source: int, strength: float) -> None:
        """The query of one head, so that it scores H(Δ − shift) nats with the keys of the same turn."""
        cosine, sine = turn.at(shift, self.arch.frequencies)
        size = np.sqrt(np.hypot(turn.cosine, turn.sine))
        size = np.where(size > 0, size, 1.0)
        scale = math.sqrt(self.arch.head_dim) / strength
        half, at = self.arch.head_dim // 2, head * self.arch.head_dim
        # ⟨R(Δ)(a, b), (m, 0)⟩ = m (a cos θΔ − b sin θΔ)
        self.q[at : at + half, source] = torch.from_numpy(cosine / size) * scale
        self.q[at + half : at + 2 * half, source] = torch.from_numpy(-sine / size) * scale
        self.query_size = float(np.sqrt(np.square(size).sum()))

    def values(self, sources: Sequence[int], groups: Sequence[int] | None = None) -> None:
        """Value dimension i of key-value heads, all or some, is the coordinate ``sources[i]``."""
        if len(sources) > self.arch.head_dim:
            raise NotGraftableError(f"a head of {self.arch.head_dim} cannot carry {len(sources)} values")
        for head in range(self.arch.kv_heads) if groups is None else groups:
            rows = range(head * self.arch.head_dim, head * self.arch.head_dim + len(sources))
            self.v[list(rows), list(sources)] = 1.0

    def writes(self, head: int, dimension: int, target: int, scale: float) -> None:
        """The head's output adds ``scale`` times value ``dimension`` to the coordinate ``target``."""
        self.o[target, head * self.arch.head_dim + dimension] += scale

    def neuron(
        self, gate: Mapping[int, float], up: Mapping[int, float], down: Mapping[int, float], name: str
    ) -> int:
        """A new neuron by its weights on coordinates.

        Returns:
            Its number.
        """
        i = self.used
        for matrix, given in ((self.gate, gate), (self.up, up)):
            matrix[i, list(given)] = torch.tensor(list(given.values()), dtype=torch.float64)
        self.down[list(down), i] = torch.tensor(list(down.values()), dtype=torch.float64)
        self.used += 1
        self.names.append(name)
        return i

    def neurons(self, gate: Tensor, up: Tensor, down: Tensor, names: Sequence[str]) -> range:
        """Many at once: ``gate`` and ``up`` (n, D), ``down`` (D, n)."""
        rows = range(self.used, self.used + len(names))
        self.gate[rows.start : rows.stop], self.up[rows.start : rows.stop] = gate, up
        self.down[:, rows.start : rows.stop] = down
        self.used = rows.stop
        self.names += names
        return rows


def new_layer(layer: Layer, norm: Tensor, index: int) -> State:
    """The tensors of an added layer.

    Args:
        layer: what was written.
        norm: ``(D,)`` weights of both its norms: 0 on the model's own coordinates.
        index: of the layer in the checkpoint.
    """
    a, at = layer.arch, f"model.layers.{index}."
    state = {
        f"{at}self_attn.q_proj.weight": layer.q,
        f"{at}self_attn.k_proj.weight": layer.k,
        f"{at}self_attn.v_proj.weight": layer.v,
        f"{at}self_attn.o_proj.weight": layer.o,
        f"{at}mlp.gate_proj.weight": layer.gate,
        f"{at}mlp.up_proj.weight": layer.up,
        f"{at}mlp.down_proj.weight": layer.down,
        f"{at}input_layernorm.weight": norm,
        f"{at}post_attention_layernorm.weight": norm.clone(),
    }
    for name, there in (
        ("self_attn.q_proj", a.qkv_bias),
        ("self_attn.k_proj", a.qkv_bias),
        ("self_attn.v_proj", a.qkv_bias),
        ("self_attn.o_proj", a.o_bias),
        ("mlp.gate_proj", a.mlp_bias),
        ("mlp.up_proj", a.mlp_bias),
        ("mlp.down_proj", a.mlp_bias),
    ):
        if there:
            state[f"{at}{name}.bias"] = torch.zeros(len(state[f"{at}{name}.weight"]), dtype=torch.float64)
    if a.head_norm:
        state |= _head_norms(layer, at)
    return state


def _head_norms(layer: Layer, at: str) -> State:
    """Norms of queries and keys in each head give back what they take away.

    A norm divides a vector by its root mean square and multiplies it by weights that all heads share. All
    queries of a layer are turns of one vector, and a turn keeps every pair's length; so one number restores
    them, whatever the state that they were read from.
    """
    size = layer.arch.head_dim
    shape = torch.ones(size, dtype=torch.float64)
    names = ("self_attn.q_norm.weight", "self_attn.k_norm.weight")
    return {f"{at}{n}": shape * r for n, r in zip(names, (layer.query_size, layer.key_size), strict=True)}
