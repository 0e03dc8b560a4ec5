"""What the two places for facts have in common: fitted, written to a checkpoint, read back."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from jaxtyping import Float
from torch import Tensor

from factweights.domains import Width as Neurons
from factweights.export import assembly
from factweights.export.assembly import Head, State
from factweights.export.fitting import NamedLookups, behind
from factweights.export.layout import Layout
from factweights.export.names import Vocabulary
from factweights.export.plans import Plan
from factweights.export.tasks import Task
from factweights.memories import GatedMemory, LinearMemory
from factweights.progress import OnProgress

Width = Neurons | Literal["auto", "smallest"]
Fitted = TypeVar("Fitted", GatedMemory, NamedLookups)
L = TypeVar("L", bound=Layout)


@dataclass(frozen=True)
class Store(ABC, Generic[L, Fitted]):
    """How the facts of a plan are fitted into one place, written to a checkpoint and read back.

    Attributes:
        layout: of the residual stream.
    """

    layout: L

    @property
    @abstractmethod
    def widens(self) -> bool:
        """Whether there is a width to be raised where the facts do not fit."""

    @abstractmethod
    def width_for(self, size: int, answers: int) -> int:
        """Neurons that should do for facts of this weight among so many answers."""

    @abstractmethod
    def first_width(self, plan: Plan, task: Task, width: Width, on_progress: OnProgress) -> int:
        """Neurons to begin with."""

    @abstractmethod
    def fit(self, plan: Plan, task: Task, width: int, on_progress: OnProgress) -> Fitted:
        """Facts, and the absence of others, fitted.

        Raises:
            NotStorableError: they cannot be, whatever the size.
        """

    @abstractmethod
    def outputs(self, plan: Plan, task: Task, fitted: Fitted) -> Float[Tensor, "n d"]:
        """What is written into the answer space at each fact."""

    @abstractmethod
    def longest_elsewhere(self, plan: Plan, task: Task, fitted: Fitted) -> float:
        """The longest of what is written where nothing is fitted, though prompts have it."""

    @abstractmethod
    def spread(self) -> float:
        """Square of the residual at the last position, over d, without what the facts write there."""

    @abstractmethod
    def weights(self, plan: Plan, fitted: Fitted, scale: float) -> State:
        """The weights that hold what was fitted, multiplied by ``scale``."""

    @abstractmethod
    def read(self, state: State, vocabulary: Vocabulary) -> Fitted:
        """What a checkpoint holds."""

    @abstractmethod
    def memory(self, state: State, vocabulary: Vocabulary) -> GatedMemory | LinearMemory:
        """The same as a memory that can be saved."""

    @abstractmethod
    def must_have_room(self, old: Vocabulary, new: Vocabulary) -> None:
        """Whether further names have a place in this layout.

        Raises:
            NotStorableError: some have not.
        """

    @abstractmethod
    def instead(self, task: Task, answers: int, width: int, without: str) -> tuple[str, str]:
        """What fell short, and what to do."""

    def written(self, plan: Plan, task: Task, width: int, on_progress: OnProgress) -> tuple[State, Head]:
        """Facts fitted: all weights, rounded, and the scales that were chosen for the output matrix.

        Raises:
            NotStorableError: as :meth:`fit`.
        """
        layout, values = plan.layout, task.values
        fitted = self.fit(plan, task, width, on_progress)
        z = self.outputs(plan, task, fitted)
        scale = 1.0
        if plan.head is None:
            scale = assembly.STRETCH * assembly.amplitude(layout) / float(z.norm(dim=1).median())
        z = scale * z
        ahead = behind(z, values, task.targets)
        narrowest = float((ahead / (self.spread() + z.square().sum(1) / layout.hidden).sqrt()).min())
        longest = max(float(z.norm(dim=1).max()), scale * self.longest_elsewhere(plan, task, fitted))
        head = _head(plan, narrowest, longest * float(values.norm(dim=1).max()))
        state = plan.frame() | self.weights(plan, fitted, scale)
        return state | plan.rounded(assembly.output(layout, plan.vocabulary, plan.values, head)), head


def _head(plan: Plan, narrowest: float, most: float) -> Head:
    """Steepness at which the narrowest fact wins clearly, and a floor that no answer's score reaches."""
    steep = 2.0 ** math.ceil(math.log2(min(assembly.STEEPEST, assembly.CLEAR / max(narrowest, 1e-9))))
    head = Head(steep, 2 * steep * most)
    if plan.head is None:
        return head
    needed = head.floor * plan.head.steep / steep  # half of the floor is reserve: it stays until used up
    return Head(plan.head.steep, plan.head.floor if plan.head.floor >= 0.6 * needed else needed)
