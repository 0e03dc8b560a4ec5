"""Random hidden features with the best linear readout there is."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import torch

from factweights import theory
from factweights.domains import Share, Width
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.memories.gated import GatedMemory
from factweights.memories.mlp import MLPMemory
from factweights.methods.base import Method
from factweights.methods.draws import normal, typical_length
from factweights.methods.exact_linear import ExactLinear, LinearSolution
from factweights.progress import OnProgress
from factweights.seeds import streams


@dataclass(frozen=True)
class FeatureSolution:
    """A memory and the verdict on its readout.

    Attributes:
        memory: the memory.
        features: the facts as the readout sees them, keys φ(k_i) ``(N, m)``. Any witness of ``readout``
            speaks of these: check it with ``margin_bound(solution.features, solution.readout.witness)``.
        readout: what ``ExactLinear`` found: ``storable`` False refutes every readout of *these* features.
    """

    memory: Memory
    features: Associations
    readout: LinearSolution


@final
@dataclass(frozen=True)
class RandomFeatures(Method[Memory]):
    """A random first layer, the readout by ``ExactLinear``: a convex problem with proofs on both sides.

    Its capacity follows the law of the linear memory with m in the place of d_in, N δ(M) = m d_out, about
    ten times what a ridge readout of the same features holds. Holds all N × m features at once.

    Attributes:
        width: m, hidden neurons.
        activation: ``relu`` for an MLP without bias, ``bilinear`` for gates without activation.
        recall: share of facts that must be right, see :class:`ExactLinear`.
        stop: ``margin`` for memories to keep, ``first`` for searches, see :class:`ExactLinear`.
    """

    width: Width
    activation: Literal["relu", "bilinear"] = "relu"
    recall: Share = 1.0
    stop: Literal["margin", "first"] = "margin"

    name: ClassVar[str] = "random-features"
    reference: ClassVar[str] = (
        "random first layer with a convex readout, exactly decided as docs/exact-linear.md says"
    )

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> Memory:
        """Write ``facts`` on features drawn from ``seed``. Use :meth:`solve` for the verdict as well."""
        return self.solve(facts, seed=seed).memory

    def solve(self, facts: Associations, *, seed: int = 0) -> FeatureSolution:
        """Decide whether the features drawn from ``seed`` can be read out; keys of any common length."""
        layers = [
            normal(s, self.width, facts.d_in, facts.keys) / typical_length(facts.keys)
            for s in streams(seed, self.name, 2)
        ]
        memory = self._memory(layers, facts.keys.new_zeros(facts.d_out, self.width))
        features = replace(facts, keys=memory.features(facts.keys), spec={})
        readout = self._readout().solve(features)
        return FeatureSolution(self._memory(layers, readout.memory.weight), features, readout)

    def _memory(self, layers: list[torch.Tensor], write: torch.Tensor) -> MLPMemory | GatedMemory:
        if self.activation == "relu":
            return MLPMemory.from_weights(layers[0], write)
        return GatedMemory.from_weights(layers[0], layers[1], write)

    def _readout(self) -> ExactLinear:
        return ExactLinear(recall=self.recall, stop=self.stop)

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """Every weight: m (d_in + d_out) with ReLU, m (2 d_in + d_out) with gates."""
        return self.width * (d_in * (1 if self.activation == "relu" else 2) + d_out)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """N δ(M) = m · min(d_out, M − 1), at recall 1.0 and a lower bound below it.

        Bilinear features span at most d_in (d_in + 1) / 2 dimensions, which then take the place of m.
        """
        most = self.width if self.activation == "relu" else d_in * (d_in + 1) // 2
        return theory.where_it_applies(theory.feature_capacity, d_out, min(self.width, most), outputs)

    def for_recall(self, recall: float) -> "RandomFeatures":
        """The same method aiming at ``recall``."""
        return replace(self, recall=recall)

    def for_verdict(self, recall: float) -> "RandomFeatures":
        """The same method, stopping at the first memory that decides."""
        return replace(self, stop="first", recall=recall)
