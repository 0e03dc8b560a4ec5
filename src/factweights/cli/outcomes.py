"""What is said, and with which exit code, when a command does not end well."""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from factweights.errors import FactweightsError
from factweights.show import shown

NAMED = 3  # of the files written before Ctrl-C
ERROR, USAGE, INTERRUPTED, UNREAD = 1, 2, 130, 141


def failed(error: Exception, as_json: bool, tokens: Sequence[str] = ()) -> int:
    """One line for what a user can mend; anything else is a defect of ours and keeps its traceback.

    Args:
        error: what happened.
        as_json: whether it is told as JSON on standard output as well.
        tokens: the command line, whose options the line names.

    Raises:
        Exception: ``error``, where it is such a defect.
    """
    if type(error).__module__.startswith("cyclopts"):
        return _say(type(error).__name__, f"{error} (factweights --help lists what there is)", as_json, USAGE)
    if isinstance(error, (MemoryError, RuntimeError)) and _out_of_memory(error):
        return _say("MemoryError", "not enough memory for this size; choose a smaller one", as_json, ERROR)
    if isinstance(error, OSError) and not isinstance(error, FactweightsError):
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror}" if error.strerror else str(error)
        return _say(type(error).__name__, text, as_json, ERROR)
    if isinstance(error, FactweightsError):
        from factweights.cli.naming import told

        return _say(type(error).__name__, told(error, tokens), as_json, ERROR)
    raise error


def interrupted(error: KeyboardInterrupt, as_json: bool, written: Sequence[Path]) -> int:
    """Ctrl-C: what is kept, and no traceback."""
    said = f"interrupted; {_named(written)} written" if written else "interrupted; nothing was written"
    return _say("Interrupted", str(error) or said, as_json, INTERRUPTED, "")


def _named(paths: Sequence[Path]) -> str:
    first = ", ".join(map(str, paths[:NAMED]))
    more = len(paths) - NAMED
    return (f"{first} and {more:,} more" if more > 0 else first) + (" was" if len(paths) == 1 else " were")


@contextlib.contextmanager
def short_warnings() -> Iterator[None]:
    """Warnings of ours are a line on standard error; those of others look as ever."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if category.__module__.partition(".")[0] != "factweights":
                usual(message, category, *place, **more)
                return
            with contextlib.suppress(OSError):
                print(f"warning: {shown(message, lines=True)}", file=sys.stderr, flush=True)

        warnings.showwarning = show
        yield


def unread() -> int:
    """The reader of the output has gone, as with ``| head``: no word about it."""
    _drop_output()
    return UNREAD


def _say(kind: str, message: str, as_json: bool, code: int, prefix: str = "error: ") -> int:
    try:
        print(f"{prefix}{shown(message, lines=True)}", file=sys.stderr, flush=True)
        if as_json:
            # Plain ASCII, as the output may be in any encoding.
            print(json.dumps({"error": {"type": kind, "message": message}}), flush=True)
    except OSError:  # output is what failed
        _drop_output()
    return code


def _drop_output() -> None:
    """Point standard output nowhere, or the interpreter complains of it once more on its way out."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return


def _out_of_memory(error: Exception) -> bool:
    text = str(error).lower()  # torch raises a plain RuntimeError from its allocator
    return isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text
