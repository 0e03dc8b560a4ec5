"""How many facts one matrix holds when the answer only has to stay among the strongest candidates.

Of a fact whose right answer scores z_f and whose competitors score z_y, the *tail-average margin* at level r
is z_f less the mean of the best share r of the competitors' scores: the mean of the worst share r of the
fact's pairwise margins z_f − z_y. Where it is above 0, fewer than ⌈r (M − 1)⌉ competitors lead the answer.
"""

from factweights.errors import LawError, SettingError
from factweights.theory.checks import at_least


def tail_average_threshold(share: float) -> float:
    """κ_r = φ(Φ⁻¹(1 − r))/r: the mean of the largest share r of a standard normal.

    Args:
        share: r in (0, 1).

    Raises:
        SettingError: r outside (0, 1).
    """
    from statistics import NormalDist

    if not 0 < share < 1:
        raise SettingError(f"share is {share}; give the share of competitors averaged, between 0 and 1")
    normal = NormalDist()
    return normal.pdf(normal.inv_cdf(1 - share)) / share


def tail_average_load(fraction: float) -> float:
    """N/d² up to which some matrix gives every fact a tail-average margin above 0.

    1 / E[(κ_r − G)₊²] with G standard normal, after arXiv 2605.05189: a constant, where asking for every fact
    to come out first costs a logarithm.

    Args:
        fraction: r in (0, 1), the share of a fact's competitors that is averaged.

    Raises:
        SettingError: r outside (0, 1).
    """
    from statistics import NormalDist

    k, normal = tail_average_threshold(fraction), NormalDist()
    return 1 / ((1 + k**2) * normal.cdf(k) + k * normal.pdf(k))


def tail_average_capacity(d_in: int, d_out: int, share: float, outputs: int | None = None) -> float:
    """Largest N with a tail-average margin above 0 for every fact: d_in d_out / E[(κ_r − G)₊²].

    It is a limit: M and d large, r fixed. The scores of a fact's competitors are taken for normal whatever W
    does to a few of them, so it is low where r (M − 1) is small: certified capacities lie 3 % (r = ½) to
    20 % (r = 0.05) above it at d = 32, and 1 to 6 % at d = 64 (docs/lab-log.md).

    Args:
        d_in, d_out: dimensions of keys and values.
        share: r in (0, 1).
        outputs: M, or None for injective facts (M = N).

    Raises:
        LawError: the share is not one whole competitor, or there are fewer outputs than dimensions.
        SettingError: a dimension below 1, r outside (0, 1), M below 2.
    """
    at_least("the dimension of the keys", d_in, 1)
    at_least("the dimension of the values", d_out, 1)
    law = tail_average_load(share) * d_in * d_out
    m = law if outputs is None else outputs
    at_least("the number of outputs M", m if outputs is not None else 2, 2)
    if share * (m - 1) < 1:
        raise LawError(
            f"a share of {share:g} of {m - 1:,.0f} competitors is less than one: every fact has to come "
            "first then; use linear_capacity"
        )
    if m < d_out:
        raise LawError(f"{m:,.0f} outputs in R^{d_out} span less than all of it; the law wants M above d_out")
    return law
