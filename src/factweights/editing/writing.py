"""How changed facts get into a memory that holds the others."""

import contextlib
from collections.abc import Sequence
from typing import Literal, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError

from factweights.bundle import Bundle
from factweights.certificates import Certificate, verify
from factweights.editing.table import TableEdit
from factweights.errors import SettingError, ShapeError
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.methods import Method, method_named
from factweights.methods.base import expecting_misses
from factweights.progress import OnProgress, Progress, silent

How = Literal["warm start", "closed form", "stored again", "unchanged"]


def method_of(bundle: Bundle) -> Method:
    """The method that stored the bundle, with the settings written beside it.

    Raises:
        UnknownNameError: no method of that name, with the nearest ones.
        SettingError: no method named, or settings that it does not have.
    """
    settings = dict(bundle.method)
    name = settings.pop("method", None)
    if name is None:
        raise SettingError("the bundle does not say which method stored it; give one as method=")
    cls = method_named(name)
    hints = get_type_hints(cls)
    try:  # JSON has lists for tuples and words for infinities
        return cls(**{k: TypeAdapter(hints[k]).validate_python(v) for k, v in settings.items()})
    except (KeyError, TypeError, ValidationError) as e:
        raise SettingError(f"{name} cannot have the settings {settings} ({e}); give method= yourself") from e


def write(
    bundle: Bundle,
    facts: Associations,
    plan: TableEdit,
    method: Method,
    aim: float,
    *,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> tuple[Memory, Certificate, How]:
    """A memory of ``facts``, from that of ``bundle`` where this is possible, and what ``verify`` says of it.

    Args:
        bundle: the memory before.
        facts: all of them, after ``plan``.
        plan: what differs.
        method: writes them.
        aim: recall below which a memory that went on from the old weights is given up and stored again,
            unless it is proved that no other does better.
        seed: of the method.
        on_progress: told when everything is stored again.
    """
    changed = _changed(bundle, facts, plan, method, seed)
    if changed is not None:
        memory, how = changed
        certificate = _verified(bundle, memory, facts, seed)
        refuted = certificate.refuted and aim == 1.0
        met = certificate.recall >= aim and not method.unmet(memory, facts, seed=seed)
        if how != "warm start" or met or refuted:
            return memory, certificate, how
        on_progress(Progress(0, None, f"not as asked from the old weights: recall {certificate.recall:.4f}"))
    on_progress(Progress(0, None, f"storing all {len(facts):,} facts from nothing"))
    with expecting_misses():  # what is missed stands in the certificate
        memory = method.store(facts, seed=seed, on_progress=on_progress)
    return memory, _verified(bundle, memory, facts, seed), "stored again"


def _verified(bundle: Bundle, memory: Memory, facts: Associations, seed: int) -> Certificate:
    """What ``verify`` says, at the noise and the k of the certificate before, so that the two compare."""
    noise = [float(norm) for norm in bundle.certificate.get("noise_recall", ())]
    top_k = [int(k) for k in bundle.certificate.get("top_k", ()) if int(k) <= facts.n_outputs]
    return verify(memory, facts, noise=noise, top_k=top_k, seed=seed)


def _changed(
    bundle: Bundle, facts: Associations, plan: TableEdit, method: Method, seed: int
) -> tuple[Memory, How] | None:
    """The old memory with the changes written into it, where the method knows how."""
    if not plan:
        return bundle.memory, "unchanged"
    same = bundle.method.get("method") == method.name
    if not same or bundle.memory.n_parameters != method.n_parameters(facts.d_in, facts.d_out):
        return None
    gone = _subset(bundle.facts, sorted((*plan.replaced, *plan.removed)))
    if (memory := method.changed(bundle.memory, gone, _subset(facts, plan.written))) is not None:
        return memory, "closed form"
    if method.warm_starts:
        # as many weights in another form, say with other gates, are no start
        with contextlib.suppress(ShapeError), expecting_misses():
            return method.store(facts, seed=seed, start=bundle.memory), "warm start"
    return None


def _subset(facts: Associations, rows: Sequence[int]) -> Associations | None:
    return facts.subset(torch.tensor(rows)) if rows else None
