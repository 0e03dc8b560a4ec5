"""Words of the command line made into values, strictly: nothing is rounded on the way."""

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from cyclopts import CoercionError, Token, convert

from factweights.errors import SettingError

INTEGER_DIGITS = 20  # more belong to no setting; Python itself stops at 4,300


def converted(kind: Any, tokens: Sequence[Token]) -> Any:
    """What ``tokens`` stand for as ``kind``; a fraction where whole numbers are asked for is an error.

    cyclopts alone takes 2.5 for 2 and 15.6 for 16.

    Raises:
        CoercionError: a word that is no such value.
    """
    if _takes_whole(kind):
        for token in tokens:
            if not _may_be_whole(token.value):
                text = f'"{token.value[:40]}" is no whole number of at most {INTEGER_DIGITS} digits'
                raise CoercionError(msg=text, token=token, target_type=int)
    return convert(kind, tokens)


def _takes_whole(kind: Any) -> bool:
    """Whether whole numbers are asked for, and no others."""
    parts = get_args(kind)
    return kind is int or (int in parts and float not in parts)


def _may_be_whole(word: str) -> bool:
    """False for what int() would round, and for more digits than it should try."""
    digits = word.strip().lstrip("+-")
    if not digits[:1].isdigit() and not digits.startswith("."):
        return True  # a word such as auto, or not a number at all: left to cyclopts
    return digits.isdigit() and len(digits) <= INTEGER_DIGITS


def seeds_of(text: str) -> int | list[int]:
    """``5`` as a count of seeds, ``0,3,7`` or ``7,`` as a list of them.

    Raises:
        SettingError: anything else.
    """
    found = numbers("--seeds", [text], int)
    if not found:
        raise SettingError(f"--seeds takes a count of at least 1, or a list as in 0,3,7; got {text!r}")
    return found if "," in text else found[0]


def numbers(option: str, words: Iterable[str] | None, kind: type[int] | type[float]) -> list[Any]:
    """``0.1,0.2`` and repeated options as a list of numbers.

    Raises:
        SettingError: a word that is no number.
    """
    found = []
    for word in split(words):
        try:
            found.append(kind(word))
        except ValueError as e:
            what = "whole numbers" if kind is int else "numbers"
            raise SettingError(f"{option} takes {what} separated by commas, got {word!r}") from e
    return found


def split(words: Iterable[str] | None) -> list[str]:
    """Words separated by commas, however often the option was given."""
    return [part.strip() for word in words or () for part in word.split(",") if part.strip()]


def literal(word: str) -> Any:
    """3, 0.5, true, none or a word; the method checks whether that is a value of its setting."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(word.lower(), word)
