"""What a command has to say beside its result: on standard error, when work begins, and behind an error."""

import sys
from collections.abc import Iterable

_held: list[str] = []


def note(lines: Iterable[str]) -> None:
    """Hold lines until work begins or the command ends; an error comes before them."""
    # Names are data: what would move the cursor or colour the terminal is shown as its code.
    _held.extend("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines)


def tell_notes() -> None:
    """Print what is held, each line once."""
    lines = _held[:]
    _held.clear()
    for line in lines:
        print(line, file=sys.stderr, flush=True)
