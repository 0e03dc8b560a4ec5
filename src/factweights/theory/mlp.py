"""How many facts an MLP holds, and what its parameters are called.

m is the width of the hidden layer. Natural logarithms throughout.
"""

import math

from factweights.errors import SettingError
from factweights.theory.checks import at_least
from factweights.theory.linear import solve_n_log_n

_GUIDE_INJECTIVE = 0.35  # m d = .35 N ln N, drawn into figure 1, right, of arXiv 2412.06538
_GUIDE_32_OUTPUTS = 1.2  # m d = 1.2 N, drawn into figure 6 of arXiv 2412.06538


def mlp_guide_parameters(n_facts: int | float, outputs: int | None = None) -> float:
    """m·d along the dashed lines that the paper draws through its MLP figures.

    Injective facts: 0.35 N ln N. M = 32: 1.2 N. Guides to the eye at recall ≥ 0.99 under the paper's recipe
    (public code of arXiv 2412.06538); the theorem behind them is md ≥ N polylog N, after its Thm 2.

    Raises:
        SettingError: N below 1, or ``outputs`` neither None nor 32.
    """
    at_least("the number of facts N", n_facts, 1)
    _check_guide(outputs)
    return _GUIDE_32_OUTPUTS * n_facts if outputs else _GUIDE_INJECTIVE * n_facts * math.log(n_facts)


def mlp_guide_capacity(parameters: int | float, outputs: int | None = None) -> float:
    """N along the same lines: the inverse of :func:`mlp_guide_parameters`, given m·d.

    Raises:
        SettingError: a negative m·d, or ``outputs`` neither None nor 32.
    """
    at_least("m·d", parameters, 0)
    _check_guide(outputs)
    return parameters / _GUIDE_32_OUTPUTS if outputs else solve_n_log_n(parameters / _GUIDE_INJECTIVE)


def ntk_noise(n_facts: int, width: int, d: int) -> float:
    """Variance of a wrong answer's score over the squared mean score of the right one, Hermite/NTK memory.

    N/(m d) + 3 N/d³ + 1/d + 3/m, for the gated form with first-degree features and injective facts:
    cross-talk through the random gates, cross-talk left at infinite width (what a higher degree removes),
    overlap of two values, and the gates' own fluctuation. Leading order in 1/d, checked numerically in
    tests/test_theory.py. Construction from the public code of arXiv 2607.10034; the proof idea is that after
    Thm 2 of arXiv 2412.06538.

    Raises:
        SettingError: a size below 1.
    """
    _check_sizes(n_facts=n_facts, width=width, d=d)
    return n_facts / (width * d) + 3 * n_facts / d**3 + 1 / d + 3 / width


def paper_mlp_count(d: int, width: int) -> int:
    """m·d, the paper's count for V₂ᵀ σ(W₁ k + b): one layer, no bias. For its figures, not for comparisons.

    Raises:
        SettingError: a size below 1.
    """
    _check_sizes(d=d, width=width)
    return width * d


def mlp_count(d: int, width: int, d_out: int | None = None) -> int:
    """Every trained scalar of V₂ᵀ σ(W₁ k + b): m d_in + m + m d_out, which is 2 m d + m if d_out = d_in.

    Raises:
        SettingError: a size below 1.
    """
    d_out = d if d_out is None else d_out
    _check_sizes(d=d, width=width, d_out=d_out)
    return width * (d + 1 + d_out)


def gated_count(d: int, width: int, d_out: int | None = None) -> int:
    """Every trained scalar of B[(A k) ⊙ σ(G k)]: 2 m d_in + m d_out, which is 3 m d if d_out = d_in.

    Raises:
        SettingError: a size below 1.
    """
    d_out = d if d_out is None else d_out
    _check_sizes(d=d, width=width, d_out=d_out)
    return width * (2 * d + d_out)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        at_least(name, size, 1)


def _check_guide(outputs: int | None) -> None:
    if outputs not in (None, 32):
        raise SettingError(
            f"outputs is {outputs}: the paper draws guides for injective facts (outputs=None) and for "
            "outputs=32 only; feature_capacity has a law for any number of outputs"
        )
