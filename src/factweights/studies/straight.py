"""A straight line through points, with Student intervals from the scatter around it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Line:
    """y = slope x + intercept by least squares.

    Attributes:
        slope, intercept: of the line.
        slope_interval, intercept_interval: None with fewer than three points.
        level: nominal coverage of the intervals, for independent normal scatter.
        points: how many there were.
    """

    slope: float
    intercept: float
    slope_interval: tuple[float, float] | None
    intercept_interval: tuple[float, float] | None
    level: float
    points: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return asdict(self)


def straight_line(x: Sequence[float], y: Sequence[float], *, level: float = 0.95) -> Line | None:
    """The line through the points; None where all x are the same."""
    if len(set(x)) < 2:
        return None
    at, seen = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    n, mean = len(at), float(at.mean())
    spread = float(((at - mean) ** 2).sum())
    slope = float((at - mean) @ seen) / spread
    intercept = float(seen.mean() - slope * mean)
    of_slope = of_intercept = None
    if n > 2:
        left = float(((seen - slope * at - intercept) ** 2).sum()) / (n - 2)
        reach = _student(n - 2, level) * left**0.5
        wide, high = reach / spread**0.5, reach * (1 / n + mean**2 / spread) ** 0.5
        of_slope = (slope - wide, slope + wide)
        of_intercept = (intercept - high, intercept + high)
    return Line(slope, intercept, of_slope, of_intercept, level, n)


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float] | None:
    """Student's interval of a mean; None for a single value."""
    seen, n = np.asarray(values, dtype=float), len(values)
    if n < 2:
        return None
    mean, reach = float(seen.mean()), _student(n - 1, level) * float(seen.std(ddof=1)) / n**0.5
    return mean - reach, mean + reach


def _student(freedom: int, level: float) -> float:
    from scipy.special import stdtrit  # Student's quantiles, without the seconds that scipy.stats takes

    return float(stdtrit(freedom, (1 + level) / 2))
