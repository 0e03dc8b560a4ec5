"""The loss of a memory as a function of its flat weights: one place for all fits.

L-BFGS sees one vector. Here it is cut into named blocks (:class:`Blocks`), turned into outputs by the
memory's own forward under autograd, and judged by a loss on the outputs whose gradient is written by hand.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.methods.hinge import Hinge

OutputLoss = Callable[[Tensor], tuple[float, Tensor, Tensor]]
"""Outputs ``(N, d_out)`` ↦ (loss, gradient in the outputs, worst violation of each fact ``(N,)``)."""

T = TypeVar("T")


class Blocks:
    """Named weights laid one after the other in one vector.

    Attributes:
        shapes: of the weights, in order.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)

    def split(self, x: Float[Tensor, " p"]) -> dict[str, Tensor]:
        """Views of the flat weights by name."""
        parts = x.split([math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(s) for (name, s), part in zip(self.shapes.items(), parts, strict=True)}

    def join(self, parts: Mapping[str, Tensor]) -> Float[Tensor, " p"]:
        """The inverse of :meth:`split`."""
        return torch.cat([parts[name].detach().reshape(-1) for name in self.shapes])


def mlp_shapes(mlp: str, width: int, d: int) -> dict[str, tuple[int, ...]]:
    """The weights of an MLP on ``R^d`` by name; none where it has no neurons."""
    if not width:
        return {}
    third = {"gate": (width, d)} if mlp == "gated" else {"bias": (width,)}
    return {"read": (width, d), "write": (width, d), **third}


def pulled_back(
    write: Callable[[Tensor], Sequence[Tensor]],
    judge: Callable[[Sequence[Tensor]], tuple[float, Sequence[Tensor], T]],
    x: Float[Tensor, " p"],
) -> tuple[float, Float[Tensor, " p"], T]:
    """(loss, its gradient in ``x``, what else the judge says).

    Args:
        write: what the weights write, by autograd.
        judge: written ↦ (loss, gradients in what was written, anything else), without autograd.
        x: flat weights.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        written = write(leaf)
    loss, pulls, said = judge([t.detach() for t in written])
    (gradient,) = torch.autograd.grad(list(written), [leaf], list(pulls))
    return loss, gradient, said


def hinged(hinge: Hinge, values: Float[Tensor, "m d_out"]) -> OutputLoss:
    """The pairwise squared hinge of outputs against all ``values``."""

    def loss(out: Tensor) -> tuple[float, Tensor, Tensor]:
        e = hinge(out, values)
        return e.loss, e.features, e.worst

    return loss


class FlatLoss:
    """A loss on outputs as one on flat weights, which remembers what it saw.

    Attributes:
        write: flat weights ↦ outputs ``(N, d_out)``.
        loss: of the outputs.
        need: facts that have to count for the goal to be reached; None asks for every margin in full, loss 0.
        allowed: violation below which a fact counts: 1 is a margin of 0, less leaves a reserve.
        recall: share of facts with a margin above 0, at the last evaluation.
        counted: share of facts that counted.
        evaluations: so far.
    """

    def __init__(
        self, write: Callable[[Tensor], Tensor], loss: OutputLoss, need: int | None, allowed: float = 1.0
    ) -> None:
        self.write, self.loss, self.need, self.allowed = write, loss, need, allowed
        self.recall = self.counted = 0.0
        self.evaluations = 0

    def __call__(self, x: Float[Tensor, " p"]) -> tuple[float, Float[Tensor, " p"], bool]:
        """(loss, gradient, goal reached)."""
        self.evaluations += 1
        loss, gradient, worst = pulled_back(lambda leaf: [self.write(leaf)], self._judge, x)
        self.recall = float((worst < 1).double().mean())
        count = int((worst < self.allowed).sum())
        self.counted = count / len(worst)
        return loss, gradient, loss == 0.0 if self.need is None else count >= self.need

    def _judge(self, written: Sequence[Tensor]) -> tuple[float, Sequence[Tensor], Tensor]:
        loss, gradient, worst = self.loss(written[0])
        return loss, [gradient], worst
