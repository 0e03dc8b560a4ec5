"""What every method is: frozen settings that write facts into a memory."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from factweights.facts import Associations
from factweights.memories import Memory


class Method(ABC):
    """A way of writing facts into weights. Subclasses are frozen dataclasses of settings, all final.

    Attributes:
        name: what the command line calls it.
        reference: the paper behind it, as it is cited.
        warm_starts: whether ``store`` takes ``start=``, a memory of nearly the same facts to begin from.
        reports: whether ``store`` takes ``on_progress=``, for long work.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    warm_starts: ClassVar[bool] = False
    reports: ClassVar[bool] = False

    @abstractmethod
    def store(self, facts: Associations, *, seed: int = 0) -> Memory:
        """Write ``facts`` into a new memory.

        Returns the best memory the method finds; whether it recalls every fact is for ``verify`` to say.
        """

    @abstractmethod
    def n_parameters(self, d_in: int, d_out: int) -> int:
        """How many scalars the memory of this method has."""

    @abstractmethod
    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """The law's number of facts at this recall, spherical embeddings; None where there is no law."""

    def for_recall(self, recall: float) -> "Method":
        """The same method aiming at this recall level; methods without such an aim return themselves."""
        return self

    def unmet(self, memory: Memory, facts: Associations, *, seed: int = 0) -> dict[str, float]:
        """By how much ``memory`` misses what the settings ask for besides recall; empty where all is met."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The settings, for records."""
        from dataclasses import asdict

        return {"method": self.name, **asdict(self)}  # type: ignore[call-overload]
