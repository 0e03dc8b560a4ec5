"""All layers of a gated memory, fitted to the limit."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from factweights import theory
from factweights.domains import Count, Margin, Norm, Share, Width
from factweights.memories import GatedMemory, Memory
from factweights.methods.layered_fit import LayeredFit
from factweights.methods.layers import GatedLayers

LOAD = 2.0  # N δ(N) per parameter that one random start reaches (lab log)


@final
@dataclass(frozen=True)
class GatedFit(LayeredFit[GatedMemory]):
    """B[(A k) ⊙ σ(G k)] with A, G and B fitted together; the algorithm is in :class:`LayeredFit`.

    Attributes:
        width: m, neurons.
        activation: of the gates; ``identity`` is the bilinear form, ``silu`` SwiGLU.
        recall: share of facts that must be right.
        noise: key noise of this norm under which the facts should be right as well.
        noise_recall: share of facts that should be right under it.
        margin: relative margin γ that the facts should have:
            ⟨v_f − v_y, F(k)⟩ ≥ γ ‖F(k)‖ max_y ‖v_y‖ for every other y.
        max_evaluations: over all starts; None takes 4,000 for small problems and down to 1,500 for large.
    """

    width: Width
    activation: Literal["identity", "relu", "silu"] = "identity"
    recall: Share = 1.0
    noise: Norm = 0.0
    noise_recall: Share = 0.99
    margin: Margin = 0.0
    max_evaluations: Count | None = None

    name: ClassVar[str] = "gated-fit"
    reference: ClassVar[str] = "architecture after arXiv 2607.10034; the fit is measured in the lab log"
    memory_type: ClassVar[type[Memory]] = GatedMemory

    def _layers(self, d_in: int, d_out: int) -> GatedLayers:
        return GatedLayers(self.width, d_in, d_out, self.activation)

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """m (2 d_in + d_out)."""
        return self.width * (2 * d_in + d_out)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """N δ(M) = 2 · parameters: what one random start reached in measurements, not a law of theory.

        Bilinear features span d_in (d_in + 1) / 2 dimensions, and no width can use more than those.
        """
        budget = LOAD * self.n_parameters(d_in, d_out)
        if self.activation == "identity":
            budget = min(budget, d_out * d_in * (d_in + 1) / 2)
        return theory.facts_for_budget(budget, outputs)
