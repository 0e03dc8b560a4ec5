"""The factual recall task of arXiv 2412.06538: a subject and a relation among noise, the answer at the end.

A prompt has T tokens. The subject stands at a uniform position among the first T − 1, the relation at another
one, noise tokens everywhere else, and EOS last. Token ids: subjects from 0, then relations, then noise, then
EOS. Answers have ids of their own.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from factweights import theory
from factweights.domains import (
    Answers,
    Count,
    CountOrNone,
    Exponent,
    Length,
    Relations,
    Seed,
    Subjects,
    checked,
    must_fit,
)
from factweights.errors import FactsError, SettingError, ShapeError
from factweights.facts.associations import Associations
from factweights.facts.table import FactTable
from factweights.seeds import generators
from factweights.typed import distinct, integers


@dataclass(frozen=True)
class Prompts:
    """Drawn prompts.

    Attributes:
        tokens: ``(B, T)`` token ids.
        facts: ``(B,)`` which fact each prompt asks for.
    """

    tokens: Int[Tensor, "b t"]
    facts: Int[Tensor, " b"]


@final
@dataclass(frozen=True, eq=False, repr=False)
class RecallTask:
    """Facts (subject, relation) ↦ answer, and the prompts that ask for them.

    Make one with :meth:`random`, :meth:`structured` or :meth:`from_table`.

    Attributes:
        subject, relation, target: ``(N,)`` ids of each fact's subject, relation and answer, int64.
        n_subjects, n_relations, n_answers: how many there are of each.
        n_noise: noise tokens; 0 for prompts of three tokens.
        length: T, tokens in a prompt.
        alpha, beta: Zipf exponents; fact (s, r) is asked for with probability ∝ (s+1)^−alpha (r+1)^−beta.
        subject_names, relation_names, answer_names: where the facts have names.

    Raises:
        FactsError: no facts, ids out of range, or a (subject, relation) twice.
        SettingError: lengths, counts or exponents that mean nothing.
        ShapeError: tensors of different lengths.
    """

    subject: Int[Tensor, " n"]
    relation: Int[Tensor, " n"]
    target: Int[Tensor, " n"]
    n_subjects: int
    n_relations: int
    n_answers: int
    n_noise: int
    length: int = 32
    alpha: float = 0.0
    beta: float = 0.0
    subject_names: Sequence[str] | None = field(default=None)
    relation_names: Sequence[str] | None = field(default=None)
    answer_names: Sequence[str] | None = field(default=None)

    def __post_init__(self) -> None:
        n = len(self.subject)
        if len(self.relation) != n or len(self.target) != n:
            raise ShapeError(f"{n} subjects, {len(self.relation)} relations and {len(self.target)} answers")
        if n == 0:
            raise FactsError("no facts; a task has at least one")
        _check_prompts(self.length, self.n_noise, self.alpha, self.beta)
        ranges = (("subject", self.n_subjects), ("relation", self.n_relations), ("target", self.n_answers))
        for what, count in ranges:
            ids = getattr(self, what)
            if int(ids.min()) < 0 or int(ids.max()) >= count:
                raise FactsError(
                    f"{what} ids run from {int(ids.min())} to {int(ids.max())}, not below {count}"
                )
        if len(distinct(self.subject * self.n_relations + self.relation)) < n:
            raise FactsError("a subject and relation stand there twice; each pair has one answer")

    # -- makers ------------------------------------------------------------------------------------------

    @classmethod
    @checked
    def random(
        cls,
        subjects: Subjects,
        relations: Relations,
        answers: Answers,
        *,
        noise: CountOrNone | None = None,
        length: Length = 32,
        alpha: Exponent = 0.0,
        beta: Exponent = 0.0,
        seed: Seed = 0,
    ) -> "RecallTask":
        """Every pair (s, r) has an answer drawn uniformly from the relation's own ``answers`` answers.

        Args:
            subjects: S.
            relations: R.
            answers: D, answers of each relation; R D in all, disjoint.
            noise: noise tokens; None takes S + R, as the paper does.
            length: T.
            alpha, beta: Zipf exponents of subjects and relations.
            seed: of the answers.

        Raises:
            SettingError: counts below 1, or prompts that cannot be.
        """
        _check_size(subjects, relations, answers)
        drawn = generators(seed, 1)[0].integers(0, answers, size=(subjects, relations))
        return cls._full(drawn, answers, noise=noise, length=length, alpha=alpha, beta=beta)

    @classmethod
    @checked
    def structured(
        cls,
        subjects: Subjects,
        relations: Relations,
        answers: Answers,
        *,
        noise: CountOrNone | None = None,
        length: Length = 32,
        alpha: Exponent = 0.0,
        beta: Exponent = 0.0,
    ) -> "RecallTask":
        """As :meth:`random`, but subject s has answer ⌊s D / S⌋ of every relation, as in figure 5."""
        _check_size(subjects, relations, answers)
        column = np.arange(subjects) * answers // subjects
        member = np.repeat(column[:, None], relations, axis=1)
        return cls._full(member, answers, noise=noise, length=length, alpha=alpha, beta=beta)

    @classmethod
    @checked
    def from_table(
        cls,
        table: FactTable,
        *,
        noise: CountOrNone | None = None,
        length: Length = 32,
        alpha: Exponent = 0.0,
        beta: Exponent = 0.0,
    ) -> "RecallTask":
        """The facts of a table by name, in the table's order of first appearance.

        Not every subject needs to have every relation. An answer that two relations share has one id, so the
        answer sets of the relations may overlap (see :attr:`disjoint`).
        """
        ids: dict[str, tuple[list[str], Tensor]] = {}
        for role in ("subject", "relation", "answer"):
            column: tuple[str, ...] = getattr(table, role)
            names = list(dict.fromkeys(column))
            place = {name: i for i, name in enumerate(names)}
            ids[role] = (names, torch.tensor([place[c] for c in column]))
        s, r, a = ids["subject"], ids["relation"], ids["answer"]
        return cls(
            s[1],
            r[1],
            a[1],
            n_subjects=len(s[0]),
            n_relations=len(r[0]),
            n_answers=len(a[0]),
            n_noise=len(s[0]) + len(r[0]) if noise is None else noise,
            length=length,
            alpha=alpha,
            beta=beta,
            subject_names=tuple(s[0]),
            relation_names=tuple(r[0]),
            answer_names=tuple(a[0]),
        )

    @classmethod
    def _full(
        cls,
        member: NDArray[np.int64],
        answers: int,
        *,
        noise: int | None,
        length: int,
        alpha: float,
        beta: float,
    ) -> "RecallTask":
        """All pairs, answer member[s, r] + r D."""
        S, R = member.shape
        target = torch.as_tensor(member.astype(np.int64) + np.arange(R)[None] * answers).reshape(-1)
        s, r = torch.arange(S).repeat_interleave(R), torch.arange(R).repeat(S)
        n_noise = S + R if noise is None else noise
        return cls(s, r, target, S, R, R * answers, n_noise, length=length, alpha=alpha, beta=beta)

    # -- what there is -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.subject)

    def __repr__(self) -> str:
        return (
            f"RecallTask({len(self):,} facts: {self.n_subjects:,} subjects, {self.n_relations:,} relations, "
            f"{self.n_answers:,} answers; {self.n_noise:,} noise tokens, prompts of {self.length})"
        )

    @property
    def n_tokens(self) -> int:
        """|V| of the prompts: S + R + noise tokens + EOS."""
        return self.n_subjects + self.n_relations + self.n_noise + 1

    @property
    def eos(self) -> int:
        """The token that ends every prompt."""
        return self.n_tokens - 1

    @property
    def relation_token(self) -> Int[Tensor, " n"]:
        """``(N,)`` token id of each fact's relation; the subject's is its id."""
        return self.relation + self.n_subjects

    @property
    def noise_tokens(self) -> slice:
        """The ids of the noise tokens."""
        return slice(self.n_subjects + self.n_relations, self.eos)

    @cached_property
    def answer_sets(self) -> Bool[Tensor, "relations answers"]:
        """A_r: which answers occur with which relation."""
        sets = torch.zeros(self.n_relations, self.n_answers, dtype=torch.bool)
        sets[self.relation, self.target] = True
        return sets

    @property
    def disjoint(self) -> bool:
        """Whether no answer occurs with two relations."""
        return bool((self.answer_sets.sum(0) <= 1).all())

    @cached_property
    def probability(self) -> Float[Tensor, " n"]:
        """How often each fact is asked for, float64, summing to 1."""
        p = (self.subject + 1).double() ** -self.alpha * (self.relation + 1).double() ** -self.beta
        return p / p.sum()

    @cached_property
    def relation_entropy(self) -> float:
        """H(a|r) in nats: the cross-entropy of the best predictor that ignores the subject."""
        joint = torch.zeros(self.n_relations, self.n_answers, dtype=torch.float64)
        joint.index_put_((self.relation, self.target), self.probability, accumulate=True)
        of_relation = joint.sum(1, keepdim=True)
        inside = joint > 0
        return float(-(joint[inside] * (joint / of_relation.clamp_min(1e-300))[inside].log()).sum())

    @cached_property
    def bits(self) -> float:
        """log2 of how many tables of this shape there are, Σ over facts of log2 |A_r|."""
        sizes = self.answer_sets.sum(1)
        return sum(theory.bits_of_facts(1, max(1, int(sizes[r]))) for r in integers(self.relation))

    @cached_property
    def map_bits(self) -> float:
        """log2 of how many tables give every answer as often as this one does (:func:`theory.map_bits`)."""
        counts = torch.zeros(self.n_relations, self.n_answers, dtype=torch.int64)
        counts.index_put_((self.relation, self.target), torch.ones_like(self.target), accumulate=True)
        return sum(theory.map_bits(integers(row)) for row in counts)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that defines the task, names left out."""
        head = (self.n_subjects, self.n_relations, self.n_answers, self.n_noise, self.length)
        h = hashlib.sha256(f"factweights.recall-task.1{head}{self.alpha!r}{self.beta!r}".encode())
        for t in (self.subject, self.relation, self.target):
            h.update(t.numpy().astype("<i8").tobytes())
        return h.hexdigest()

    # -- prompts -----------------------------------------------------------------------------------------

    def draw_facts(self, n: int, generator: torch.Generator) -> Int[Tensor, " n"]:
        """``n`` facts drawn by their probability, with replacement."""
        if self.alpha == 0 and self.beta == 0:
            return torch.randint(len(self), (n,), generator=generator)
        return torch.multinomial(self.probability, n, replacement=True, generator=generator)

    def prompts(self, facts: Int[Tensor, " b"], generator: torch.Generator) -> Int[Tensor, "b t"]:
        """One prompt ``(B, T)`` for each of the given facts, positions and noise drawn anew."""
        b, t = len(facts), self.length
        tokens = torch.empty(b, t, dtype=torch.int64)
        if self.n_noise:
            noise = self.noise_tokens
            torch.randint(noise.start, noise.stop, (b, t), generator=generator, out=tokens)
        first = torch.randint(t - 1, (b,), generator=generator)
        second = torch.randint(t - 2, (b,), generator=generator)
        second += second >= first  # uniform among the other positions
        rows = torch.arange(b)
        tokens[rows, first] = self.subject[facts]
        tokens[rows, second] = self.relation_token[facts]
        tokens[:, -1] = self.eos
        return tokens

    @checked
    def draw(self, n: Count, *, seed: Seed) -> Prompts:
        """``n`` prompts for facts drawn by their probability; the same seed gives the same prompts.

        Raises:
            SettingError: n below 1 or a negative seed.
        """
        generator = torch.Generator().manual_seed(seed)
        facts = self.draw_facts(n, generator)
        return Prompts(self.prompts(facts, generator), facts)

    def count(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b v"]:
        """How often each token stands in each prompt, ``(B, |V|)``, float32."""
        counts = torch.zeros(len(tokens), self.n_tokens)
        return counts.scatter_add_(1, tokens, torch.ones((), dtype=counts.dtype).expand(tokens.shape))

    def counts(self, facts: Int[Tensor, " b"], generator: torch.Generator | None) -> Float[Tensor, "b v"]:
        """Token counts of one prompt for each of the given facts, without drawing positions.

        Without a generator every noise token has its expected count (T − 3) / noise tokens: the mean prompt.
        """
        b, spare = len(facts), self.length - 3
        counts = torch.zeros(b, self.n_tokens)
        if generator is None and self.n_noise:
            counts[:, self.noise_tokens] = spare / self.n_noise
        elif self.n_noise:
            low = self.noise_tokens.start
            noise = torch.randint(low, self.noise_tokens.stop, (b, spare), generator=generator)
            counts.scatter_add_(1, noise, torch.ones(()).expand(noise.shape))
        rows = torch.arange(b)
        counts[rows, self.subject[facts]] = 1
        counts[rows, self.relation_token[facts]] = 1
        counts[:, self.eos] = 1
        return counts

    def associations(
        self, unembeddings: Float[Tensor, "a d"], *, draws: int = 1, seed: int = 0
    ) -> Associations:
        """Prompts of every fact as associations: token counts ↦ answers, for ``verify``.

        Args:
            unembeddings: of the answers; their dtype is that of the associations.
            draws: prompts for each fact.
            seed: of the noise.
        """
        if len(unembeddings) != self.n_answers:
            raise ShapeError(f"{len(unembeddings)} unembeddings for {self.n_answers} answers")
        generator = torch.Generator().manual_seed(seed)
        facts = torch.arange(len(self)).repeat(draws)
        return Associations(
            keys=self.counts(facts, generator).to(unembeddings),
            values=unembeddings.detach(),
            targets=self.target[facts].to(unembeddings.device),
        )


def _check_size(subjects: int, relations: int, answers: int) -> None:
    """Facts and the table of a relation's answers have to fit into memory."""
    facts = 5 * 8 * subjects * relations  # ids and what is made of them
    what = f"{subjects:,} × {relations:,} facts among {answers:,} answers of each relation"
    must_fit(facts + relations * answers * relations, what, ("subjects", "relations", "answers"))


def _check_prompts(length: int, noise: int, alpha: float, beta: float) -> None:
    if length < 3:
        raise SettingError(
            f"a prompt holds subject, relation and EOS, so its length is at least 3, got {length}"
        )
    if noise < 0 or (noise == 0 and length > 3):
        raise SettingError(f"prompts of {length} tokens need at least one noise token, got {noise}")
    if not (math.isfinite(alpha) and math.isfinite(beta) and alpha >= 0 and beta >= 0):
        raise SettingError(f"Zipf exponents are finite and at least 0, got {alpha} and {beta}")
