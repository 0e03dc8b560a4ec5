"""What the fits of all layers share: the request, warm starts, the solution."""

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, TypeVar, cast

from factweights.domains import Count, Margin, Norm, Seed, Share, Width, checked
from factweights.errors import ShapeError
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.methods.base import Method, check_facts
from factweights.methods.fitting import FitSolution, fit
from factweights.methods.layers import Layers
from factweights.methods.request import Request
from factweights.progress import OnProgress, silent

M = TypeVar("M", bound=Memory)
F = TypeVar("F", bound="LayeredFit[Any]")


USUAL, LEAST = 4000, 1500  # evaluations up to FREE scores, and for many more
FREE = 1 << 18  # facts × outputs


def usual_evaluations(scores: int) -> int:
    """What a fit may spend if nothing is said, by facts × outputs: each evaluation takes that much longer."""
    return max(LEAST, min(USUAL, USUAL * FREE // scores))


class LayeredFit(Method[M]):
    """All layers of a memory fitted together, full batch, in white coordinates.

    L-BFGS on the pairwise squared hinge from small random weights, stopped at the first point at which enough
    facts are right. If the first start does not get there, six are begun, the best three and the best one
    carried on, until the evaluations run out. A margin is then raised step by step, and key noise met by
    fitting noisy copies of the keys beside the keys.

    Attributes:
        width: m, neurons.
        recall, noise, noise_recall, margin: the request, see :class:`Request`.
        max_evaluations: over all starts; None for what :func:`usual_evaluations` says.
        memory_type: what the fit writes.
        shape: the settings that a memory to start from must share.
    """

    warm_starts: ClassVar[bool] = True
    memory_type: ClassVar[type[Memory]]
    shape: ClassVar[tuple[str, ...]] = ("width", "activation")

    width: Width
    recall: Share
    noise: Norm
    noise_recall: Share
    margin: Margin
    max_evaluations: Count | None

    @property
    def request(self) -> Request:
        """What the settings ask for."""
        return Request(self.recall, self.noise, self.noise_recall, self.margin)

    def _store(self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress) -> M:
        """Write ``facts``; use :meth:`solve` to hear how it went as well."""
        return cast("M", self.solve(facts, seed=seed, start=start, on_progress=on_progress).memory)

    @checked
    def solve(
        self,
        facts: Associations,
        *,
        seed: Seed = 0,
        start: Memory | None = None,
        on_progress: OnProgress = silent,
    ) -> FitSolution:
        """Fit ``facts`` from random weights, or first from ``start``.

        Raises:
            ShapeError: ``start`` has other dimensions or another activation.
        """
        check_facts(facts)
        if start is not None:
            self._check_start(facts, start)
        return fit(
            self._layers,
            facts,
            self.request,
            name=self.name,
            max_evaluations=self.max_evaluations or usual_evaluations(len(facts) * facts.n_outputs),
            seed=seed,
            start=start,
            on_progress=on_progress,
        )

    def unmet(self, memory: Memory, facts: Associations, *, seed: int = 0) -> dict[str, float]:
        """What ``noise_recall`` and ``margin`` lack, on the draw of key noise that judges the fit."""
        if not self.request.beyond_recall:
            return {}
        reached = self.request.reached(memory, facts, seed=seed)
        return {k: v for k, v in self.request.shortfall(reached).items() if v > 0 and k != "recall"}

    def for_recall(self: F, recall: float) -> F:
        """The same fit aiming at ``recall``."""
        return cast("F", replace(cast("Any", self), recall=recall))

    @abstractmethod
    def _layers(self, d_in: int, d_out: int) -> Layers:
        """The layers between keys and values of these dimensions."""

    def _check_start(self, facts: Associations, start: Memory) -> None:
        names = ("d_in", "d_out", *self.shape)
        theirs = tuple(start.config().get(n) for n in names)
        ours = (facts.d_in, facts.d_out, *(getattr(self, n) for n in self.shape))
        if not isinstance(start, self.memory_type) or theirs != ours:
            raise ShapeError(
                f"start is a {type(start).__name__} with ({', '.join(names)}) = {theirs}, "
                f"the fit needs a {self.memory_type.__name__} with {ours}"
            )
