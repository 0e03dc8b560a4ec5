"""What measurements say of laws, each with its interval.

Power laws and constants with bootstrap intervals over seeds, success as a curve, and straight lines and means
with Student's intervals from the scatter around them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

import numpy as np

from factweights.errors import SettingError
from factweights.folders.jsons import Json
from factweights.show import Shown
from factweights.theory.lines import least_squares

Interval = tuple[float, float]


class Growth(TypedDict):
    """An exponent with its interval over seeds, as JSON."""

    value: float
    interval: Interval | None
    level: float
    sizes: int


class LineFit(TypedDict):
    """The fields of :class:`Line`, as JSON."""

    slope: float
    intercept: float
    slope_interval: Interval | None
    intercept_interval: Interval | None
    level: float
    points: int


@dataclass(frozen=True)
class PowerLaw(Shown):
    """y = constant · x^exponent through the medians over seeds.

    Attributes:
        exponent, constant: least squares in the logarithms.
        exponent_interval, constant_interval: percentile bootstrap over seeds; None where no size has two.
        scatter: root mean square of log y around the line.
        level: nominal coverage.
        sizes: how many x were used; those with a median of 0 are left out.
    """

    exponent: float
    constant: float
    exponent_interval: Interval | None
    constant_interval: Interval | None
    scatter: float
    level: float
    sizes: int

    def to_dict(self) -> Json:
        """Plain numbers, ready for JSON."""
        return asdict(self)

    def growth(self) -> Growth:
        """The exponent alone, ready for JSON."""
        return {
            "value": self.exponent,
            "interval": self.exponent_interval,
            "level": self.level,
            "sizes": self.sizes,
        }

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        return [
            ("exponent", f"{self.exponent:.4g}{_between(self.exponent_interval)}"),
            ("constant", f"{self.constant:.4g}{_between(self.constant_interval)}"),
            ("scatter", f"{self.scatter:.1%} around the line, {self.sizes} sizes"),
        ]


@dataclass(frozen=True)
class AgainstLaw(Shown):
    """Measurements over what a law predicts.

    Attributes:
        ratio: geometric mean over sizes of median / prediction.
        interval: percentile bootstrap over seeds; None where no size has two.
        residuals: log(median / prediction) for each size.
        rms: root mean square of the residuals: how wrong the law is, its constant included.
        drift: exponent of the ratio in the size: 0 if the law has the right growth.
        level: nominal coverage.
        left_out: sizes without a prediction, or with a median of 0, which has no logarithm.
    """

    ratio: float
    interval: Interval | None
    residuals: tuple[float, ...]
    rms: float
    drift: float | None
    level: float
    left_out: int = 0

    def to_dict(self) -> Json:
        """Plain numbers, ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        return [
            ("measured / law", f"{self.ratio:.4g}{_between(self.interval)}"),
            ("residual", f"{self.rms:.1%} rms over {len(self.residuals)} sizes" + self._left_out()),
            ("drift", "–" if self.drift is None else f"size^{self.drift:+.3f}"),
        ]

    def _left_out(self) -> str:
        return f"; {self.left_out} sizes with none left out" if self.left_out else ""


@dataclass(frozen=True)
class Logistic(Shown):
    """P(success) = 1 / (1 + exp(steepness · log(x / middle))).

    Attributes:
        middle: x at which every second try succeeds.
        middle_interval: percentile bootstrap over seeds.
        width: log of the ratio of the x with success 10 % and 90 %: 0 for a step.
        width_interval: the same bootstrap. Where hardly any x has both successes and failures the fit is a
            step smoothed by its prior, and the width an upper limit.
        tries: how many there were.
    """

    middle: float
    middle_interval: Interval
    width: float
    width_interval: Interval
    tries: int
    level: float

    @property
    def steepness(self) -> float:
        """The slope of the log-odds in log x, sign turned."""
        return 2 * float(np.log(9)) / self.width

    def probability(self, x: float) -> float:
        """P(success) at x."""
        return float(1 / (1 + np.exp(np.clip(self.steepness * np.log(x / self.middle), -700, 700))))

    def to_dict(self) -> Json:
        """Plain numbers, ready for JSON."""
        return {**asdict(self), "steepness": self.steepness}

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        return [
            ("even odds at", f"{self.middle:.4g}{_between(self.middle_interval)}"),
            ("from 90 % to 10 %", f"a factor {np.exp(self.width):.4g}"),
            ("tries", f"{self.tries:,}"),
        ]


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

    def to_dict(self) -> LineFit:
        """Plain numbers, ready for JSON."""
        return {
            "slope": self.slope,
            "intercept": self.intercept,
            "slope_interval": self.slope_interval,
            "intercept_interval": self.intercept_interval,
            "level": self.level,
            "points": self.points,
        }


