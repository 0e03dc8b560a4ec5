"""Facts as lookups of names in the output matrix of attention."""

from dataclasses import dataclass
from typing import cast, final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import NotStorableError
from factweights.export import assembly
from factweights.export.assembly import State
from factweights.export.fitting import NamedLookups, conflicts, fit_lookups
from factweights.export.layout import AttentionLayout
from factweights.export.names import Vocabulary
from factweights.export.plans import Plan
from factweights.export.store import Store, Width
from factweights.export.tasks import Task
from factweights.memories import LinearMemory
from factweights.progress import OnProgress

LARGEST = 1 << 31  # facts × answers of lookups, whose every step scores them all


@final
@dataclass(frozen=True)
class AttentionStore(Store[AttentionLayout, NamedLookups]):
    """Facts as lookups of names in the output matrix of attention, which adds both up."""

    @property
    def widens(self) -> bool:
        """There is none."""
        return False

    def width_for(self, size: int, answers: int) -> int:
        """One silent neuron."""
        return 1

    def first_width(self, plan: Plan, task: Task, width: Width, on_progress: OnProgress) -> int:
        """As :meth:`width_for`."""
        return 1

    def fit(self, plan: Plan, task: Task, width: int, on_progress: OnProgress) -> NamedLookups:
        """A convex fit.

        Raises:
            NotStorableError: too many to fit, or four facts contradict each other.
        """
        n, answers = len(task.targets), len(task.values)
        if task.left or n * answers > LARGEST:
            raise NotStorableError(
                f"{n + task.left:,} facts, absent ones among them, with {answers:,} answers are too many to "
                "fit lookups to; use store='mlp', fewer relations or absence=False"
            )
        s, r = task.pairs
        if (found := conflicts(s.numpy(), r.numpy(), task.targets.numpy())) is not None:
            raise NotStorableError(_contradiction(plan, task, found))
        start = cast("NamedLookups | None", plan.start)
        names = len(plan.vocabulary.subjects), len(plan.vocabulary.relations)
        return fit_lookups(
            (s, r), task.values, task.targets, names, start=start, margin=plan.margin, on_progress=on_progress
        )

    def outputs(self, plan: Plan, task: Task, fitted: NamedLookups) -> Float[Tensor, "n d"]:
        """Sums of two lookups."""
        return fitted.subjects[task.pairs.subject] + fitted.relations[task.pairs.relation]

    def longest_elsewhere(self, plan: Plan, task: Task, fitted: NamedLookups) -> float:
        """One lookup alone."""
        return max(float(p.norm(dim=1).max()) for p in (fitted.subjects, fitted.relations))

    def spread(self) -> float:
        """1 of the embedding, and ¼ of each flag of a head that finds nothing."""
        return 1 + (self.layout.finders - 2) ** 2 / 4

    def weights(self, plan: Plan, fitted: NamedLookups, scale: float) -> State:
        """Attention with the lookups, and an MLP that is silent."""
        lookups = NamedLookups(scale * fitted.subjects, scale * fitted.relations)
        attention = assembly.attention(self.layout, plan.context, lookups)
        return plan.rounded(attention | assembly.silent_mlp(self.layout))

    def read(self, state: State, vocabulary: Vocabulary) -> NamedLookups:
        """Columns of the output matrix."""
        counts = len(vocabulary.subjects), len(vocabulary.relations)
        return assembly.lookups_in(self.layout, state, *counts)

    def memory(self, state: State, vocabulary: Vocabulary) -> LinearMemory:
        """From the one-hot names, subjects first, to the answer space."""
        found = self.read(state, vocabulary)
        return LinearMemory.from_weight(torch.cat([found.subjects, found.relations]).T)

    def must_have_room(self, old: Vocabulary, new: Vocabulary) -> None:
        """A slot for every subject, and no relation that answers have no dimension for.

        Raises:
            NotStorableError: there is none.
        """
        if len(new.subjects) > (room := self.layout.subject_heads * self.layout.slots):
            raise NotStorableError(
                f"{len(new.subjects):,} subjects and slots for {room:,} in attention; compile the new table"
            )
        if len(new.relations) > len(old.relations):
            added = new.relations[len(old.relations)]
            raise NotStorableError(
                f"the relation {added!r} is new, and attention has no dimension for its answers; compile the "
                "new table"
            )

    def instead(self, task: Task, answers: int, width: int, without: str) -> tuple[str, str]:
        """More dimensions, or the MLP."""
        what = f"attention with {self.layout.answer} dimensions for the answers"
        more = f"a larger d than {self.layout.hidden}, use store='mlp'"
        return what, f"Give {more}, or leave relations out whose answers are shared{without}"


def _contradiction(plan: Plan, task: Task, found: tuple[tuple[int, int], tuple[int, int]]) -> str:
    v, absent = plan.vocabulary, False
    said = []
    for i in (i for pair in found for i in pair):
        s, r = (int(names[i]) for names in task.pairs)
        nothing = i >= len(plan.table)
        absent |= nothing
        said.append(
            f"{v.subjects[s]!r}, {v.relations[r]!r}: {'nothing' if nothing else repr(plan.table.answer[i])}"
        )
    instead = "do without absence (absence=False)" if absent else "leave one of these relations out"
    return (
        "attention adds up what it knows of the subject and of the relation, and no sum gives all of "
        f"{'; '.join(said)} (their four conditions add up to 0 > 0). Use store='mlp', or {instead}"
    )
