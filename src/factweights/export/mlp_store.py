"""Facts in the neurons of an MLP, on the exact keys that it meets."""

import math
from dataclasses import dataclass
from typing import cast, final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights import theory
from factweights.export import assembly, tasks
from factweights.export.absence import Pairs
from factweights.export.assembly import Clean, State
from factweights.export.fitting import comfortable_width, fit_mlp
from factweights.export.layout import MlpLayout
from factweights.export.names import UNK, Vocabulary
from factweights.export.plans import Plan
from factweights.export.store import Store, Width
from factweights.export.tasks import Task
from factweights.facts import Associations
from factweights.memories import GatedMemory
from factweights.methods.candidates import hardest
from factweights.progress import OnProgress, Progress
from factweights.searching import halve

FASTEST, CLOSE = 2.2, 0.04  # load at which the search for the smallest width begins, and its end: the share
# of the width found that a smaller one may be away
BLOCK, ROUNDS = 1 << 14, 6


@final
@dataclass(frozen=True)
class MlpStore(Store[MlpLayout, GatedMemory]):
    """Facts in the neurons of the MLP, which reads both retrieved codes."""

    @property
    def widens(self) -> bool:
        """It does."""
        return True

    def width_for(self, size: int, answers: int) -> int:
        """A width at which a fit is quick."""
        return comfortable_width(size, answers, self._read_dimensions(), self.layout.answer)

    def first_width(self, plan: Plan, task: Task, width: Width, on_progress: OnProgress) -> int:
        """That of what is there; else as asked, ``smallest`` searched for by fits of the MLP alone."""
        if plan.start is not None:
            return cast(GatedMemory, plan.start).width
        if isinstance(width, int):
            return width
        answers = len(task.values)
        comfortable = self.width_for(task.size, answers)
        if width == "auto":
            return comfortable
        need = task.size * theory.delta(max(2, answers)) / (2 * self._read_dimensions() + self.layout.answer)

        def enough(neurons: int) -> bool:
            on_progress(Progress(0, None, f"is a width of {neurons:,} enough?"))
            out = self.outputs(plan, task, self._fit(plan, task, neurons, None, on_progress))
            return hardest(out, task.values, task.targets, 1)[1] == 1.0

        # high − low ≤ CLOSE high is high − low ≤ CLOSE / (1 − CLOSE) low
        return halve(enough, max(0, math.floor(need / FASTEST)), comfortable, CLOSE / (1 - CLOSE))[1]

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
        more = max(self.width_for(task.size, answers), math.ceil(1.3 * width))
        return f"an MLP of {width:,} neurons", f"Give width={more} or width='auto', or fewer facts{without}"
