"""The outer-product matrix cut to a rank."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from factweights.domains import Dimension
from factweights.errors import SettingError
from factweights.facts import Associations
from factweights.memories import LowRankMemory, Memory
from factweights.methods.base import Method
from factweights.methods.hebbian import hebbian_matrix
from factweights.progress import OnProgress


@final
@dataclass(frozen=True)
class LowRankHebbian(Method[LowRankMemory]):
    """The best rank-r approximation of the Hebbian matrix, kept as two thin factors."""

    rank: Dimension

    name: ClassVar[str] = "low-rank-hebbian"
    reference: ClassVar[str] = "closed form by a truncated SVD; measured in docs/lab-log.md"

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> LowRankMemory:
        """Write ``facts``; ``seed`` changes nothing.

        Raises:
            SettingError: the rank exceeds d_in or d_out.
        """
        if self.rank > min(facts.d_in, facts.d_out):
            raise SettingError(
                f"rank {self.rank} exceeds min(d_in, d_out); use at most {min(facts.d_in, facts.d_out)}",
                fields=("rank",),
            )
        U, S, Vh = torch.linalg.svd(hebbian_matrix(facts))
        root = S[: self.rank].sqrt()
        return LowRankMemory.from_factors(U[:, : self.rank] * root, root[:, None] * Vh[: self.rank])

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """rank · (d_in + d_out)."""
        return self.rank * (d_in + d_out)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """None: the low-rank law is for the best matrix of that rank, not for this one."""
        return None
