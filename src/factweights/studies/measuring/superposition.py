"""The least dimension at which superposed embeddings and a selector recall every fact."""

import itertools
import time

import numpy as np
import torch

from factweights.methods.superposition import Superposition, superpose
from factweights.searching import threshold
from factweights.seeds import numbered
from factweights.studies.measuring.results import SuperpositionResult

WITHIN = 0.02  # of d: a closer bracket is below what seeds differ by


def measure_superposition(subjects: int, relations: int, embedding: str, seed: int) -> SuperpositionResult:
    """Bisect d for R random bijections among N subjects and N answers; both edges on the real forward.

    Recall is not quite monotone in d, as every d has answers and signs of its own: the edge found is one.

    Args:
        subjects, relations: N and R.
        embedding: ``sum`` or ``fit``.
        seed: of bijections, answers and signs.
    """
    begun = time.perf_counter()
    rng = numbered(seed, 0x5E1EC7)  # apart from the streams of answers and signs
    answer_of = torch.from_numpy(np.stack([rng.permutation(subjects) for _ in range(relations)]))

    made: dict[int, Superposition] = {}

    def recalled(d: int) -> bool:
        made[d] = superpose(answer_of, d, embedding=embedding, seed=seed)
        return made[d].verify().n_missed == 0

    low, high = threshold(recalled, relations, WITHIN, factors=itertools.repeat(2.0))
    found = made[high].verify()
    relu = superpose(answer_of, high, embedding=embedding, selector="relu", seed=seed).verify()
    return {
        "d": high,
        "failed_at": low,
        "facts": found.facts,
        "recall": found.recall,
        "proved": found.n_proved,
        "recall_relu": relu.recall,
        "min_margin": found.min_margin,
        "selector_parameters": relations * high,
        "seconds": time.perf_counter() - begun,
    }
