"""Where the answer to a question about a size changes from no to yes."""

import math
from collections.abc import Callable

FIRST_STEP = 0.009  # just inside the usual tolerance of 1 %, so that two probes can be enough


def threshold(
    beyond: Callable[[int], bool], guess: int, tolerance: float, *, most: int | None = None
) -> tuple[int, int]:
    """Where ``beyond`` turns from false to true: (largest n seen false, smallest seen true).

    Steps outwards from ``guess``, first by a little less than ``tolerance``, then twice as far each time, and
    bisects until the two are neighbours or within ``tolerance`` of each other. 0 counts as false and
    ``most`` + 1 as true, neither is asked.
    """
    low, high = 0, math.inf if most is None else most + 1
    n, step = max(1, guess), max(FIRST_STEP, 0.9 * tolerance)
    while True:
        n = n if most is None else min(n, most)
        if beyond(n):
            high = n
        else:
            low = n
        if high - low <= max(1, tolerance * low):
            return low, int(high)
        if high == math.inf or (most is not None and high > most):
            n, step = max(n + 1, round(n * (1 + step))), 2 * step
        elif low == 0:
            n, step = max(1, min(n - 1, round(n / (1 + step)))), 2 * step
        else:
            n = (low + int(high)) // 2
