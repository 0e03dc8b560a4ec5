"""From a table of facts to a checkpoint that anyone can load, verified as anyone would load it."""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from factweights import theory
from factweights.domains import Context, Dimension, Seed, checked
from factweights.errors import NotStorableError, SettingError
from factweights.export import real
from factweights.export.absence import Absence
from factweights.export.asking import complete, said_of
from factweights.export.assembly import Clean
from factweights.export.checking import ModelCertificate, check_model
from factweights.export.folder import COMPILED, must_be_writable
from factweights.export.layout import Layout, Store, layout_for
from factweights.export.mlp_store import CLOSE
from factweights.export.names import TEMPLATES, Vocabulary, check_templates, tokenize
from factweights.export.plans import Plan
from factweights.export.saving import save_checkpoint, save_knowledge
from factweights.export.store import Width
from factweights.export.stores import store_of
from factweights.export.tasks import Task, task_of
from factweights.facts import FactTable
from factweights.folders import whole_folder
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CONTEXT = 512  # tokens, if nothing is asked
TRIES, WIDER = 4, 1.4
NARROW = 8  # a smallest width leaves that much less margin


@dataclass(frozen=True)
class Compiled(Shown):
    """What :func:`compile_table` wrote.

    Attributes:
        path: the folder.
        certificate: of the folder as it was reloaded.
        layout: of the residual stream.
        width: neurons of the MLP.
        unasked: relation ↦ its facts that no template given asks for; one more template was added for them.
        seconds: everything together.
    """

    path: Path
    certificate: ModelCertificate
    layout: Layout
    width: int
    unasked: dict[str, int]
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        shape = {"store": self.layout.store, "d": self.layout.hidden, "heads": self.layout.heads}
        shape |= {"head_dim": self.layout.head_dim, "width": self.width}
        shape |= {"unasked": self.unasked}
        return {"out": str(self.path), **self.certificate.to_dict(), **shape, "seconds": self.seconds}

    def plot(self, path: str | Path | None = None) -> "Figure":
        """The certificate's picture; written to ``path`` too if there is one."""
        return self.certificate.plot(path)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        layout = self.layout
        shape = f"d = {layout.hidden}, {layout.heads} heads of {layout.head_dim}, MLP of {self.width:,}"
        lines = [*self.certificate.lines(), ("shape", f"facts in the {layout.store}; {shape}")]
        if self.unasked:
            added = list(self.certificate.templates)[-1]
            lines.append(("template", f"{said_of(self.unasked)}; {added!r} was added"))
        return [*lines, ("seconds", f"{self.seconds:.3g} in all")]


@checked
def compile_table(
    table: FactTable,
    out: str | Path,
    *,
    store: Store = "mlp",
    d: Dimension | None = None,
    width: Width = "auto",
    dtype: str | torch.dtype = "float32",
    templates: Sequence[str] = TEMPLATES,
    context: Context = CONTEXT,
    absence: bool = True,
    seed: Seed = 0,
    overwrite: bool = False,
    on_progress: OnProgress = silent,
) -> Compiled:
    """Write a table into a stock one-layer Llama checkpoint, reload it, and verify every fact.

    Args:
        table: the facts.
        out: the folder; it appears whole or not at all.
        store: where the facts live, ``mlp`` or ``attention``.
        d: hidden size; None takes one that suits the names.
        width: of the MLP; ``auto`` a comfortable one, widened until it does, ``smallest`` a searched one.
        dtype: of the weights, and of the forward passes that are certified.
        templates: prompts to verify, with ``{subject}`` and ``{relation}``, or the name of one relation. If
            some relation is in none of them, ``{subject} {relation}`` is added, and said to be.
        context: longest prompt, in tokens.
        absence: a known subject and a known relation without a fact are to say ``<unk>``. Without it they get
            some answer.
        seed: of codes, answers' rows and fit.
        overwrite: replace a compiled model that is there.
        on_progress: told of every step.

    Raises:
        NotStorableError: the given size does not hold the table, with the size that should; or the table
            cannot be stored in attention at all, with the facts that contradict each other.
        FactsError: names that no prompt can tell apart.
        SettingError: a size, dtype or template that means nothing, or a template that names no relation.
        OutputError: the folder cannot be written.
        MissingExtraError: transformers is not installed.
    """
    begun = time.perf_counter()
    real.transformers()
    must_be_writable(out, overwrite=overwrite)
    templates = check_templates(templates)
    numbers = _dtype(dtype)
    if isinstance(width, int) and width < 1:
        raise SettingError(f"the width is at least 1, got {width}")
    if store == "attention" and width != "auto":
        raise SettingError("with facts in attention there is no width to choose; leave it out")
    vocabulary = Vocabulary.build(table, templates)
    templates, unasked = complete(templates, vocabulary, table)
    if unasked:
        on_progress(Progress(0, None, f"{said_of(unasked)}; {templates[-1]!r} is added, for all facts"))
    names = (vocabulary.subjects, vocabulary.relations, vocabulary.answers)
    layout = layout_for(store, weight(table, vocabulary, absence), *map(len, names), d=d)
    plan = Plan(table, vocabulary, layout, templates, numbers, context, seed, absence=absence)
    path, certificate, neurons = write(plan, out, width, overwrite=overwrite, on_progress=on_progress)
    return Compiled(path, certificate, layout, neurons, unasked, time.perf_counter() - begun)


