"""Facts fitted and laid out: from a plan to the weights of a checkpoint."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from factweights import theory
from factweights.domains import Width as Neurons
from factweights.errors import NotStorableError
from factweights.export import assembly
from factweights.export.absence import NO_PAIRS, Absence, Pairs
from factweights.export.assembly import Clean, Head, State
from factweights.export.fitting import NamedLookups, comfortable_width, conflicts, fit_lookups, fit_mlp
from factweights.export.plans import Plan
from factweights.facts import Associations
from factweights.memories import GatedMemory
from factweights.methods.candidates import hardest
from factweights.progress import OnProgress, Progress

FASTEST, CLOSE = 2.2, 0.04  # load at which the search for the smallest width begins, and its end
LARGEST = 1 << 31  # facts × answers of lookups, whose every step scores them all
AT_ONCE = 1 << 15  # absent facts fitted from the start, and added in a round
BLOCK, ROUNDS = 1 << 14, 6

Width = Neurons | Literal["auto", "smallest"]


@dataclass(frozen=True)
class Task:
    """What is to be written, in the coordinates of where it goes.

    Attributes:
        facts: the table's, and after them the absent ones that are fitted, with <unk> as their answer.
        unasked: keys at which nothing is fitted, though prompts have them; None with facts in attention.
        absence: all pairs without a fact; None where their absence is not stored.
        fitted: those of them that are among ``facts``.
        clean: what attention leaves.
    """

    facts: Associations
    unasked: Tensor | None
    absence: Absence | None
    fitted: Pairs
    clean: Clean

    @property
    def size(self) -> int:
        """Facts, and as many more as absence weighs."""
        n = len(self.facts) - len(self.fitted.subject)
        if self.absence is None:
            return n
        return n + math.ceil(self.absence.dimensions / theory.delta(max(2, self.facts.n_outputs)))


def task_of(plan: Plan, clean: Clean) -> Task:
    """Facts and absent facts, of which many are fitted as they turn out to be hard."""
    values, targets = plan.values, plan.targets
    absence = Absence.of(plan.table, plan.vocabulary) if plan.absence else None
    fitted = NO_PAIRS if absence is None else absence.some(AT_ONCE, plan.seed)
    if len(values) == 1:  # nothing to compete with: a second row that nobody reads
        values = torch.cat([values, -values])
    s = {n: i for i, n in enumerate(plan.vocabulary.subjects)}
    r = {n: i for i, n in enumerate(plan.vocabulary.relations)}
    pairs = Pairs(
        torch.tensor([s[a] for a in plan.table.subject]), torch.tensor([r[a] for a in plan.table.relation])
    )
    keys = torch.cat([_keys(plan, clean, pairs), _keys(plan, clean, fitted)])
    unknown = torch.full((len(fitted.subject),), len(values) - 1)
    unasked = plan.unasked(clean) if plan.layout.store == "mlp" else None
    return Task(Associations(keys, values, torch.cat([targets, unknown])), unasked, absence, fitted, clean)


def _keys(plan: Plan, clean: Clean, pairs: Pairs) -> Float[Tensor, "n k"]:
    """Of the MLP; with facts in attention the indices of both names."""
    if plan.layout.store == "attention":
        return torch.stack(pairs, 1).double()
    s, r = (
        torch.tensor(plan.vocabulary.of(x)) for x in (plan.vocabulary.subjects, plan.vocabulary.relations)
    )
    return plan.keys(clean, s[pairs.subject], r[pairs.relation])


def first_width(plan: Plan, task: Task, width: Width, tell: OnProgress) -> int:
    """Neurons to begin with; ``smallest`` is searched for by fits of the MLP alone."""
    facts = task.facts
    if plan.layout.store == "attention":
        return 1
    if isinstance(plan.start, GatedMemory):
        return plan.start.width
    if isinstance(width, int):
        return width
    comfortable = comfortable_width(task.size, facts.n_outputs, facts.d_in, facts.d_out)
    if width == "auto":
        return comfortable
    need = task.size * theory.delta(max(2, facts.n_outputs)) / (2 * facts.d_in + facts.d_out)
    low, high = max(0, math.floor(need / FASTEST)), comfortable
    while high - low > max(1, CLOSE * high):
        middle = (low + high) // 2
        tell(Progress(0, None, f"is a width of {middle:,} enough?"))
        memory = _fit_mlp(plan, task, middle, None, tell)
        out = memory(facts.keys)
        right = hardest(out, facts.values, facts.targets, 1)[1] == 1.0
        low, high = (low, middle) if right else (middle, high)
    return high


def fit(plan: Plan, task: Task, width: int, tell: OnProgress) -> GatedMemory | NamedLookups:
    """Facts, and the absence of others, fitted into an MLP or into lookups of attention.

    Raises:
        NotStorableError: attention that is too large to fit, or that four facts contradict.
    """
    start, facts = plan.start, task.facts
    if plan.layout.store == "mlp":
        from_mlp = start if isinstance(start, GatedMemory) else None
        return _fit_mlp(plan, task, width, from_mlp, tell)
    left = 0 if task.absence is None else task.absence.count - len(task.fitted.subject)
    if left or len(facts) * facts.n_outputs > LARGEST:
        raise NotStorableError(
            f"{len(facts) + left:,} facts, absent ones among them, with {facts.n_outputs:,} answers are too "
            "many to fit lookups to; use --store mlp, fewer relations or --no-absence"
        )
    s, r = facts.keys.long().T
    if (found := conflicts(s.numpy(), r.numpy(), facts.targets.numpy())) is not None:
        raise NotStorableError(_contradiction(plan, task, found))
    from_lookups = start if isinstance(start, NamedLookups) else None
    names = len(plan.vocabulary.subjects), len(plan.vocabulary.relations)
    return fit_lookups(
        (s, r), facts.values, facts.targets, names, start=from_lookups, margin=plan.margin, tell=tell
    )


def _fit_mlp(plan: Plan, task: Task, width: int, start: GatedMemory | None, tell: OnProgress) -> GatedMemory:
    """A fit of the facts and of some absent ones, then of those as well that it turned out to get wrong."""
    facts, fitted = task.facts, task.fitted
    memory = fit_mlp(facts, width, seed=plan.seed, start=start, margin=plan.margin, tell=tell)
    if task.absence is None or len(fitted.subject) == task.absence.count:
        return memory
    every = task.absence.all()
    for round_ in range(ROUNDS):
        ahead = _unknown_leads(plan, task, memory, every)
        wrong, close = int((ahead <= 0).sum()), int((ahead < plan.margin / 2).sum())
        tell(Progress(round_ + 1, None, f"{wrong:,} of {task.absence.count:,} absent facts have an answer"))
        if not close or (round_ and not wrong):
            break
        hard = ahead.topk(min(AT_ONCE, close), largest=False).indices
        more = _keys(plan, task.clean, Pairs(every.subject[hard], every.relation[hard]))
        targets = torch.full((len(more),), facts.n_outputs - 1)
        facts = Associations(torch.cat([facts.keys, more]), facts.values, torch.cat([facts.targets, targets]))
        memory = fit_mlp(facts, width, seed=plan.seed, start=memory, margin=plan.margin, tell=tell)
    return memory


@torch.no_grad()
def _unknown_leads(plan: Plan, task: Task, memory: GatedMemory, pairs: Pairs) -> Float[Tensor, " n"]:
    """Cosine of each pair's output to <unk>, the last row, less the largest to an answer."""
    values, found = task.facts.values.float(), []
    weights = (memory.read, memory.gate, memory.write)
    single = GatedMemory.from_weights(*(w.float() for w in weights), activation="silu")
    for s, r in zip(pairs.subject.split(BLOCK), pairs.relation.split(BLOCK), strict=True):
        out = single(_keys(plan, task.clean, Pairs(s, r)).float())
        scores = torch.nn.functional.normalize(out, dim=1) @ values.T
        found.append(scores[:, -1] - scores[:, :-1].amax(1))
    return torch.cat(found)


