"""What is to be written: the facts of a table, and the absence of others."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights import theory
from factweights.export.absence import NO_PAIRS, Absence, Pairs
from factweights.export.assembly import Clean
from factweights.export.plans import Plan

AT_ONCE = 1 << 15  # absent facts fitted from the start, and added in a round


@dataclass(frozen=True)
class Task:
    """Facts by the places of their names.

    Attributes:
        pairs: subject and relation of each fact of the table, and after them of the absent ones that are
            fitted, with <unk> as their answer.
        values: ``(M, d_out)`` rows of the answers.
        targets: right answer of each.
        absence: all pairs without a fact; None where their absence is not stored.
        fitted: those of them that are among ``pairs``.
        clean: what attention leaves.
    """

    pairs: Pairs
    values: Float[Tensor, "m d_out"]
    targets: Int[Tensor, " n"]
    absence: Absence | None
    fitted: Pairs
    clean: Clean

    @property
    def size(self) -> int:
        """Facts, and as many more as absence weighs."""
        n = len(self.targets) - len(self.fitted.subject)
        if self.absence is None:
            return n
        return n + math.ceil(self.absence.dimensions / theory.delta(max(2, len(self.values))))

    @property
    def left(self) -> int:
        """Absent facts that are not fitted."""
        return 0 if self.absence is None else self.absence.count - len(self.fitted.subject)


def task_of(plan: Plan, clean: Clean) -> Task:
    """Facts and absent facts, of which many are fitted as they turn out to be hard."""
    values, targets = plan.values, plan.targets
    absence = Absence.of(plan.table, plan.vocabulary) if plan.absence else None
    fitted = NO_PAIRS if absence is None else absence.some(AT_ONCE, plan.seed)
    if len(values) == 1:  # nothing to compete with: a second row that nobody reads
        values = torch.cat([values, -values])
    s = {n: i for i, n in enumerate(plan.vocabulary.subjects)}
    r = {n: i for i, n in enumerate(plan.vocabulary.relations)}
    subject = torch.tensor([s[a] for a in plan.table.subject])
    relation = torch.tensor([r[a] for a in plan.table.relation])
    pairs = Pairs(torch.cat([subject, fitted.subject]), torch.cat([relation, fitted.relation]))
    unknown = torch.full((len(fitted.subject),), len(values) - 1)
    return Task(pairs, values, torch.cat([targets, unknown]), absence, fitted, clean)
