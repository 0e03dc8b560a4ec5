"""Random people for capacity: names and attributes drawn uniformly, so that their bits are known.

After the synthetic biographies of arXiv 2404.05405: a person has a name and a few attributes, each drawn
independently and uniformly, and is told in one line, attributes in a new order at every exposure. Words here
are tokens: a name is a few syllables, an attribute a phrase and a value.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from factweights.errors import SettingError
from factweights.seeds import numbered

PHRASES = (
    "was born in",
    "works for",
    "once studied",
    "now lives in",
    "likes to play",
    "is married to",
    "collects",
    "is afraid of",
)
BEGIN = 0  # the token that begins every line


@dataclass(frozen=True)
class Population:
    """So many people, drawn with a seed.

    Tokens: 0 begins a line; then come the syllables, the phrases and the values.

    Attributes:
        people: N.
        syllables: of a name, each one of ``alphabet``; N0 = ``alphabet`` ** ``syllables`` names.
        alphabet: different syllables.
        attributes: of a person, each one of ``values``; S0 = ``values`` ** ``attributes``.
        values: different values, shared by all attributes.
        seed: of names and values.

    Raises:
        SettingError: more people than half the names, or sizes that mean nothing.
    """

    people: int
    syllables: int = 4
    alphabet: int = 32
    attributes: int = 5
    values: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.people, self.syllables, self.alphabet, self.values) < 1 or not (
            1 <= self.attributes <= len(PHRASES)
        ):
            raise SettingError(f"sizes are at least 1 and attributes at most {len(PHRASES)}; got {self}")
        if 2 * self.people > self.alphabet**self.syllables:
            raise SettingError(
                f"{self.people:,} people need more than {self.alphabet**self.syllables:,} names; "
                "give more syllables"
            )

    @property
    def vocabulary(self) -> int:
        """Tokens there are."""
        return 1 + self.alphabet + self.attributes + self.values

    @property
    def length(self) -> int:
        """Tokens of a line."""
        return 1 + self.syllables + 2 * self.attributes

    @property
    def name_bits(self) -> float:
        """log2 N0 of one name."""
        return self.syllables * math.log2(self.alphabet)

    @property
    def attribute_bits(self) -> float:
        """log2 S0 of one person's attributes."""
        return self.attributes * math.log2(self.values)

    @property
    def bits(self) -> float:
        """What there is to know: the set of names and everybody's attributes."""
        n0 = self.alphabet**self.syllables
        names = math.lgamma(n0 + 1) - math.lgamma(self.people + 1) - math.lgamma(n0 - self.people + 1)
        return names / math.log(2) + self.people * self.attribute_bits

    @cached_property
    def names(self) -> np.ndarray:
        """``(N, syllables)`` tokens; no two people share a name."""
        rng = numbered(self.seed, 0)
        total = self.alphabet**self.syllables
        drawn = np.empty(0, np.int64)
        while len(drawn) < self.people:  # at most half of all names are wanted, so this ends soon
            drawn = np.unique(np.concatenate([drawn, rng.integers(0, total, 2 * self.people)]))
        drawn = rng.permutation(drawn)[: self.people]
        digits = [drawn // self.alphabet**k % self.alphabet for k in range(self.syllables)]
        return 1 + np.stack(digits, axis=1)

    @cached_property
    def told(self) -> np.ndarray:
        """``(N, attributes)`` tokens of the values."""
        rng = numbered(self.seed, 1)
        drawn = rng.integers(0, self.values, (self.people, self.attributes))
        return 1 + self.alphabet + self.attributes + drawn

    def lines(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """``(n, length)`` tokens: the people at ``rows``, each with the attributes in an order of its own."""
        order = rng.permuted(np.tile(np.arange(self.attributes), (len(rows), 1)), axis=1)
        line = np.empty((len(rows), self.length), np.int64)
        line[:, 0] = BEGIN
        line[:, 1 : 1 + self.syllables] = self.names[rows]
        line[:, 1 + self.syllables :: 2] = 1 + self.alphabet + order
        line[:, 2 + self.syllables :: 2] = np.take_along_axis(self.told[rows], order, axis=1)
        return line

    def knowledge(self, name_nats: float, attribute_nats: float) -> tuple[float, float]:
        """Bits that a model knows for certain of names and of attributes, by the bound of arXiv 2404.05405.

        N log2(N0 / e^p1) + N log2(S0 / e^p2), p1 and p2 being the mean summed losses in nats over the tokens
        of a name and of a person's values; neither part below 0.
        """
        names = self.people * max(0.0, self.name_bits - name_nats / math.log(2))
        told = self.people * max(0.0, self.attribute_bits - attribute_nats / math.log(2))
        return names, told
