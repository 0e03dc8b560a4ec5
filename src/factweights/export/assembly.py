"""The weights, matrix by matrix, and what they do to a clean prompt, exactly.

*Claim.* Let a prompt hold the subject s (any number of times), the relation r, no other subject or relation,
and any number of other tokens. Up to the leak of attention (:func:`leak`) the logits at its last position
depend on s and r alone.

*Proof.* (1) Every embedding has length √d, so the first RMSNorm is the identity. (2) Every query is the same,
as it reads the constant that every token has. Keys read the markers: the head for s scores β at s, β/2 at
<s>, 0 elsewhere, and the rotation of the one pair of dimensions in use is 1 to within rounding. So the head
returns the value of s, whichever position s has. (3) What it writes lies in dimensions that no embedding
uses. So after attention the residual is e + y(s, r) with e the last token's embedding, ‖e‖² = d whatever
token that is and ⟨e, y⟩ = 0: the second RMSNorm divides by the same number for every last token, the MLP
reads y alone. (4) The final norm divides all logits of a prompt by one number, again the same for every last
token. The head reads the answer space, the flags and the constant, which no last token changes. ∎

*Absent names.* A head that finds no marker attends to <s>, whose value is its flag. The row of <unk> reads
the flags, by twice more than any answer can score; every token that is no answer has a negative row on the
constant. A subject and a relation without a fact are fitted like a fact whose answer is <unk>.

*The end.* The row of </s> reads one dimension, "ended", as <unk> reads its flags. An answer that is nothing
else sets it by its embedding. An answer that is a subject too, or a relation, may be the last word of a
prompt: there one of the last two heads looks for another subject (relation) before it. Its score for one Δ
tokens back is c (1 − f(Δ)), f the mean cosine of its J fastest rotary pairs: 0 for the answer itself, at
least c (1 − max f) = β for every other; <s> has β/2. So the claim holds for prompts that do not end with an
answer, and for those that end with one and hold no other name of its role.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.export.fitting import NamedLookups
from factweights.export.layout import LONGEST_TURN, ROLES, AttentionLayout, Layout, MlpLayout
from factweights.export.names import BOS, EOS, UNK, Vocabulary
from factweights.memories import GatedMemory

SHARPNESS = 40.0  # β: score of a marked token over others; <s> has half of it
EPS = 1e-6  # of RMSNorm, as Llama's configuration has it
CLEAR = 6.0  # nats by which the narrowest fact should win, as far as STEEPEST allows
STEEPEST = 2000.0  # of an answer's row; floors are a multiple of it, and float16 ends at 65,504
STRETCH = 2.0  # length of the median output, in amplitudes

State = dict[str, Tensor]
LAYER = "model.layers.0."


@dataclass(frozen=True)
class Head:
    """What the output matrix scales: length of the answers' rows, and the constant against all others.

    Attributes:
        steep: τ, length of an answer's row.
        floor: logit, before the final norm, of tokens that are no answer, negated.
    """

    steep: float
    floor: float

    def to_dict(self) -> dict[str, float]:
        """Both numbers."""
        return {"steep": self.steep, "floor": self.floor}


def amplitude(layout: Layout) -> float:
    """√d / 2: the length of every part of an embedding: constant, marker, code."""
    return math.sqrt(layout.hidden) / 2


def turn(layout: Layout) -> float:
    """Radians by which the pair of dimensions in use turns from one token to the next."""
    return LONGEST_TURN ** -((layout.head_dim - 2) / layout.head_dim)


def leak(context: int) -> float:
    """Share of attention that a marked token loses at most to <s> and ``context`` others."""
    return math.exp(-SHARPNESS / 2) + context * math.exp(-SHARPNESS)


@cache
def earlier(head_dim: int, context: int) -> tuple[int, float]:
    """J and 1 − max f(Δ) over 1 ≤ Δ < ``context``: how far a token stands out from all those before it."""
    back = np.arange(1, context, dtype=np.float64)
    total, best = np.zeros_like(back), (0, 0.0)
    for j in range(head_dim // 2 - 2):  # the two slowest pairs read what a token is
        total += np.cos(LONGEST_TURN ** (-2 * j / head_dim) * back)
        best = max(best, (j + 1, 1 - float(total.max()) / (j + 1)), key=lambda x: x[1])
    return best


def embeddings(layout: Layout, vocabulary: Vocabulary, seed: int) -> Float[Tensor, "v d"]:
    """Every token's embedding, ‖e‖² = d, float64."""
    a = amplitude(layout)
    E = torch.zeros(len(vocabulary.tokens), layout.hidden, dtype=torch.float64)
    E[:, layout.at("constant")] = a
    E[vocabulary.ids[BOS], layout.at("bos")] = a
    for role, names in (("subject", vocabulary.subjects), ("relation", vocabulary.relations)):
        rows, first = vocabulary.of(names), layout.first_head(role)
        for i, row in enumerate(rows):
            E[row, layout.at(f"{role} marker").start + layout.place(role, i)[0] - first] = a
        E[rows, layout.at(layout.source(role))] = a * layout.codes(role, names, seed)
        E[vocabulary.of(vocabulary.answers_among(role)), layout.at(f"answer and {role}")] = a
    E[vocabulary.of(vocabulary.plain_answers), layout.at("ended")] = a
    E[:, layout.at("filler")] = (layout.hidden - E.square().sum(1, keepdim=True)).clamp_min(0).sqrt()
    return E


