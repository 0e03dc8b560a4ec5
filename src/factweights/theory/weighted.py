"""Facts that are asked with different frequencies: how much of what is asked can be recalled."""

import numpy as np
from numpy.typing import NDArray

from factweights.errors import LawError
from factweights.searching import threshold
from factweights.theory.checks import at_least, between
from factweights.theory.linear import linear_capacity

MOST = 1 << 24  # facts up to which a capacity is looked for
TOLERANCE = 1e-4  # relative width at which the search ends


def power_law(n_facts: int, exponent: float) -> NDArray[np.float64]:
    """p(x) ∝ x^{−α} for x = 1 … N, the most asked fact first; ``(N,)``, adding up to 1.

    Raises:
        SettingError: N below 1, or α negative.
    """
    at_least("the number of facts N", n_facts, 1)
    at_least("the exponent α", exponent, 0)
    p = np.arange(1, n_facts + 1, dtype=np.float64) ** -float(exponent)
    return p / p.sum()


def head_share(n_facts: int, stored: float, exponent: float) -> float:
    """Σ p(x) over the ``stored`` most asked of N facts, the last of them in part.

    Raises:
        SettingError: N below 1, or a negative ``stored`` or α.
    """
    at_least("stored", stored, 0)
    if stored >= n_facts:
        return 1.0
    p, whole = power_law(n_facts, exponent), int(stored)
    return float(p[:whole].sum() + (stored - whole) * p[whole])


def weighted_recall(
    n_facts: int, d_in: int, d_out: int, exponent: float, outputs: int | None = None
) -> float:
    """Weighted recall Σ p(x) [x recalled] of a matrix that stores the most asked facts and no others.

    They are as many as :func:`linear_capacity` says for M outputs (M = N where ``outputs`` is None). Every
    fact costs the same, whatever its frequency, so storing the head is the best one can *ask* of a matrix;
    facts beyond it come right by luck too, so the best matrix has somewhat more: a lower bound, as far as the
    law behind it holds.

    Raises:
        LawError: sizes to which that law does not apply.
        SettingError: a size below 1, M below 2, or α negative.
    """
    at_least("the number of facts N", n_facts, 1)
    m = n_facts if outputs is None else outputs
    if m < 2:
        return 1.0
    return head_share(n_facts, linear_capacity(d_in, d_out, m), exponent)


def weighted_capacity(
    d_in: int, d_out: int, exponent: float, recall: float, outputs: int | None = None
) -> float:
    """Largest N at which :func:`weighted_recall` is ``recall`` or more.

    Raises:
        LawError: sizes to which the law does not apply, or more than 2^24 facts: with α above 1 the head is
            most of what is ever asked.
        SettingError: as there, or a recall outside (0, 1].
    """
    between("recall", recall, 0, 1)
    stored = max(2, int(linear_capacity(d_in, d_out, outputs)))
    if recall == 1:
        return float(stored)

    def missed(n: int) -> bool:
        return weighted_recall(n, d_in, d_out, exponent, outputs) < recall

    found = threshold(missed, stored, TOLERANCE, least=2, most=MOST)[0]
    if found == MOST:
        raise LawError(
            f"a recall of {recall:g} is the law's for any number of facts asked with exponent "
            f"{exponent:g}; give a smaller exponent or a larger recall"
        )
    return float(found)
