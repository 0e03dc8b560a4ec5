"""Known subjects with known relations that have no fact: what is to be answered <unk>."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from scipy.special import entr
from torch import Tensor

from factweights.errors import NotStorableError
from factweights.export.names import Vocabulary
from factweights.facts import FactTable

MOST = 1 << 28  # pairs of a subject and a relation that are told apart one by one
BITS = 0.8  # δ(M) per bit of an answer: δ(1024) is 8.2


class Pairs(NamedTuple):
    """Indices of subjects and of relations in the vocabulary."""

    subject: Int[Tensor, " a"]
    relation: Int[Tensor, " a"]


NO_PAIRS = Pairs(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))


@dataclass(frozen=True)
class Absence:
    """All pairs without a fact.

    Attributes:
        facts: ``(S, R)`` whether there is one.
    """

    facts: Bool[np.ndarray, "s r"]

    @classmethod
    def of(cls, table: FactTable, vocabulary: Vocabulary) -> "Absence":
        """Among all names that a model knows.

        Raises:
            NotStorableError: more pairs than can be told apart.
        """
        n_s, n_r = len(vocabulary.subjects), len(vocabulary.relations)
        if n_s * n_r > MOST:
            raise NotStorableError(
                f"{n_s:,} subjects and {n_r:,} relations are {n_s * n_r:,} pairs, too many to ask which have "
                "no fact; store the facts without their absence (absence=False)"
            )
        s, r = ({name: i for i, name in enumerate(x)} for x in (vocabulary.subjects, vocabulary.relations))
        facts = np.zeros((n_s, n_r), dtype=bool)
        facts[[s[x] for x in table.subject], [r[x] for x in table.relation]] = True
        return cls(facts)

    @cached_property
    def count(self) -> int:
        """How many pairs have no fact."""
        return int(self.facts.size - self.facts.sum())

    def all(self) -> Pairs:
        """Every one of them."""
        return _pairs(*np.nonzero(~self.facts))

    def some(self, most: int, seed: int) -> Pairs:
        """All of them, or ``most`` drawn at random."""
        found = self.all()
        if self.count <= most:
            return found
        drawn = np.random.default_rng(seed).choice(self.count, most, replace=False)
        return Pairs(*(x[np.sort(drawn)] for x in found))

    @property
    def dimensions(self) -> float:
        """What they take of the parameters, as N δ(M) says it of facts: the bits that say which they are."""
        share = self.count / self.facts.size
        return BITS * self.facts.size * float(entr(share) + entr(1 - share)) / np.log(2)


def _pairs(subject: np.ndarray, relation: np.ndarray) -> Pairs:
    return Pairs(torch.from_numpy(subject), torch.from_numpy(relation))
