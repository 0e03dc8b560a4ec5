"""The residual stream of a compiled model as named subspaces, and the shape of its heads.

Every token's embedding has the same length √d, so that the first RMSNorm changes nothing but rounding. What a
token is for is said by markers, each read by one head:

    constant | filler | bos | subject and relation markers | no subject | no relation | answer and subject |
    answer and relation | ended | codes | … | answer

With facts in the MLP there is one head for subjects and one for relations, each copying the code of its token
to a subspace of its own, the MLP's key. With facts in attention every head serves as many names as it has
value dimensions, each name has a slot there, and the column of the output matrix behind it is its lookup.

Two more heads look back from an answer that is a subject (a relation) too for another that stood before it:
then the answer is given, and what follows is the end.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import SettingError
from factweights.export.names import codes
from factweights.theory import delta

Store = Literal["mlp", "attention"]
ROLES = ("subject", "relation")

LONGEST_TURN = 1e12  # rotary base: the slowest pair of dimensions turns by less than 1e-7 a token
FLAG = 1  # the last value dimension of a head says that it found nothing but <s>
LOOKUP_LOAD = 0.6  # N δ(M) per scalar of the lookups
HEAD_DIMS = (32, 64)  # of heads that hold facts; about √(names) of them
LEAST_HEAD = 32  # dimensions that a head takes to tell a token from the one before it, see assembly.earlier


@dataclass(frozen=True)
class Layout(ABC):
    """Sizes of everything that is not the vocabulary; where facts live says which subspaces there are.

    Attributes:
        store: where the facts live.
        subject_heads, relation_heads: how many heads look for either.
        head_dim: of each head; the last value dimension is the flag.
        subject_code, relation_code: dimensions of the codes, 0 with facts in attention.
        answer: dimensions of the answers.
        unused: dimensions that make the hidden size a multiple of the heads.
    """

    store: Store
    subject_heads: int
    relation_heads: int
    head_dim: int
    subject_code: int
    relation_code: int
    answer: int
    unused: int = 0

    @property
    def finders(self) -> int:
        """Heads that look for subjects and relations."""
        return self.subject_heads + self.relation_heads

    @property
    def heads(self) -> int:
        """All heads; the last two look for what stood before an answer that is a subject, or a relation."""
        return self.finders + len(ROLES)

    @property
    def slots(self) -> int:
        """Value dimensions of a head that are not its flag."""
        return self.head_dim - FLAG

    @cached_property
    def subspaces(self) -> dict[str, range]:
        """Name ↦ dimensions of the residual stream."""
        sizes = {
            "constant": 1,
            "filler": 1,
            "bos": 1,
            "subject marker": self.subject_heads,
            "relation marker": self.relation_heads,
            "no subject": 1,
            "no relation": 1,
            "answer and subject": 1,
            "answer and relation": 1,
            "ended": 1,
        }
        sizes |= {**self.named_in(), "answer": self.answer, "unused": self.unused}
        found, at = {}, 0
        for name, size in sizes.items():
            found[name] = range(at, at + size)
            at += size
        return found

    def at(self, name: str) -> slice:
        """The dimensions called ``name``."""
        r = self.subspaces[name]
        return slice(r.start, r.stop)

    @property
    def hidden(self) -> int:
        """d, all dimensions of the residual stream."""
        return max(r.stop for r in self.subspaces.values())

    def to_dict(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)

    def first_head(self, role: str) -> int:
        """Of those that look for this role."""
        return 0 if role == "subject" else self.subject_heads

    @abstractmethod
    def named_in(self) -> dict[str, int]:
        """Sizes of the subspaces in which names stand."""

    @abstractmethod
    def source(self, role: str) -> str:
        """The subspace in which an embedding says which name it is."""

    @abstractmethod
    def copied_to(self, role: str) -> str | None:
        """The subspace that heads copy it to; None where what they write is the facts themselves."""

    @abstractmethod
    def place(self, role: str, i: int) -> tuple[int, int]:
        """Head and slot of name ``i``."""

    @abstractmethod
    def codes(self, role: str, names: Sequence[str], seed: int) -> Float[Tensor, "n k"]:
        """What stands in :meth:`source` for each of all the names of a role, up to its length."""

    @abstractmethod
    def kinds(self, relations: int) -> int:
        """Dimensions of the answers that say which relations an answer belongs to."""


@final
@dataclass(frozen=True)
class MlpLayout(Layout):
    """Codes of names, copied by one head for each role to where the MLP reads them."""

    @property
    def keys(self) -> slice:
        """What the MLP reads: both retrieved codes, side by side."""
        return slice(self.at("retrieved subject").start, self.at("retrieved relation").stop)

    def named_in(self) -> dict[str, int]:
        """Codes in embeddings, and as they are retrieved."""
        s, r = self.subject_code, self.relation_code
        return {
            "subject code": s,
            "relation code": r,
            "retrieved subject": s,
            "retrieved relation": r,
        }

    def source(self, role: str) -> str:
        """The role's code."""
        return f"{role} code"

    def copied_to(self, role: str) -> str | None:
        """The part of the MLP's key."""
        return f"retrieved {role}"

    def place(self, role: str, i: int) -> tuple[int, int]:
        """The head of the role."""
        return self.first_head(role), 0

    def codes(self, role: str, names: Sequence[str], seed: int) -> Float[Tensor, "n k"]:
        """Unit vectors that no two names share."""
        return codes(role, names, self.subject_code if role == "subject" else self.relation_code, seed)

    def kinds(self, relations: int) -> int:
        """None: an MLP reads subject and relation together."""
        return 0