def attention(layout: Layout, context: int, lookups: NamedLookups | None = None) -> State:
    """Queries, keys, values and outputs, float64, for prompts of up to ``context`` tokens."""
    d, h, heads = layout.hidden, layout.head_dim, layout.heads
    a = math.sqrt(SHARPNESS * math.sqrt(h)) / amplitude(layout)
    q, k, v = (torch.zeros(heads * h, d, dtype=torch.float64) for _ in range(3))
    o = torch.zeros(d, heads * h, dtype=torch.float64)
    constant, bos = layout.at("constant").start, layout.at("bos").start
    for head in range(layout.finders):
        role = "subject" if head < layout.subject_heads else "relation"
        first = layout.first_head(role)
        last = head * h + h - 1  # of the slowest pair of dimensions
        q[last, constant] = a
        k[last, layout.at(f"{role} marker").start + head - first] = a
        k[last, bos] = a / 2
        v[last, bos] = 1.0
        o[layout.at(f"no {role}").start, last] = 1.0
        source = layout.subspaces[layout.source(role)]
        rows = range(head * h, head * h + len(source))
        v[list(rows), list(source)] = 1.0
        if (target := layout.copied_to(role)) is not None:
            o[list(layout.subspaces[target]), list(rows)] = 1.0
    _look_back(layout, context, q, k, v, o)
    if lookups is not None:
        for role, found in (("subject", lookups.subjects), ("relation", lookups.relations)):
            for i, p in enumerate(found):
                head, slot = layout.place(role, i)
                o[layout.at("answer"), head * h + slot] = p / amplitude(layout)
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    return {f"{LAYER}self_attn.{n}.weight": w for n, w in zip(names, (q, k, v, o), strict=True)}


def _look_back(layout: Layout, context: int, q: Tensor, k: Tensor, v: Tensor, o: Tensor) -> None:
    """The last heads: from an answer that is a subject (a relation) too to another one before it."""
    h = layout.head_dim
    unit = math.sqrt(h) / amplitude(layout) ** 2  # q k at which two tokens score 1
    pairs, apart = earlier(h, context)
    most = SHARPNESS / apart  # c
    constant, bos, ended = (layout.at(name).start for name in ("constant", "bos", "ended"))
    for i, role in enumerate(ROLES):
        first = (layout.finders + i) * h
        asks, markers = layout.at(f"answer and {role}").start, layout.at(f"{role} marker")
        q[first : first + pairs, asks] = -math.sqrt(most * unit / pairs)  # −c f(Δ), by the fastest pairs
        k[first : first + pairs, markers] = math.sqrt(most * unit / pairs)
        q[first + h - 1, asks] = math.sqrt(most * unit)  # + c, by the slowest
        k[first + h - 1, markers] = math.sqrt(most * unit)
        q[first + h - 2, constant] = math.sqrt(SHARPNESS / 2 * unit)  # the slowest but one, for every token
        k[first + h - 2, bos] = math.sqrt(SHARPNESS / 2 * unit)
        v[first, markers] = 1.0
        o[ended, first] = 1.0


def mlp(layout: MlpLayout, memory: GatedMemory) -> State:
    """The gated memory between the retrieved codes and the answers."""
    gate, up = (torch.zeros(memory.width, layout.hidden, dtype=torch.float64) for _ in range(2))
    down = torch.zeros(layout.hidden, memory.width, dtype=torch.float64)
    gate[:, layout.keys], up[:, layout.keys] = memory.gate.double(), memory.read.double()
    down[layout.at("answer")] = memory.write.double()
    return _mlp(gate, up, down)


def silent_mlp(layout: Layout) -> State:
    """One neuron of zeros, as the architecture asks for an MLP."""
    gate, up = (torch.zeros(1, layout.hidden, dtype=torch.float64) for _ in range(2))
    return _mlp(gate, up, torch.zeros(layout.hidden, 1, dtype=torch.float64))


