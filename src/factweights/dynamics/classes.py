"""Which weights stay equal: the symmetries of a table found by looking at where the flow goes.

A table with symmetries (subjects with like answers, answers asked equally often) and a start that respects
them has weights that never part. Instead of searching for permutations, the classes are refined until the
flow keeps them: begin with weights that start equal; give every class a random value; weights of one class
whose derivatives differ go apart; repeat until nothing changes. The field is analytic, so a partition that is
kept at a random point of its subspace is kept, with probability one, everywhere on it, and that subspace is
invariant. A further round at a fresh point guards against coincidences.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int

from factweights.dynamics.population import Array, Population

TOLERANCE = (
    1e-9  # derivatives that differ by less, relative to the largest, are the same sum in another order
)
CONFIRMED = 2  # rounds in a row that must split no class


@final
@dataclass(frozen=True, eq=False)
class Kinds:
    """Facts and their answers by kind, laid out fact after fact.

    Attributes:
        w, O: ``(Q, 3 or 4)`` the classes of w and O that make up the logit, one column for each token.
        right: ``(Q,)`` whether it is the right answer.
        many: ``(Q,)`` answers of that kind.
        fact: ``(Q,)`` which kind of fact it belongs to.
        first, answer: ``(Q,)`` a fact and an answer of that kind.
        weight: ``(F,)`` probability of each kind of fact.
        starts: ``(F,)`` where each kind of fact begins.
        of: ``(N, A)`` the kind of every answer of every fact.
    """

    w: Int[Array, "q k"]
    O: Int[Array, "q k"]
    right: Float[Array, " q"]
    many: Float[Array, " q"]
    fact: Int[Array, " q"]
    first: Int[Array, " q"]
    answer: Int[Array, " q"]
    weight: Float[Array, " f"]
    starts: Int[Array, " f"]
    of: Int[Array, "n a"]


@final
@dataclass(frozen=True, eq=False)
class Classes:
    """A partition of the weights that the flow keeps.

    Attributes:
        w: ``(Z,)`` class of each w(z).
        O: ``(Z A,)`` class of each O(a, z), token by token.
        first_w, first_o: the first weight of each class.
    """

    w: Int[Array, " z"]
    O: Int[Array, " za"]
    first_w: Int[Array, " i"]
    first_o: Int[Array, " j"]

    @classmethod
    def of(cls, population: Population, w: Float[Array, " z"], O: Float[Array, "z a"]) -> "Classes":
        """The coarsest partition that the start respects and the flow keeps."""
        label_w = _split(np.zeros(len(w), dtype=np.int64), w)
        label_O = _split(np.zeros(O.size, dtype=np.int64), O.ravel())
        likely = np.full(O.shape, -1.0)  # and weights of a relation part where p(a|r) does, for the readings
        likely[population.n_subjects : population.eos] = population.of_relation
        label_O = _split(label_O, likely.ravel())
        rng = np.random.default_rng(0)
        calm = 0
        while calm < CONFIRMED:
            before = label_w.max() + label_O.max()
            if before + 2 == w.size + O.size:
                break
            some_w, some_O = (rng.normal(size=n.max() + 1)[n] for n in (label_w, label_O))
            some_O = some_O.reshape(O.shape)
            g = population.drive(population.residuals(population.logits(some_w, some_O)))
            terms = some_O * g
            # terms may cancel to nothing but rounding, so their sizes set the scale, not their sum
            label_w = _split(label_w, terms.sum(1), float(np.abs(terms).sum(1).max()))
            label_O = _split(label_O, (some_w[:, None] * g).ravel())
            calm = calm + 1 if label_w.max() + label_O.max() == before else 0
        return cls(label_w, label_O, _firsts(label_w), _firsts(label_O))

    def kinds(self, population: Population) -> Kinds:
        """The kinds of facts and answers."""
        p = population
        tokens = p.tokens_of
        of_w = self.w[tokens]  # (N, k)
        of_O = self.O.reshape(p.n_tokens, p.n_answers)[tokens]  # (N, k, A)
        right = np.zeros((len(tokens), p.n_answers), dtype=bool)
        right[np.arange(len(tokens)), p.target] = True
        pair = _hash_pairs(of_w, of_O, right)
        # the sum over answers of well-mixed hashes names the multiset of them
        fact = np.unique(_mixed(pair).sum(1), return_inverse=True)[1].reshape(-1)
        both = _mixed(pair ^ _mixed(fact.astype(np.uint64))[:, None])
        _, first, of = np.unique(both.ravel(), return_index=True, return_inverse=True)
        by_fact = np.argsort(fact[first // p.n_answers], kind="stable")
        rank = np.empty_like(by_fact)
        rank[by_fact] = np.arange(len(by_fact))
        first, of = first[by_fact], rank[of]
        n, a = np.divmod(first, p.n_answers)
        first_fact = _firsts(fact)
        of = of.reshape(pair.shape)
        many = np.bincount(of[first_fact].ravel(), minlength=len(first)).astype(float)
        return Kinds(
            of_w[n],
            of_O[n, :, a],
            right[n, a].astype(float),
            many,
            fact[n],
            n,
            a,
            np.bincount(fact, p.probability),
            np.unique(fact[n], return_index=True)[1],
            of,
        )


def _hash_pairs(w: Int[Array, "n k"], O: Int[Array, "n k a"], right: Bool[Array, "n a"]) -> "np.ndarray":
    """``(N, A)`` uint64, the same for answers that see the same classes."""
    h = right.astype(np.uint64)
    for j in range(w.shape[1]):
        for part in (w[:, j, None], O[:, j]):
            h = _mixed(h ^ part.astype(np.uint64))
    return h


def _mixed(x: "np.ndarray") -> "np.ndarray":
    """Each 64-bit word scrambled, one to one (the finaliser of splitmix64)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _split(
    labels: Int[Array, " n"], values: Float[Array, " n"], scale: float | None = None
) -> Int[Array, " n"]:
    """Finer labels: apart where the labels were or where the values, of size ``scale``, are."""
    order = np.lexsort((values, labels))
    ranked, sorted_labels = values[order], labels[order]
    scale = float(np.abs(values).max()) if scale is None else scale
    apart = np.diff(ranked) > TOLERANCE * max(scale, 1e-300)
    new = np.concatenate([[0], np.cumsum(apart | (np.diff(sorted_labels) > 0))])
    out = np.empty_like(labels)
    out[order] = new
    return out


def _firsts(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_index=True)[1]
