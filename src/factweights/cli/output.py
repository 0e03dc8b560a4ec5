"""Results on stdout: one JSON document, or text for people."""

import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from factweights.show import shown

if TYPE_CHECKING:
    from factweights.facts import FactTable


def say(text: object = "", end: str = "\n") -> None:
    """Text for people. Whatever names hold, no character of theirs acts on the terminal."""
    print(shown(text, lines=True), end=end)


@runtime_checkable
class Told(Protocol):
    """A result: plain values for JSON, and a text for people."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        ...


def emit(
    found: Told | Mapping[str, Any],
    lines: Iterable[object] | None = None,
    *,
    json: bool,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Print the result of a command.

    Args:
        found: it, or the whole JSON document.
        lines: what people read; else ``found`` itself. Nothing of it is made where JSON is asked for.
        json: whether one JSON document is printed and nothing else.
        more: entries of the document beside those of ``found``.
    """
    if json:
        document = found if isinstance(found, Mapping) else found.to_dict()
        print_json({**document, **(more or {})})
        return
    for line in (found,) if lines is None else lines:
        say(line)


def print_json(value: Mapping[str, Any]) -> None:
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


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Right-aligned columns under their names, as wide as they need and never cut."""
    said = [[shown(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, cells)) for cells in zip(*said, strict=True)]
    for row in said:
        yield "  " + "   ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


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


def saved_lines(found: object, out: Path, table: "FactTable", ask: str) -> Iterator[object]:
    """A result that was saved, where it lies, and how to ``ask`` for the first fact of the table there."""
    yield found
    yield f"saved to {out}"
    subject, relation, _ = next(iter(table))
    for label, words in (("next", (ask, out, subject, relation)), ("", ("verify", out))):
        yield f"{label:<6}factweights {shlex.join(map(str, words))}"
