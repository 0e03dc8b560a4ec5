"""From probabilities of answers to bits of a table, with what chance may do to them.

Bits of a fact are what a reader of the table saves who may ask the model: log2 p(a | s, r) − log2 q(a); q is
the prior of the answer in its relation. Two readings are given.

*Raw*, as it stands. It is far below 0 for a model that is sure of something wrong: with subjects shuffled it
is −D(q ‖ p) and not 0, and random weights, to which short answers are likely, are paid for that.

*Coded*: the reader may weigh the model against the prior, p' = λ p + (1 − λ) q, with one λ for each relation,
chosen with the template on other subjects (folds). As E p/q = 1 wherever answers do not depend on the subject
in the way the model says, λ = 0 is best there: shuffled subjects and random weights read 0. A model that is
right is taken at its word (λ = 1 but for one part in 100 facts).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factweights.seeds import apart, numbered

FOLDS = 10  # of the cross-fitted calibration, see docs/measure.md
DRAWS = 2000  # of the bootstrap over subjects
LEVEL = 0.95  # of all intervals
_STEPS = 60  # bisections of λ


@dataclass(frozen=True)
class Coded:
    """Bits of facts under a code that was chosen on other facts.

    Attributes:
        bits: ``(n,)`` of every fact.
        template: ``(n,)`` the template it was asked in.
        weight: ``(n,)`` λ.
    """

    bits: np.ndarray
    template: np.ndarray
    weight: np.ndarray


def folds_of(n: int, seed: int = 0) -> np.ndarray:
    """``(n,)`` which of up to :data:`FOLDS` parts every fact of a relation belongs to."""
    rng = np.random.default_rng(seed)
    return rng.permutation(np.arange(n) % min(FOLDS, max(n, 1)))


def coded_bits(log_ratio: np.ndarray, folds: np.ndarray) -> Coded:
    """Bits of the facts of one relation; template and weight of each fold come from the other folds.

    Args:
        log_ratio: ``(t, n)`` log p/q in nats for ``t`` templates; NaN where a template was not asked.
        folds: ``(n,)``.
    """
    n = log_ratio.shape[1]
    bits, template, weight = np.zeros(n), np.zeros(n, int), np.zeros(n)
    for fold in np.unique(folds):
        own, others = folds == fold, folds != fold
        found = [_weight(row[others]) for row in log_ratio]
        best = int(np.argmax([gain for _, gain in found]))
        template[own], weight[own] = best, found[best][0]
        bits[own] = _mixed(log_ratio[best, own], found[best][0]) / math.log(2)
    return Coded(bits, template, weight)


def _mixed(log_ratio: np.ndarray, weight: float) -> np.ndarray:
    """log(λ p/q + 1 − λ) in nats."""
    if weight <= 0:
        return np.zeros(len(log_ratio))
    return np.logaddexp(math.log(weight) + log_ratio, math.log1p(-weight) if weight < 1 else -math.inf)


def _weight(log_ratio: np.ndarray) -> tuple[float, float]:
    """The best λ on these facts and the nats it gains; 0 unless they are clearly more than telling it costs.

    Telling it costs ½ ln(n + 1) nats; half as much again keeps λ at 0 where chance alone would move it. The
    gain is concave in λ, so its slope is bisected. λ stays below 1 by one part in 100 facts, which costs
    nothing to speak of and keeps one miss from costing everything.
    """
    x = log_ratio[~np.isnan(log_ratio)]
    n = len(x)
    if n == 0:
        return 0.5, 0.0  # nothing is known of this relation: neither is preferred
    ratio = np.exp(np.minimum(x, 700.0))

    def slope(w: float) -> float:
        return float(np.sum((ratio - 1) / (w * ratio + 1 - w)))

    most = 1 - 0.01 / (n + 1)
    low, high = 0.0, most
    if slope(0.0) <= 0:
        return 0.0, 0.0
    if slope(most) >= 0:
        low = most
    for _ in range(_STEPS if low < most else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    gain = float(_mixed(x, low).sum())
    return (low, gain) if gain > 0.75 * math.log(n + 1) else (0.0, 0.0)


def shuffled(n: int, times: int, seed: int) -> list[np.ndarray]:
    """Permutations of ``n`` subjects, without a subject that stays where there are at least two."""
    rng = numbered(seed, 1)
    found = []
    for _ in range(times):
        order, by = rng.permutation(n), 1 + int(rng.integers(max(1, n - 1)))
        moved = np.empty(n, int)
        moved[order] = np.roll(order, by % n if n > 1 else 0)
        found.append(moved)
    return found


def interval(
    values: np.ndarray, groups: Sequence[str], *, mean: bool = False, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap of the sum or mean of ``values``: whole subjects are drawn with replacement.

    Rows of ``values`` ``(k, n)``, as of several permutations, are drawn from as well: the interval is that of
    a single row.
    """
    if values.ndim == 2:
        each = [_draws(row, groups, mean, apart(seed, "row", k)) for k, row in enumerate(values)]
        return _ends(np.concatenate(each))
    return _ends(_draws(values, groups, mean, seed))


def _ends(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _draws(values: np.ndarray, groups: Sequence[str], mean: bool, seed: int) -> np.ndarray:
    """``(DRAWS,)`` sums or means over subjects drawn with replacement."""
    names, place = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    total = np.bincount(place, weights=values, minlength=len(names))
    size = np.bincount(place, minlength=len(names))
    rng, drawn = numbered(seed, 2), []
    for start in range(0, DRAWS, 200):  # (200, subjects) at a time
        counts = rng.multinomial(
            len(names), np.full(len(names), 1 / len(names)), size=min(200, DRAWS - start)
        )
        drawn.append(counts @ total / (counts @ size if mean else 1))
    return np.concatenate(drawn)


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> dict[str, object]:
    """How often the most likely answer is right, by the probability it was given.

    ``error`` is the mean distance of the two, weighted by facts (the expected calibration error).
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = []
    for b in range(bins):
        here = place == b
        if here.any():
            rows.append(
                {
                    "facts": int(here.sum()),
                    "confidence": float(confidence[here].mean()),
                    "right": float(right[here].mean()),
                }
            )
    n = sum(r["facts"] for r in rows)
    error = sum(r["facts"] * abs(r["confidence"] - r["right"]) for r in rows) / n if n else 0.0
    return {"bins": rows, "error": error}
