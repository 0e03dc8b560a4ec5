"""The population's gradient flow as an ordinary differential equation, whole and reduced by symmetry.

    dw(z)/dt = ⟨O(·, z), g(z)⟩,   dO(·, z)/dt = w(z) g(z),   g(z) = E[count of z × (e_{a*} − p̂)],

with g of one noise token shared out among all of them. w(z)² − ‖O(·, z)‖² does not change.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from factweights.dynamics.classes import Classes
from factweights.dynamics.population import Array, Population, log_softmax


@dataclass(frozen=True, eq=False)
class Cells:
    """What the readings need to know of the entries of ``log_shares``, one for each kind of answer of a fact.

    Attributes:
        weight: ``(Q,)`` the fact's probability where the answer is the right one, else 0.
        expected: ``(Q,)`` the fact's probability × p(a|r), over all answers of that kind.
        likely: ``(Q,)`` p(a|r).
        inside: ``(Q,)`` how many of these answers lie in the relation's answer set: all or none.
        starts: ``(F,)`` where each kind of fact begins.
        fact_weight: ``(F,)`` probabilities.
    """

    weight: Float[Array, " q"]
    expected: Float[Array, " q"]
    likely: Float[Array, " q"]
    inside: Float[Array, " q"]
    starts: Int[Array, " f"]
    fact_weight: Float[Array, " f"]

    @classmethod
    def of_facts(cls, p: Population, facts: Int[Array, " f"], weight: Float[Array, " f"]) -> "Cells":
        """Those of prompts for these facts with all answers, each prompt of that weight."""
        likely = p.of_relation[p.relation[facts]]
        right = np.zeros_like(likely)
        right[np.arange(len(facts)), p.target[facts]] = weight
        return cls(
            right.ravel(),
            (likely * weight[:, None]).ravel(),
            likely.ravel(),
            p.answer_sets[p.relation[facts]].astype(float).ravel(),
            np.arange(len(facts)) * p.n_answers,
            weight,
        )


class System(ABC):
    """An autonomous system dy/dt = field(y) that stands for the flow of one population.

    Attributes:
        size: variables.
        population: whose flow it is.
        cells: what stands behind each entry of :meth:`log_shares`.
        copies: ``(size,)`` how many weights of the model each variable stands for.
    """

    size: int
    population: Population
    cells: Cells
    copies: Float[Array, " y"]

    @abstractmethod
    def pack(self, w: Float[Array, " z"], O: Float[Array, "z a"]) -> Float[Array, " y"]:
        """The state that stands for these weights."""

    @abstractmethod
    def unpack(self, y: Float[Array, " y"]) -> tuple[Float[Array, " z"], Float[Array, "z a"]]:
        """The weights that a state stands for."""

    @abstractmethod
    def log_shares(self, y: Float[Array, " y"]) -> Float[Array, " q"]:
        """ln p̂ of one answer of each kind."""

    @abstractmethod
    def field(self, y: Float[Array, " y"]) -> Float[Array, " y"]:
        """dy/dt."""

    def loss(self, y: Float[Array, " y"]) -> float:
        """Cross-entropy of the population in nats."""
        return float(-self.cells.weight @ self.log_shares(y))


@final
class FullSystem(System):
    """Every weight a variable: Z (A + 1) of them."""

    def __init__(self, population: Population) -> None:
        p = self.population = population
        self.size = p.n_tokens * (p.n_answers + 1)
        many = np.round(1 / p.pace)
        self.copies = self.pack(many, np.repeat(many[:, None], p.n_answers, 1))
        self.cells = Cells.of_facts(p, np.arange(len(p.target)), p.probability)

    def pack(self, w: Float[Array, " z"], O: Float[Array, "z a"]) -> Float[Array, " y"]:
        """First all w, then O token by token."""
        return np.concatenate([w, O.ravel()])

    def unpack(self, y: Float[Array, " y"]) -> tuple[Float[Array, " z"], Float[Array, "z a"]]:
        """Views of the state."""
        Z = self.population.n_tokens
        return y[:Z], y[Z:].reshape(Z, -1)

    def log_shares(self, y: Float[Array, " y"]) -> Float[Array, " q"]:
        """ln p̂ of every answer of every fact."""
        return log_softmax(self.population.logits(*self.unpack(y))).ravel()

    def field(self, y: Float[Array, " y"]) -> Float[Array, " y"]:
        """dy/dt."""
        p = self.population
        w, O = self.unpack(y)
        g = p.drive(p.residuals(p.logits(w, O)))
        dy = np.empty_like(y)
        dw, dO = self.unpack(dy)
        np.einsum("za,za->z", O, g, out=dw)
        np.multiply(w[:, None], g, out=dO)
        return dy


@final
class ReducedSystem(System):
    """One variable for each class of weights that stay equal.

    Claim: if the classes are invariant (see :class:`Classes`), the reduced flow is the full flow. Facts whose
    prompts see the same classes have the same logits, so one fact of each kind is computed, and of its
    answers one of each kind, with its multiplicity.
    """

    def __init__(self, population: Population, classes: Classes) -> None:
        p = self.population = population
        self.classes = classes
        self.n_w = len(classes.first_w)
        self.size = self.n_w + len(classes.first_o)
        kinds = self._kinds = classes.kinds(p)
        self._ln_many = np.log(kinds.many)
        self._pull = _pull(p, classes, kinds.of)
        self._w_of_O = classes.w[classes.first_o // p.n_answers]  # the w before each class of O
        by_token = classes.O.reshape(p.n_tokens, p.n_answers)
        self._many = np.zeros((self.n_w, len(classes.first_o)))  # ⟨O(z), ·⟩ over the classes of O
        for k, z in enumerate(classes.first_w):
            np.add.at(self._many[k], by_token[z], 1)
        many = np.round(1 / p.pace)
        of_w, of_O = classes.w, classes.O
        self.copies = np.concatenate(
            [np.bincount(of_w, many), np.bincount(of_O, np.repeat(many, p.n_answers))]
        )
        share = kinds.weight[kinds.fact]
        likely = p.of_relation[p.relation[kinds.first], kinds.answer]
        inside = p.answer_sets[p.relation[kinds.first], kinds.answer]
        self.cells = Cells(
            share * kinds.right,
            share * likely * kinds.many,
            likely,
            inside * kinds.many,
            kinds.starts,
            kinds.weight,
        )

    def pack(self, w: Float[Array, " z"], O: Float[Array, "z a"]) -> Float[Array, " y"]:
        """The first weight of each class."""
        return np.concatenate([w[self.classes.first_w], O.ravel()[self.classes.first_o]])

    def unpack(self, y: Float[Array, " y"]) -> tuple[Float[Array, " z"], Float[Array, "z a"]]:
        """Every weight that of its class."""
        w = y[: self.n_w][self.classes.w]
        return w, y[self.n_w :][self.classes.O].reshape(len(w), -1)

    def log_shares(self, y: Float[Array, " y"]) -> Float[Array, " q"]:
        """ln p̂ of one answer of each kind."""
        kinds = self._kinds
        logits = (y[kinds.w] * y[self.n_w + kinds.O]) @ self.population.times_of
        raised = logits + self._ln_many
        top = np.maximum.reduceat(raised, kinds.starts)
        total = np.add.reduceat(np.exp(raised - top[kinds.fact]), kinds.starts)
        return logits - (top + np.log(total))[kinds.fact]

    def field(self, y: Float[Array, " y"]) -> Float[Array, " y"]:
        """dy/dt."""
        g = self._pull @ (self._kinds.right - np.exp(self.log_shares(y)))
        w, O = y[: self.n_w], y[self.n_w :]
        return np.concatenate([self._many @ (O * g), w[self._w_of_O] * g])


def _pull(population: Population, classes: Classes, of: np.ndarray) -> "sparse.csr_array | np.ndarray":
    """``(classes of O, kinds)``: g of the first weight of each class from ρ of each kind of answer."""
    p, A = population, population.n_answers
    token, answer = np.divmod(classes.first_o, A)
    by_token = sparse.csr_array(p.gather)
    rows, columns, values = [], [], []
    for o, (z, a) in enumerate(zip(token, answer, strict=True)):
        low, high = by_token.indptr[z], by_token.indptr[z + 1]
        facts = by_token.indices[low:high]
        rows.append(np.full(len(facts), o))
        columns.append(of[facts, a])
        values.append(by_token.data[low:high])
    shape = (len(classes.first_o), int(of.max()) + 1)
    found = sparse.coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape
    ).tocsr()
    return found.toarray() if shape[0] * shape[1] <= 1 << 16 else found
