"""Facts of a grafted model changed: the model before is taken out and grafted anew, so that nothing wears
off.

A graft is a function of the model and of the set of facts, and the model before lies in the folder bit for
bit.
So taking a fact out gives the tensors that never had it, ten changes give those of one, and no order matters.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factweights.editing import TableEdit, edit_table
from factweights.errors import TamperedError
from factweights.folders import must_be_writable
from factweights.models import seam
from factweights.models.graft import folder as folders
from factweights.models.graft.assembling import with_state
from factweights.models.graft.grafting import Asked, Grafted, split, state_hash, write
from factweights.models.graft.widening import narrowed
from factweights.models.seam import LanguageModel
from factweights.models.wordings import Wordings
from factweights.progress import OnProgress, silent
from factweights.show import Shown


@dataclass(frozen=True)
class EditedGraft(Shown):
    """What :func:`edit_grafted` wrote.

    Attributes:
        changes: which facts are replaced, removed, added and unchanged.
        grafted: the new folder and its certificate; None where there was nothing to do.
        read_again: whether relations were read anew; else the reading stayed as it was, bit for bit.
        seconds: everything together.
    """

    changes: TableEdit
    grafted: Grafted | None
    read_again: bool
    seconds: float = field(compare=False)

    @property
    def certificate(self) -> Any:
        """Of the new folder."""
        return None if self.grafted is None else self.grafted.certificate

    @property
    def path(self) -> Path | None:
        """The new folder."""
        return None if self.grafted is None else self.grafted.path

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        plan = self.changes
        return {
            "facts": len(plan.table),
            "replaced": len(plan.replaced),
            "removed": len(plan.removed),
            "added": plan.added,
            "unchanged": len(plan.unchanged),
            "read_again": self.read_again,
            "certificate": None if self.certificate is None else self.certificate.to_dict(),
            "seconds": self.seconds,
        }

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        plan = self.changes
        rows = [
            ("facts", f"{len(plan.table):,}"),
            (
                "changed",
                f"{len(plan.replaced):,} replaced, {len(plan.removed):,} removed, {plan.added:,} added",
            ),
        ]
        if self.grafted is not None:
            rows.append(("relations", "read again" if self.read_again else "as they were"))
            rows += self.grafted.lines()
        return rows


def before(path: str | Path, settings: folders.Settings | None = None) -> LanguageModel:
    """The model before the graft, out of a grafted folder, every bit of it.

    Raises:
        TamperedError: what comes out is not what was put in.
    """
    path = Path(path)
    settings = folders.read_settings(path) if settings is None else settings
    lm = seam.load(path)
    _, norms = folders.read_reading(path, settings)
    state = narrowed(lm.model.state_dict(), settings.old, norms, settings.added.front)
    if settings.old.tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    config = type(lm.model.config).from_dict(settings.base_config)
    config._attn_implementation = lm.model.config._attn_implementation
    old = with_state(type(lm.model), config, state)
    old.generation_config = lm.model.generation_config
    if state_hash(old.state_dict()) != settings.base_hash:
        raise TamperedError(f"{path}: the model before the graft cannot be taken out of it; graft it anew")
    return LanguageModel(old, lm.tokenizer, str(path))


def edit_grafted(
    path: str | Path,
    *,
    set: Iterable[tuple[str, str, str]] = (),
    remove: Iterable[tuple[str, str]] = (),
    add: bool = False,
    out: str | Path | None = None,
    full: bool = False,
    on_progress: OnProgress = silent,
) -> EditedGraft:
    """Replace, add and remove facts of the folder ``path``; it is replaced unless ``out`` is given.

    Raises:
        NewNameError: a subject or relation that the table does not have, without ``add``.
        NotStorableError: facts are missed; nothing was written. Others as of :func:`graft`.
    """
    begun = time.perf_counter()
    settings = folders.read_settings(path)
    target = Path(path if out is None else out)
    must_be_writable(target, kind=folders.GRAFTED, overwrite=out is None)
    plan = edit_table(folders.read_table(path, settings), set=set, remove=remove, add=add)
    if not (plan.written or plan.removed):
        return EditedGraft(plan, None, False, time.perf_counter() - begun)
    old = before(path, settings)
    asked = asked_of(settings, plan.table.relations)
    reading, _ = folders.read_reading(Path(path), settings)
    grafted = write(
        old, settings.old, plan.table, asked, target, (settings.fitted_on, reading),
        full=full, keep_failed=False, texts=(), overwrite=out is None, begun=begun, on_progress=on_progress,
    )  # fmt: skip
    again = folders.read_settings(target, check=False).fitted_on != settings.fitted_on
    return EditedGraft(plan, grafted, again, time.perf_counter() - begun)


def asked_of(settings: folders.Settings, relations: Iterable[str]) -> Asked:
    """As it was grafted; new relations take shipped or default wordings."""
    templates: dict[str, tuple[str, ...]] = {}
    origin: dict[str, str] = {}
    held: dict[str, tuple[str, ...]] = {}
    for relation in sorted(relations):
        if relation in settings.wordings:
            templates[relation] = tuple(settings.wordings[relation])
            held[relation] = tuple(settings.held_out[relation])
            origin[relation] = settings.origin.get(relation, "given")
        else:
            fresh, kept = split(Wordings.choose([relation]))
            templates[relation], held[relation] = fresh.of(relation), kept[relation]
            origin[relation] = fresh.origin[relation]
    return Asked(Wordings(templates, origin), held, settings.stop, settings.aliases, settings.seed)  # type: ignore[arg-type]
