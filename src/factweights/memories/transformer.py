"""One layer of self-attention and an MLP, read at the last position: the model of arXiv 2412.06538.

    x      = Σ_h [ Σ_t a_h(t) φ(z_t) V_h ] O_h,      a_h = softmax_t( φ(z_t) K_h Q_hᵀ φ(EOS) / √d_h )
    F      = x + MLP(x)                              logits = U F

φ(z) are frozen embeddings of the tokens, U frozen unembeddings of the answers. There are no positions, and by
default no residual around attention.

Two forwards that agree. :meth:`RecallTransformer.read_tokens` is plain attention over positions, the
reference. :meth:`RecallTransformer.forward` takes token counts c ∈ N^|V|: with one query and no positions a
prompt matters only through how often each token stands in it, and with scores
s_h(z) = φ(z) K_h Q_hᵀ φ(EOS)/√d_h and values T_h(z) = φ(z) V_h

    head h = Σ_z c(z) e^{s_h(z)} T_h(z) / Σ_z c(z) e^{s_h(z)},

so that all heads and all prompts are one product C · [e^s ⊙ T, e^s], whatever T is.

In the words of the other memories: keys are token counts ``(…, |V|)``, values the unembeddings ``(A, d)``.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.errors import SettingError, ShapeError
from factweights.memories.activations import activate
from factweights.memories.base import Memory, frozen

MLPS = ("relu", "gelu", "gated")
ATTENTIONS = ("softmax", "linear")
VALUES = ("learned", "identity")


@final
class RecallTransformer(Memory):
    """The recall transformer; weights of head h stand at index h of the leading dimension.

    Attributes:
        key, query, value: K, Q, V, each ``(heads, d, head_dim)``; value is empty with identity values.
        output: O, ``(heads, head_dim, d)``.
        read, bias: first layer of the MLP, ``(width, d)`` and ``(width,)``.
        gate: of a gated MLP, ``(width, d)``; empty otherwise. A gated MLP has no bias.
        write: second layer of the MLP, ``(width, d)``, one row for each neuron.
        embeddings: φ, ``(n_tokens, d)``, frozen; the last token is EOS.
        unembeddings: U, ``(n_answers, d)``, frozen.
    """

    frozen_groups: ClassVar[tuple[str, ...]] = ("embeddings",)

    def __init__(
        self,
        n_tokens: int,
        n_answers: int,
        d: int,
        heads: int,
        head_dim: int,
        width: int,
        *,
        mlp: str = "relu",
        attention: str = "softmax",
        values: str = "learned",
        residual: bool = False,
    ) -> None:
        """A transformer with all weights 0.

        Args:
            n_tokens: |V|, EOS last.
            n_answers: A.
            d: of the residual stream.
            heads: H.
            head_dim: d_h.
            width: m of the MLP; 0 for none.
            mlp: ``relu`` or ``gelu`` with a first-layer bias, or ``gated``: (A x) ⊙ SiLU(G x), no bias.
            attention: ``softmax``, or ``linear``: weights are the scores themselves, not normalised.
            values: ``learned``, or ``identity``: V_h O_h is the identity and no parameter.
            residual: whether φ(EOS) is added to what attention writes.

        Raises:
            SettingError: sizes below 1 (width below 0) or an unknown kind.
        """
        super().__init__()
        if min(n_tokens, n_answers, d, heads, head_dim) < 1 or width < 0:
            raise SettingError(
                "n_tokens, n_answers, d, heads and head_dim are at least 1 and width at least 0, got "
                f"{n_tokens}, {n_answers}, {d}, {heads}, {head_dim} and {width}"
            )
        for what, given, known in (
            ("mlp", mlp, MLPS),
            ("attention", attention, ATTENTIONS),
            ("values", values, VALUES),
        ):
            if given not in known:
                raise SettingError(f"unknown {what} {given!r}; use one of {', '.join(known)}")
        self.d_in, self.d_out = n_tokens, d
        self.n_tokens, self.n_answers, self.d = n_tokens, n_answers, d
        self.heads, self.head_dim, self.width = heads, head_dim, width
        self.mlp, self.attention, self.values, self.residual = mlp, attention, values, residual
        moved = heads if values == "learned" else 0
        gated = width if mlp == "gated" else 0
        self.key = frozen(torch.zeros(heads, d, head_dim))
        self.query = frozen(torch.zeros(heads, d, head_dim))
        self.value = frozen(torch.zeros(moved, d, head_dim))
        self.output = frozen(torch.zeros(moved, head_dim, d))
        self.read = frozen(torch.zeros(width, d))
        self.gate = frozen(torch.zeros(gated, d))
        self.bias = frozen(torch.zeros(width - gated))
        self.write = frozen(torch.zeros(width, d))
        self.register_buffer("embeddings", torch.zeros(n_tokens, d))
        self.register_buffer("unembeddings", torch.zeros(n_answers, d))
        self.embeddings: Tensor
        self.unembeddings: Tensor

    # -- forward -----------------------------------------------------------------------------------------

    def forward(self, counts: Float[Tensor, "*batch v"]) -> Float[Tensor, "*batch d"]:
        """F from token counts ``(…, |V|)``: exact, one matrix product for all heads."""
        self.check_keys(counts)
        return self.after_attention(self.attend_counts(counts))

    def read_tokens(self, tokens: Int[Tensor, "*batch t"]) -> Float[Tensor, "*batch d"]:
        """F from token ids ``(…, T)``: plain attention over positions, the last of which is the query."""
        x = self.embeddings[tokens]
        scores = torch.einsum("...td,...hd->...ht", x, self._probe(x[..., -1, :]))
        weights = scores.softmax(-1) if self.attention == "softmax" else scores
        seen = torch.einsum("...ht,...td->...hd", weights, x)
        if self.values == "learned":
            seen = torch.einsum("...hd,hde->...he", seen, self.value)
        return self.after_attention(self._write_heads(seen))

    def logits(self, outputs: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch a"]:
        """U F, a score for every answer."""
        return outputs @ self.unembeddings.T

    def scores(self) -> Float[Tensor, "v h"]:
        """s_h(z), how much each head attends to each token, before the softmax."""
        return self.embeddings @ self._probe(self.embeddings[-1]).T

    def head_values(self) -> Float[Tensor, "v h e"]:
        """T_h(z) ``(|V|, H, d_h)``, or the embeddings themselves ``(|V|, 1, d)`` with identity values."""
        if self.values == "identity":
            return self.embeddings[:, None]
        return torch.einsum("vd,hde->vhe", self.embeddings, self.value)

    def attend_counts(self, counts: Float[Tensor, "*batch v"]) -> Float[Tensor, "*batch d"]:
        """What attention writes to the last position, from token counts."""
        scores = self.scores()
        if self.attention == "linear":
            weight, total = scores, None
        else:
            weight = (scores - scores.amax(0)).exp()
            total = counts @ weight
            if bool((total < _lowest(total)).any()):
                return self._attend_far(counts, scores)
        values = self.head_values()
        mixed = (weight[:, :, None] * values).flatten(1)
        seen = (counts @ mixed).unflatten(-1, (self.heads, values.shape[-1]))
        return self._write_heads(seen if total is None else seen / total[..., None])

    def after_attention(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """x + MLP(x), with φ(EOS) added to x first if there is a residual around attention."""
        if self.residual:
            x = x + self.embeddings[-1]
        return x + self.mlp_output(x) if self.width else x

    def mlp_output(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """MLP(x)."""
        parts = {"read": self.read, "gate": self.gate, "bias": self.bias, "write": self.write}
        return mlp_of(self.mlp, parts, x)

    def _probe(self, query: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch h d"]:
        """K_h Q_hᵀ x / √d_h, the direction that each head looks for."""
        q = torch.einsum("...d,hde->...he", query, self.query) / math.sqrt(self.head_dim)
        return torch.einsum("...he,hde->...hd", q, self.key)

    def _attend_far(self, counts: Tensor, scores: Tensor) -> Tensor:
        """As :meth:`attend_counts` where a prompt's tokens score so low that their exponentials vanish.

        Subtracts each prompt's own maximum, in blocks of prompts.
        """
        flat = counts.reshape(-1, self.n_tokens)
        values = self.head_values().expand(-1, self.heads, -1)
        blocks = []
        for block in flat.split(max(1, (1 << 22) // max(1, self.n_tokens * self.heads))):
            logs = torch.where(block[:, :, None] > 0, block[:, :, None].log() + scores, -math.inf)
            blocks.append(torch.einsum("bvh,vhe->bhe", logs.softmax(1), values))
        return self._write_heads(torch.cat(blocks).unflatten(0, counts.shape[:-1]))

    def _write_heads(self, seen: Float[Tensor, "*batch h e"]) -> Float[Tensor, "*batch d"]:
        """What the heads saw, each through its O_h, summed."""
        return seen.sum(-2) if self.values == "identity" else seen.flatten(-2) @ self.output.flatten(0, 1)

    # -- what it is --------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "n_tokens": self.n_tokens,
            "n_answers": self.n_answers,
            "d": self.d,
            "heads": self.heads,
            "head_dim": self.head_dim,
            "width": self.width,
            "mlp": self.mlp,
            "attention": self.attention,
            "values": self.values,
            "residual": self.residual,
        }

    def count_parameters(self) -> dict[str, int]:
        """Groups ``key-query`` and ``output-value`` (2 H d_h d each), ``mlp`` (2 m d + m), ``embeddings``."""
        return {
            "key-query": self.key.numel() + self.query.numel(),
            "output-value": self.value.numel() + self.output.numel(),
            "mlp": self.read.numel() + self.gate.numel() + self.bias.numel() + self.write.numel(),
            "embeddings": self.embeddings.numel() + self.unembeddings.numel(),
        }

    @property
    def attention_parameters(self) -> int:
        """4 H d_h d, or half of it with identity values."""
        groups = self.count_parameters()
        return groups["key-query"] + groups["output-value"]

    @property
    def paper_count(self) -> int:
        """4 H d_h d + 2 m d, what the paper's figures call the parameters: biases left out."""
        return self.n_parameters - self.bias.numel()

    @torch.no_grad()
    def set_embeddings(self, embeddings: Float[Tensor, "v d"], unembeddings: Float[Tensor, "a d"]) -> None:
        """Put copies of both tables in place.

        Raises:
            ShapeError: other shapes than the model's.
        """
        wanted = (self.n_tokens, self.d), (self.n_answers, self.d)
        if (embeddings.shape, unembeddings.shape) != wanted:
            raise ShapeError(
                f"embeddings {tuple(embeddings.shape)} and unembeddings {tuple(unembeddings.shape)}; "
                f"the model takes {wanted[0]} and {wanted[1]}"
            )
        self.embeddings = embeddings.detach().clone()
        self.unembeddings = unembeddings.detach().clone()


def mlp_of(mlp: str, parts: Mapping[str, Tensor], x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """MLP(x) of the kind ``mlp`` with the weights ``read``, ``gate`` or ``bias``, and ``write``."""
    before = x @ parts["read"].T  # (…, m)
    if mlp == "gated":
        return (before * activate("silu", x @ parts["gate"].T)) @ parts["write"]
    return activate(mlp, before + parts["bias"]) @ parts["write"]


def _lowest(x: Tensor) -> float:
    """Below this a sum of exponentials may have lost its digits."""
    return torch.finfo(x.dtype).tiny * 1e8
