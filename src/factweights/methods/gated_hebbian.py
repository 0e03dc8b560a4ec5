"""Hebbian readouts of bilinear features: raw, whitened, or with features fitted to the facts first."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights import theory
from factweights.domains import Count, Norm, Width
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.memories.gated import GatedMemory
from factweights.methods.base import Method
from factweights.methods.conjugate import conjugate_gradients
from factweights.methods.draws import normal, typical_length
from factweights.methods.readout import raw_readout, ridge_readout
from factweights.progress import OnProgress
from factweights.seeds import streams

TOLERANCE = 1e-10  # relative residual of the conjugate gradients, of float64


@final
@dataclass(frozen=True)
class GatedHebbian(Method[GatedMemory]):
    """φ(k) = (A k) ⊙ (G k) with a linear readout B in closed form, computed in float64.

    ``raw``: A and G random, B = (1/N) Σ_i v_f(i) φ(k_i)ᵀ. ``whitened``: the same features, B by ridge
    regression, which is the raw readout of features with their covariance divided out. ``data-dependent``:
    with the raw readout W₀ held fixed, G and then A are fitted by regularised least squares so that the
    scores V W₀ φ(k_i) come near the one-hot vector of the right output; then B by ridge regression.

    Ridge readouts interpolate exactly at m ≈ N and are fragile there: see the recall under key noise.

    Attributes:
        width: m, hidden neurons.
        readout: which of the three.
        ridge: λ, relative: to the mean squared length of the features in the readout (the same on both
            sides of m = N), to the mean diagonal of the normal matrix in the fits of G and A.
        rounds: how often ``data-dependent`` fits both G and A.
        max_iterations: conjugate-gradient products per fit.
    """

    width: Width
    readout: Literal["raw", "whitened", "data-dependent"] = "whitened"
    ridge: Norm = 1e-6
    rounds: Count = 1
    max_iterations: Count = 1000

    name: ClassVar[str] = "gated-hebbian"
    reference: ClassVar[str] = "after arXiv 2607.10034"

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> GatedMemory:
        """Write ``facts`` with first features drawn from ``seed``; keys of any common length."""
        dtype, facts = facts.keys.dtype, facts.to(dtype=torch.float64)
        length = typical_length(facts.keys)
        A, G = (normal(s, self.width, facts.d_in, facts.keys) / length for s in streams(seed, self.name, 2))
        if self.readout == "data-dependent":
            A, G = self._fitted(facts, A, G)
        hidden = GatedMemory.from_weights(A, G, facts.keys.new_zeros(facts.d_out, self.width))
        if self.readout == "raw":
            B = raw_readout(hidden.features, facts, self.width)
        else:
            B = ridge_readout(hidden.features, facts, self.width, self.ridge)
        return GatedMemory.from_weights(A, G, B).to(dtype)

    def _fitted(self, facts: Associations, A: Tensor, G: Tensor) -> tuple[Tensor, Tensor]:
        """A and G fitted in turn to the raw readout of the features they start with."""
        first = GatedMemory.from_weights(A, G, facts.keys.new_zeros(facts.d_out, self.width))
        W = raw_readout(first.features, facts, self.width)
        for _ in range(self.rounds):
            G = self._fit(facts, W, A)
            A = self._fit(facts, W, G)
        return A, G

    def _fit(
        self, facts: Associations, W: Float[Tensor, "d_out m"], partner: Float[Tensor, "m d_in"]
    ) -> Float[Tensor, "m d_in"]:
        """argmin_X Σ_i ‖V W [(P k_i) ⊙ (X k_i)] − e_f(i)‖² + ridge, P the partner and e_y one-hot in R^M.

        Only VᵀV and the values of the facts enter the normal equations, so no N × M matrix appears.
        """
        K, C = facts.keys, facts.keys @ partner.T
        coupling = W.T @ (facts.values.T @ facts.values) @ W
        right = (C * (facts.values[facts.targets] @ W)).T @ K
        diagonal = coupling.diagonal()[:, None] * (C.square().T @ K.square())
        shift = self.ridge * float(diagonal.mean())

        def apply(X: Tensor) -> Tensor:
            return (C * ((C * (K @ X.T)) @ coupling)).T @ K + shift * X

        floor = torch.finfo(K.dtype).eps * float(diagonal.mean())
        diagonal = (diagonal + shift).clamp_min(floor or 1.0)
        return conjugate_gradients(
            apply, right, diagonal, tolerance=TOLERANCE, max_iterations=self.max_iterations
        )

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """Every weight: m (2 d_in + d_out)."""
        return theory.gated_count(d_in, self.width, d_out)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """None: facts grow like m d / ln N, with a constant that is not known."""
        return None
