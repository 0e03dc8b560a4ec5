"""What every method is: frozen settings that write facts into a memory."""

import contextlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, TypeVar

from factweights.certificates import noise_recall, verify
from factweights.domains import Seed, check_settings, checked
from factweights.errors import RecallWarning, SettingError, ShapeError, WrongTypeError
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.progress import OnProgress, silent

M = TypeVar("M", bound=Memory, covariant=True)

_misses_are_news = ContextVar("_misses_are_news", default=True)


@contextlib.contextmanager
def expecting_misses() -> Iterator[None]:
    """Store without a :class:`RecallWarning`: in searches, where a miss is an answer, and before a verify."""
    token = _misses_are_news.set(False)
    try:
        yield
    finally:
        _misses_are_news.reset(token)


@dataclass(frozen=True)
class Attempt:
    """What came of asking a method to store facts.

    Attributes:
        recall: share of the facts that count as stored.
        met: whether all else that the settings ask for is met.
        refuted: whether it is proved that no memory of this kind stores all of them.
        margin_bound: an upper bound of the margin of every such memory, where there is one.
    """

    recall: float
    met: bool
    refuted: bool
    margin_bound: float | None


class Method(ABC, Generic[M]):
    """A way of writing facts into weights. Subclasses are frozen dataclasses of settings, all final.

    Settings are checked against their domains when a method is made; cross-checks between settings belong
    into a ``__post_init__`` that calls this one first.

    Attributes:
        name: what the command line calls it.
        reference: the paper behind it, as it is cited.
        refutes: whether it can prove that no memory of its kind stores all the facts.
        warm_starts: whether ``store`` takes ``start=``, a memory of nearly the same facts to begin from.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    warm_starts: ClassVar[bool] = False
    refutes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_settings(self, self.name)

    @checked
    def store(
        self,
        facts: Associations,
        *,
        seed: Seed = 0,
        start: Memory | None = None,
        on_progress: OnProgress = silent,
    ) -> M:
        """Write ``facts`` into a new memory: the best one that the method finds.

        Methods that aim at a recall (those with a setting of that name, and low-rank-fit) warn where they
        miss it. Closed forms aim at none; what they recall is for ``verify`` to say.

        Args:
            facts: what to write.
            seed: of everything that is drawn.
            start: a memory of nearly the same facts to begin from, for methods with ``warm_starts``.
            on_progress: told about long work; closed forms are done at once.

        Raises:
            WrongTypeError: ``facts`` are something else, such as a table.
            SettingError: ``start`` for a method that cannot use it.
            ShapeError: a ``start`` of another shape.

        Warns:
            RecallWarning: the memory misses more facts than the method was asked for.
        """
        check_facts(facts)
        if start is not None and not self.warm_starts:
            raise SettingError(f"{self.name} writes from scratch; leave start out", fields=("start",))
        if start is not None and not isinstance(start, Memory):
            raise WrongTypeError("start", start, "a memory")
        memory = self._store(facts, seed=seed, start=start, on_progress=on_progress)
        if self.goal is not None and _misses_are_news.get():
            found = verify(memory, facts)
            if found.recall < self.goal:
                warning = RecallWarning(self.name, found.n_missed, len(facts), found.recall, self.goal)
                warnings.warn(warning, stacklevel=3)
        return memory

    @abstractmethod
    def _store(self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress) -> M:
        """Write ``facts``: what a subclass is about."""

    @abstractmethod
    def n_parameters(self, d_in: int, d_out: int) -> int:
        """How many scalars the memory of this method has."""

    @abstractmethod
    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """The law's number of facts at this recall, spherical embeddings; None where there is no law."""

    @property
    def goal(self) -> float | None:
        """The recall that the method aims at; None for closed forms."""
        return getattr(self, "recall", None)

    def for_recall(self, recall: float) -> "Method[M]":
        """The same method aiming at this recall level; methods without such an aim return themselves."""
        return self

    def for_verdict(self, recall: float) -> "Method[M]":
        """The same method for a search, which asks whether ``recall`` is reached and not how well."""
        return self

    def changed(self, memory: Memory, gone: Associations | None, come: Associations | None) -> M | None:
        """``memory`` without the facts ``gone`` and with those that ``come``, as ``store`` would write it.

        None where that cannot be had without the other facts.
        """
        return None

    def unmet(self, memory: Memory, facts: Associations, *, seed: int = 0) -> dict[str, float]:
        """By how much ``memory`` misses what the settings ask for besides recall; empty where all is met."""
        return {}

    def attempt(self, facts: Associations, *, noise: float = 0.0, seed: int = 0) -> Attempt:
        """Store ``facts`` and judge the memory on its real forward pass; misses are answers and no news.

        Args:
            facts: what to store.
            noise: norm of the key noise under which recall is measured, and nothing else then asked.
            seed: of the method and the noise.
        """
        with expecting_misses():
            memory = self.store(facts, seed=seed)
        found = verify(memory, facts)
        recall = noise_recall(memory, facts, noise, seed=seed) if noise else found.recall
        met = noise > 0 or not self.unmet(memory, facts, seed=seed)
        return Attempt(recall, met, found.refuted, found.margin_bound)

    def settings(self) -> dict[str, Any]:
        """The settings, for records."""
        return {"method": self.name, **asdict(self)}  # type: ignore[call-overload]


def check_facts(facts: Any) -> None:
    """Raise WrongTypeError unless ``facts`` are associations, and say how to make some of what was given."""
    if isinstance(facts, Associations):
        return
    hint = "make some with Associations.from_tensors(keys, values, targets)"
    if type(facts).__name__ == "FactTable":
        hint = "a table becomes some by table.to_associations(d), or give it to store_table"
    raise WrongTypeError("facts", facts, "Associations", hint)


def check_start(start: Memory, facts: Associations) -> None:
    """Raise ShapeError unless ``start`` maps keys of the facts to values of theirs."""
    if (start.d_in, start.d_out) != (facts.d_in, facts.d_out):
        raise ShapeError(
            f"start maps R^{start.d_in} to R^{start.d_out}, the facts need R^{facts.d_in} to R^{facts.d_out}"
        )
