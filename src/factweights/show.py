"""How a result looks at a prompt and in a notebook: one list of labelled lines, drawn twice.

Names are data: whatever stands in them, it is shown and never obeyed. All text goes through here:
:func:`shown` for terminals, :func:`in_html`, :func:`in_code` for Markdown. Pictures do the same at the one
place where they are written (``plots/style.py``).
"""

import html
import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

Lines = Sequence[tuple[str, str]]

# What has no picture of its own but changes how others look, or what a terminal does: control characters (C0
# and C1), bidirectional overrides and other format characters, separators of lines and paragraphs, halves of
# pairs. The joiners that Persian, Indic scripts and emoji need are text; so are the Arabic number signs.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_TEXT = frozenset("\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")


def duration(seconds: float) -> str:
    """A time as people say it: 0.25 s, 40 s, 12 min, 3.5 h, 4 years."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 1e8 else f"{seconds / 3.2e7:.1g} years"


def number(x: float | None, digits: int = 4) -> str:
    """1,234 or 0.9876; a dash for None."""
    if x is None:
        return "–"
    return f"{x:,.0f}" if float(x).is_integer() or abs(x) >= 10**digits else f"{x:,.{digits}g}"


def percent(x: float | None) -> str:
    """+1.2%; a dash for None."""
    return "–" if x is None else f"{x:+.1%}"


def with_interval(value: float, interval: tuple[float, float] | None) -> str:
    """0.98 (0.96 to 1.01); three digits, thousands whole."""
    return _short(value) + ("" if interval is None else f" ({_short(interval[0])} to {_short(interval[1])})")


def _short(x: float) -> str:
    return f"{x:,.0f}" if 1000 <= abs(x) < math.inf else f"{x:.3g}"


def shown(text: object, *, lines: bool = False) -> str:
    """Text as it can be printed anywhere: what would act and not be seen becomes ``\\x1b`` and the like.

    Args:
        text: anything with a ``str``.
        lines: whether line breaks and tabs in it are meant.
    """
    said = str(text)
    if said.isprintable():  # nothing of these categories is
        return said
    kept = "\n\t" if lines else ""
    return "".join(c if c in kept or not _acts(c) else ascii(c)[1:-1] for c in said)


def _acts(c: str) -> bool:
    return unicodedata.category(c) in _HIDDEN and c not in _TEXT


def in_html(text: object) -> str:
    """Text as the contents of an element or a quoted attribute."""
    return html.escape(shown(text))


def in_code(text: object, *, table: bool = False) -> str:
    """Text as a code span of Markdown, in a ``table`` or elsewhere: nothing in it is markup."""
    said = shown(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", said)), default=0))
    pad = " " if said[:1] in ("`", " ") or said[-1:] in ("`", " ") else ""
    span = f"{fence}{pad}{said}{pad}{fence}"
    return span.replace("|", "\\|") if table else span  # GitHub cuts cells before it reads code


class Shown:
    """Gives a result its text and its HTML from ``lines()``."""

    def lines(self) -> Lines:
        """Labels and what stands behind them, in order."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {}

    def to_pandas(self) -> Any:
        """A data frame (needs the extra [data]): one row of the plain values, where a result is no table."""
        import pandas as pd

        plain = {k: v for k, v in self.to_dict().items() if v is None or isinstance(v, (str, int, float))}
        return pd.DataFrame([plain])

    def __str__(self) -> str:
        lines = [(shown(label), shown(text)) for label, text in self.lines()]
        width = max((len(label) for label, _ in lines), default=0)
        return "\n".join(f"{label:<{width}}  {text}" for label, text in lines)

    def _repr_html_(self) -> str:
        rows = (f"<tr><th>{in_html(a)}</th><td>{in_html(b)}</td></tr>" for a, b in self.lines())
        return f"<table>{''.join(rows)}</table>"
