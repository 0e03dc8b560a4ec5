"""Every figure of a grafted folder once more, from the folder."""

from pathlib import Path

from factweights.errors import FactsError
from factweights.facts import FactTable
from factweights.models import seam
from factweights.models.graft import folder as folders
from factweights.models.graft.answers import spell_answers
from factweights.models.graft.certificate import GraftCertificate, Questions, certify
from factweights.models.graft.changing import asked_of, before
from factweights.models.graft.grafting import other_questions
from factweights.models.graft.space import added
from factweights.models.seam import LanguageModel
from factweights.progress import OnProgress, silent


def verify_grafted(
    path: str | Path,
    table: FactTable | None = None,
    *,
    against: str | Path | LanguageModel | None = None,
    full: bool = True,
    seed: int | None = None,
    on_progress: OnProgress = silent,
) -> GraftCertificate:
    """Load the folder as anybody would and ask everything again.

    Args:
        path: what ``graft`` wrote; its files are compared with their hashes first.
        table: other facts to ask for, with relations that were grafted; None asks for what was written.
        against: the model before; None takes it out of the folder.
        full: else only the facts.
        seed: of the choice of prompts; None takes the graft's.
        on_progress: told how far it is.

    Raises:
        FileFormatError, TamperedError: not a folder of ``graft``, or a changed one.
        FactsError: ``table`` has a relation that was not grafted.
    """
    settings = folders.read_settings(path)
    stored = folders.read_table(path, settings)
    table = stored if table is None else table
    if unknown := sorted(set(table.relations) - set(settings.wordings)):
        raise FactsError(
            f"the relation {unknown[0]!r} was not grafted into {path}; it has {', '.join(settings.wordings)}"
        )
    lm = seam.load(path)
    if against is None:
        old = before(path, settings)
    else:
        old = against if isinstance(against, LanguageModel) else seam.load(against, dtype=lm.dtype)
    asked = asked_of(settings, sorted(set(table.relations)))
    relations = sorted(stored.relations)
    questions = Questions(
        {r: asked.wordings.of(r) for r in sorted(set(table.relations))}, asked.held_out,
        other_questions(relations, asked_of(settings, relations).wordings),
    )  # fmt: skip
    answers = spell_answers(lm.tokenizer, table.answers, asked.stop)
    parameters = added(settings.old, settings.residual, settings.added), old.parameters
    seed = settings.seed if seed is None else seed
    return certify(
        lm, old, table, answers, questions, parameters, full=full, seed=seed, on_progress=on_progress
    )
