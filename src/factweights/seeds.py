"""One seed in, independent streams out: every random number of a call comes from the seed it was given.

The rule. A call has one seed, an integer of at least 0, and draws

- facts, embeddings and targets from :func:`generators`: children of the seed, by their place;
- what a method draws from :func:`streams`: children of the seed *and the method's name*, as facts and methods
  are often given the same seed and a method's first weights must not be the keys themselves;
- a second use of one seed, which must share no draw with the first, from :func:`numbered`: the seed and the
  number of the use;
- where a seed is handed on to a call that derives its own streams, a seed from :func:`apart`: the seed plus
  an offset that has a name here. Nowhere else is a seed calculated with.

New offsets are large primes or powers of two, so that seeds 0, 1, 2, … of one use do not run into those of
another. The small ones (1, 7) are older than the rule and stay, as published numbers were drawn with them.
"""

from typing import Literal

import numpy as np

from factweights.errors import SettingError

Use = Literal["searched", "polished", "tested", "compared", "judged", "regrouped", "asked", "row"]

OFFSETS: dict[Use, int] = {
    "searched": 7,  # prompts that judge a size of a search
    "polished": 1,  # prompts that a fit is polished on
    "tested": 7_919,  # prompts between the stages of a fit
    "judged": 7_919,  # key noise that judges a fit, not the noise it was fitted under
    "compared": 15_485_863,  # prompts by which candidates are compared
    "regrouped": 1_000_003,  # times the number of the grouping that is tried
    "row": 1,  # bootstraps of the rows of one table, one each
    "asked": 2**32,  # prompts of a measurement, drawn by torch: to numpy this seed would be numbered(s, 1)
}


NOISY = 1_000_003  # between the seeds of fits: more than 100 draws in each of 10,000 rounds take


def checked_seed(seed: int) -> int:
    """``seed`` itself.

    Raises:
        SettingError: it is negative.
    """
    if seed < 0:
        raise SettingError(f"a seed is an integer ≥ 0, got {seed}")
    return seed


def generators(seed: int, count: int) -> list[np.random.Generator]:
    """Independent streams for keys, values and targets; the first few do not depend on ``count``."""
    children = np.random.SeedSequence(checked_seed(seed)).spawn(count)
    return [np.random.Generator(np.random.PCG64(s)) for s in children]


def streams(seed: int, name: str, count: int) -> list[np.random.Generator]:
    """``count`` independent generators of the method ``name``.

    Raises:
        SettingError: a negative seed.
    """
    sequence = np.random.SeedSequence([checked_seed(seed), int.from_bytes(name.encode(), "big")])
    return [np.random.Generator(np.random.PCG64(s)) for s in sequence.spawn(count)]


def numbered(seed: int, use: int) -> np.random.Generator:
    """The stream of one numbered use of ``seed``; another number, another stream."""
    return np.random.default_rng([seed, use])


def apart(seed: int, use: Use, times: int = 1) -> int:
    """A seed to hand on, for a use that must share no draw with others of ``seed``."""
    return seed + times * OFFSETS[use]


def of_noise(seed: int, round_: int, draw: int) -> int:
    """The seed of one draw of key noise in one round of a fit, as torch takes it."""
    return (NOISY * (seed + 1) + 100 * round_ + draw) % 2**63
