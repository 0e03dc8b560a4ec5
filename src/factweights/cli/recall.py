"""``factweights recall``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from factweights.cli.options import Flag, Json
from factweights.cli.output import emit, table_lines
from factweights.show import shown


def recall(
    folder: Path,
    subject: str | None = None,
    relation: str | None = None,
    /,
    *,
    top: int = 5,
    questions: Annotated[Path | None, Parameter(name="--from")] = None,
    ignore_case: Flag = False,
    json: Json = False,
) -> None:
    """Ask a stored memory or a compiled model one question, or many from a file.

    Example: `factweights recall countries France capital`

    Args:
        folder: What `factweights store --out` or `compile --out` wrote.
        subject: As in the table.
        relation: As in the table.
        top: How many answers to rank.
        questions: A table with columns subject and relation to ask instead; its answers are not looked at.
        ignore_case: Take the stored name that differs in upper and lower case alone.
    """
    from factweights.errors import SettingError

    if questions is not None:
        if subject is not None:
            raise SettingError("give either a subject and a relation or --from FILE, not both")
        _many(folder, questions, top, ignore_case, json)
        return
    if subject is None or relation is None:
        raise SettingError("give a subject and a relation, or --from FILE with many of them")
    _one(folder, subject, relation, top, ignore_case, json)


def _many(folder: Path, questions: Path, top: int, ignore_case: bool, json: bool) -> None:
    from factweights.cli.progress import shown_progress
    from factweights.export import recall_many
    from factweights.facts.questions import read_questions

    pairs = read_questions(questions)
    with shown_progress() as on_progress:
        found = recall_many(folder, pairs, top=top, ignore_case=ignore_case, on_progress=on_progress)
    emit(found, _many_lines(found), json=json)


def _many_lines(found: "ManyRecalled") -> Iterator[object]:
    rows = [[a.subject, a.relation, a.answer, f"{a.margin:.3g}"] for a in found.answers]
    yield from table_lines(["subject", "relation", "answer", "margin"], rows)
    yield found


def _one(folder: Path, subject: str, relation: str, top: int, ignore_case: bool, json: bool) -> None:
    found = _asked(folder, subject, relation, top, ignore_case)
    emit(found, _lines(found), json=json)


def _lines(found: "Recalled") -> Iterator[str]:
    yield shown(found.answer)
    if not found.correct:
        yield shown(f"wrong: {found.expected} was stored")
    behind = ", ".join(f"{shown(name)} ({score - found.score:.3g})" for name, score in found.runners_up)
    unit = "" if found.prompt is None else " nats"
    yield f"margin {found.margin:.3g}{unit}" + (f"; behind it {behind}" if behind else "")
    if found.prompt is not None:
        yield shown(f"asked as {found.prompt!r}")


def _asked(folder: Path, subject: str, relation: str, top: int, ignore_case: bool) -> Any:
    from factweights.bundle import Bundle
    from factweights.export.folder import is_compiled

    if ignore_case or is_compiled(folder):
        from factweights.export import recall_many

        return recall_many(folder, [(subject, relation)], top=top, ignore_case=ignore_case).answers[0]
    return Bundle.load_one(folder, subject, relation).recall(subject, relation, top)  # one fact is read