def weight(table: FactTable, vocabulary: Vocabulary, absence: bool) -> int:
    """Facts, and as many more as the absence of others weighs."""
    if not absence:
        return len(table)
    answers = theory.delta(len(vocabulary.answers) + 1)
    return len(table) + math.ceil(Absence.of(table, vocabulary).dimensions / answers)


def write(
    plan: Plan, out: str | Path, width: Width, *, overwrite: bool, on_progress: OnProgress
) -> tuple[Path, ModelCertificate, int]:
    """Fit, assemble, save, reload and verify; wider where the width is ours to choose."""
    on_progress(Progress(0, None, f"tokens for {len(plan.vocabulary.tokens):,} names and words"))
    tokenizer, _ = tokenize(plan.vocabulary, plan.table, plan.templates)
    clean = Clean.of(plan.layout, plan.frame(), plan.vocabulary)
    task = task_of(plan, clean)
    if width == "smallest":
        plan = replace(plan, asked=plan.asked / NARROW)
    store = store_of(plan.layout)
    neurons = store.first_width(plan, task, width, on_progress)
    for attempt in itertools.count(1):
        state, head = store.written(plan, task, neurons, on_progress)
        try:
            with whole_folder(out, kind=COMPILED, overwrite=overwrite, on_progress=on_progress) as tmp:
                save_checkpoint(plan, tmp, tokenizer, state, neurons)
                on_progress(Progress(0, None, "reloading"))
                c = _checked(plan, tmp, on_progress)
                on_progress(Progress(0, None, "drawing the map"))
                save_knowledge(plan, tmp, state, head, c, neurons)
            return Path(out), c, neurons
        except _ShortError as e:
            short = e.certificate
        if isinstance(width, int) or not store.widens or attempt == TRIES:
            raise NotStorableError(_shortfall(plan, task, short, neurons))
        wider = math.ceil(neurons * (WIDER if width == "auto" else 1 + 2 * CLOSE))
        on_progress(Progress(0, None, f"recall {short.recall:.6f} at width {neurons:,}; trying {wider:,}"))
        neurons, plan = wider, replace(plan, start=None)
    raise NotStorableError("no width was tried")  # the count has no end


class _ShortError(Exception):
    """Leaves the folder unwritten."""

    def __init__(self, certificate: ModelCertificate) -> None:
        super().__init__()
        self.certificate = certificate


def _checked(plan: Plan, folder: Path, on_progress: OnProgress) -> ModelCertificate:
    c = check_model(
        folder,
        plan.table,
        plan.vocabulary,
        plan.layout,
        plan.templates,
        absence=plan.absence,
        seed=plan.seed,
        on_progress=on_progress,
    )
    if not c.holds:
        raise _ShortError(c)
    return c


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise SettingError(f"a checkpoint is saved as one of {', '.join(DTYPES)}; got {name!r}")
    return DTYPES[name]


def _shortfall(plan: Plan, task: Task, c: ModelCertificate, width: int) -> str:
    reached = (
        f"recall {c.recall:.4f}, not 1: {c.n_missed:,} of {c.facts:,} facts missed in {c.dtype}, smallest "
        f"margin {c.min_margin:.2g} nats"
    )
    if c.recall == 1:
        reached = f"recall 1, but {'; '.join(c.faults)}, in {c.dtype}"
    if c.never_asked:
        return f"{reached}, as {said_of(c.never_asked)}; give one with {{relation}}"
    without = ", or do without absence (absence=False)" if plan.absence and task.size > c.facts else ""
    what, instead = store_of(plan.layout).instead(task, c.answers, width, without)
    return f"{what} reaches {reached}. {instead}"
