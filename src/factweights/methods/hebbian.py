"""The sum of outer products."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from factweights import theory
from factweights.facts import Associations
from factweights.memories import LinearMemory, Memory
from factweights.methods.base import Method
from factweights.progress import OnProgress


def hebbian_matrix(facts: Associations) -> torch.Tensor:
    """Σ_i N p_i v_f(i) k_iᵀ, ``(d_out, d_in)``, without an N × d_out copy of the values.

    Where facts have no weights, N p_i = 1.
    """
    keys = facts.keys
    if facts.weights is not None:
        keys = keys * (len(facts) * facts.weights[:, None]).to(keys)  # (N, d_in)
    sums = keys.new_zeros(facts.n_outputs, facts.d_in)
    sums.index_add_(0, facts.targets, keys)
    return facts.values.T @ sums


@final
@dataclass(frozen=True)
class Hebbian(Method[LinearMemory]):
    """W = Σ_i v_f(i) k_iᵀ, one pass over the facts and nothing to tune.

    Where facts have weights p, each product counts N p(i) times.

    Every fact is right up to d² ≈ 8 N ln N, a typical one up to 2 N ln N.
    """

    name: ClassVar[str] = "hebbian"
    reference: ClassVar[str] = "after Thm 1 of arXiv 2412.06538; constants after arXiv 2605.05189"

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> LinearMemory:
        """Write ``facts``; ``seed`` changes nothing."""
        return LinearMemory.from_weight(hebbian_matrix(facts))

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """d_in · d_out."""
        return d_in * d_out

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """The law for injective facts in a square memory; None elsewhere."""
        if d_in != d_out or outputs is not None:
            return None
        if recall == 1.0:
            return theory.hebbian_capacity(d_in, "every")
        return theory.hebbian_capacity(d_in, "0.99") if recall == 0.99 else None

    def changed(
        self, memory: Memory, gone: Associations | None, come: Associations | None
    ) -> LinearMemory | None:
        """The sum less the outer products that go and with those that come: exact up to rounding."""
        weighted = any(f is not None and f.weights is not None for f in (gone, come))
        if weighted or not isinstance(memory, LinearMemory):  # the others' weights change with them
            return None
        weight = memory.weight.double()
        for sign, facts in ((-1.0, gone), (1.0, come)):
            if facts is not None:
                part = facts.to(dtype=torch.float64, device=weight.device)
                weight = weight + sign * hebbian_matrix(part)
        return LinearMemory.from_weight(weight.to(memory.weight.dtype))
