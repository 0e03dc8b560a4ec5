"""``factweights recall``."""

from pathlib import Path

from factweights.cli.options import Json
from factweights.cli.output import say
from factweights.show import shown


def recall(folder: Path, subject: str, relation: str, /, *, top: int = 5, json: Json = False) -> None:
    """Ask a stored memory or a compiled model one question, by one pass through its weights.

    Example: `factweights recall countries France capital`

    Args:
        folder: What `factweights store --out` or `compile --out` wrote.
        subject: As in the table.
        relation: As in the table.
        top: How many answers to rank.
    """
    from factweights.bundle import Bundle
    from factweights.cli.output import print_json
    from factweights.export.folder import is_compiled

    if is_compiled(folder):
        from factweights.export import recall_compiled

        found = recall_compiled(folder, subject, relation, top)
    else:
        found = Bundle.load_one(folder, subject, relation).recall(subject, relation, top)
    if json:
        print_json(found.to_dict())
        return
    say(shown(found.answer))
    if not found.correct:
        say(shown(f"wrong: {found.expected} was stored"))
    behind = ", ".join(f"{shown(name)} ({score - found.score:.3g})" for name, score in found.runners_up)
    unit = "" if found.prompt is None else " nats"
    say(f"margin {found.margin:.3g}{unit}" + (f"; behind it {behind}" if behind else ""))
    if found.prompt is not None:
        say(shown(f"asked as {found.prompt!r}"))
