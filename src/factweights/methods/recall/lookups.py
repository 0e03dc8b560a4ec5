"""What subject and relation should write, so that their sum (and an MLP on it) picks the answer.

With attention clean, a prompt for (s, r) arrives at the last position as x = p_s + p_r, whatever its noise.
The lookups p_z ∈ R^d are values, and may be chosen; scores are U (x + MLP(x)).

*Raw sums*, without an MLP: p_s = Σ_r u_{a*(s,r)} and p_r = Σ_{a ∈ A_r} u_a. For nearly orthonormal u_a the
right answer scores 2, as it lies in both sums, and every other at most 1 if the A_r are disjoint: an
intersection of two sets. Cross terms have variance about (R + D)/d.

*Optimised*: p_s, p_r and the MLP minimise the pairwise squared hinge over all facts. Without an MLP that is
convex.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates.margins import margins_of
from factweights.facts import RecallTask
from factweights.memories.transformer import mlp_of
from factweights.methods.flat import Blocks, FlatLoss, hinged, mlp_shapes
from factweights.methods.hinge import Hinge
from factweights.methods.lbfgs import Descent
from factweights.progress import OnProgress, Progress, silent

REPORT_EVERY = 100  # evaluations
PAIRS = 30  # that L-BFGS remembers
RESERVE = 0.1  # of the hinge's margin 1
START = 1.0  # norm of a lookup at the start, against unembeddings of norm about 1


@dataclass(frozen=True)
class Lookups:
    """Values found, and how far they go.

    Attributes:
        codes: ``(S + R, e)`` one code for each subject and relation.
        writers: ``(H, e, d)`` what turns the codes of a group's tokens into lookups, or None where the codes
            are the lookups themselves.
        group: ``(S + R,)`` group of each token.
        mlp: the weights of the MLP by name, empty without one.
        recall: share of the facts whose right answer scores highest, noise-free.
        evaluations: of the loss over all facts.
    """

    codes: Float[Tensor, "z e"]
    writers: Float[Tensor, "h e d"] | None
    group: Int[Tensor, " z"]
    mlp: dict[str, Tensor]
    recall: float
    evaluations: int

    @property
    def values(self) -> Float[Tensor, "z d"]:
        """p_z of every subject and relation."""
        if self.writers is None:
            return self.codes
        return torch.einsum("ze,zed->zd", self.codes, self.writers[self.group])


def raw_sums(task: RecallTask, unembeddings: Float[Tensor, "a d"]) -> Float[Tensor, "z d"]:
    """p_s = Σ_r u_{a*(s,r)} and p_r = Σ_{a ∈ A_r} u_a, ``(S + R, d)``."""
    of_subject = unembeddings.new_zeros(task.n_subjects, unembeddings.shape[1])
    of_subject.index_add_(0, task.subject.to(unembeddings.device), unembeddings[task.target])
    return torch.cat([of_subject, task.answer_sets.to(unembeddings) @ unembeddings])


@dataclass(frozen=True)
class LookupShape:
    """Sizes of a lookup problem: codes of dimension ``code`` (None: no writers), MLP of ``width`` neurons.

    With ``fixed`` codes only the MLP is fitted.
    """

    code: int | None
    width: int
    mlp: str = "relu"
    fixed: bool = False


class NoiseFreeFit(ABC):
    """The hinge over all facts, noise-free, as a function of flat weights: those of attention and MLP."""

    def __init__(
        self,
        task: RecallTask,
        unembeddings: Float[Tensor, "a d"],
        attention: dict[str, tuple[int, ...]],
        width: int,
        mlp: str,
        *,
        reserve: bool = False,
        recall: float = 1.0,
    ) -> None:
        """Set up the problem.

        Args:
            task: the facts.
            unembeddings: of the answers.
            attention: shapes of the weights of attention by name.
            width, mlp: of the MLP.
            reserve: go on until margins are at least RESERVE, not just positive.
            recall: share of the facts whose margins have to.
        """
        self.task, self.U, self.width, self.mlp = task, unembeddings, width, mlp
        loss = hinged(Hinge(task.target, task.n_answers), unembeddings)
        self.blocks = Blocks(attention | mlp_shapes(mlp, width, unembeddings.shape[1]))
        need = math.ceil(recall * len(task) - 1e-9)
        self.loss = FlatLoss(self.outputs, loss, need, 1 - RESERVE if reserve else 1.0)

    @abstractmethod
    def sums(self, parts: dict[str, Tensor]) -> Float[Tensor, "n d"]:
        """x for every fact: what attention writes."""

    def start(self, rng: np.random.Generator) -> Tensor:
        """Random rows of norm START, zero biases."""
        blocks = []
        for name, shape in self.blocks.shapes.items():
            w = rng.standard_normal(shape) * (START / np.sqrt(shape[-1]))
            blocks.append(np.zeros(shape) if name == "bias" else w)
        return torch.from_numpy(np.concatenate([b.ravel() for b in blocks])).to(self.U)

    def outputs(self, x: Tensor) -> Float[Tensor, "n d"]:
        """F for every fact, noise-free."""
        parts = self.blocks.split(x)
        y = self.sums(parts)
        return y + mlp_of(self.mlp, parts, y) if self.width else y

    def descend(
        self, rng: np.random.Generator, max_evaluations: int, on_progress: OnProgress = silent
    ) -> Tensor:
        """Flat weights from a random start, until enough facts are right or the evaluations run out."""
        descent = Descent(self.loss, self.start(rng), first_step=0.05, memory=PAIRS)
        for upto in range(REPORT_EVERY, max_evaluations + REPORT_EVERY, REPORT_EVERY):
            descent.run(min(upto, max_evaluations))
            told = Progress(descent.evaluations, max_evaluations, f"lookups: recall {self.loss.recall:.4f}")
            on_progress(told)
            if descent.decided or descent.stalled:
                break
        return descent.x

    @torch.no_grad()
    def recalled(self, x: Tensor) -> float:
        """Share of the facts whose right answer scores highest; ties are misses."""
        return float((margins_of(self.outputs(x) @ self.U.T, self.task.target) > 0).double().mean())


@final
class LookupFit(NoiseFreeFit):
    """Sums p_s + p_r: codes, writers, MLP."""

    def __init__(
        self,
        task: RecallTask,
        unembeddings: Float[Tensor, "a d"],
        group: Int[Tensor, " z"],
        shape: LookupShape,
        *,
        codes: Float[Tensor, "z e"] | None = None,
        reserve: bool = False,
        recall: float = 1.0,
    ) -> None:
        """Set up the problem.

        Args:
            task, unembeddings, reserve, recall: as in :class:`NoiseFreeFit`.
            group: of each subject and relation, for writers.
            shape: what is fitted.
            codes: where they are fixed.
        """
        self.group, self.fixed_codes = group, codes
        d, z, groups = unembeddings.shape[1], len(group), int(group.max()) + 1
        e = d if shape.code is None else shape.code
        attention: dict[str, tuple[int, ...]] = {}
        if not shape.fixed:
            attention["codes"] = (z, e)
        if shape.code is not None and not shape.fixed:
            attention["writers"] = (groups, e, d)
        super().__init__(
            task, unembeddings, attention, shape.width, shape.mlp, reserve=reserve, recall=recall
        )

    def sums(self, parts: dict[str, Tensor]) -> Float[Tensor, "n d"]:
        """p_s + p_r for every fact."""
        codes = parts["codes"] if self.fixed_codes is None else self.fixed_codes
        if "writers" in parts:
            codes = torch.einsum("ze,zed->zd", codes, parts["writers"][self.group])
        return codes[self.task.subject] + codes[self.task.relation_token]

    def solve(
        self, rng: np.random.Generator, max_evaluations: int, on_progress: OnProgress = silent
    ) -> Lookups:
        """Minimise from a random start until enough facts are right or the evaluations run out."""
        x = self.descend(rng, max_evaluations, on_progress)
        parts = self.blocks.split(x)
        codes = parts.pop("codes", self.fixed_codes)
        if codes is None:  # names always hold codes unless they were given
            raise AssertionError("a lookup fit has codes, its own or given ones")
        return Lookups(
            codes=codes,
            writers=parts.pop("writers", None),
            group=self.group,
            mlp=parts,
            recall=self.recalled(x),
            evaluations=self.loss.evaluations,
        )
