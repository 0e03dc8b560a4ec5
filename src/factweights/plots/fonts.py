"""Names in pictures as they are: no letter of theirs is markup, and none is a box where some font has it."""

import warnings
from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter

from factweights.show import shown

USUAL = "DejaVu Sans"  # comes with matplotlib: the same picture on every machine
# Fonts that have a place for every letter and a picture for none, or pictures at places of their own.
_NO_LETTERS = ("Last Resort", "Adobe Blank", "STIXNonUnicode", "STIXSize", "cm")
_SHOWN = 3  # of the letters that no font has


class FontWarning(UserWarning):
    """Letters that no font of this machine has; they are drawn as boxes."""


def readable(figure: Figure) -> None:
    """Let every text of ``figure`` stand there as it is, in fonts that have its letters.

    Dollar signs are no mathematics, except in the labels that matplotlib itself writes at logarithmic axes;
    control characters are shown as escapes. Letters that the usual font lacks are taken from another font of
    this machine. Where no font has them, one :class:`FontWarning` says so.
    """
    theirs = {id(t) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in _powers(axis)}
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and id(t) not in theirs]
    for t in texts:
        t.set_parse_math(False)
        if (clean := shown(t.get_text(), lines=True)) != t.get_text():
            t.set_text(clean)
    usual = _letters(font_manager.findfont(USUAL))
    foreign = {id(t): {c for c in t.get_text() if ord(c) not in usual and not c.isspace()} for t in texts}
    wanted = set().union(*foreign.values())
    if not wanted:
        return
    fonts, missing = _fonts_for(wanted)
    for t in texts:
        if more := [name for name, letters in fonts if letters & foreign[id(t)]]:
            t.set_fontfamily([USUAL, *more])
    if missing:
        warnings.warn(_said(missing), FontWarning, stacklevel=2)


def _powers(axis) -> list[Text]:
    """The tick labels of an axis that matplotlib writes with powers of ten."""
    found = []
    for formatter, minor in ((axis.get_major_formatter(), False), (axis.get_minor_formatter(), True)):
        if isinstance(formatter, LogFormatter):
            found += axis.get_ticklabels(minor=minor)
    return found


def _fonts_for(wanted: set[str]) -> tuple[list[tuple[str, set[str]]], set[str]]:
    """Names of fonts with the letters that each is taken for, those with most first; the letters none has."""
    found, missing = [], set(wanted)
    entries = _upright(font_manager.fontManager.ttflist)
    while missing:
        best, has = None, set[str]()
        for entry in entries:
            here = {c for c in missing if ord(c) in _letters(entry.fname)}
            if len(here) > len(has):
                best, has = entry, here
            if len(has) == len(missing):
                break
        if best is None:
            break
        found.append((best.name, has))
        missing -= has
    return found, missing


def _upright(entries: Iterable[FontEntry]) -> list[FontEntry]:
    """Regular faces, each family once, those first that are made for many scripts or have no serifs."""
    faces = {}
    for e in entries:
        if e.style == "normal" and not e.name.startswith(_NO_LETTERS) and "color" not in e.name.casefold():
            faces.setdefault(e.name, []).append(e)
    regular = [min(of, key=lambda e: (abs(_weight(e) - 400), e.fname)) for of in faces.values()]

    def rank(e: FontEntry) -> tuple[bool, bool, bool, str]:
        name = e.name.casefold()
        return "noto sans" not in name, "sans" not in name, "mono" in name or "serif" in name, name

    return sorted(regular, key=rank)


def _weight(entry: FontEntry) -> float:
    return entry.weight if isinstance(entry.weight, (int, float)) else 400


@cache
def _letters(path: str) -> frozenset[int]:
    """The code points that a font file has; none where matplotlib cannot draw with it."""
    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def _said(missing: set[str]) -> str:
    few = sorted(missing)[:_SHOWN]
    more = f" and {len(missing) - len(few):,} more letters" if len(missing) > len(few) else ""
    return (
        f"no font on this machine has {', '.join(few)}{more}: boxes are drawn instead; install one that has "
        "them, such as Noto Sans"
    )
