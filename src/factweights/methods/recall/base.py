"""What every method for the recall transformer is, and the model it begins with."""

import math
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from factweights.domains import Seed, check_settings, checked
from factweights.errors import RecallWarning, WrongTypeError
from factweights.facts import RecallTask
from factweights.facts.embeddings import embed
from factweights.memories import RecallTransformer
from factweights.progress import OnProgress, silent
from factweights.seeds import generators


@dataclass(frozen=True)
class RecallSolution:
    """What a method found.

    Attributes:
        memory: the transformer.
        steps: evaluations of a loss and its gradient, or steps of training; 0 for a closed form.
    """

    memory: RecallTransformer
    steps: int

    @property
    def seen(self) -> float | None:
        """The share of facts that the method itself saw right; None where it did not look."""
        return getattr(self, "recall", None)


class RecallMethod(ABC):
    """A way of writing the facts of a recall task into a transformer's weights.

    Subclasses are frozen dataclasses of settings, all final.

    Attributes:
        name: what the command line calls it.
        reference: the paper behind it, as it is cited.
    """

    name: ClassVar[str]
    reference: ClassVar[str]

    def __post_init__(self) -> None:
        check_settings(self, self.name)

    @abstractmethod
    def solve(self, task: RecallTask, *, seed: int = 0, on_progress: OnProgress = silent) -> RecallSolution:
        """Write the facts of ``task`` into a new transformer, and tell how it went."""

    @checked
    def store(
        self, task: RecallTask, *, seed: Seed = 0, on_progress: OnProgress = silent
    ) -> RecallTransformer:
        """Write the facts of ``task`` into a new transformer.

        Returns the best model the method finds; whether it recalls every fact is for ``verify_prompts`` to
        say.

        Raises:
            WrongTypeError: ``task`` is something else, such as a table.

        Warns:
            RecallWarning: the method saw that more facts are missed than it was asked for.
        """
        if not isinstance(task, RecallTask):
            raise WrongTypeError("task", task, "a RecallTask", "RecallTask.from_table makes one of a table")
        solution = self.solve(task, seed=seed, on_progress=on_progress)
        asked, seen = getattr(self, "recall", 1.0), solution.seen
        if seen is not None and seen < asked:
            missed = len(task) - math.floor(seen * len(task) + 1e-9)
            warnings.warn(RecallWarning(self.name, missed, len(task), seen, asked), stacklevel=3)
        return solution.memory

    def settings(self) -> dict[str, Any]:
        """The settings, for records."""
        from dataclasses import asdict

        return {"method": self.name, **asdict(self)}  # type: ignore[call-overload]


def drawn_model(
    task: RecallTask,
    *,
    d: int,
    heads: int,
    head_dim: int,
    width: int,
    seed: int,
    dtype: torch.dtype = torch.float32,
    **kinds: Any,
) -> RecallTransformer:
    """A transformer for ``task`` with all weights 0 and its embeddings and unembeddings drawn.

    Their entries are iid N(0, 1/d) and the same on every machine: the second and third stream of ``seed``,
    the first being that of the answers of ``RecallTask.random``.

    Args:
        task: says how many tokens and answers there are.
        d, heads, head_dim, width: sizes of the model.
        seed: of both tables.
        dtype: of the model.
        kinds: ``mlp``, ``attention``, ``values``, ``residual`` of :class:`RecallTransformer`.

    Raises:
        SettingError: sizes, kinds or a seed that mean nothing.
    """
    model = RecallTransformer(task.n_tokens, task.n_answers, d, heads, head_dim, width, **kinds).to(dtype)
    of_tokens, of_answers = generators(seed, 3)[1:]
    tables = (
        embed("gaussian", rng, n, d) for rng, n in ((of_tokens, task.n_tokens), (of_answers, task.n_answers))
    )
    model.set_embeddings(*(torch.from_numpy(table).to(dtype) for table in tables))
    return model
