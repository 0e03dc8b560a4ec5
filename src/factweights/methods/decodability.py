"""How well a table of vectors can be told apart by inner products, and the directions that do it.

After arXiv 2512.00207: ρ(V) = min_i ρ_i with ρ_i = max_{‖u‖≤1} min_{j≠i} ⟨(v_i − v_j)/‖v_i − v_j‖, u⟩. It is
positive when every vector is a corner of the hull of all, and then an output u gets "i" as its answer with a
relative margin of ρ_i. By duality ρ_i is also the distance of the origin from the hull of the unit
differences, so weights λ on them prove an upper bound as a direction proves a lower one. Both come from

    minimise ½ ε ‖u‖² + ½ Σ_j (1 − ⟨n_ij, u⟩)₊²,   n_ij the unit differences,

a strongly convex problem in few dimensions for each i alone: Newton's method on a block of them at once ends
after a dozen steps. At the minimum u/‖u‖ is the direction and λ_j the residual of competitor j.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK_ELEMENTS = 1 << 22  # competitors times rows held at once
SOFTNESS = 1e-3  # of the smoothed hinge, in units of a margin
TOLERANCE = 1e-6  # of a gradient, relative to softness and values
MAX_NEWTON = 60  # steps: a limit for what does not converge
HALVINGS = 12  # of a Newton step before it is given up


@dataclass(frozen=True)
class Decodability:
    """What :func:`decodability` found, per row asked for.

    Attributes:
        lower: ``(R,)`` the margin of the direction found: ρ_i is at least that. Negative or 0: not decodable
            by this direction.
        upper: ``(R,)`` ρ_i is at most that.
        directions: ``(R, c)`` unit vectors u_i.
    """

    lower: Float[Tensor, " r"]
    upper: Float[Tensor, " r"]
    directions: Float[Tensor, "r c"]

    @property
    def rho(self) -> tuple[float, float]:
        """Lower and upper bound of ρ, the worst of the rows."""
        return float(self.lower.min()), float(self.upper.min())


def decodability(
    values: Float[Tensor, "m c"], rows: Int[Tensor, " r"] | None = None, *, softness: float = SOFTNESS
) -> Decodability:
    """Bounds of ρ_i and the directions behind them, in float64, in blocks of rows.

    Costs about M c² operations per row and Newton step. Two equal vectors have ρ = 0.

    Args:
        values: M vectors.
        rows: which of them to separate from all others; None for all.
        softness: ε; the smaller, the tighter the bounds and the longer the way there.
    """
    V = values.double()
    rows = torch.arange(len(V), device=V.device) if rows is None else rows
    outer = (V[:, :, None] * V[:, None, :]).flatten(1)
    size = max(1, BLOCK_ELEMENTS // len(V))
    parts = [_Block(V, outer, block, softness).solve() for block in rows.split(size)]
    lower, upper, directions = (torch.cat(p) for p in zip(*parts, strict=True))
    return Decodability(lower, upper, directions)


class _Block:
    """Some rows i, one small problem each; rows that are done leave the work."""

    def __init__(self, V: Tensor, outer: Tensor, rows: Tensor, softness: float) -> None:
        self.V, self.outer, self.X, self.softness = V, outer, V[rows], softness
        distance = torch.cdist(self.X, V, compute_mode="donot_use_mm_for_euclid_dist")
        own = torch.zeros_like(distance, dtype=torch.bool).scatter_(1, rows[:, None], True)
        self.equal = ((distance == 0) & ~own).any(1)
        self.scale = torch.where(distance > 0, 1 / distance, torch.zeros_like(distance))

    def solve(self) -> tuple[Tensor, Tensor, Tensor]:
        """(lower, upper, directions)."""
        U = self.X - self.V.mean(0)
        open_ = torch.arange(len(U), device=U.device)
        for _ in range(MAX_NEWTON):
            part = _Part(self, open_)
            g, H = part.derivatives(U[open_])
            going = g.norm(dim=1) > TOLERANCE * self.softness * U[open_].norm(dim=1)
            if not bool(going.any()):
                break
            open_, g, H = open_[going], g[going], H[going]
            step = -torch.linalg.solve(H, g[:, :, None])[:, :, 0]
            t = _Part(self, open_).step_length(U[open_], g, step)
            U[open_] += t[:, None] * step
            open_ = open_[t > 0]
        return self._bounds(U)

    def _bounds(self, U: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        whole = _Part(self, torch.arange(len(U), device=U.device))
        directions = torch.nn.functional.normalize(U, dim=1)
        directions[:, 0] += directions.norm(dim=1) < 0.5  # a vector in the middle of all: any direction
        lower = whole.gaps(directions).masked_fill(self.scale == 0, 1.0).amin(1)
        slack = whole.slack(U)
        weight = slack.sum(1)
        upper = whole.differences(slack * self.scale).norm(dim=1) / weight
        upper = torch.where(weight > 0, upper, torch.ones_like(upper))
        zero = torch.zeros_like(lower)
        return torch.where(self.equal, zero, lower), torch.where(self.equal, zero, upper), directions


class _Part:
    """The loss ½ ε ‖u‖² + ½ Σ slack² and its derivatives for some rows of a block."""

    def __init__(self, block: _Block, rows: Tensor) -> None:
        self.V, self.outer, self.softness = block.V, block.outer, block.softness
        self.X, self.scale = block.X[rows], block.scale[rows]

    def gaps(self, U: Tensor) -> Tensor:
        """⟨n_ij, u_i⟩, 0 at the row itself and at vectors equal to it."""
        return ((U * self.X).sum(1, keepdim=True) - U @ self.V.T) * self.scale

    def slack(self, U: Tensor) -> Tensor:
        """(1 − ⟨n_ij, u_i⟩)₊, with the same zeros."""
        return (1 - self.gaps(U)).clamp_min(0) * (self.scale > 0)

    def loss(self, U: Tensor) -> Tensor:
        return (self.slack(U).square().sum(1) + self.softness * U.square().sum(1)) / 2

    def derivatives(self, U: Tensor) -> tuple[Tensor, Tensor]:
        slack, c = self.slack(U), U.shape[1]
        g = self.softness * U - self.differences(slack * self.scale)
        w = (slack > 0) * self.scale.square()
        cross = self.X[:, :, None] * (w @ self.V)[:, None, :]
        H = (w @ self.outer).view(-1, c, c) - cross - cross.mT
        H = H + w.sum(1)[:, None, None] * self.X[:, :, None] * self.X[:, None, :]
        return g, H + self.softness * torch.eye(c, dtype=H.dtype, device=H.device)

    def differences(self, w: Tensor) -> Tensor:
        """Σ_j w_ij (v_i − v_j)."""
        return w.sum(1, keepdim=True) * self.X - w @ self.V

    def step_length(self, U: Tensor, g: Tensor, step: Tensor) -> Tensor:
        """Each row's step halved until its own loss falls; 0 where rounding allows no step."""
        loss, slope = self.loss(U), (g * step).sum(1)
        t, rejected = torch.ones_like(loss), torch.ones_like(loss, dtype=torch.bool)
        for _ in range(HALVINGS):
            rejected = self.loss(U + t[:, None] * step) > loss + 1e-4 * t * slope
            if not bool(rejected.any()):
                return t
            t = torch.where(rejected, t / 2, t)
        return torch.where(rejected, torch.zeros_like(t), t)
