"""The best matrix of a given rank that descent can find."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from factweights import theory
from factweights.domains import Count, Dimension
from factweights.errors import SettingError
from factweights.facts import Associations
from factweights.memories import LowRankMemory, Memory
from factweights.methods.base import Method
from factweights.methods.cone import ConeLoss
from factweights.methods.lbfgs import minimise
from factweights.methods.whiten import Whitened
from factweights.progress import OnProgress


@final
@dataclass(frozen=True)
class LowRankFit(Method[LowRankMemory]):
    """Both factors of U R fitted by L-BFGS on the cone loss, from the truncated SVD of the Hebbian matrix.

    Not convex, so there is no refutation: a set of facts it does not store may still be storable.

    Attributes:
        rank: r, columns of U and rows of R.
        max_evaluations: give up after this many.
    """

    rank: Dimension
    max_evaluations: Count = 1500

    name: ClassVar[str] = "low-rank-fit"
    reference: ClassVar[str] = "our law for low rank (theory.low_rank_capacity); measured in docs/lab-log.md"

    @property
    def goal(self) -> float:
        """Every fact."""
        return 1.0

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> LowRankMemory:
        """Write ``facts``; ``seed`` changes nothing.

        Raises:
            SettingError: the rank exceeds d_in or d_out.
        """
        if self.rank > (most := min(facts.d_in, facts.d_out)):
            raise SettingError(
                f"rank {self.rank} exceeds min(d_in, d_out); use at most {most}", fields=("rank",)
            )
        white = Whitened.of(facts)
        loss = ConeLoss(*white.to(torch.float64))
        U, R = self._start(white)
        split = U.numel()

        def factors(x: Tensor) -> tuple[Tensor, Tensor]:
            return x[:split].view(U.shape), x[split:].view(R.shape)

        def evaluate(x: Tensor) -> tuple[float, Tensor, bool]:
            u, r = factors(x)
            e = loss(u @ r)
            g = torch.cat([(e.gradient @ r.T).reshape(-1), (u.T @ e.gradient).reshape(-1)])
            return e.loss, g, e.loss == 0.0

        x = torch.cat([U.reshape(-1), R.reshape(-1)])
        found = minimise(evaluate, x, max_evaluations=self.max_evaluations, first_step=0.01).x
        u, r = factors(found)
        dtype = facts.keys.dtype
        return LowRankMemory.from_factors(
            (white.from_values @ u).to(dtype), (r @ white.from_keys.T).to(dtype)
        )

    def _start(self, white: Whitened) -> tuple[Tensor, Tensor]:
        """Balanced factors of the best rank-r approximation, its spectrum scaled back up to the full norm."""
        H = white.hebbian()
        U, S, Vh = torch.linalg.svd(H, full_matrices=False)
        k = min(self.rank, len(S))
        root = (S[:k] * (S.sum() / S[:k].sum())).sqrt()
        return U[:, :k] * root, root[:, None] * Vh[:k]

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """rank · (d_in + d_out)."""
        return self.rank * (d_in + d_out)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """The low-rank law for square matrices, None elsewhere."""
        if d_in != d_out or self.rank > d_in:
            return None
        return theory.where_it_applies(theory.low_rank_capacity, d_in, self.rank, outputs)
