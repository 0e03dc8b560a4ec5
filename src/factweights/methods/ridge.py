"""Least squares with a ridge."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from factweights.domains import Norm
from factweights.facts import Associations
from factweights.memories import LinearMemory, Memory
from factweights.methods.base import Method
from factweights.methods.hebbian import hebbian_matrix
from factweights.progress import OnProgress


@final
@dataclass(frozen=True)
class Ridge(Method[LinearMemory]):
    """argmin_W Σ_i ‖W k_i − v_f(i)‖² + λ s ‖W‖², that is W = H (KᵀK + λ s I)⁻¹ with H the Hebbian matrix.

    s is the mean eigenvalue of KᵀK, so λ means the same at every N and key length.

    Attributes:
        ridge: λ; 0 is plain least squares (minimum norm where keys leave directions free).
    """

    ridge: Norm = 0.1

    name: ClassVar[str] = "ridge"
    reference: ClassVar[str] = "classical linear associator with the pseudo-inverse (Kohonen, 1972)"

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> LinearMemory:
        """Write ``facts``; ``seed`` changes nothing."""
        gram = facts.keys.T @ facts.keys
        scale = gram.diagonal().mean()
        e, U = torch.linalg.eigh(gram)
        shifted = e + self.ridge * scale
        kept = shifted > 1e-10 * scale if facts.keys.dtype == torch.float64 else shifted > 1e-5 * scale
        inverse = torch.where(kept, 1 / shifted, torch.zeros_like(e))
        return LinearMemory.from_weight(hebbian_matrix(facts) @ (U * inverse) @ U.T)

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """d_in · d_out."""
        return d_in * d_out

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """None: no law is known to us."""
        return None