def power_law(
    x: Sequence[float],
    runs: Sequence[Sequence[float]],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> PowerLaw:
    """Exponent and constant of y in x, with bootstrap intervals over seeds.

    Args:
        x: sizes, positive.
        runs: for each size the y of every seed.
        level: nominal coverage.
        draws: bootstrap resamples; within each size, seeds are drawn with replacement.
        seed: of the resampling.

    Raises:
        SettingError: fewer than two different sizes with a positive median.
    """
    sizes, medians, drawn = _resampled(x, runs, draws, seed)
    if len(set(sizes)) < 2:
        raise SettingError(f"a power law needs two different sizes with y > 0, got {len(sizes)}")
    at = np.log(sizes)
    slope, constant = least_squares(at, np.log(medians)[None])
    of_slope = of_constant = None
    if drawn is not None:
        slopes, constants = least_squares(at, np.log(drawn))
        of_slope, of_constant = _interval(slopes, level), _interval(np.exp(constants), level)
    left = np.log(medians) - slope[0] * at - constant[0]
    return PowerLaw(
        float(slope[0]),
        float(np.exp(constant[0])),
        of_slope,
        of_constant,
        float(np.sqrt((left**2).mean())),
        level,
        len(sizes),
    )


def against_law(
    x: Sequence[float],
    runs: Sequence[Sequence[float]],
    law: Sequence[float],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> AgainstLaw:
    """How measurements lie to predictions, with a bootstrap interval over seeds.

    Args:
        x: sizes, positive; for the drift.
        runs: for each size the y of every seed.
        law: for each size what is predicted, positive.
        level, draws, seed: as in :func:`power_law`.

    Raises:
        SettingError: nothing to compare.
    """
    used = [(s, r, p) for s, r, p in zip(x, runs, law, strict=True) if p > 0]
    sizes, medians, drawn = _resampled(
        [s for s, _, _ in used], [[y / p for y in r] for _, r, p in used], draws, seed
    )
    if not len(sizes):
        raise SettingError("there is no size with y > 0 and a prediction to compare")
    residuals = np.log(medians)
    drift = float(least_squares(np.log(sizes), residuals[None])[0][0]) if len(set(sizes)) > 1 else None
    return AgainstLaw(
        float(np.exp(residuals.mean())),
        None if drawn is None else _interval(np.exp(np.log(drawn).mean(axis=1)), level),
        tuple(residuals.tolist()),
        float(np.sqrt((residuals**2).mean())),
        drift,
        level,
        len(x) - len(sizes),
    )


def logistic_fit(
    x: Sequence[float],
    tries: Sequence[Sequence[bool]],
    *,
    level: float = 0.95,
    draws: int = 400,
    seed: int = 0,
) -> Logistic:
    """Success probability over x, falling, by penalised maximum likelihood (Jeffreys' prior, Firth 1993).

    The prior keeps the fit finite where successes and failures do not overlap at all.

    Args:
        x: positive loads, at least two different ones.
        tries: for each load the outcomes. Where there are equally many at each, the k-th are taken to be of
            one seed, as the same seed may have nested facts at every load.
        level: nominal coverage.
        draws: bootstrap resamples: of seeds, with all their loads; else of the tries at each load.
        seed: of the resampling.

    Raises:
        SettingError: not enough to fit.
    """
    loads = np.log(np.asarray(x, dtype=float))
    counts = np.array([len(t) for t in tries], dtype=float)
    wins = np.array([sum(t) for t in tries], dtype=float)
    if len(set(x)) < 2 or len(x) != len(tries) or not counts.all():
        raise SettingError("a logistic fit needs tries at two different loads or more")
    if wins.sum() in (0, counts.sum()):
        which = "succeeded" if wins.sum() else "failed"
        raise SettingError(f"every try {which}; give loads on both sides of the capacity")
    middle, width = _firth(loads, counts, wins)
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        again = _again(tries, rng)
        if 0 < again.sum() < counts.sum():
            found.append(_firth(loads, counts, again))
    middles, widths = np.array(found).T
    of_middle, of_width = _interval(np.exp(middles), level), _interval(widths, level)
    return Logistic(float(np.exp(middle)), of_middle, width, of_width, int(counts.sum()), level)


def _again(tries: Sequence[Sequence[bool]], rng: np.random.Generator) -> np.ndarray:
    """Successes at each load in one resample."""
    sizes = {len(t) for t in tries}
    if len(sizes) > 1:
        return np.array([rng.binomial(len(t), sum(t) / len(t)) for t in tries], dtype=float)
    seeds = sizes.pop()
    return np.array(tries, dtype=float)[:, rng.integers(0, seeds, seeds)].sum(axis=1)


def _firth(x: np.ndarray, n: np.ndarray, wins: np.ndarray, steps: int = 100) -> tuple[float, float]:
    """(log of the load with even odds, log-width from 90 % to 10 %)."""
    scale = float(x.std())
    X = np.stack([np.ones_like(x), (x - x.mean()) / scale], axis=1)
    beta = np.array([0.0, -1.0])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(X @ beta, -500, 500)))
        w = n * p * (1 - p)
        fisher = (X * w[:, None]).T @ X + 1e-9 * np.eye(2)
        leverage = w * np.einsum("ij,jk,ik->i", X, np.linalg.inv(fisher), X)
        step = np.linalg.solve(fisher, X.T @ (wins - n * p + leverage * (0.5 - p)))
        step *= min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))  # far from the end Newton overshoots
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    slope = min(float(beta[1]), -1e-6)  # a rising curve is no capacity
    return float(x.mean() - scale * beta[0] / slope), float(2 * np.log(9) * scale / -slope)


def _resampled(
    x: Sequence[float], runs: Sequence[Sequence[float]], draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Sizes ``(S,)`` with a positive median, medians ``(S,)``, medians of resamples ``(draws, S)``."""
    if len(x) != len(runs) or not all(len(r) for r in runs):
        raise SettingError(f"give every one of the {len(x)} sizes at least one run, got {len(runs)} lists")
    used = [(s, np.asarray(r, dtype=float)) for s, r in zip(x, runs, strict=True) if np.median(r) > 0]
    sizes = np.array([s for s, _ in used], dtype=float)
    medians = np.array([np.median(r) for _, r in used])
    if not any(len(r) > 1 for _, r in used):
        return sizes, medians, None
    rng = np.random.default_rng(seed)
    drawn = [np.median(r[rng.integers(0, len(r), (draws, len(r)))], axis=1) for _, r in used]
    found = np.stack(drawn, axis=1)
    found = found[(found > 0).all(axis=1)]
    return sizes, medians, found if len(found) else None


def _interval(values: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f" ({interval[0]:.4g} to {interval[1]:.4g})"


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
