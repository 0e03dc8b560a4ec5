"""``factweights recall``."""

from pathlib import Path

from factweights.cli.options import Json
from factweights.cli.output import say
from factweights.show import shown


def recall(folder: Path, subject: str, relation: str, /, *, top: int = 5, json: Json = False) -> None:
    """Ask a stored memory one question, by one pass through its weights.

    Example: `factweights recall countries France capital`

    Args:
        folder: What `factweights store --out` wrote.
        subject: As in the table.
        relation: As in the table.
        top: How many answers to rank.
    """
    from factweights.bundle import Bundle
    from factweights.cli.output import print_json

    found = Bundle.load(folder).recall(subject, relation, top)
    if json:
        print_json(found.to_dict())
        return
    say(shown(found.answer))
    if not found.correct:
        say(shown(f"wrong: {found.expected} was stored"))
    behind = ", ".join(f"{shown(name)} ({score - found.score:.3g})" for name, score in found.runners_up)
    say(f"margin {found.margin:.3g}" + (f"; behind it {behind}" if behind else ""))
