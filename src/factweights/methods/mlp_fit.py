"""Both layers of an MLP memory, fitted to the limit."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from factweights import theory
from factweights.domains import Count, Flag, Margin, Norm, Share, Width
from factweights.memories import Memory, MLPMemory
from factweights.methods.layered_fit import LayeredFit
from factweights.methods.layers import MLPLayers

LOAD = 1.5  # N δ(N) per parameter at which searches begin; ReLU starts reach less, SiLU about this


@final
@dataclass(frozen=True)
class MLPFit(LayeredFit[MLPMemory]):
    """V₂ᵀ σ(W₁ k + b) with all weights fitted together; the algorithm is in :class:`LayeredFit`.

    Attributes:
        width: m, neurons.
        activation: of the hidden layer.
        bias: whether the hidden layer has one, as in the paper.
        recall: share of facts that must be right.
        noise: key noise of this norm under which the facts should be right as well.
        noise_recall: share of facts that should be right under it.
        margin: relative margin that the facts should have, see :class:`GatedFit`.
        max_evaluations: over all starts; None takes 4,000 for small problems and down to 1,500 for large.
    """

    width: Width
    activation: Literal["relu", "gelu", "silu"] = "relu"
    bias: Flag = True
    recall: Share = 1.0
    noise: Norm = 0.0
    noise_recall: Share = 0.99
    margin: Margin = 0.0
    max_evaluations: Count | None = None

    name: ClassVar[str] = "mlp-fit"
    reference: ClassVar[str] = (
        "architecture after Thm 2 of arXiv 2412.06538; the fit is measured in the lab log"
    )
    memory_type: ClassVar[type[Memory]] = MLPMemory
    shape: ClassVar[tuple[str, ...]] = ("width", "activation", "bias")

    def _layers(self, d_in: int, d_out: int) -> MLPLayers:
        return MLPLayers(self.width, d_in, d_out, self.activation, self.bias)

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """m (d_in + d_out), and m more with a bias."""
        return self.width * (d_in + d_out + self.bias)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """N δ(M) = 1.5 · parameters: where searches begin, about what SiLU starts reach; no law of theory."""
        return theory.facts_for_budget(LOAD * self.n_parameters(d_in, d_out), outputs)
