"""What counts as a word and where a name begins and ends: one pattern, for the tokenizer and for us.

A tokenizer splits at ``pattern(names)``: at every place the longest name that begins and ends where words do,
else a word, else a run of signs. Words of scripts that are written with spaces are whole words; in scripts
without (Chinese, Japanese, Thai, Lao, Khmer, Burmese, …) a name begins and ends anywhere, only never within a
character that is written with several code points, and what stands between two names is one word.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import takewhile
from typing import Any

from factweights.errors import MissingExtraError

# Written without spaces: by script, and the marks that Japanese shares with others (々 〆 〇 ー).
_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
    r"\p{Javanese}\p{Balinese}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}"
    r"\x{3005}-\x{3007}\x{30FC}\x{FF70}"
)
_LETTER = r"\p{L}\p{N}\p{Pc}"  # ₂ and ² are numbers (No), so CO₂ and km² are words
_JOINING = r"\p{M}\x{200C}\x{200D}"  # accents, vowel signs, joiners: never at the start of anything
_MORE = rf"{_JOINING}\x{{1F3FB}}-\x{{1F3FF}}\x{{E0020}}-\x{{E007F}}"  # and skin tones, tags of flags
_SPACED = rf"[[{_LETTER}{_JOINING}]&&[^{_UNSPACED}]]"
_WORD = rf"[[{_LETTER}]&&[^{_UNSPACED}]](?:{_SPACED}|[{_MORE}])*"
_SIGN = rf"(?:[\x{{1F1E6}}-\x{{1F1FF}}]{{2}}|[^\s{_LETTER}])"  # a flag is two letters that are no letters
_EDGE = rf"(?:(?<!{_SPACED})|(?!{_SPACED}))"  # not between two letters of one word
_SAFE = re.compile(r"[A-Za-z0-9 ]")
DEEPEST = 150  # branches within branches of a pattern


def pattern(names: Iterable[str] = ()) -> str:
    """A regular expression (Oniguruma) that finds names, words and runs of signs.

    Args:
        names: those that count as one word, however many they have; of two that fit the longer is found.
    """
    names = sorted(set(names))
    first = _spaced_letters({name[0] for name in names})
    inside = [name for name in names if name[0] not in first]  # those that can begin within a run
    stop = rf"(?!{_named(inside)})" if inside else ""
    runs = [rf"(?:{stop}[[{_LETTER}]&&[{_UNSPACED}]][{_MORE}]*)+", rf"(?:{stop}{_SIGN})+"]
    return "|".join([*([_named(names)] if names else []), _WORD, *runs])


def _named(names: list[str]) -> str:
    """Any of ``names``, where words begin and end; no name ends within a character."""
    return rf"(?<!\x{{200D}}){_EDGE}{_any(names, 0)}{_EDGE}(?![{_MORE}])"


def _any(names: list[str], depth: int) -> str:
    """One of sorted ``names``, the longest that fits first, as a tree of prefixes."""
    if depth > DEEPEST:
        longest = sorted(names, key=len, reverse=True)
        return f"(?:{'|'.join(map(literal, longest))})"
    ends = zip(names[0], names[-1], strict=False)  # sorted: what these two share all share
    head = "".join(c for c, _ in takewhile(lambda both: both[0] == both[1], ends))
    tails = [name[len(head) :] for name in names]
    if len(tails) == 1:
        return literal(head)
    groups: dict[str, list[str]] = {}
    for tail in tails:
        if tail:
            groups.setdefault(tail[0], []).append(tail)
    branches = [_any(group, depth + 1) for group in groups.values()]
    if not tails[0]:
        branches.append("")
    return f"{literal(head)}(?:{'|'.join(branches)})"


def literal(text: str) -> str:
    """A pattern for this text and nothing else."""
    return "".join(c if _SAFE.match(c) else rf"\x{{{ord(c):X}}}" for c in text)


def _spaced_letters(characters: set[str]) -> set[str]:
    """Those that are letters of scripts with spaces, as the pattern's own engine sees them."""
    return {piece for piece, _ in splitter(_SPACED).pre_tokenize_str(" ".join(sorted(characters)))}


def splitter(regex: str) -> Any:
    """A pre-tokenizer that keeps what ``regex`` matches and drops everything else.

    Raises:
        MissingExtraError: tokenizers is not installed.
    """
    try:
        from tokenizers import Regex, pre_tokenizers
    except ImportError as e:
        raise MissingExtraError("compiling a table", "hf") from e
    return pre_tokenizers.Split(Regex(regex), "removed", invert=True)


@cache
def _plain() -> Any:
    return splitter(pattern())


def words(text: str) -> list[str]:
    """The words and runs of signs of a text without names."""
    return [piece for piece, _ in _plain().pre_tokenize_str(text)]


def spans(text: str) -> list[tuple[str, int, int]]:
    """The same, each with where it begins and ends."""
    return [(piece, a, b) for piece, (a, b) in _plain().pre_tokenize_str(text)]


def is_word(text: str) -> bool:
    """Whether a text is one word of a script with spaces."""
    return [piece for piece, _ in _words_only().pre_tokenize_str(text)] == [text]


@cache
def _words_only() -> Any:
    return splitter(_WORD)


def unspaced_class() -> str:
    """A pattern for one character of a script without spaces."""
    return f"[{_UNSPACED}]"


def unspaced(character: str) -> bool:
    """Whether a character belongs to a script that is written without spaces."""
    return bool(_unspaced_only().pre_tokenize_str(character))


@cache
def _unspaced_only() -> Any:
    return splitter(unspaced_class())
