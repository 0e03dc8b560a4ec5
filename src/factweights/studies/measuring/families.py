"""How a recall task grows in figures that search for the largest one: sizes S, R and D from one number."""

import math
from typing import Literal

from factweights.errors import UnknownNameError
from factweights.searching import halve

Family = Literal["S=R", "S=R^2", "D=S"]
FAMILIES: tuple[Family, ...] = ("S=R", "S=R^2", "D=S")
ANSWERS = 8  # D where it does not grow, as in the paper


def task_sizes(family: str, size: int) -> tuple[int, int, int]:
    """Subjects, relations and answers of each relation at S = ``size``; S R facts.

    ``S=R`` has D = 8 answers, ``S=R^2`` too, with the rounded root of S as R; ``D=S`` has S = R = D.

    Raises:
        UnknownNameError: no such family.
    """
    if family not in FAMILIES:
        raise UnknownNameError("family of tasks", family, FAMILIES, f"(there are {', '.join(FAMILIES)})")
    relations = max(1, round(math.sqrt(size))) if family == "S=R^2" else size
    return size, relations, size if family == "D=S" else ANSWERS


def facts_at(family: str, size: int) -> int:
    """S R."""
    subjects, relations, _ = task_sizes(family, size)
    return subjects * relations


def size_for_bits(family: str, bits: float, low: int, high: int) -> int:
    """The largest S in ``low … high`` whose facts have at most that many bits, S R log2 D; else ``low``."""

    def needed(size: int) -> float:
        return facts_at(family, size) * math.log2(max(2, task_sizes(family, size)[2]))

    return halve(lambda size: needed(size) > bits, low, high + 1, 0.0)[0]