def _mlp(gate: Tensor, up: Tensor, down: Tensor) -> State:
    names = ("gate_proj", "up_proj", "down_proj")
    return {f"{LAYER}mlp.{n}.weight": w for n, w in zip(names, (gate, up, down), strict=True)}


def memory_in(layout: MlpLayout, state: State) -> GatedMemory:
    """The gated memory that the MLP of a checkpoint is."""
    gate, up, down = (state[f"{LAYER}mlp.{n}.weight"].double() for n in ("gate_proj", "up_proj", "down_proj"))
    return GatedMemory.from_weights(
        up[:, layout.keys], gate[:, layout.keys], down[layout.at("answer")], activation="silu"
    )


def lookups_in(layout: AttentionLayout, state: State, subjects: int, relations: int) -> NamedLookups:
    """The lookups that the output matrix of a checkpoint holds."""
    o = state[f"{LAYER}self_attn.o_proj.weight"].double()[layout.at("answer")] * amplitude(layout)
    found = []
    for role, n in (("subject", subjects), ("relation", relations)):
        places = [layout.place(role, i) for i in range(n)]
        found.append(o[:, [head * layout.head_dim + slot for head, slot in places]].T.contiguous())
    return NamedLookups(*found)


def norms(layout: Layout) -> State:
    """All three are left at 1."""
    names = (f"{LAYER}input_layernorm", f"{LAYER}post_attention_layernorm", "model.norm")
    return {f"{n}.weight": torch.ones(layout.hidden, dtype=torch.float64) for n in names}


def output(layout: Layout, vocabulary: Vocabulary, values: Float[Tensor, "m d"], head: Head) -> State:
    """The rows of the answers, of <unk>, of </s>, and of all other tokens.

    Args:
        layout: of the residual stream.
        vocabulary: its tokens.
        values: unit rows of the answers; one more, of <unk>, if absent facts are stored.
        head: lengths.
    """
    a, constant = amplitude(layout), layout.at("constant").start
    W = torch.zeros(len(vocabulary.tokens), layout.hidden, dtype=torch.float64)
    W[:, constant] = -head.floor / a
    names = len(vocabulary.answers)
    rows = vocabulary.of((*vocabulary.answers, UNK)[: len(values)])
    W[rows] = 0.0
    W[rows, layout.at("answer")] = head.steep * values
    unk, eos, flags = vocabulary.ids[UNK], vocabulary.ids[EOS], 2 * head.floor / a
    if len(values) == names:
        W[unk, constant] = -head.floor / a
    nothing = [layout.at("no subject").start, layout.at("no relation").start]
    W[unk, nothing], W[eos, nothing] = flags, -flags
    W[eos, layout.at("ended")] = flags
    for row, sign in ((unk, 1), (eos, -1)):  # heads of other groups find nothing in any prompt
        W[row, constant] -= sign * flags * (layout.finders - 2)
    return {"lm_head.weight": W}


def normed(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """RMSNorm with weights 1, as the architecture has it."""
    return x * (x.square().mean(1, keepdim=True) + EPS).rsqrt()


@dataclass(frozen=True)
class Clean:
    """What attention leaves in clean prompts, from the very weights of a checkpoint, float64.

    Attributes:
        embeddings: ``(V, d)``.
        written: ``(V, d)`` by the head of each token's role, where the token has one.
    """

    embeddings: Float[Tensor, "v d"]
    written: Float[Tensor, "v d"]

    @classmethod
    def of(cls, layout: Layout, state: State, vocabulary: Vocabulary) -> "Clean":
        """From rounded weights."""
        E = state["model.embed_tokens.weight"].double()
        v, o = (state[f"{LAYER}self_attn.{n}.weight"].double() for n in ("v_proj", "o_proj"))
        x, h = normed(E), layout.head_dim
        written = torch.zeros_like(E)
        for role, names in (("subject", vocabulary.subjects), ("relation", vocabulary.relations)):
            heads: dict[int, list[int]] = {}
            for i, row in enumerate(vocabulary.of(names)):
                heads.setdefault(layout.place(role, i)[0], []).append(row)
            for head, rows in heads.items():
                of = slice(head * h, head * h + h)
                written[rows] = x[rows] @ v[of].T @ o[:, of].T
        return cls(E, written)

    def residual(
        self, subject: Int[Tensor, " n"] | None, relation: Int[Tensor, " n"] | None, last: int
    ) -> Float[Tensor, "n d"]:
        """After attention, at a last position with the token ``last``; None for a name left out."""
        x = self.embeddings[last][None]
        for token in (subject, relation):
            x = x if token is None else x + self.written[token]
        return x
