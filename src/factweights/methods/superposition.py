"""Facts in the embeddings of subjects, read by a selector that knows relations and no fact.

After arXiv 2605.12426: R bijections from N subjects to N shared answers. A subject is a superposition of
its answers, and the MLP is a relation-conditioned selector. Here answer a has a random unit vector u_a,
relation r random signs σ_r ∈ {±1}^d, and

    e_s = Σ_r σ_r ⊙ u_{a(s,r)},   F([e_s, 1_r]) = σ_r ⊙ e_s = u_{a(s,r)} + Σ_{q≠r} σ_r ⊙ σ_q ⊙ u_{a(s,q)},

as σ_r ⊙ σ_r = 1. Signs are our choice of a selector, R d numbers for any facts; the paper's is a ReLU gate.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates import Certificate, verify
from factweights.domains import Dimension, Seed, checked
from factweights.errors import ShapeError, UnknownNameError
from factweights.facts import Associations
from factweights.memories import GatedMemory, Memory, MLPMemory
from factweights.methods.hinge import Hinge
from factweights.methods.lbfgs import minimise
from factweights.seeds import streams

Selector = Literal["product", "relu"]
Embedding = Literal["sum", "fit"]
EVALUATIONS = 400  # of a fit of embeddings: a limit, not a goal
ENOUGH = 0.5  # of the margin 1 that the fit asks for, so that rounding decides nothing


@dataclass(frozen=True, eq=False)
class Superposition:
    """Subjects, answers and relations as vectors, and the selector as a memory.

    Attributes:
        subjects: ``(N, d)`` embeddings, which hold the facts.
        answers: ``(N, d)`` random unit vectors.
        signs: ``(R, d)`` of the relations.
        answer_of: ``(R, N)`` the answer of every subject.
        memory: from keys [e_s, 1_r] ``(d + R,)`` to ``(d,)``; the same for all facts.
    """

    subjects: Float[Tensor, "n d"]
    answers: Float[Tensor, "n d"]
    signs: Float[Tensor, "r d"]
    answer_of: Int[Tensor, "r n"]
    memory: Memory

    @cached_property
    def facts(self) -> Associations:
        """All R N facts, relation by relation, with keys [e_s, 1_r]."""
        R, N = self.answer_of.shape
        asked = torch.eye(R, dtype=self.subjects.dtype).repeat_interleave(N, 0)  # (R N, R)
        keys = torch.cat([self.subjects.repeat(R, 1), asked], 1)  # (R N, d + R)
        return Associations(keys=keys, values=self.answers, targets=self.answer_of.reshape(-1))

    def verify(self) -> Certificate:
        """Every fact against every answer on the selector's real forward."""
        return verify(self.memory, self.facts)


@checked
def superpose(
    answer_of: Int[Tensor, "r n"],
    d: Dimension,
    *,
    selector: str = "product",
    embedding: str = "sum",
    seed: Seed = 0,
) -> Superposition:
    """Embeddings of dimension d for given facts, and the selector that reads them, in float64.

    Args:
        answer_of: ``(R, N)``, a permutation of the N answers for every relation.
        d: dimension of subjects and answers.
        selector: ``product``: a bilinear gate of width d; ``relu``: the same map by 4d ReLUs.
        embedding: ``sum``: the superposition above; ``fit``: the embeddings that a convex hinge finds, the
            sum its start. Where it finds none they may exist all the same.
        seed: of answers and signs.

    Raises:
        ShapeError: a row that is no permutation.
        UnknownNameError: another selector or embedding.
    """
    _check(answer_of, selector, embedding)
    R, N = answer_of.shape
    of_answers, of_signs = streams(seed, "superposition", 2)
    answers = torch.nn.functional.normalize(torch.from_numpy(of_answers.normal(size=(N, d))))
    signs = torch.from_numpy(of_signs.choice([-1.0, 1.0], size=(R, d)))
    subjects = (signs[:, None] * answers[answer_of]).sum(0)  # (R, N, d) summed to (N, d)
    if embedding == "fit":
        subjects = _fitted(subjects, answers, signs, answer_of)
    size = float(subjects.abs().max())
    memory = _product(signs) if selector == "product" else _relus(signs, size)
    return Superposition(subjects, answers, signs, answer_of, memory)


def _check(answer_of: Tensor, selector: str, embedding: str) -> None:
    for what, given, known in (
        ("selector", selector, get_args(Selector)),
        ("embedding", embedding, get_args(Embedding)),
    ):
        if given not in known:
            raise UnknownNameError(what, given, known, f"(there are {', '.join(known)})")
    n = answer_of.shape[1] if answer_of.ndim == 2 else 0
    if not answer_of.numel() or not torch.equal(
        answer_of.sort(1).values, torch.arange(n).expand_as(answer_of)
    ):
        shape = tuple(answer_of.shape)
        raise ShapeError(
            f"answer_of is (R, N), each row a permutation of 0 … N − 1; got {shape} of other rows"
        )


def _product(signs: Float[Tensor, "r d"]) -> GatedMemory:
    """B [(A k) ⊙ (G k)] with A = [I, 0], G = [0, Σᵀ] and B = I."""
    R, d = signs.shape
    one = torch.eye(d, dtype=signs.dtype)
    read = torch.cat([one, signs.new_zeros(d, R)], 1)
    gate = torch.cat([signs.new_zeros(d, d), signs.T], 1)
    return GatedMemory.from_weights(read, gate, one)


def _relus(signs: Float[Tensor, "r d"], size: float) -> MLPMemory:
    """σ x = [x + βσ]₊ − [−x + βσ]₊ − [x]₊ + [−x]₊ for |x| ≤ β: the first two give 2x where σ = 1, else 0.

    β is the power of two above the largest |x|, which costs the sums the fewest bits.
    """
    R, d = signs.shape
    beta = 2.0 ** math.frexp(size)[1]
    one, none = torch.eye(d, dtype=signs.dtype), signs.new_zeros(d, R)
    gate = beta * signs.T
    read = torch.cat([torch.cat(part, 1) for part in ((one, gate), (-one, gate), (one, none), (-one, none))])
    return MLPMemory.from_weights(read, torch.cat([one, -one, -one, one], 1))


def _fitted(
    start: Float[Tensor, "n d"],
    answers: Float[Tensor, "n d"],
    signs: Float[Tensor, "r d"],
    answer_of: Int[Tensor, "r n"],
) -> Float[Tensor, "n d"]:
    """Embeddings by the pairwise squared hinge on σ_r ⊙ e_s against all answers, a convex problem."""
    R, N = answer_of.shape
    hinge = Hinge(answer_of.reshape(-1), N)

    def evaluate(x: Tensor) -> tuple[float, Tensor, bool]:
        read = signs[:, None] * x.view(N, -1)  # (R, N, d)
        e = hinge(read.reshape(R * N, -1), answers, fixed=True)
        pull = (signs[:, None] * e.features.view(R, N, -1)).sum(0)  # (N, d)
        return e.loss, pull.reshape(-1), bool((e.worst < 1 - ENOUGH).all())

    found = minimise(evaluate, start.reshape(-1), max_evaluations=EVALUATIONS, first_step=0.1)
    return found.x.view(N, -1)
