"""How many dimensions a subject needs to hold one answer for each relation, read by the relation's selector.

After the construction of arXiv 2605.12426, of which its abstract was at hand and no constant: subjects are
superpositions of their answers. Both laws are derived for this project.
"""

import math

from factweights.theory.checks import at_least
from factweights.theory.delta import delta


def superposition_dimension(subjects: float, relations: float) -> float:
    """d at which plain sums recall all R N facts with even odds; about 8 R ln N for many subjects.

    The margin of a fact over another answer has mean 1 and, of unit answers in random directions, variance
    (2R − 1)/d: 1/d from the overlap of the two, 2/d from each other relation. With all N − 1 competitors of
    all R N facts taken as independent, misses are Poisson of mean R N (N − 1) Q(√(d/(2R − 1))): here ln 2.
    For one relation it is too careful: distinct unit vectors never err.

    Args:
        subjects: N, as many as answers.
        relations: R.
    """
    from scipy.special import ndtri

    at_least("subjects", subjects, 2)
    at_least("relations", relations, 1)
    pairs = relations * subjects * (subjects - 1)
    return (2 * relations - 1) * float(ndtri(math.log(2) / pairs)) ** 2


def best_superposition_dimension(subjects: float, relations: float) -> float:
    """R δ(N), about 2 R ln N: d at which some embedding of a typical subject holds its R answers.

    The law of one matrix, N δ(M) = d_in d_out, for a subject: R facts among N answers, d free numbers. All
    subjects need the dimension of the worst of them, which is somewhat more.

    Args:
        subjects: N, as many as answers.
        relations: R.
    """
    at_least("subjects", subjects, 2)
    at_least("relations", relations, 1)
    return relations * delta(subjects)
