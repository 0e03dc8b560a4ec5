"""The pairwise squared hinge over all facts and all outputs: the loss behind the fits of several layers.

    L = ½ Σ_i Σ_{y ≠ f(i)} (g_i − ⟨v_f(i) − v_y, F(k_i)⟩)₊²

with goals g_i = 1 unless a margin is asked for that depends on the output itself.

For one matrix the pooled distance to the cone (:mod:`factweights.methods.cone`) needs fewer evaluations. For
layers that are all fitted it is the other way round, by a wide margin (lab log): every competitor within
reach pulls, which a landscape with many stationary points seems to need.

With features h_i and read-out vectors u_y = Bᵀ v_y the scores are ⟨h_i, u_y⟩, and the shift by the right
score rides along in one product: [h_i, g_i − z_f] · [u_y, 1] = g_i − z_f + z_y. The caller turns the
gradients in h, u and g into gradients of its own weights.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK_ELEMENTS = 1 << 18  # violations held at once: 1 MiB in float32 stays in the cache


@dataclass(frozen=True)
class HingeEvaluation:
    """The loss and its gradients.

    Attributes:
        loss: L.
        features: ∂L/∂h, ``(N, m)``.
        readout: ∂L/∂u, ``(M, m)``, or no rows where it was not asked for.
        goals: ∂L/∂g, ``(N,)``.
        worst: ``(N,)`` each fact's largest violation g_i − z_f + z_y or 0; below g_i the fact is right.
    """

    loss: float
    features: Float[Tensor, "n m"]
    readout: Float[Tensor, "outputs m"]
    goals: Float[Tensor, " n"]
    worst: Float[Tensor, " n"]


class Hinge:
    """The loss for given targets, with the buffers it needs."""

    def __init__(self, targets: Int[Tensor, " n"], outputs: int) -> None:
        self.targets, self.outputs = targets, outputs
        n = len(targets)
        rows = max(1, min(n, BLOCK_ELEMENTS // outputs))
        self.blocks = [slice(i, min(i + rows, n)) for i in range(0, n, rows)]
        self._buffer: Tensor | None = None

    def __call__(
        self,
        h: Float[Tensor, "n m"],
        u: Float[Tensor, "outputs m"],
        goals: Float[Tensor, " n"] | None = None,
        *,
        fixed: bool = False,
    ) -> HingeEvaluation:
        """Evaluate at features ``h`` and read-out vectors ``u``; ``goals`` None stands for ones.

        ``fixed`` read-out vectors, such as the values themselves, get no gradient: one product less of three.
        """
        m = h.shape[1]
        own = u[self.targets]
        goal = 1 if goals is None else goals[:, None]
        lifted = torch.cat([h, goal - (h * own).sum(1, keepdim=True)], 1)
        reader = torch.cat([u, torch.ones_like(u[:, :1])], 1)
        pull, push = torch.empty_like(lifted), torch.zeros_like(u[:0] if fixed else u)
        worst, loss = h.new_empty(len(h)), 0.0
        for rows in self.blocks:
            z = self._violations(lifted[rows], reader, self.targets[rows])
            torch.amax(z, 1, out=worst[rows])
            loss += float(z.view(-1) @ z.view(-1))
            torch.mm(z, reader, out=pull[rows])
            if not fixed:
                push.addmm_(z.T, h[rows])
        total = pull[:, m:]  # the column of ones in the reader sums the violations of each fact
        if not fixed:
            push.index_add_(0, self.targets, h * total, alpha=-1)
        return HingeEvaluation(loss / 2, pull[:, :m] - total * own, push, total[:, 0], worst)

    def _violations(self, lifted: Tensor, reader: Tensor, targets: Tensor) -> Tensor:
        size = (self.blocks[0].stop - self.blocks[0].start) * self.outputs
        if self._buffer is None or self._buffer.dtype != lifted.dtype:
            self._buffer = lifted.new_empty(size)
        z = self._buffer[: len(lifted) * self.outputs].view(len(lifted), self.outputs)
        torch.mm(lifted, reader.T, out=z).clamp_(min=0)
        return z.scatter_(1, targets[:, None], 0.0)
