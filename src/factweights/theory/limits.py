"""What no memory can beat: limits from information and from counting.

Amounts of information are in bits, losses in nats; B stands for the bits that the weights can take.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from factweights.errors import SettingError
from factweights.theory.checks import at_least


def bits_of_facts(n_facts: int, outputs: int) -> float:
    """N log2 M: bits needed to write down N independent, uniform answers among M outputs.

    Answers that are dealt out, such as a permutation, need fewer: :func:`map_bits`.

    Raises:
        SettingError: N negative or M below 1.
    """
    at_least("the number of facts N", n_facts, 0)
    at_least("the number of outputs M", outputs, 1)
    return n_facts * math.log2(outputs)


def map_bits(counts: ArrayLike) -> float:
    """log2 of the number of maps from N facts to answers that give answer y to ``counts[y]`` facts.

    log2 N! − Σ_y log2 n_y!, N = Σ n_y: the bits of what is stored once it is known how often each answer
    occurs. A permutation has log2 N! ≈ N log2(N/e) where N independent answers would have N log2 N; balanced
    answers have log2 N! − M log2 (N/M)!. It is never more than N log2 M.

    Args:
        counts: ``(M,)`` whole numbers, not negative.

    Raises:
        SettingError: another shape, or entries that are no counts.
    """
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 1 or not (np.isfinite(n).all() and (n >= 0).all() and (n == np.floor(n)).all()):
        raise SettingError(f"counts say how many facts have each answer, got {counts!r}")
    logs = math.lgamma(float(n.sum()) + 1) - math.fsum(math.lgamma(x + 1) for x in n.tolist())
    return max(0.0, logs / math.log(2))


def minimal_cross_entropy(bits: int | float, outputs: int, probabilities: ArrayLike) -> float:
    """Least cross-entropy, in nats, of weights of ``bits`` bits on facts asked with these probabilities.

    min Σ p(x) (ln M − I_x) over 0 ≤ I_x ≤ ln M with Σ I_x ≤ B ln 2, for independent uniform answers: fact x
    costs at least its entropy given the weights, and all the weights tell of all facts is at most B bits.
    Linear in I, so the minimum stores the most asked facts whole, one part of the next, and no other.
    The argument behind Thm 7 of arXiv 2412.06538.

    Args:
        bits: B ≥ 0.
        outputs: M ≥ 1.
        probabilities: ``(N,)``, not negative, adding up to 1.

    Raises:
        SettingError: an argument outside its range.
    """
    at_least("bits", bits, 0)
    at_least("the number of outputs M", outputs, 1)
    p = np.sort(np.asarray(probabilities, dtype=np.float64))[::-1]
    if p.ndim != 1 or not (p >= 0).all() or abs(p.sum() - 1) > 1e-9:
        raise SettingError(
            f"probabilities have shape {p.shape} and sum {p.sum():.9g}; "
            "give one per fact, not negative, adding up to 1"
        )
    whole = math.log(outputs)
    left = bits * math.log(2) - whole * np.arange(len(p))  # nats left when fact x has its turn
    return float(p @ (whole - np.clip(left, 0, whole)))


def fano_bits(n_facts: int, outputs: int, error: int | float = 0.0, total: float | None = None) -> float:
    """Bits needed to answer N facts with an expected share ``error`` of wrong answers.

    N [log2 M − h(ε) − ε log2(M − 1)] with h the binary entropy (Fano); 0 from ε = 1 − 1/M on, where guessing
    does. For one fact it is the rate-distortion function, so no bound in these terms is better. The argument
    bounds what is left open of all answers by what is left open of each, so it holds for any set of equally
    likely maps, with ``total`` = log2 of their number (:func:`map_bits`) in place of N log2 M.

    Raises:
        SettingError: N negative, M below 1 or ε outside [0, 1].
    """
    total = bits_of_facts(n_facts, outputs) if total is None else total
    if not 0 <= error <= 1:
        raise SettingError(f"error is {error}; give the share of wrong answers, between 0 and 1")
    if error >= 1 - 1 / outputs:
        return 0.0
    if error == 0:
        return total
    entropy = -error * math.log2(error) - (1 - error) * math.log2(1 - error)
    return max(0.0, total - n_facts * (entropy + error * math.log2(outputs - 1)))


def power_law_loss(
    bits: int | float, outputs: int, exponent: int | float, n_facts: int | None = None
) -> float:
    """Least cross-entropy, in nats, when fact x = 1, 2, … is asked with probability ∝ x^{−α}.

    :func:`minimal_cross_entropy` of that distribution; ∝ B^{1−α} over infinitely many facts for large B.

    Args:
        bits: B ≥ 0.
        outputs: M ≥ 2.
        exponent: α ≥ 0, above 1 if there are infinitely many facts.
        n_facts: N, or None for infinitely many.

    Raises:
        SettingError: an argument outside its range.
    """
    at_least("bits", bits, 0)
    at_least("the number of outputs M", outputs, 2)
    at_least("the exponent α", exponent, 0)
    if n_facts is not None:
        at_least("the number of facts N", n_facts, 1)
        weight = np.arange(1, n_facts + 1, dtype=np.float64) ** -exponent
        return minimal_cross_entropy(bits, outputs, weight / weight.sum())
    if exponent <= 1:
        raise SettingError(f"the exponent α is {exponent}: give one above 1, or a finite n_facts")
    from scipy.special import zeta

    stored = bits / math.log2(outputs)
    whole = math.floor(stored)
    tail = zeta(exponent, whole + 1.0) - (stored - whole) * (whole + 1.0) ** -exponent
    return math.log(outputs) * float(tail / zeta(exponent, 1.0))


def recall_task_bits(
    subjects: int, relations: int, answers: int, vocabulary: int, constant: int | float | None = None
) -> float:
    """Bits needed to recall every answer of the recall task: S R log2 D + c R D log2(|V|/D), after Thm 7.

    The first term picks answers out of known answer sets, the second tells the sets. For sets drawn
    independently and uniformly the default c = 1 − (1 − 1/D)^S, the share of a set that S draws show, is
    proved: k answers seen tell Σ_{i<k} log2((|V| − i)/(D − i)) ≥ k log2(|V|/D) bits of their set. Sets that
    must be disjoint are told by fewer bits; c = 0 is safe for any.

    Args:
        subjects: S.
        relations: R.
        answers: D, answers per relation.
        vocabulary: |V| ≥ D, outputs that an answer set is drawn from.
        constant: c in [0, 1], or None for the default.

    Raises:
        SettingError: a size below 1, |V| below D, or c outside [0, 1].
    """
    for what, size in (("subjects", subjects), ("relations", relations), ("answers", answers)):
        at_least(what, size, 1)
    at_least("vocabulary", vocabulary, answers, "it holds the answers of every relation")
    c = 1 - (1 - 1 / answers) ** subjects if constant is None else constant
    if not 0 <= c <= 1:
        raise SettingError(f"constant is {constant}; give a number between 0 and 1, or None")
    picks = subjects * relations * math.log2(answers)
    return picks + c * relations * answers * math.log2(vocabulary / answers)


def counting_bits(parameters: int, n_facts: int, outputs: int, degree: int = 1) -> float:
    """log2 of how many maps from N keys to M outputs P real parameters can realise, at most.

    P log2(4 e q s/P) with s = N M (M − 1)/2, after Warren (1968): which output leads for each key is settled
    by the signs of the s score differences, polynomials of degree ≤ q in the parameters, which take no more
    than (4 e q s/P)^P sign patterns. Never above N log2 M. It holds at any precision, for scores that are
    polynomials: q = 1 for W, 2 for its two factors, 3 for the bilinear gated memory; not for ReLU.

    Raises:
        SettingError: P, N or q below 1, or M below 2.
    """
    _check_counting(parameters=parameters, n_facts=n_facts, outputs=outputs, degree=degree)
    every = bits_of_facts(n_facts, outputs)
    differences = n_facts * outputs * (outputs - 1) / 2
    if parameters >= differences:
        return every
    return min(every, parameters * math.log2(4 * math.e * degree * differences / parameters))


def counting_parameters(n_facts: int, outputs: int, degree: int = 1) -> int:
    """Smallest P with which :func:`counting_bits` lets a memory store *every* map of N keys to M outputs.

    Raises:
        SettingError: N or q below 1, or M below 2.
    """
    _check_counting(n_facts=n_facts, outputs=outputs, degree=degree)
    return max(1, math.ceil(n_facts / _facts_per_parameter(outputs, degree) * (1 - 1e-12)))


def counting_facts(parameters: int, outputs: int, degree: int = 1) -> int:
    """Largest N of which :func:`counting_bits` lets P parameters store *every* map to M outputs.

    Raises:
        SettingError: P or q below 1, or M below 2.
    """
    _check_counting(parameters=parameters, outputs=outputs, degree=degree)
    return math.floor(parameters * _facts_per_parameter(outputs, degree) * (1 + 1e-12))


def _facts_per_parameter(outputs: int, degree: int) -> float:
    """The larger root x = N/P of x log2 M = log2(2 e q x M (M − 1)); the bound holds up to there."""
    from scipy.special import lambertw

    log_m = math.log(outputs)
    slope = 2 * math.e * degree * outputs * (outputs - 1)
    return float(-lambertw(-log_m / slope, -1).real / log_m)


def _check_counting(**sizes: int) -> None:
    for name, size in sizes.items():
        at_least(name, size, 2 if name == "outputs" else 1)
