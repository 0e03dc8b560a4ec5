"""A compiled model asked as a stored memory is: one question, or the whole certificate once more."""

from pathlib import Path

import torch

from factweights.bundle import Recalled
from factweights.errors import FactsError, SettingError, some
from factweights.export.asking import asked_as, complete, expected_of, still_suited
from factweights.export.checking import ModelCertificate, check_model
from factweights.export.opening import Opened, open_compiled
from factweights.facts import FactTable
from factweights.facts.cells import text
from factweights.facts.rows import raise_unknown
from factweights.folders import one_version
from factweights.progress import OnProgress, silent


@torch.no_grad()
def recall_compiled(path: str | Path, subject: str, relation: str, top: int = 5) -> Recalled:
    """Ask a compiled model: one forward pass of transformers, scored against the whole vocabulary.

    Args:
        path: what ``compile`` wrote.
        subject, relation: as they stand in the table, up to surrounding whitespace and Unicode form.
        top: how many tokens to rank, the first one included.

    Returns:
        The answer, with logits for scores, margins in nats and the ``prompt`` that was asked: the first
        template that suits the relation.

    Raises:
        UnknownNameError: no such fact, with the nearest name.
        SettingError: a ``top`` below 1.
        FileFormatError: not a folder of ``compile``; TamperedError: a file is not the one that was saved.
    """
    return asked_of(open_compiled(path), subject, relation, top)


@torch.no_grad()
def asked_of(opened: Opened, subject: str, relation: str, top: int = 5) -> Recalled:
    """The same of a model that is open; see :func:`recall_compiled`."""
    if top < 1:
        raise SettingError(f"top is how many answers to rank, at least 1; got {top}")
    settings, pair = opened.settings, (text(subject), text(relation))
    expected = expected_of(settings, opened.table, *pair)
    said, ids = asked_as(opened.tokenizer, settings, *pair)
    logits = opened.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double()
    right, names = settings.tokens.index(expected), settings.tokens
    others = torch.cat([logits[:right], logits[right + 1 :]])
    best = logits.topk(min(top, len(logits)))
    ranked = [(names[i], x) for x, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
    (answer, score), *rest = ranked
    margin = float(logits[right] - others.max())
    return Recalled(*pair, answer, margin, expected, tuple(rest), score, prompt=said)


def verify_compiled(
    path: str | Path,
    table: FactTable | None = None,
    *,
    seed: int | None = None,
    on_progress: OnProgress = silent,
) -> ModelCertificate:
    """Make the whole certificate of a compiled model again, from the folder as anybody would load it.

    Args:
        path: what ``compile`` wrote.
        table: other facts to check it against, of those that are stored; None takes all that are. An answer
            that differs from the stored one is then missed.
        seed: of the prompts among noise; None takes that of the folder.
        on_progress: told of every batch of prompts.

    Raises:
        UnknownNameError, FactsError: ``table`` has facts that were never stored, or answers that are none.
        FileFormatError: not a folder of ``compile``; TamperedError: a file is not the one that was saved.
    """
    opened = open_compiled(path)
    settings, vocabulary = opened.settings, opened.settings.vocabulary
    asked = opened.table if table is None else table
    if table is not None:
        _must_be_stored(opened.table, table, settings.tokens)
    templates = still_suited(settings.templates, vocabulary, asked)
    templates, _ = complete(templates, vocabulary, asked)
    return one_version(
        path,
        lambda folder: check_model(
            folder,
            asked,
            vocabulary,
            settings.residual,
            templates,
            absence=settings.absence,
            whole=opened.table,
            seed=settings.seed if seed is None else seed,
            on_progress=on_progress,
        ),
    )


def _must_be_stored(stored: FactTable, table: FactTable, tokens: list[str]) -> None:
    known = {(s, r) for s, r, _ in stored}
    unknown = [(s, r) for s, r, _ in table if (s, r) not in known]
    if len(unknown) == 1:
        raise_unknown(*unknown[0], known)
    if unknown:
        raise FactsError(f"{len(unknown)} facts of the table were never stored: {some(unknown)}; remove them")
    if new := sorted(set(table.answers).difference(tokens)):
        raise FactsError(
            f"{len(new)} answers of the table are none that the model can give: {some(new)}; compile them too"
        )
