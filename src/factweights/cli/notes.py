"""What a command has to say beside its result: on standard error, when work begins, and behind an error."""

import sys
from collections.abc import Iterable

from factweights.show import shown

_held: list[str] = []


def note(lines: Iterable[str]) -> None:
    """Hold lines until work begins or the command ends; an error comes before them."""
    _held.extend(shown(line) for line in lines)


def tell_notes() -> None:
    """Print what is held, each line once."""
    lines = _held[:]
    _held.clear()
    for line in lines:
        print(line, file=sys.stderr, flush=True)
