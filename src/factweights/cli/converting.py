"""Words of the command line made into values, strictly: nothing is rounded on the way."""

from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import CoercionError, Token, convert

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
