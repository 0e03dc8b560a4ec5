"""How far rounding can move the scores of a recall transformer, over all prompts of one length.

The model of :mod:`factweights.certificates.rounding`, followed through the plain forward over positions.
Softmax is where a relative error becomes a large one: scores that are off by up to η give weights
a_t e^{±2η}, so that Σ_t |Δa_t| ≤ (e^{2η} − 1) min(1, 2 (1 − a_max)): a head that looks at one token all but
exclusively does not mind. Every other step is a sum of products.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates.rounding import SLACK, SLOPE, ULPS, UNIT64, Arithmetic
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer

MORE = 8  # roundings of a softmax beside its sum: the difference, the quotient, the product with a value


@dataclass(frozen=True)
class Stream:
    """The residual stream over all prompts: no entry is larger than ``size`` or off by more than ``e``."""

    size: Float[Tensor, "n d"]
    e: Float[Tensor, "n d"]


class Rounding:
    """The sizes that do not depend on the fact: of tokens, scores, and what heads write; all float64."""

    def __init__(self, model: RecallTransformer, task: RecallTask, dtype: torch.dtype) -> None:
        self.model, self.by = model, Arithmetic.of(dtype)
        self.w = {k: v.detach().cpu().double() for k, v in model.state_dict().items()}
        self.length, noise = task.length, task.noise_tokens
        self.noise = slice(noise.start, noise.stop) if task.n_noise and task.length > 3 else slice(0, 0)
        self.phi = self.w["embeddings"].abs()
        self.spread = self._spread()
        if model.values == "identity":
            self.values = self.written = self.phi[:, None].expand(-1, model.heads, -1)
        else:
            exact = torch.einsum("vd,hde->vhe", self.w["embeddings"], self.w["value"])
            self.values = exact.abs()
            self.written = torch.einsum("vhe,hed->vhd", exact, self.w["output"]).abs()

    def _spread(self) -> Float[Tensor, " h"]:
        """e^{2η} − 1 for each head, η how far any of its scores can be off."""
        by, w, root = self.by, self.w, math.sqrt(self.model.head_dim)
        eos = w["embeddings"][-1]
        query, key = w["query"].abs(), w["key"].abs()
        q = torch.einsum("d,hde->he", eos, w["query"]) / root
        q_size = torch.einsum("d,hde->he", eos.abs(), query) / root
        q_e = by.sums(self.model.d + 3) * q_size + self.model.d * by.tiny
        p = torch.einsum("he,hde->hd", q, w["key"])
        p_size = torch.einsum("he,hde->hd", q.abs() + q_e, key)
        p_e = torch.einsum("he,hde->hd", q_e, key) + by.sums(self.model.head_dim + 1) * p_size
        p_e = p_e + self.model.head_dim * by.tiny
        s = w["embeddings"] @ p.T
        s_e = self.phi @ p_e.T + by.sums(self.model.d + 1) * (self.phi @ (p.abs() + p_e).T) + by.tiny
        largest = (s.abs() + s_e).amax(0)
        off = s_e.amax(0) + (by.u + UNIT64) * (2 * largest + 2 * ULPS)
        off = by.bounded(off, q_size.amax(1) + p_size.amax(1) + 2 * largest)
        return torch.expm1(2 * off)

    def after_heads(
        self, attention: Float[Tensor, "n 3 h"], tokens: Int[Tensor, "n 3"], share: Float[Tensor, "n h"]
    ) -> Stream:
        """What attention (and the residual around it) writes; ``share`` is the most that noise takes."""
        by, T = self.by, self.length
        most = attention.amax(1) * (1 - share)  # of one token, in any prompt
        moved = self.spread * (2 * (1 - most)).clamp(max=1) + T * by.tiny
        # Rounding to nearest, an addition errs by no more than its smaller operand: what is added to the one
        # large term of a sum can cost at most twice its own size, however many terms there are.
        rest = (by.sums(T) * torch.ones_like(most)).minimum(2 * (1 - most))
        of_sum = (by.sums(MORE) + 2 * rest)[:, :, None]  # once in the softmax, once in the average

        def average(x: Float[Tensor, "v h k"]) -> Float[Tensor, "n h k"]:
            """Σ_t a_t x(z_t) over any prompt, for x ≥ 0."""
            clean = torch.einsum("nth,nthk->nhk", attention, x[tokens])
            return clean + share[:, :, None] * self._noisiest(x) if len(x[self.noise]) else clean

        written = self._moved(moved, self.written)
        mean = average(self.written)
        size = mean.sum(1) + written
        if self.model.values == "identity":
            e = written + (of_sum * mean).sum(1) + by.sums(self.model.heads + 1) * size + T * by.tiny
        else:
            read, output = self.w["value"].abs(), self.w["output"].abs()
            seen = average(self.phi[:, None].expand(-1, self.model.heads, -1))
            seen = seen + moved[:, :, None] * self.phi.amax(0)
            through = torch.einsum("nhd,hde->nhe", seen, read)
            off = (of_sum + by.sums(self.model.d + 2)) * SLACK * through + (T + self.model.d) * by.tiny
            inner = self.model.heads * self.model.head_dim
            held = average(self.values) + moved[:, :, None] * self.values.amax(0) + off
            whole = torch.einsum("nhe,hed->nd", held, output)
            e = written + torch.einsum("nhe,hed->nd", off, output) + by.sums(inner + 1) * whole
            e, size = by.bounded(e + inner * by.tiny, whole), size + e
        if self.model.residual:
            size = size + self.phi[-1]
            e = e + (by.u + UNIT64) * (size + e)
        return Stream(SLACK * (size + e), SLACK * e)

    def _noisiest(self, x: Float[Tensor, "v h k"]) -> Float[Tensor, "h k"]:
        return x[self.noise].amax(0)

    def _moved(self, moved: Float[Tensor, "n h"], x: Float[Tensor, "v h k"]) -> Float[Tensor, "n k"]:
        """Σ_h of weights moved by so much between any tokens."""
        return torch.einsum("nh,hk->nk", moved, x.amax(0))

    def after_mlp(self, at: Stream) -> Stream:
        """x + MLP(x)."""
        by, w, mlp = self.by, self.w, self.model.mlp
        before = self._product(at, w["read"], None if mlp == "gated" else w["bias"])
        if mlp == "gated":
            gate = self._activated(self._product(at, w["gate"], None), "silu")
            size = before.size * gate.size
            e = before.size * gate.e + gate.size * before.e + (by.u + UNIT64) * size + by.tiny
            hidden = Stream(size + e, by.bounded(e, size))
        else:
            hidden = self._activated(before, mlp)
        out = self._product(hidden, w["write"].T, None)
        size = at.size + out.size
        return Stream(size, SLACK * (at.e + out.e + (by.u + UNIT64) * size))

    def of_scores(self, at: Stream) -> Float[Tensor, "n a"]:
        """How far every answer's score can be off."""
        return self._product(at, self.w["unembeddings"], None).e

    def _product(self, at: Stream, A: Float[Tensor, "k m"], bias: Tensor | None) -> Stream:
        size_of, n = A.abs().T, A.shape[1] + 1
        size = at.size @ size_of + (0.0 if bias is None else bias.abs())
        e = at.e @ size_of + self.by.sums(n) * size + n * self.by.tiny
        e = self.by.bounded(e, size)
        return Stream(SLACK * (size + e), e)

    def _activated(self, at: Stream, name: str) -> Stream:
        """σ of it; |σ(z)| ≤ |z| for ReLU, GELU and SiLU."""
        own = 0.0 if name == "relu" else ULPS * (self.by.u + UNIT64) * at.size + self.by.tiny
        e = SLACK * (SLOPE[name] * at.e + own)
        return Stream(at.size + e, e)
