"""A stored memory with some of its facts changed, verified as a whole."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from factweights import theory
from factweights.bundle import BUNDLE, Bundle, BundleManifest
from factweights.certificates import Certificate, margins, verify
from factweights.domains import Seed, Share, checked
from factweights.editing.named import edit_named
from factweights.editing.table import Pair, TableEdit, edit_table
from factweights.editing.writing import How, method_of, write
from factweights.errors import FactsError, NotStorableError, SettingError
from factweights.facts import Associations, FactTable
from factweights.folders import locked, must_be_writable, one_version, read_manifest
from factweights.memories import LinearMemory, Memory
from factweights.methods import Method
from factweights.methods.request import missed
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HOW: dict[How, str] = {
    "warm start": "from the weights as they were",
    "closed form": "by adding and subtracting outer products",
    "stored again": "again from nothing",
    "unchanged": "not at all",
}


@dataclass(frozen=True)
class Edited(Shown):
    """What :func:`edit` wrote.

    Attributes:
        bundle: the new memory with all facts, names and certificate, ready to ask or to save.
        certificate: of the whole table, on the real forward pass.
        changes: which facts are replaced, removed, added and unchanged.
        changed_recall: share of the replaced and added facts that come out right; None where there are none.
        others_recall: share of all other facts that do, likewise.
        removed_recall: share of the removed facts that still come out as before. Removing a fact makes room
            for others; it does not by itself make a memory forget.
        kept: whether every untouched fact that was recalled before still is; None where there are none.
        how: ``warm start`` from the old weights, ``closed form``, ``stored again``, or ``unchanged``.
        seconds: storing and verification together.
    """

    bundle: Bundle
    certificate: Certificate
    changes: TableEdit
    changed_recall: float | None
    others_recall: float | None
    removed_recall: float | None
    kept: bool | None
    how: How
    seconds: float = field(compare=False)

    @property
    def refitted(self) -> bool:
        """Whether the whole table was stored again from nothing."""
        return self.how == "stored again"

    def save(self, path: str | Path, *, overwrite: bool = False, on_progress: OnProgress = silent) -> Path:
        """Write the bundle as a folder; see :meth:`Bundle.save`."""
        return self.bundle.save(path, overwrite=overwrite, on_progress=on_progress)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        c, plan = self.certificate, self.changes
        return {
            "facts": c.facts,
            "outputs": c.outputs,
            "changed": len(plan.replaced),
            "added": plan.added,
            "removed": len(plan.removed),
            "unchanged": len(plan.unchanged),
            **plan.new_names(),
            "recall": c.recall,
            "n_proved": c.n_proved,
            "changed_recall": self.changed_recall,
            "others_recall": self.others_recall,
            "removed_recall": self.removed_recall,
            "kept": self.kept,
            "min_margin": c.min_margin,
            "parameters": c.parameters,
            "bits_per_parameter": c.bits_per_parameter,
            "map_bits_per_parameter": c.map_bits_per_parameter,
            "method": self.bundle.method,
            "how": self.how,
            "refitted": self.refitted,
            "facts_hash": c.facts_hash,
            "weights_hash": c.weights_hash,
            "table_hash": plan.table.hash,
            "seconds": self.seconds,
        }

    def plot(self, path: str | Path | None = None) -> "Figure":
        """The certificate's picture; written to ``path`` too if there is one."""
        return self.certificate.plot(path)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        c, d = self.certificate, self.to_dict()
        counts = [f"{d[what]:,} {what}" for what in ("changed", "added", "removed", "unchanged") if d[what]]
        lines = [
            ("facts", f"{c.facts:,} among {c.outputs:,} answers; {', '.join(counts) or 'no changes'}"),
            *self.changes.said_new(),
            ("recall", f"{c.recall:.6g} ({c.n_missed:,} missed)"),
        ]
        if self.changed_recall is not None:
            lines.append(("changed facts", f"recall {self.changed_recall:.6g}"))
        if self.others_recall is not None:
            said = {
                True: "all kept",
                False: "some that were recalled before are lost",
                None: "none was before",
            }
            kept = said[self.kept]
            lines.append(("other facts", f"recall {self.others_recall:.6g}, {kept}"))
        if self.removed_recall is not None:
            lines.append(("removed facts", f"{self.removed_recall:.1%} still come out as before"))
        lines.append(("min margin", f"{c.min_margin:.3g}"))
        return [*lines, ("written", _HOW[self.how]), ("seconds", f"{self.seconds:.3g}")]


@checked
def edit(
    bundle: Bundle,
    *,
    set: Iterable[Iterable[object]] = (),
    remove: Iterable[Iterable[object]] = (),
    add: bool = False,
    method: Method | None = None,
    recall: Share | None = None,
    keys: Mapping[Pair, Tensor] | None = None,
    values: Mapping[str, Tensor] | None = None,
    prune: bool = False,
    seed: Seed = 0,
    on_progress: OnProgress = silent,
) -> Edited:
    """Change some facts of a stored memory without writing the others anew, and verify all of them.

    A method that takes a start goes on from the old weights, a Hebbian matrix gains and loses outer products,
    and any other method stores the new table from nothing (``refitted``). So does one whose start leads
    nowhere.

    Args:
        bundle: left as it is.
        set: (subject, relation, answer): known facts get this answer, others are added.
        remove: (subject, relation) pairs.
        add: whether ``set`` may bring in new subjects and relations; else they are taken for misspelt.
        method: default the one that stored the bundle, with its settings.
        recall: share of all facts that must come out right. None asks for what the method aims at or, where
            it has no such aim, for the recall of the bundle.
        keys, values: of new pairs and new answers, see :func:`edit_named`; by default drawn.
        prune: leave out answers that no fact has any more.
        seed: of the method.
        on_progress: told after every step.

    Raises:
        NotStorableError: the memory does not reach ``recall``, with the shortfall and what is proved, or
            misses the key noise or margin that the method was asked for.
        ConflictError, UnknownNameError, NewNameError, FactsError: as :func:`edit_table` and
            :func:`edit_named`.
        SettingError: a recall outside (0, 1], or a method whose settings are not known here.
    """
    begun = time.perf_counter()
    if recall is not None and not 0 < recall <= 1:
        raise SettingError(f"recall is in (0, 1], got {recall}")
    plan = edit_table(_table(bundle), set=set, remove=remove, add=add)
    facts = edit_named(bundle.facts, plan, keys=keys, values=values, prune=prune)
    chosen = method_of(bundle) if method is None else method
    chosen = chosen if recall is None else chosen.for_recall(recall)
    aim = recall or getattr(chosen, "recall", None) or _recall(bundle)
    on_progress(Progress(0, None, f"writing {len(plan.written):,} of {len(facts):,} facts"))
    memory, certificate, how = write(bundle, facts, plan, chosen, aim, seed=seed, on_progress=on_progress)
    if certificate.recall < aim:
        raise NotStorableError(_shortfall(certificate, aim, facts, memory, chosen))
    if unmet := chosen.unmet(memory, facts, seed=seed):
        raise NotStorableError(f"after the changes {chosen.name} recalls the facts but {missed(unmet)}")
    new = Bundle(memory, facts, plan.table, certificate, chosen.settings())
    return Edited(
        bundle=new,
        certificate=certificate,
        changes=plan,
        changed_recall=_recall_of(new, plan.written, certificate.n_missed),
        others_recall=_recall_of(new, plan.untouched, certificate.n_missed),
        removed_recall=_still_there(memory, bundle.facts, plan.removed),
        kept=_kept(bundle, new, plan, certificate.n_missed),
        how=how,
        seconds=time.perf_counter() - begun,
    )


def edit_folder(
    path: str | Path,
    *,
    set: Iterable[Iterable[object]] = (),
    remove: Iterable[Iterable[object]] = (),
    out: str | Path | None = None,
    on_progress: OnProgress = silent,
    **settings: Any,
) -> tuple[Edited, Path | None]:
    """Change some facts of a memory in a folder, one editor at a time; see :func:`edit`.

    The folder is read and written under one lock, so that of two edits at once the second waits, and then
    changes what the first has left.

    Args:
        path: what :meth:`Bundle.save` wrote; replaced, whole or not at all, unless ``out`` is given.
        set, remove, settings: as of :func:`edit`.
        out: another folder for the result.
        on_progress: told after every step, and if another edit is waited for.

    Returns:
        What came of it, and the folder that was written: None where every fact has its answer already and
        the folder would be replaced by itself.

    Raises:
        OutputError: nothing can be written there.
        BusyError: another edit takes too long.
        FileFormatError, TamperedError, FileNotFoundError: not a whole folder. Others as of :func:`edit`.
    """
    target = Path(path if out is None else out)
    one_version(path, lambda folder: read_manifest(folder, BUNDLE, BundleManifest, check=False))
    must_be_writable(target, kind=BUNDLE, overwrite=out is None, contents=False)
    with contextlib.nullcontext() if out is not None else locked(path, on_progress=on_progress):
        bundle = Bundle.load(path)
        edited = edit(bundle, set=set, remove=remove, on_progress=on_progress, **settings)
        if out is None and edited.bundle.facts.hash == bundle.facts.hash:
            return edited, None
        return edited, edited.save(target, overwrite=out is None, on_progress=on_progress)


def _recall(bundle: Bundle) -> float:
    found = bundle.certificate.get("recall")
    if not isinstance(found, (int, float)) or not 0 < found <= 1:
        raise SettingError(f"the certificate says recall {found!r}; give the one to reach as recall=")
    return float(found)


def _table(bundle: Bundle) -> FactTable:
    if bundle.table is not None:
        return bundle.table
    raise FactsError("these facts have no names to edit by; store them from a FactTable, or use edit_facts")


def _recall_of(bundle: Bundle, rows: tuple[int, ...], n_missed: int) -> float | None:
    if not rows:
        return None
    return verify(bundle.memory, bundle.facts.subset(torch.tensor(rows))).recall if n_missed else 1.0


def _still_there(memory: Memory, old: Associations, rows: tuple[int, ...]) -> float | None:
    return verify(memory, old.subset(torch.tensor(rows))).recall if rows else None


def _kept(before: Bundle, after: Bundle, plan: TableEdit, n_missed: int) -> bool | None:
    """Whether every untouched fact that ``before`` recalls is recalled by ``after``; None of none."""
    changed = {*plan.replaced, *plan.removed}
    old_rows = torch.tensor([i for i in range(len(before.facts)) if i not in changed])
    if not len(old_rows):
        return None
    right = (margins(before.memory, before.facts) > 0).cpu()[old_rows]
    rows = torch.tensor(plan.untouched)[right]
    if not len(rows):
        return None
    return n_missed == 0 or verify(after.memory, after.facts.subset(rows)).recall == 1.0


def _shortfall(c: Certificate, aim: float, facts: Associations, memory: Memory, method: Method) -> str:
    said = (
        f"after the changes {method.name} reaches recall {c.recall:.4f}, not {aim:g}: {c.n_missed:,} of "
        f"{c.facts:,} facts missed, smallest margin {c.min_margin:.2g}"
    )
    if not isinstance(memory, LinearMemory):
        return (
            f"{said}, with {c.parameters:,} parameters. Store the new table with more, or change fewer facts"
        )
    shape = f"{facts.d_out} × {facts.d_in}"
    if c.refuted and aim == 1.0:
        said += f" (proved: no {shape} matrix of norm 1 has a margin above {c.margin_bound:.1e})"
    law = theory.smallest_d(c.facts, max(2, c.outputs))
    return (
        f"{said}. The law asks for d = {law:,}, these weights are {shape}; store the new table with d='auto'"
    )
