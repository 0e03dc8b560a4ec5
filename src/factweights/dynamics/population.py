"""The recall task as the population sees it: every fact with its probability, every prompt in expectation.

One head of linear attention over orthonormal embeddings. Only w(z), the weight that EOS gives to token z, and
O(·, z), what a token adds to the answers' logits, matter (after section 5 of arXiv 2412.06538):

    logits(prompt) = Σ_t w(z_t) O(·, z_t),   p̂ = softmax(logits),   loss = E[−ln p̂(a*)].

Noise tokens that start equal stay equal, and T − 3 of them stand in every prompt, so their sum is
(T − 3) w_n O(·, n) whatever was drawn: the population's loss and gradient need no sampling.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from factweights.facts import RecallTask

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Population:
    """Facts and probabilities as arrays; tokens are subjects, relations, EOS and one noise token for all.

    Attributes:
        subject, relation, target: ``(N,)`` ids of each fact.
        probability: ``(N,)``, sums to 1.
        n_subjects, n_relations, n_answers: S, R and A.
        n_noise: noise tokens that the one stands for; 0 for none.
        spare: T − 3, noise positions of a prompt.
    """

    subject: Int[Array, " n"]
    relation: Int[Array, " n"]
    target: Int[Array, " n"]
    probability: Float[Array, " n"]
    n_subjects: int
    n_relations: int
    n_answers: int
    n_noise: int
    spare: int

    @classmethod
    def of(cls, task: RecallTask) -> "Population":
        """That of a recall task."""
        return cls(
            task.subject.numpy(),
            task.relation.numpy(),
            task.target.numpy(),
            task.probability.numpy(),
            task.n_subjects,
            task.n_relations,
            task.n_answers,
            task.n_noise if task.length > 3 else 0,
            task.length - 3,
        )

    @property
    def n_tokens(self) -> int:
        """Z: subjects, relations, EOS and, where there is noise, the noise token."""
        return self.n_subjects + self.n_relations + 1 + bool(self.n_noise)

    @property
    def eos(self) -> int:
        """Its place among the tokens; the noise token comes after it."""
        return self.n_subjects + self.n_relations

    @cached_property
    def tokens_of(self) -> Int[Array, "n k"]:
        """``(N, 3 or 4)`` the tokens in each fact's prompt: subject, relation, EOS and noise."""
        n = len(self.subject)
        columns = [self.subject, self.relation + self.n_subjects, np.full(n, self.eos)]
        if self.n_noise:
            columns.append(np.full(n, self.eos + 1))
        return np.stack(columns, 1)

    @cached_property
    def times_of(self) -> Float[Array, " k"]:
        """How often each of them stands there: 1, 1, 1 and T − 3."""
        return np.array([1.0, 1.0, 1.0, float(self.spare)][: self.tokens_of.shape[1]])

    @cached_property
    def pace(self) -> Float[Array, " z"]:
        """``(Z,)`` 1, and 1/noise tokens for the noise token: they share the gradient among them."""
        pace = np.ones(self.n_tokens)
        if self.n_noise:
            pace[-1] = 1 / self.n_noise
        return pace

    @cached_property
    def counts(self) -> "sparse.csr_array":
        """``(N, Z)`` the mean prompt of each fact as token counts."""
        n, k = self.tokens_of.shape
        return sparse.csr_array(
            (np.tile(self.times_of, n), self.tokens_of.ravel(), np.arange(n + 1) * k), (n, self.n_tokens)
        )

    @cached_property
    def gather(self) -> "sparse.csr_array":
        """``(Z, N)`` from the residuals of facts to the drive of tokens, probabilities and pace included."""
        scaled = self.counts.T.multiply(self.pace[:, None]).multiply(self.probability[None])
        return sparse.csr_array(scaled)

    @cached_property
    def answer_sets(self) -> np.ndarray:
        """``(R, A)`` which answers occur with which relation."""
        sets = np.zeros((self.n_relations, self.n_answers), dtype=bool)
        sets[self.relation, self.target] = True
        return sets

    @cached_property
    def of_relation(self) -> Float[Array, "r a"]:
        """p(a | r) of the table: the best predictor that ignores the subject."""
        joint = np.zeros((self.n_relations, self.n_answers))
        np.add.at(joint, (self.relation, self.target), self.probability)
        return joint / np.maximum(joint.sum(1, keepdims=True), 1e-300)

    @cached_property
    def relation_entropy(self) -> float:
        """H(a|r) in nats, its cross-entropy."""
        rows = np.arange(len(self.target))
        return float(-self.probability @ np.log(self.of_relation[self.relation[rows], self.target]))

    # -- the model ---------------------------------------------------------------------------------------

    def logits(self, w: Float[Array, " z"], O: Float[Array, "z a"]) -> Float[Array, "n a"]:
        """Of every fact's prompt."""
        return self.counts @ (w[:, None] * O)

    def residuals(self, logits: Float[Array, "n a"]) -> Float[Array, "n a"]:
        """ρ = e_{a*} − p̂ of every fact."""
        rho = -softmax(logits)
        rho[np.arange(len(rho)), self.target] += 1
        return rho

    def drive(self, residuals: Float[Array, "n a"]) -> Float[Array, "z a"]:
        """g(z) = E[count of z × ρ]: what pulls on w(z) O(·, z). Of one noise token for the noise."""
        return self.gather @ residuals

    def loss(self, logits: Float[Array, "n a"]) -> float:
        """Cross-entropy in nats."""
        return float(self.probability @ -log_softmax(logits)[np.arange(len(logits)), self.target])


def softmax(logits: Float[Array, "*n a"]) -> Float[Array, "*n a"]:
    """Over the last axis."""
    e = np.exp(logits - logits.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    return e


def log_softmax(logits: Float[Array, "*n a"]) -> Float[Array, "*n a"]:
    """Over the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
