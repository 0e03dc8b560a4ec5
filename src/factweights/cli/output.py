"""Results on stdout: one JSON document, or text for people."""

import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factweights.show import shown


def say(text: object = "", end: str = "\n") -> None:
    """Text for people. Whatever names hold, no character of theirs acts on the terminal."""
    print(shown(text, lines=True), end=end)


def print_json(value: dict[str, Any]) -> None:
    """One JSON document; infinities and NaN, which JSON has no word for, become words.

    Characters that would act on a terminal stand there as JSON escapes, which read back as what they were.
    """
    from factweights.folders import plain

    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    text = json.dumps(plain(value), indent=2, ensure_ascii=not encoding.startswith("utf"), allow_nan=False)
    print(re.sub(r"[^\n -~]", _escaped, text))


def _escaped(match: re.Match[str]) -> str:
    c = match[0]
    return c if shown(c) == c else json.dumps(c)[1:-1]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Right-aligned columns under their names, as wide as they need and never cut."""
    said = [[shown(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, cells)) for cells in zip(*said, strict=True)]
    for row in said:
        print("  " + "   ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


PICTURES = (".png", ".svg", ".pdf")


def must_take_picture(path: Path, kinds: Sequence[str] = PICTURES) -> None:
    """Say before long work that no picture can be written at ``path``.

    Raises:
        SettingError: another suffix; OutputError: nothing can be written there.
    """
    from factweights.errors import SettingError
    from factweights.folders import must_take_file

    if path.suffix.lower() not in kinds:
        raise SettingError(f"a picture is written as {', '.join(kinds)}, not as {path.suffix!r}: {path}")
    must_take_file(path)


def say_next(*commands: Sequence[object]) -> None:
    """What one may want to do with what was just written, as commands to copy."""
    for i, words in enumerate(commands):
        say(f"{'next' if i == 0 else '':<6}factweights {shlex.join(map(str, words))}")
