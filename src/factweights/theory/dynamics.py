"""When a linear-attention model learns relations and subjects: growth rates and the paper's condition.

After section 5 of arXiv 2412.06538, for balanced tables of S subjects, R relations and D answers for each.
The rates are derived for this project: at a start near 0 the flow of token z is linear, dw = ⟨O, g⟩ and
dO = w g with g(z) = E[count of z × (e_{a*} − p̂)], so w grows as e^{‖g‖ t}.
"""

import math

from factweights.theory.checks import at_least


def relation_rate(relations: float, answers: float) -> float:
    """λ_rel = √((1 − 1/R) / D) / R per unit of time: how fast relations grow from a small start.

    Args:
        relations: R; 0 for a single relation, which there is nothing to learn of.
        answers: D.
    """
    at_least("relations", relations, 1)
    at_least("answers", answers, 1)
    return math.sqrt((1 - 1 / relations) / answers) / relations


def subject_rate(subjects: float, relations: float, answers: float) -> float:
    """λ_sub = √(1 − 1/D) / (S √R): how fast subjects grow, before and on the plateau."""
    at_least("subjects", subjects, 1)
    at_least("relations", relations, 1)
    at_least("answers", answers, 1)
    return math.sqrt(1 - 1 / answers) / (subjects * math.sqrt(relations))


def growth_time(rate: float, init: float, outputs: float) -> float:
    """λ⁻¹ ln(1/(α √A)): until something that grows at that rate is of order one; infinite at rate 0.

    Args:
        rate: λ.
        init: α, the size of each weight at the start; 0 time if α √A is above 1.
        outputs: A, answers in all.
    """
    at_least("rate", rate, 0)
    at_least("outputs", outputs, 1)
    at_least("init", init, 1e-300, "nothing grows from 0")
    return math.inf if rate == 0 else max(0.0, -math.log(init * math.sqrt(outputs))) / rate


def paper_condition(relations: float, answers: float) -> float:
    """8 R √(2 D): from that many subjects on, theorem 6 of arXiv 2412.06538 promises a plateau."""
    at_least("relations", relations, 1)
    at_least("answers", answers, 1)
    return 8 * relations * math.sqrt(2 * answers)


def rate_ratio(subjects: float, relations: float, answers: float) -> float:
    """λ_rel/λ_sub = S/√(R D) × √((1 − 1/R)/(1 − 1/D)): above 1 relations are learnt first; inf for D = 1."""
    slow = subject_rate(subjects, relations, answers)
    return relation_rate(relations, answers) / slow if slow else math.inf


def plateau_time(subjects: float, relations: float, answers: float, init: float) -> float:
    """(1/λ_sub − 1/λ_rel) ln(1/(α √A)), A = R D: between relations and subjects; 0 where these come first."""
    outputs = relations * answers
    slow = growth_time(subject_rate(subjects, relations, answers), init, outputs)
    fast = growth_time(relation_rate(relations, answers), init, outputs)
    return max(0.0, slow - fast) if math.isfinite(fast) else 0.0