@final
@dataclass(frozen=True)
class AttentionLayout(Layout):
    """A slot for each name in some head; the column of the output matrix behind it is its lookup."""

    def named_in(self) -> dict[str, int]:
        """The slots, which all heads share."""
        return {"slot": self.slots}

    def source(self, role: str) -> str:
        """The slots."""
        return "slot"

    def copied_to(self, role: str) -> str | None:
        """Nowhere: lookups write answers."""
        return None

    def place(self, role: str, i: int) -> tuple[int, int]:
        """Heads are filled one after the other."""
        return self.first_head(role) + i // self.slots, i % self.slots

    def codes(self, role: str, names: Sequence[str], seed: int) -> Float[Tensor, "n k"]:
        """One-hot: the slot of each name."""
        slots = [self.place(role, i)[1] for i in range(len(names))]
        return torch.eye(self.slots, dtype=torch.float64)[slots]

    def kinds(self, relations: int) -> int:
        """One for each: else no lookup of a relation could raise all of its answers at once."""
        return relations


_KINDS: dict[str, type[Layout]] = {"mlp": MlpLayout, "attention": AttentionLayout}


def layout_of(fields: Mapping[str, Any]) -> Layout:
    """The layout with these fields, as :meth:`Layout.to_dict` gives them."""
    return _KINDS[fields["store"]](**fields)


def layout_for(
    store: Store, facts: int, subjects: int, relations: int, answers: int, d: int | None = None
) -> Layout:
    """A layout for so many facts and names; more dimensions than are needed go to the answers.

    Lookups in attention have (S + R) × answer dimensions to hold all facts in; there the law N δ(M) says
    how many dimensions that takes, besides one for every relation.

    Raises:
        SettingError: ``d`` is smaller than the smallest that will do.
    """
    answer = max(16, 8 * round(6 * math.log2(answers + 1) / 8))
    if store == "mlp":
        code = 8 * math.ceil(5 * math.log2(subjects + 2) / 8)
        about = 4 * math.ceil(math.log2(relations + 1) + 1)
        head = max(code, about, LEAST_HEAD - FLAG) + FLAG
        layout = MlpLayout("mlp", 1, 1, head + head % 2, code, about, answer)
    else:
        budget = facts * delta(max(2, answers)) / (subjects + relations) / LOOKUP_LOAD
        answer = relations + max(answer, 8 * math.ceil(budget / 8))
        head = min(HEAD_DIMS, key=lambda h: abs(h - math.sqrt(subjects + relations) * 2))
        slots = head - FLAG
        layout = AttentionLayout(
            "attention", -(-subjects // slots), -(-relations // slots), head, 0, 0, answer
        )
    return _padded(layout, d)


def _padded(layout: Layout, d: int | None) -> Layout:
    least = math.ceil(layout.hidden / layout.heads) * layout.heads
    if d is None:
        return replace(layout, unused=least - layout.hidden)
    if d < least or d % layout.heads:
        raise SettingError(
            f"d = {d} cannot hold these names: it is at least {least} and a multiple of the {layout.heads} "
            f"heads; the next is {math.ceil(max(d, least) / layout.heads) * layout.heads}"
        )
    return replace(layout, answer=layout.answer + d - layout.hidden)


def named(subspaces: dict[str, range], names: Sequence[str] | None = None) -> dict[str, list[int]]:
    """First and last dimension of each subspace, as JSON shows them; empty ones are left out."""
    chosen = subspaces if names is None else {n: subspaces[n] for n in names}
    return {name: [r.start, r.stop - 1] for name, r in chosen.items() if len(r)}
