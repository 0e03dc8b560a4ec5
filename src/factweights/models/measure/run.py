"""Ask a language model for a whole table, and say how many bits of it the model knows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from factweights import __version__
from factweights.errors import SettingError
from factweights.export.folder import is_compiled, read_settings
from factweights.facts import FactTable
from factweights.models import seam
from factweights.models.measure.asked import BLANK, Block, Relation, ask, ask_blank
from factweights.models.measure.kept import Kept, fingerprint
from factweights.models.measure.reading import Answers, measured_of
from factweights.models.measure.results import Measured
from factweights.models.measure.scoring import TOLERANCE
from factweights.models.seam import LanguageModel
from factweights.models.wordings import Wordings
from factweights.progress import OnProgress, Progress, silent

BLOCK = 64  # facts that are kept together
MODES = ("both", "closed", "open")
PRIORS = ("frequency", "uniform")


def measure(
    model: str | Path | LanguageModel,
    table: FactTable,
    *,
    templates: Sequence[str] | None = None,
    templates_file: str | Path | None = None,
    wordings: int = 1,
    mode: str = "both",
    prior: str = "frequency",
    dtype: str = "auto",
    device: str = "cpu",
    tolerance: float = TOLERANCE,
    stop: str = "",
    seed: int = 0,
    out: str | Path | None = None,
    on_progress: OnProgress = silent,
) -> Measured:
    """How many bits of a table any causal language model knows, with controls and intervals.

    Args:
        model: a folder or a name that transformers loads offline, or a loaded model.
        table: the facts.
        templates: prompts with ``{subject}`` and perhaps ``{relation}``; all are asked.
        templates_file: TOML with a list for each relation; all are asked.
        wordings: of the shipped and default templates, how many for each relation. A compiled folder is
            asked in its own templates unless others are given.
        mode: ``closed`` ranks the relation's answers, ``open`` lets the model write; ``both``.
        prior: of an answer in its relation: its frequency in the table, or uniform.
        dtype, device: as in :func:`factweights.models.seam.load`.
        tolerance: answers that cannot have this share of a prompt's mass are not read to their end.
        stop: text that is counted as part of every answer, such as a full stop; none by default.
        seed: of folds, permutations and bootstrap.
        out: folder where answers are kept while it runs, so that a stopped run goes on.
        on_progress: told after every block of prompts.

    Raises:
        FileNotFoundError, FileFormatError, NoCausalModelError: as :func:`factweights.models.seam.load`.
        FactsError: no template for a relation, an answer that tokenises to nothing, texts longer than the
            model's context.
        SettingError: a setting that means nothing.
        MemoryShortError: not even one prompt fits into memory.
    """
    begun = time.perf_counter()
    _check(mode, prior, tolerance)
    chosen = _wordings(model, table, templates, templates_file, wordings)
    on_progress(Progress(0, None, "loading the model"))
    lm = model if isinstance(model, LanguageModel) else seam.load(model, dtype=dtype, device=device)
    relations = [Relation.of(table, r, prior) for r in table.relations]
    asker = _Asker(lm, mode, tolerance, stop, Kept(None if out is None else Path(out)), on_progress)
    asker.total = sum(len(r.subjects) * len(chosen.of(r.name)) for r in relations)
    answers = [asker.relation(r, chosen.of(r.name)) for r in relations]
    settings = {
        "model": lm.source,
        "dtype": lm.dtype,
        "device": str(lm.device),
        "mode": mode,
        "prior": prior,
        "tolerance": tolerance,
        "stop": stop,
        "blank": BLANK,
        "seed": seed,
        "templates": {r: list(t) for r, t in chosen.templates.items()},
        "wordings": dict(chosen.origin),
        "factweights": __version__,
        "torch": torch.__version__,
        "transformers": seam.transformers().__version__,
        "table_hash": table.hash,
    }
    on_progress(Progress(asker.total, asker.total, "bits, controls and intervals"))
    return measured_of(table, answers, lm.parameters, settings, begun=begun)


def _check(mode: str, prior: str, tolerance: float) -> None:
    if mode not in MODES:
        raise SettingError(f"mode is both, closed or open, got {mode!r}")
    if prior not in PRIORS:
        raise SettingError(f"the prior is frequency or uniform, got {prior!r}")
    if not 0 <= tolerance < 1:
        raise SettingError(f"the tolerance is a share of the mass from 0 to below 1, got {tolerance}")


def _wordings(
    model: str | Path | LanguageModel,
    table: FactTable,
    templates: Sequence[str] | None,
    file: str | Path | None,
    n: int,
) -> Wordings:
    if templates or file is not None:
        return Wordings.choose(table.relations, templates=templates, file=file)
    if not isinstance(model, LanguageModel) and is_compiled(model):
        own = read_settings(model, check=False).templates
        return Wordings.choose(table.relations, templates=own).first(n)
    return Wordings.choose(table.relations).first(n)


@dataclass
class _Asker:
    """Asks block after block, keeps what was answered, tells how far it is."""

    lm: LanguageModel
    mode: str
    tolerance: float
    stop: str
    kept: Kept
    on_progress: OnProgress
    total: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        self.model = fingerprint(self.lm) if self.kept.folder is not None else ""

    def relation(self, relation: Relation, templates: Sequence[str]) -> Answers:
        """All facts of a relation in all its templates."""
        blocks = [self._template(relation, t) for t in templates]
        blank = None
        if self.mode != "open":
            blank = np.stack(
                [ask_blank(self.lm, relation, t, tolerance=self.tolerance, stop=self.stop) for t in templates]
            )
        return Answers(relation, tuple(templates), blocks, blank)

    def _template(self, relation: Relation, template: str) -> Block:
        n = len(relation.subjects)
        parts = []
        for start in range(0, n, BLOCK):
            places = list(range(start, min(n, start + BLOCK)))
            parts.append(self._block(relation, template, places))
            self.done += len(places)
            text = f"{relation.name}: {self.done:,} of {self.total:,} prompts"
            self.on_progress(Progress(self.done, self.total, text))
        return _joined(parts)

    def _block(self, relation: Relation, template: str, places: list[int]) -> Block:
        path = self.kept.path(
            {
                "model": self.model,
                "relation": relation.name,
                "template": template,
                "subjects": [relation.subjects[i] for i in places],
                "own": [int(relation.own[i]) for i in places],
                "answers": list(relation.answers),
                "mode": self.mode,
                "tolerance": self.tolerance,
                "stop": self.stop,
            }
        )
        block = self.kept.get(path)
        if block is None:
            block = ask(
                self.lm,
                relation,
                template,
                places,
                closed=self.mode != "open",
                open=self.mode != "closed",
                tolerance=self.tolerance,
                stop=self.stop,
                on_progress=self._warn,
            )
            self.kept.put(path, block)
        return block

    def _warn(self, p: Progress) -> None:
        """Of what goes on inside a block only a shortage of memory is told."""
        if "out of memory" in p.text:
            self.on_progress(Progress(self.done, self.total, p.text))


def _joined(parts: Sequence[Block]) -> Block:
    return Block(
        np.concatenate([p.log_probability for p in parts]),
        np.concatenate([p.finished for p in parts]),
        np.concatenate([p.own for p in parts]),
        np.concatenate([p.left for p in parts]),
        tuple(s for p in parts for s in p.said),
        sum(p.tokens for p in parts),
    )
