"""Distance to the cone of right answers: the loss behind every exact linear fit.

For one fact with scores z ∈ R^M and target f, the scores are right when z lies in the cone
C_f = {z : z_f ≥ z_y for every y}. Asking for a margin γ shifts the target's score down by γ first. The loss

    ℓ(z) = ½ dist²(z − γ e_f, C_f) = ½ [(t − z_f)² + Σ_{y≠f} (z_y − t)₊²],   z_f here already shifted,

where t pools the target with the competitors above it: t − z_f = Σ_y (z_y − t)₊. Why this loss:

- it is convex with gradient z − proj(z), which is 1-Lipschitz however many competitors are active;
- the residuals r_y = (z_y − t)₊ of the competitors are exactly the multipliers of a refutation: at a
  minimum Σ r_iy (v_f(i) − v_y) k_iᵀ = 0, and the norm of that sum bounds every margin (Gordan);
- its minimum over random facts is the δ(M) of the capacity law (theory.delta).

Only a handful of competitors per fact lie above t, so past one dense product of scores everything is
sparse. To find them in one pass over the scores, note that the mean of the target with *any* set of
competitors is at most t; last time's active set gives a lower bound of t that is nearly tight, and
t ← mean(target, {y : z_y > t}) is Newton's iteration on a concave function, rising to t from below.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates import weighted_rows

BLOCK_ELEMENTS = 1 << 22  # scores held at once; 16 MiB in float32 stays near the cache


@dataclass(frozen=True)
class Active:
    """Competitors above the pooled level, sorted by fact: residual ``weight`` > 0 of (``row``, ``col``)."""

    row: Int[Tensor, " a"]
    col: Int[Tensor, " a"]
    weight: Float[Tensor, " a"]


@dataclass(frozen=True)
class Evaluation:
    """The loss at one matrix.

    Attributes:
        loss: Σ_i ½ dist².
        gradient: ``(d_out, d_in)``.
        min_margin: the smallest margin z_f − max z_y over the facts, before the shift by γ.
        margins: ``(N,)`` every fact's margin.
        force: Σ of all residuals, the normaliser of a refutation.
        active: the competitors that push back.
    """

    loss: float
    gradient: Float[Tensor, "d_out d_in"]
    min_margin: float
    margins: Float[Tensor, " n"]
    force: float
    active: Active


class ConeLoss:
    """Σ_i w_i ½ dist²(V W k_i − γ e_f(i), C_f(i)) and its gradient in W.

    Attributes:
        weights: ``(N,)`` the w_i ≥ 0; None for 1 throughout. Margins are reported for every fact.
    """

    def __init__(
        self,
        keys: Float[Tensor, "n d_in"],
        values: Float[Tensor, "m d_out"],
        targets: Int[Tensor, " n"],
        *,
        margin: float = 1.0,
        weights: Float[Tensor, " n"] | None = None,
    ) -> None:
        self.keys, self.values, self.targets, self.margin = keys, values, targets, margin
        self.weights = weights
        n, m = len(keys), len(values)
        self.block = max(1, min(n, BLOCK_ELEMENTS // m))
        self._scores = keys.new_empty(self.block, m)
        # The mask is padded to whole 8-byte words so that empty words can be skipped eight at a time.
        self._mask = torch.zeros(self.block, -(-m // 8) * 8, dtype=torch.bool, device=keys.device)
        self._last: list[tuple[Tensor, Tensor] | None] = [None] * (-(-n // self.block))

    def __call__(self, W: Float[Tensor, "d_out d_in"]) -> Evaluation:
        """Evaluate at ``W``, one block of facts at a time."""
        n = len(self.keys)
        gradient = torch.zeros_like(W)
        margins = self.keys.new_empty(n)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        loss = force = 0.0
        for b, start in enumerate(range(0, n, self.block)):
            rows = slice(start, min(start + self.block, n))
            part, block_loss, block_force = self._evaluate_block(b, rows, W, gradient, margins)
            parts.append((part[0] + start, part[1], part[2]))
            loss += block_loss
            force += block_force
        row, col, weight = (torch.cat(p) for p in zip(*parts, strict=True))
        return Evaluation(loss, gradient, float(margins.min()), margins, force, Active(row, col, weight))

    def _evaluate_block(
        self, b: int, rows: slice, W: Tensor, gradient: Tensor, margins: Tensor
    ) -> tuple[tuple[Tensor, Tensor, Tensor], float, float]:
        keys, f = self.keys[rows], self.targets[rows]
        z = self._scores[: len(f)]
        torch.mm(keys @ W.T, self.values.T, out=z)
        right = z.gather(1, f[:, None])[:, 0]
        z.scatter_(1, f[:, None], float("-inf"))
        top = z.amax(1)
        margins[rows] = right - top
        right = right - self.margin
        row, col, r, pooled = self._pool(b, z, right, top)
        weight = None if self.weights is None else self.weights[rows]
        loss = 0.5 * float(r @ _times(r, weight, row) + (pooled - right) @ _times(pooled - right, weight))
        r = _times(r, weight, row)
        pull = torch.zeros_like(right).index_add_(0, row, r)
        residual = weighted_rows(self.values, row, col, r, len(f)) - pull[:, None] * self.values[f]
        gradient.addmm_(residual.T, keys)
        return (row, col, r), loss, float(pull.sum())

    def _pool(self, b: int, z: Tensor, right: Tensor, top: Tensor) -> tuple[Tensor, ...]:
        """Active competitors of a block, their residuals, and the pooled level t of every fact."""
        t = torch.maximum(right, (right + top) / 2)
        if (last := self._last[b]) is not None:
            t = torch.maximum(t, _pooled_mean(right, last[0], z[last[0], last[1]]))
        row, col = self._above(z, t)
        zc = z[row, col]
        while True:
            t = torch.maximum(t, _pooled_mean(right, row, zc))
            keep = zc > t[row]
            if bool(keep.all()):
                break
            row, col, zc = row[keep], col[keep], zc[keep]
        self._last[b] = (row, col)
        r = zc - t[row]
        return row, col, r, t

    def _above(self, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(row, col) of every score above its row's level, in row order."""
        mask = self._mask[: len(z)]
        torch.gt(z, t[:, None], out=mask[:, : z.shape[1]])
        words = mask.view(-1).view(torch.int64).nonzero()[:, 0]
        hits = mask.view(-1, 8)[words].nonzero()
        flat = words[hits[:, 0]] * 8 + hits[:, 1]
        return flat // mask.shape[1], flat % mask.shape[1]


def _times(x: Tensor, weight: Tensor | None, row: Tensor | None = None) -> Tensor:
    if weight is None:
        return x
    return x * (weight if row is None else weight[row])


def _pooled_mean(right: Tensor, row: Tensor, scores: Tensor) -> Tensor:
    total = right.index_add(0, row, scores)
    return total / torch.ones_like(right).index_add_(0, row, torch.ones_like(scores))
