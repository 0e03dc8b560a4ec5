"""Keys, values and targets with some of them changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.errors import ConflictError, FactsError, ShapeError
from factweights.facts import Associations

Name = TypeVar("Name")


def edit_facts(
    facts: Associations,
    *,
    replace: Mapping[int, int | Tensor] | None = None,
    remove: Iterable[int] = (),
    keys: Float[Tensor, "a d_in"] | None = None,
    targets: Int[Tensor, " a"] | None = None,
    values: Float[Tensor, "b d_out"] | None = None,
    key_names: Sequence[tuple[str, str]] = (),
    value_names: Sequence[str] = (),
    prune: bool = False,
) -> Associations:
    """The facts after some changes; those untouched keep their keys, values and order, new ones come last.

    Args:
        facts: left as they are.
        replace: row ↦ its new target, or a new value ``(d_out,)`` of its own.
        remove: rows to leave out.
        keys: ``(A, d_in)`` of the facts to add.
        targets: ``(A,)`` theirs. Targets count the old values first, then ``values``.
        values: ``(B, d_out)`` to add to the choice of answers.
        key_names: of ``keys``, where the facts have names.
        value_names: of ``values``, likewise. A value given in ``replace`` has no name: give it here instead.
        prune: leave out values that no fact has any more. Else they stay among the answers to choose from,
            so that margins before and after compare.

    Raises:
        FactsError: rows or targets that do not exist, names missing or in use, no fact left.
        ConflictError: a row both replaced and removed.
        ShapeError: tensors that do not fit the facts.
    """
    replace = dict(replace or {})
    gone = _checked_rows(facts, replace, remove)
    n_new = _n_new(keys, targets)
    own = {row: v for row, v in replace.items() if isinstance(v, Tensor)}
    if own and facts.value_names is not None:
        raise FactsError(
            f"row {min(own)} gets a value without a name, but these facts have names; give it as values= "
            "with value_names=, and its number in replace="
        )
    if facts.weights is not None:
        raise FactsError(
            "these facts have weights, which say nothing of facts that come or go; edit them without "
            "(dataclasses.replace(facts, weights=None)) and weigh the result"
        )
    parts = [] if values is None else [values]
    all_values = _joined("values", facts.values, [*parts, *(v[None] for v in own.values())])
    first_own = len(all_values) - len(own)
    moved = {row: v for row, v in replace.items() if not isinstance(v, Tensor)}
    moved |= {row: first_own + i for i, row in enumerate(own)}
    new_targets = facts.targets.clone()
    if moved:
        new_targets[list(moved)] = torch.tensor(list(moved.values())).to(new_targets)
    kept = [i for i in range(len(facts)) if i not in gone]
    if not kept and not n_new:
        raise FactsError(f"all {len(facts):,} facts would be removed; a memory holds at least one")
    pairs = None if facts.key_names is None else tuple(facts.key_names[i] for i in kept)
    edited = Associations(
        _joined("keys", facts.keys[kept], [] if keys is None else [keys]),
        all_values,
        torch.cat([new_targets[kept], *([] if targets is None else [targets.to(new_targets)])]),
        key_names=_named("key", pairs, key_names, n_new),
        value_names=_named("value", facts.value_names, value_names, 0 if values is None else len(values)),
    )
    return _pruned(edited) if prune else edited


def _checked_rows(
    facts: Associations, replace: Mapping[int, int | Tensor], remove: Iterable[int]
) -> set[int]:
    gone = set(remove)
    if bad := [row for row in (*replace, *gone) if not 0 <= row < len(facts)]:
        raise FactsError(
            f"there is no row {bad[0]}: these are {len(facts):,} facts, rows 0 to {len(facts) - 1}"
        )
    if both := gone.intersection(replace):
        raise ConflictError(f"row {min(both)} is both replaced and removed; do one of the two")
    return gone


def _n_new(keys: Tensor | None, targets: Tensor | None) -> int:
    if (keys is None) != (targets is None):
        raise ShapeError("new facts are keys= and targets= together, one target for each key; give both")
    return 0 if keys is None else len(keys)


def _joined(what: str, old: Tensor, new: list[Tensor]) -> Tensor:
    for part in new:
        if part.ndim != 2 or part.shape[1] != old.shape[1]:
            shape = tuple(part.shape)
            raise ShapeError(f"the new {what} have shape {shape}; these facts take (…, {old.shape[1]})")
    return torch.cat([old, *(part.detach().to(old) for part in new)])


def _named(
    what: str, old: tuple[Name, ...] | None, new: Sequence[Name], n_new: int
) -> tuple[Name, ...] | None:
    if old is None:
        if new:
            raise FactsError(
                f"these facts have no {what} names to add {new[0]!r} to; leave {what}_names= out"
            )
        return None
    if len(new) != n_new:
        raise FactsError(
            f"{len(new)} names for {n_new} new {what}s, and these facts have names; give one each"
        )
    seen = set(old)
    for name in new:
        if name in seen:
            raise FactsError(f"there is a {what} {name!r} already; names stand for one {what} each")
        seen.add(name)
    return (*old, *new)


def _pruned(facts: Associations) -> Associations:
    used, targets = facts.targets.unique(return_inverse=True)
    names = facts.value_names
    kept = None if names is None else tuple(names[i] for i in used.tolist())
    return Associations(facts.keys, facts.values[used], targets, key_names=facts.key_names, value_names=kept)
