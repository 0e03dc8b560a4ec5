"""The two places for facts, behind one protocol: an MLP on exact keys, and lookups in attention."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast, final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights import theory
from factweights.domains import Width as Neurons
from factweights.errors import NotStorableError
from factweights.export import assembly, tasks
from factweights.export.absence import Pairs
from factweights.export.assembly import Clean, Head, State
from factweights.export.fitting import (
    NamedLookups,
    behind,
    comfortable_width,
    conflicts,
    fit_lookups,
    fit_mlp,
)
from factweights.export.layout import AttentionLayout, Layout, MlpLayout
from factweights.export.names import UNK, Vocabulary
from factweights.export.plans import Plan
from factweights.export.tasks import Task
from factweights.facts import Associations
from factweights.memories import GatedMemory, LinearMemory
from factweights.methods.candidates import hardest
from factweights.progress import OnProgress, Progress

FASTEST, CLOSE = 2.2, 0.04  # load at which the search for the smallest width begins, and its end
LARGEST = 1 << 31  # facts × answers of lookups, whose every step scores them all
BLOCK, ROUNDS = 1 << 14, 6

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


@final
@dataclass(frozen=True)
class MlpStore(Store[MlpLayout, GatedMemory]):
    """Facts in the neurons of the MLP, which reads both retrieved codes."""

    @property
    def widens(self) -> bool:
        """It does."""
        return True

    def first_width(self, plan: Plan, task: Task, width: Width, on_progress: OnProgress) -> int:
        """That of what is there; else as asked, ``smallest`` searched for by fits of the MLP alone."""
        if plan.start is not None:
            return cast(GatedMemory, plan.start).width
        if isinstance(width, int):
            return width
        answers, d_out = task.values.shape
        d_in = self._read_dimensions()
        comfortable = comfortable_width(task.size, answers, d_in, d_out)
        if width == "auto":
            return comfortable
        need = task.size * theory.delta(max(2, answers)) / (2 * d_in + d_out)
        low, high = max(0, math.floor(need / FASTEST)), comfortable
        while high - low > max(1, CLOSE * high):
            middle = (low + high) // 2
            on_progress(Progress(0, None, f"is a width of {middle:,} enough?"))
            memory = self._fit(plan, task, middle, None, on_progress)
            out = self.outputs(plan, task, memory)
            right = hardest(out, task.values, task.targets, 1)[1] == 1.0
            low, high = (low, middle) if right else (middle, high)
        return high

    def fit(self, plan: Plan, task: Task, width: int, on_progress: OnProgress) -> GatedMemory:
        """By L-BFGS on the facts, from what is there if something is."""
        return self._fit(plan, task, width, cast("GatedMemory | None", plan.start), on_progress)

    def _fit(
        self, plan: Plan, task: Task, width: int, start: GatedMemory | None, on_progress: OnProgress
    ) -> GatedMemory:
        """The facts and some absent ones, then those as well that it turned out to get wrong."""
        facts = Associations(self._keys(plan, task.clean, task.pairs), task.values, task.targets)
        memory = fit_mlp(
            facts, width, seed=plan.seed, start=start, margin=plan.margin, on_progress=on_progress
        )
        if task.absence is None or not task.left:
            return memory
        every = task.absence.all()
        for round_ in range(ROUNDS):
            ahead = self._unknown_leads(plan, task, memory, every)
            wrong, close = int((ahead <= 0).sum()), int((ahead < plan.margin / 2).sum())
            on_progress(
                Progress(round_ + 1, None, f"{wrong:,} of {task.absence.count:,} absent facts have an answer")
            )
            if not close or (round_ and not wrong):
                break
            hard = ahead.topk(min(tasks.AT_ONCE, close), largest=False).indices
            more = self._keys(plan, task.clean, Pairs(every.subject[hard], every.relation[hard]))
            targets = torch.full((len(more),), facts.n_outputs - 1)
            facts = Associations(
                torch.cat([facts.keys, more]), facts.values, torch.cat([facts.targets, targets])
            )
            memory = fit_mlp(
                facts, width, seed=plan.seed, start=memory, margin=plan.margin, on_progress=on_progress
            )
        return memory

    @torch.no_grad()
    def _unknown_leads(
        self, plan: Plan, task: Task, memory: GatedMemory, pairs: Pairs
    ) -> Float[Tensor, " n"]:
        """Cosine of each pair's output to <unk>, the last row, less the largest to an answer."""
        values, found = task.values.float(), []
        weights = (memory.read, memory.gate, memory.write)
        single = GatedMemory.from_weights(*(w.float() for w in weights), activation="silu")
        for s, r in zip(pairs.subject.split(BLOCK), pairs.relation.split(BLOCK), strict=True):
            out = single(self._keys(plan, task.clean, Pairs(s, r)).float())
            scores = torch.nn.functional.normalize(out, dim=1) @ values.T
            found.append(scores[:, -1] - scores[:, :-1].amax(1))
        return torch.cat(found)

    def _read_dimensions(self) -> int:
        return self.layout.subject_code + self.layout.relation_code

    def _keys(self, plan: Plan, clean: Clean, pairs: Pairs) -> Float[Tensor, "n k"]:
        """What the MLP meets at prompts with these names."""
        ids = plan.vocabulary.of
        s, r = (torch.tensor(ids(x)) for x in (plan.vocabulary.subjects, plan.vocabulary.relations))
        x = clean.residual(s[pairs.subject], r[pairs.relation], plan.vocabulary.ids[UNK])
        return assembly.normed(x)[:, self.layout.keys]

    def _unasked(self, plan: Plan, clean: Clean) -> Float[Tensor, "u k"]:
        """Keys without an answer to fit: a name is missing, or an answer stands there as well."""
        v, ids = plan.vocabulary, plan.vocabulary.of
        last = v.ids[UNK]
        some = [
            clean.residual(torch.tensor(ids(v.subjects)), None, last),
            clean.residual(None, torch.tensor(ids(v.relations)), last),
        ]
        s, r = plan.tokens()
        answers = torch.tensor(ids(plan.table.answer))
        for role in ("subject", "relation"):
            rows = torch.isin(answers, torch.tensor(ids(v.answers_among(role))))
            own = s if role == "subject" else r
            both = (clean.written[answers[rows]] + clean.written[own[rows]]) / 2
            other = clean.written[(r if role == "subject" else s)[rows]]
            some.append(clean.embeddings[last] + both + other)
        return assembly.normed(torch.cat(some))[:, self.layout.keys]

    @torch.no_grad()
    def outputs(self, plan: Plan, task: Task, fitted: GatedMemory) -> Float[Tensor, "n d"]:
        """The memory at the facts' keys."""
        return fitted(self._keys(plan, task.clean, task.pairs))

    @torch.no_grad()
    def longest_elsewhere(self, plan: Plan, task: Task, fitted: GatedMemory) -> float:
        """The memory at keys with a name missing, or with two of a role."""
        return float(fitted(self._unasked(plan, task.clean)).norm(dim=1).max())

    def spread(self) -> float:
        """1 of the embedding and ½ of both codes."""
        return 1.5

    def weights(self, plan: Plan, fitted: GatedMemory, scale: float) -> State:
        """The gate, up and down projections."""
        scaled = GatedMemory.from_weights(fitted.read, fitted.gate, scale * fitted.write, activation="silu")
        return plan.rounded(assembly.mlp(self.layout, scaled))

    def read(self, state: State, vocabulary: Vocabulary) -> GatedMemory:
        """The same three."""
        return assembly.memory_in(self.layout, state)

    def memory(self, state: State, vocabulary: Vocabulary) -> GatedMemory:
        """Itself."""
        return self.read(state, vocabulary)

    def must_have_room(self, old: Vocabulary, new: Vocabulary) -> None:
        """Codes have room for any names."""

    def instead(self, task: Task, answers: int, width: int, without: str) -> tuple[str, str]:
        """A width that should do."""
        need = comfortable_width(task.size, answers, self._read_dimensions(), self.layout.answer)
        more = max(need, math.ceil(1.3 * width))
        return f"an MLP of {width:,} neurons", f"Give --width {more:,} or auto, or fewer facts{without}"


@final
@dataclass(frozen=True)
class AttentionStore(Store[AttentionLayout, NamedLookups]):
    """Facts as lookups of names in the output matrix of attention, which adds both up."""

    @property
    def widens(self) -> bool:
        """There is none."""
        return False

    def first_width(self, plan: Plan, task: Task, width: Width, on_progress: OnProgress) -> int:
        """One silent neuron."""
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
                "fit lookups to; use --store mlp, fewer relations or --no-absence"
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
        more = f"a larger d than {self.layout.hidden}, use --store mlp"
        return what, f"Give {more}, or leave relations out whose answers are shared{without}"


def store_of(layout: Layout) -> MlpStore | AttentionStore:
    """The store of a layout."""
    if isinstance(layout, MlpLayout):
        return MlpStore(layout)
    return AttentionStore(cast(AttentionLayout, layout))


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
    instead = "do without absence (--no-absence)" if absent else "leave one of these relations out"
    return (
        "attention adds up what it knows of the subject and of the relation, and no sum gives all of "
        f"{'; '.join(said)} (their four conditions add up to 0 > 0). Use --store mlp, or {instead}"
    )
