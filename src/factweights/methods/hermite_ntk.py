"""The paper's MLP construction: Hermite features of random gates, linearised in the other layer."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights import theory
from factweights.domains import Degree, Width
from factweights.errors import SettingError
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.memories.activations import ACTIVATIONS, degree, hermite, hermite_coefficient
from factweights.memories.gated import GatedMemory
from factweights.methods.base import Method
from factweights.methods.draws import normal, typical_length
from factweights.progress import OnProgress
from factweights.seeds import streams

BLOCK_ELEMENTS = 1 << 22  # features held at once


@final
@dataclass(frozen=True)
class HermiteNTK(Method[GatedMemory]):
    """A_r = (1/m) Σ_i h_q(⟨g_r, k_i⟩) ⟨b_r, v_f(i)⟩ k_i with random gates g_r, random unit write vectors b_r.

    In the mean over gates the answer to key k is Σ_i v_f(i) ⟨k, k_i⟩^{q+1} / d: a sum of outer products with
    keys lifted to tensors of degree q + 1, which is how N may exceed d². One pass over the facts.

    Read through another activation σ than h_q itself, the mean is the same once A is divided by the q-th
    Hermite coefficient c_q of σ, while the cross-talk grows by E σ² / c_q²: twofold for ReLU and q = 1,
    which is the form of the public code.

    Attributes:
        width: m, hidden neurons.
        degree: q ≥ 1 of the normalised Hermite polynomial h_q; many facts (N ≫ d³) want a higher one.
        activation: σ of the gates in the memory; ``hermite`` is h_q.
    """

    width: Width
    degree: Degree = 1
    activation: str = "hermite"

    name: ClassVar[str] = "hermite-ntk"
    reference: ClassVar[str] = (
        "after Thm 2 of arXiv 2412.06538; gated form after the public code of arXiv 2607.10034"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            raise SettingError(f"unknown activation {self.activation!r}; use one of {', '.join(ACTIVATIONS)}")
        if self.activation != "hermite" and abs(hermite_coefficient(self.activation, self.degree)) < 1e-6:
            raise SettingError(
                f"{self.activation} has no Hermite component of degree {self.degree}, so it can't read what "
                "that degree writes; take another degree, or activation='hermite'"
            )

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> GatedMemory:
        """Write ``facts`` with gates and write vectors drawn from ``seed``; keys of any common length."""
        gates, writes = streams(seed, self.name, 2)
        G = normal(gates, self.width, facts.d_in, facts.keys) / typical_length(facts.keys)
        b = normal(writes, self.width, facts.d_out, facts.keys)
        b = b / b.norm(dim=1, keepdim=True)
        A = self._read(facts, G, b)
        if self.activation != "hermite":
            A = A / hermite_coefficient(self.activation, self.degree)
            return GatedMemory.from_weights(A, G, b.T, activation=self.activation)
        return GatedMemory.from_weights(A, G, b.T, activation="hermite", coefficients=degree(self.degree))

    def _read(
        self, facts: Associations, G: Float[Tensor, "m d_in"], b: Float[Tensor, "m d_out"]
    ) -> Float[Tensor, "m d_in"]:
        """The matrix A, summed over blocks of facts."""
        A, c = torch.zeros_like(G), degree(self.degree)
        for rows in torch.arange(len(facts)).split(max(1, BLOCK_ELEMENTS // self.width)):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            keys, values = facts.keys[part], facts.values[facts.targets[part]]
            A += (hermite(keys @ G.T, c) * (values @ b.T)).T @ keys
        return A / self.width

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """Every weight: m (2 d_in + d_out)."""
        return theory.gated_count(d_in, self.width, d_out)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """None: the noise is known to leading order (theory.ntk_noise), the capacity at a recall is not."""
        return None
