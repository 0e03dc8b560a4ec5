"""The search for a size: where the answer to a question about it changes from no to yes.

:func:`threshold` steps outwards from a guess and then calls :func:`halve`, which is there for callers that
have a bracket already. :class:`Tried` is what both ask where an answer costs a fit: it asks every size once
and keeps what came of it. A question that is not monotone gets one such change near its guess.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
FIRST_STEP = 0.009  # just inside the usual tolerance of 1 %, so that two probes can be enough


class Tried(Generic[T]):
    """Whether sizes do, each tried once.

    Args:
        attempt: a size ↦ what came of it.
        holds: whether that is a yes.
        on_try: told after every new one.

    Attributes:
        found: size ↦ what came of it, in the order in which they were asked.
    """

    def __init__(
        self,
        attempt: Callable[[int], T],
        holds: Callable[[T], bool],
        on_try: Callable[[int, T], None] = lambda size, result: None,
    ) -> None:
        self._attempt, self._holds, self._on_try = attempt, holds, on_try
        self.found: dict[int, T] = {}

    def __call__(self, size: int) -> bool:
        if size not in self.found:
            self.found[size] = self._attempt(size)
            self._on_try(size, self.found[size])
        return self._holds(self.found[size])


def doubling(first: float) -> Iterator[float]:
    """Factors 1 + ``first``, 1 + 2 ``first``, 1 + 4 ``first``, …"""
    return (1 + first * 2**k for k in itertools.count())


def mean(low: int, high: int) -> int:
    """The size half-way between two."""
    return (low + high) // 2


def geometric_mean(low: int, high: int) -> int:
    """The size half-way between two in the logarithm, and strictly between them."""
    return min(max(round(math.sqrt(low * high)), low + 1), high - 1)


def threshold(
    beyond: Callable[[int], bool],
    guess: int,
    tolerance: float,
    *,
    least: int = 1,
    most: int | None = None,
    factors: Iterable[float] | None = None,
    middle: Callable[[int, int], int] = mean,
) -> tuple[int, int]:
    """Where ``beyond`` turns from false to true: (largest n seen false, smallest seen true).

    Args:
        beyond: a size ↦ whether it is past the change. No size is asked twice.
        guess: to begin with.
        tolerance: relative width at which the bracket is narrow enough; neighbours always are.
        least, most: the sizes that there are. Where ``least`` is true, ``least`` − 1 stands for the largest
            seen false, and where ``most`` is false, ``most`` + 1 for the smallest seen true.
        factors: of the steps outwards, ever larger; by default the first goes a little less far than
            ``tolerance`` and each of the others twice as far as the one before.
        middle: of a bracket.
    """
    n = max(least, guess if most is None else min(guess, most))
    factor = iter(doubling(max(FIRST_STEP, 0.9 * tolerance)) if factors is None else factors)
    low: int | None = None
    high: int | None = None
    while low is None or high is None:
        if beyond(n):
            high = n
        else:
            low = n
        if high == least:
            return least - 1, least
        if low is not None and low == most:
            return low, low + 1
        if high is None:
            n = max(n + 1, round(n * next(factor)))
            n = n if most is None else min(n, most)
        elif low is None:
            n = max(least, min(n - 1, round(n / next(factor))))
    return halve(beyond, low, high, tolerance, middle=middle)


def halve(
    beyond: Callable[[int], bool],
    low: int,
    high: int,
    tolerance: float,
    *,
    middle: Callable[[int, int], int] = mean,
) -> tuple[int, int]:
    """Halve a bracket, false at ``low`` and true at ``high``, until it is as narrow as in :func:`threshold`.

    Neither end is asked.
    """
    while high - low > max(1, tolerance * low):
        n = middle(low, high)
        low, high = (low, n) if beyond(n) else (n, high)
    return low, high
