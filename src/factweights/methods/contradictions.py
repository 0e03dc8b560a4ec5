"""Facts that no matrix can store for a reason that one can see, with the multipliers that prove it."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from factweights.certificates import Witness, bound_margins
from factweights.facts import Associations

GRID = 1e-11  # directions are compared to this; what is found is then proved by its multipliers
PAIRS = 20_000_000  # numbers looked at for a value between two others


def contradiction(facts: Associations, tolerance: float) -> tuple[Witness, str] | None:
    """Multipliers that refute ``facts`` below ``tolerance`` and the reason in words; None where none is seen.

    A zero key, a value that equals that of a target, keys of one direction with different answers, a value
    that lies between two others. Contradictions of more facts than two are for the solve to find.
    """
    f64 = facts.to(device="cpu", dtype=torch.float64)
    looks: tuple[Callable[[Associations], Iterator[tuple[list[Any], str]]], ...] = (
        _zero_keys,
        _equal_values,
        _one_direction,
        _between,
    )
    for look in looks:
        for entries, reason in look(f64):
            row, col, weight = zip(*entries, strict=True)
            weight = torch.tensor(weight, dtype=torch.float64)
            witness = Witness(torch.tensor(row), torch.tensor(col), weight, facts.hash)
            if bound_margins(facts, witness).relative <= tolerance:
                return witness, reason
    return None


def _other(facts: Associations, i: int) -> int:
    """An output that is not the target of fact ``i``."""
    return 0 if int(facts.targets[i]) else 1


def _zero_keys(facts: Associations) -> Iterator[tuple[list[Any], str]]:
    for i in (facts.keys == 0).all(1).nonzero()[:1, 0].tolist():
        yield [(i, _other(facts, i), 1.0)], f"key {i} is zero, so that every output scores 0 for it"


def _equal_values(facts: Associations) -> Iterator[tuple[list[Any], str]]:
    _, which, count = torch.unique(facts.values + 0.0, dim=0, return_inverse=True, return_counts=True)
    for i in (count[which[facts.targets]] > 1).nonzero()[:1, 0].tolist():
        t = int(facts.targets[i])
        y = next(y for y in (which == which[t]).nonzero()[:, 0].tolist() if y != t)
        yield [(i, y, 1.0)], f"value {y} equals value {t}, the answer of fact {i}"


def _one_direction(facts: Associations) -> Iterator[tuple[list[Any], str]]:
    length = facts.keys.norm(dim=1)
    for pair in _alike(facts.keys, facts.targets):
        i, j = pair
        t, y = int(facts.targets[i]), int(facts.targets[j])
        same = bool((facts.keys[i] == facts.keys[j]).all())
        how = "the same key" if same else "keys of one direction"
        entries = [(i, y, 1 / float(length[i])), (j, t, 1 / float(length[j]))]
        yield entries, f"facts {i} and {j} have {how} and different answers, {t} and {y}"


def _between(facts: Associations) -> Iterator[tuple[list[Any], str]]:
    """A value between two others never has the largest score: v = θ a + (1 − θ) b scores between theirs."""
    targets = facts.targets.unique().tolist()
    if len(targets) * facts.values.numel() > PAIRS:
        return
    for t in targets:
        away = facts.values - facts.values[t]
        away = torch.cat([away, -away])
        kind = torch.arange(2).repeat_interleave(facts.n_outputs)
        for a, b in _alike(away, kind):
            y, z = sorted(x % facts.n_outputs for x in (a, b))
            if y == z:
                continue
            i = int((facts.targets == t).nonzero()[0, 0])
            entries = [(i, x, 1 / float(away[x].norm())) for x in (y, z)]
            yield entries, f"value {t}, the answer of fact {i}, lies between values {y} and {z}"
            break


def _alike(x: Tensor, kind: Tensor) -> Iterator[tuple[int, int]]:
    """The first rows of one direction and different kinds; rows that are 0 have none."""
    size = x.abs().amax(1, keepdim=True)
    rows = (size[:, 0] > 0).nonzero()[:, 0]
    unit = x[rows] / size[rows]
    unit = unit / unit.norm(dim=1, keepdim=True)
    for shift in (0.0, 0.5):  # two grids: neighbours that one of them parts are together in the other
        cell = (unit / GRID + shift).round()
        _, which = torch.unique(cell, dim=0, return_inverse=True)
        n = int(which.max()) + 1 if len(which) else 0
        low = torch.full((n,), int(kind.max()) + 1).scatter_reduce_(0, which, kind[rows], "amin")
        high = torch.full((n,), -1).scatter_reduce_(0, which, kind[rows], "amax")
        for cell_of in (low < high).nonzero()[:1, 0].tolist():
            inside = (which == cell_of).nonzero()[:, 0]
            first = int(inside[0])
            other = inside[kind[rows[inside]] != kind[rows[first]]]
            yield int(rows[first]), int(rows[other[0]])
            return
