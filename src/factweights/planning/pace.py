"""How long a fit takes here: one evaluation of its real loss is timed on a slice of the problem."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from factweights.methods.cone import ConeLoss
from factweights.methods.fitting import MEMORY, LayeredLoss
from factweights.methods.layers import GatedLayers, Layers, MLPLayers
from factweights.methods.lbfgs import Descent
from factweights.threads import one_thread_if_small

Kind = Literal["linear", "mlp", "gated"]

WORK = 1 << 26  # multiply-adds timed
ANSWERS, D, WIDTH = 1 << 13, 512, 2048  # sizes timed at most
STEPS = 8  # evaluations timed, with what the descent does between them


@dataclass(frozen=True)
class Problem:
    """The sizes that decide how long one evaluation takes; width 0 for a matrix."""

    kind: Kind
    facts: int
    answers: int
    d: int
    width: int

    @property
    def work(self) -> float:
        """Multiply-adds of loss and gradient: scores over all answers, and the layers before them."""
        scores = 2 * self.facts * self.answers * self.d
        if self.kind == "linear":
            return scores + 2 * self.facts * self.d**2
        return scores + 3 * self.facts * self.width * self.d * (3 if self.kind == "gated" else 2)

    def sliced(self) -> "Problem":
        """A problem of about WORK multiply-adds at most, whose evaluation takes some milliseconds."""
        one = Problem(self.kind, 1, min(self.answers, ANSWERS), min(self.d, D), min(self.width, WIDTH))
        facts = max(64, min(self.facts, int(WORK / one.work)))
        return Problem(self.kind, facts, one.answers, one.d, one.width)


@cache
def evaluation_seconds(problem: Problem) -> float:
    """One evaluation of loss and gradient on one core, from one that is timed here on a slice.

    In processor time, so that what else runs on the machine does not count.
    """
    small = problem.sliced()
    with one_thread_if_small(1):
        return _timed(small) * problem.work / small.work


def _timed(p: Problem) -> float:
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        dtype = torch.float32
        keys = torch.randn(p.facts, p.d, generator=generator, dtype=dtype)
        values = torch.randn(p.answers, p.d, generator=generator, dtype=dtype) / p.d**0.5
        targets = torch.arange(p.facts) % p.answers
        if p.kind == "linear":
            cone, W = ConeLoss(keys, values, targets), values[targets].T @ keys
            W *= 1.5 / float(((keys @ W.T) * values[targets]).sum(1).mean())  # where the solve begins
            return _seconds(lambda: [cone(W) for _ in range(STEPS)]) / STEPS
        layers: Layers = (
            GatedLayers(p.width, p.d, p.d, "silu")
            if p.kind == "gated"
            else MLPLayers(p.width, p.d, p.d, "silu", True)
        )
        loss = LayeredLoss(layers, keys, values, targets, None)
        size = sum(torch.Size(s).numel() for s in layers.shapes())
        x = 0.01 * torch.randn(size, generator=generator, dtype=dtype)
        descent = Descent(loss, x, first_step=0.05, memory=MEMORY)
        return _seconds(lambda: descent.run(STEPS)) / max(1, descent.evaluations - 1)


def _seconds(call: Callable[[], object]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun
