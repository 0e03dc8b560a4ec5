"""Facts of a compiled model changed from the weights as they are, and everything verified again."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file

from factweights.editing import TableEdit, edit_table
from factweights.errors import NotStorableError, TamperedError, some
from factweights.export import real
from factweights.export.asking import ask_all, complete, said_of, still_suited
from factweights.export.assembly import Head, State
from factweights.export.checking import ModelCertificate
from factweights.export.compiling import DTYPES, write
from factweights.export.folder import WEIGHTS, Settings, must_be_writable, read_settings, read_table
from factweights.export.names import TEMPLATES, Vocabulary
from factweights.export.plans import Plan
from factweights.export.stock import must_be_stock
from factweights.export.stores import store_of
from factweights.facts import FactTable
from factweights.folders import locked, one_version
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown


@dataclass(frozen=True)
class EditedModel(Shown):
    """What :func:`edit_compiled` wrote.

    Attributes:
        path: the folder.
        certificate: of the whole new table, as reloaded.
        changes: which facts are replaced, removed, added and unchanged.
        changed_recall, others_recall: of the facts written and of all others, asked once more of the folder
            in its place, in every template; None where there are none.
        removed_recall: share of the removed facts that still come out in every template: room is made,
            nothing is erased.
        moved: matrices that differ, with ‖new − old‖ / ‖old‖; the others are the same bit for bit.
        rows_added: tokens that are new.
        how: ``from the weights`` or ``compiled again``; ``unchanged`` where there was nothing to do.
        seconds: everything together.
    """

    path: Path
    certificate: ModelCertificate | None
    changes: TableEdit
    changed_recall: float | None
    others_recall: float | None
    removed_recall: float | None
    moved: dict[str, float]
    rows_added: int
    how: Literal["from the weights", "compiled again", "unchanged"]
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        plan, c = self.changes, self.certificate
        counts = {
            "facts": len(plan.table),
            "changed": len(plan.replaced),
            "added": plan.added,
            "removed": len(plan.removed),
            "unchanged": len(plan.unchanged),
            **plan.new_names(),
        }
        recalls = {
            "recall": None if c is None else c.recall,
            "changed_recall": self.changed_recall,
            "others_recall": self.others_recall,
            "removed_recall": self.removed_recall,
        }
        rest = {
            "min_margin": None if c is None else c.min_margin,
            "parameters": None if c is None else c.parameters,
            "dtype": None if c is None else c.dtype,
            "moved": self.moved,
            "rows_added": self.rows_added,
            "how": self.how,
            "seconds": self.seconds,
        }
        return {**counts, **recalls, **rest}

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        d, c = self.to_dict(), self.certificate
        said = [f"{d[what]:,} {what}" for what in ("changed", "added", "removed", "unchanged") if d[what]]
        lines = [("facts", f"{d['facts']:,}; {', '.join(said) or 'no changes'}")]
        lines += self.changes.said_new()
        if c is not None:
            lines += [
                ("recall", f"{c.recall:.6g} over the whole table, smallest margin {c.min_margin:.3g} nats")
            ]
        for what in ("changed", "others", "removed"):
            if (x := d[f"{what}_recall"]) is not None:
                lines.append(
                    (f"{what} facts", f"{x:.6g} " + ("still there" if what == "removed" else "right"))
                )
        moved = ", ".join(f"{name.rsplit('.', 2)[-2]} by {x:.3g}" for name, x in self.moved.items())
        lines.append(("weights", f"{self.how}; moved: {moved or 'none'}; {self.rows_added:,} tokens added"))
        return [*lines, ("seconds", f"{self.seconds:.3g}")]


def edit_compiled(
    path: str | Path,
    *,
    set: Iterable[Iterable[object]] = (),
    remove: Iterable[Iterable[object]] = (),
    add: bool = False,
    out: str | Path | None = None,
    on_progress: OnProgress = silent,
) -> EditedModel:
    """Change some facts of a compiled model, keep the others, verify all of them after reloading.

    The fit goes on from the old weights. Codes, answers' rows and attention stay as they are, so new names
    only add rows. If the size no longer holds the facts, everything is compiled again at a size that does.

    Args:
        path: the folder; replaced, whole or not at all, unless ``out`` is given.
        set: (subject, relation, answer): known facts get this answer, others are added.
        remove: (subject, relation) pairs.
        add: whether ``set`` may bring in new subjects and relations; else they are taken for misspelt.
        out: another folder for the result.
        on_progress: told of every step.

    Raises:
        FileFormatError, TamperedError: not a whole folder of ``compile``.
        ConflictError, UnknownNameError, NewNameError, FactsError: as
            :func:`factweights.editing.edit_table`.
        NotStorableError: the table after the changes cannot be held.
    """
    path = Path(path)
    target = path if out is None else Path(out)
    one_version(path, lambda folder: read_settings(folder, check=False))
    must_be_writable(target, overwrite=out is None, contents=False)
    with contextlib.nullcontext() if out is not None else locked(path, on_progress=on_progress):
        return _edited(path, target, set, remove, add, on_progress)


def _edited(
    path: Path,
    target: Path,
    set: Iterable[Iterable[object]],
    remove: Iterable[Iterable[object]],
    add: bool,
    on_progress: OnProgress,
) -> EditedModel:
    begun = time.perf_counter()
    settings, before, old = one_version(path, _read)
    changes = edit_table(before, set=set, remove=remove, add=add)
    if not changes:
        seconds = time.perf_counter() - begun
        return EditedModel(path, None, changes, None, None, None, {}, 0, "unchanged", seconds)
    plan = _plan(settings, changes, old, on_progress)
    in_place = target == path
    try:
        _, certificate, _ = write(plan, target, settings.width, overwrite=in_place, on_progress=on_progress)
        how: Literal["from the weights", "compiled again"] = "from the weights"
    except NotStorableError as e:
        if not store_of(settings.residual).widens:
            raise
        on_progress(Progress(0, None, f"compiling again: {e}"))
        fresh = Plan(
            plan.table,
            plan.vocabulary,
            plan.layout,
            plan.templates,
            plan.dtype,
            plan.context,
            plan.seed,
            absence=plan.absence,
        )
        _, certificate, _ = write(fresh, target, "auto", overwrite=in_place, on_progress=on_progress)
        how = "compiled again"
    new = load_file(target / WEIGHTS)
    changed_recall, others_recall, removed_recall = _recalls(target, changes, on_progress)
    return EditedModel(
        path=target,
        certificate=certificate,
        changes=changes,
        changed_recall=changed_recall,
        others_recall=others_recall,
        removed_recall=removed_recall,
        moved=_moved(old, new),
        rows_added=len(plan.vocabulary.tokens) - len(settings.tokens),
        how=how,
        seconds=time.perf_counter() - begun,
    )


def _read(folder: Path) -> tuple[Settings, FactTable, State]:
    settings = read_settings(folder)
    table, config = read_table(folder, settings), must_be_stock(folder)
    if (config.vocab_size, config.hidden_size) != (len(settings.tokens), settings.residual.hidden):
        raise TamperedError(f"{folder}: its settings tell of another model; copy the whole folder")
    return settings, table, load_file(folder / WEIGHTS)


def _plan(settings: Settings, changes: TableEdit, state: State, on_progress: OnProgress) -> Plan:
    old, layout = settings.vocabulary, settings.residual
    templates = tuple(settings.templates)
    vocabulary = Vocabulary.build(changes.table, templates, old)
    templates = still_suited(templates, vocabulary, changes.table)
    if gone := [t for t in settings.templates if t not in templates]:
        on_progress(
            Progress(0, None, f"no fact is left that {some(gone)} asks for; left out of what is verified")
        )
    templates, unasked = complete(templates, vocabulary, changes.table)
    if unasked:
        on_progress(Progress(0, None, f"{said_of(unasked)}; {templates[-1]!r} is added, for all facts"))
    store = store_of(layout)
    store.must_have_room(old, vocabulary)
    start = store.read(state, old)
    head = Head(**settings.head)
    dtype = DTYPES[settings.dtype]
    return Plan(
        changes.table,
        vocabulary,
        layout,
        templates,
        dtype,
        settings.context,
        settings.seed,
        head,
        start,
        absence=settings.absence,
    )


def _recalls(
    path: Path, changes: TableEdit, on_progress: OnProgress
) -> tuple[float | None, float | None, float | None]:
    """Of the facts written, of all others and of those removed, from the folder as anybody would load it."""
    settings = read_settings(path, check=False)
    model, tokenizer = real.load(path)
    asked = ask_all(model, tokenizer, settings.vocabulary, changes.table, settings.templates, on_progress)
    old = None
    if changes.removed:
        gone = FactTable.from_rows([list(changes.before)[i] for i in changes.removed])
        suited = [t for t in settings.templates if "{relation}" in t] or [TEMPLATES[0]]
        old = ask_all(model, tokenizer, settings.vocabulary, gone, suited, on_progress).recall()
    return asked.recall(changes.written), asked.recall(changes.untouched), old


def _moved(old: State, new: State) -> dict[str, float]:
    """Relative change of each matrix that differs, over the rows and columns that both have."""
    moved = {}
    for name, w in old.items():
        part = new[name][tuple(slice(0, n) for n in w.shape)]
        if part.shape != w.shape:
            moved[name] = 1.0
        elif not torch.equal(part, w):
            moved[name] = float((part.double() - w.double()).norm() / w.double().norm())
    return moved
