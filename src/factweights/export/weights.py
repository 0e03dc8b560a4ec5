"""Facts fitted and laid out: from a plan to the weights of a checkpoint."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from factweights import theory
from factweights.errors import NotStorableError
from factweights.export import assembly
from factweights.export.assembly import Clean, Head, State
from factweights.export.fitting import NamedLookups, comfortable_width, conflicts, fit_lookups, fit_mlp
from factweights.export.plans import Plan
from factweights.facts import Associations, FactTable
from factweights.memories import GatedMemory
from factweights.methods.candidates import hardest
from factweights.progress import OnProgress, Progress

FASTEST, CLOSE = 2.2, 0.04  # load at which the search for the smallest width begins, and its end
LARGEST = 1 << 31  # facts × answers of lookups, whose every step scores them all

Width = int | Literal["auto", "smallest"]


def facts_of(plan: Plan, clean: Clean) -> tuple[Associations, Tensor | None]:
    """What is to be written, in the coordinates of where it goes, and the keys of prompts without names."""
    values, targets = plan.values, plan.targets
    if len(values) == 1:  # nothing to compete with: a second row that nobody reads
        values = torch.cat([values, -values])
    if plan.layout.store == "mlp":
        keys, absent = plan.keys(clean)
        return Associations(keys, values, targets), absent
    s = {n: i for i, n in enumerate(plan.vocabulary.subjects)}
    r = {n: i for i, n in enumerate(plan.vocabulary.relations)}
    pairs = [(s[a], r[b]) for a, b, _ in plan.table]
    return Associations(torch.tensor(pairs, dtype=torch.float64), values, targets), None


def first_width(plan: Plan, facts: Associations, width: Width, tell: OnProgress) -> int:
    """Neurons to begin with; ``smallest`` is searched for by fits of the MLP alone."""
    if plan.layout.store == "attention":
        return 1
    if isinstance(plan.start, GatedMemory):
        return plan.start.width
    if isinstance(width, int):
        return width
    comfortable = comfortable_width(len(facts), facts.n_outputs, facts.d_in, facts.d_out)
    if width == "auto":
        return comfortable
    need = len(facts) * theory.delta(max(2, facts.n_outputs)) / (2 * facts.d_in + facts.d_out)
    low, high = max(0, math.floor(need / FASTEST)), comfortable
    while high - low > max(1, CLOSE * high):
        middle = (low + high) // 2
        tell(Progress(0, None, f"is a width of {middle:,} enough?"))
        memory = fit_mlp(facts, middle, seed=plan.seed, margin=plan.margin, tell=tell)
        out = memory(facts.keys)
        right = hardest(out, facts.values, facts.targets, 1)[1] == 1.0
        low, high = (low, middle) if right else (middle, high)
    return high


def fit(plan: Plan, facts: Associations, width: int, tell: OnProgress) -> GatedMemory | NamedLookups:
    """Facts fitted into an MLP or into lookups of attention.

    Raises:
        NotStorableError: attention that is too large to fit, or that four facts contradict.
    """
    start = plan.start
    if plan.layout.store == "mlp":
        from_mlp = start if isinstance(start, GatedMemory) else None
        return fit_mlp(facts, width, seed=plan.seed, start=from_mlp, margin=plan.margin, tell=tell)
    if len(facts) * facts.n_outputs > LARGEST:
        raise NotStorableError(
            f"{len(facts):,} facts with {facts.n_outputs:,} answers are too many to fit lookups to; use "
            "--store mlp, or fewer relations"
        )
    s, r = facts.keys.long().T
    if (found := conflicts(s.numpy(), r.numpy(), facts.targets.numpy())) is not None:
        raise NotStorableError(_contradiction(plan.table, found))
    from_lookups = start if isinstance(start, NamedLookups) else None
    names = len(plan.vocabulary.subjects), len(plan.vocabulary.relations)
    return fit_lookups(
        (s, r), facts.values, facts.targets, names, start=from_lookups, margin=plan.margin, tell=tell
    )


def _contradiction(table: FactTable, found: tuple[tuple[int, int], tuple[int, int]]) -> str:
    rows = ["{!r}, {!r}: {!r}".format(*list(table)[i]) for pair in found for i in pair]
    return (
        "attention adds up what it knows of the subject and of the relation, and no sum gives all of "
        f"{'; '.join(rows)} (their four conditions add up to 0 > 0). Use --store mlp, or leave one of these "
        "relations out"
    )


def _outputs(fitted: GatedMemory | NamedLookups, keys: Tensor) -> Float[Tensor, "n d"]:
    if isinstance(fitted, GatedMemory):
        with torch.no_grad():
            return fitted(keys)
    s, r = keys.long().T
    return fitted.subjects[s] + fitted.relations[r]


def state_of(
    plan: Plan, fitted: GatedMemory | NamedLookups, facts: Associations, absent: Tensor | None
) -> tuple[State, Head]:
    """All weights, rounded, and the scales that were chosen for the output matrix."""
    layout, d = plan.layout, plan.layout.hidden
    z = _outputs(fitted, facts.keys)
    scale = 1.0
    if plan.head is None:
        scale = assembly.STRETCH * assembly.amplitude(layout) / float(z.norm(dim=1).median())
    z = scale * z
    lists, _ = hardest(z, facts.values, facts.targets, 1)
    behind = (z * (facts.values[facts.targets] - facts.values[lists[:, 0]])).sum(1)
    extra = 1.5 if layout.store == "mlp" else 1 + (layout.heads - 2) ** 2 / 4
    narrowest = float((behind / (extra + z.square().sum(1) / d).sqrt()).min())
    steep = 2.0 ** math.ceil(math.log2(min(assembly.STEEPEST, assembly.CLEAR / max(narrowest, 1e-9))))
    longest = float(z.norm(dim=1).max())
    if absent is not None:
        longest = max(longest, scale * float(_outputs(fitted, absent).norm(dim=1).max()))
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
        state |= plan.rounded(assembly.attention(layout, lookups) | assembly.mlp(layout, None))
    return state | plan.rounded(assembly.output(layout, plan.vocabulary, plan.values, head)), head