def _contradiction(plan: Plan, task: Task, found: tuple[tuple[int, int], tuple[int, int]]) -> str:
    v, absent = plan.vocabulary, False
    said = []
    for i in (i for pair in found for i in pair):
        s, r = task.facts.keys[i].long().tolist()
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


def _outputs(fitted: GatedMemory | NamedLookups, keys: Tensor) -> Float[Tensor, "n d"]:
    if isinstance(fitted, GatedMemory):
        with torch.no_grad():
            return fitted(keys)
    s, r = keys.long().T
    return fitted.subjects[s] + fitted.relations[r]


def state_of(plan: Plan, fitted: GatedMemory | NamedLookups, task: Task) -> tuple[State, Head]:
    """All weights, rounded, and the scales that were chosen for the output matrix."""
    layout, d, facts = plan.layout, plan.layout.hidden, task.facts
    z = _outputs(fitted, facts.keys)
    scale = 1.0
    if plan.head is None:
        scale = assembly.STRETCH * assembly.amplitude(layout) / float(z.norm(dim=1).median())
    z = scale * z
    lists, _ = hardest(z, facts.values, facts.targets, 1)
    behind = (z * (facts.values[facts.targets] - facts.values[lists[:, 0]])).sum(1)
    extra = 1.5 if layout.store == "mlp" else 1 + (layout.finders - 2) ** 2 / 4
    narrowest = float((behind / (extra + z.square().sum(1) / d).sqrt()).min())
    steep = 2.0 ** math.ceil(math.log2(min(assembly.STEEPEST, assembly.CLEAR / max(narrowest, 1e-9))))
    longest = float(z.norm(dim=1).max())
    if task.unasked is not None:
        longest = max(longest, scale * float(_outputs(fitted, task.unasked).norm(dim=1).max()))
    elif isinstance(fitted, NamedLookups):
        parts = (fitted.subjects, fitted.relations)
        longest = max([longest, *(scale * float(p.norm(dim=1).max()) for p in parts)])
    head = Head(steep, 2 * steep * longest * float(facts.values.norm(dim=1).max()))
    if plan.head is not None:  # half of the floor is reserve: it stays while that is not used up
        needed = head.floor * plan.head.steep / steep
        head = Head(plan.head.steep, plan.head.floor if plan.head.floor >= 0.6 * needed else needed)
    state = plan.frame()
    if isinstance(fitted, GatedMemory):
        fitted = GatedMemory.from_weights(fitted.read, fitted.gate, scale * fitted.write, activation="silu")
        state |= plan.rounded(assembly.mlp(layout, fitted))
    else:
        lookups = NamedLookups(scale * fitted.subjects, scale * fitted.relations)
        state |= plan.rounded(assembly.attention(layout, plan.context, lookups) | assembly.mlp(layout, None))
    return state | plan.rounded(assembly.output(layout, plan.vocabulary, plan.values, head)), head
