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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

from factweights.errors import SettingError
from factweights.theory import delta

Store = Literal["mlp", "attention"]
ROLES = ("subject", "relation")

LONGEST_TURN = 1e12  # rotary base: the slowest pair of dimensions turns by less than 1e-7 a token
FLAG = 1  # the last value dimension of a head says that it found nothing but <s>
LOOKUP_LOAD = 0.6  # N δ(M) per scalar of the lookups
HEAD_DIMS = (32, 64)  # of heads that hold facts; about √(names) of them
LEAST_HEAD = 32  # dimensions that a head takes to tell a token from the one before it, see assembly.earlier


@dataclass(frozen=True)
class Layout:
    """Sizes of everything that is not the vocabulary.

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
        if self.store == "mlp":
            sizes |= {"subject code": self.subject_code, "relation code": self.relation_code}
            sizes |= {"retrieved subject": self.subject_code, "retrieved relation": self.relation_code}
        else:
            sizes |= {"slot": self.slots}
        sizes |= {"answer": self.answer, "unused": self.unused}
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
    def keys(self) -> slice:
        """What the MLP reads: both retrieved codes, side by side."""
        return slice(self.at("retrieved subject").start, self.at("retrieved relation").stop)

    @property
    def hidden(self) -> int:
        """d, all dimensions of the residual stream."""
        return max(r.stop for r in self.subspaces.values())

    def to_dict(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


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
        layout = Layout("mlp", 1, 1, head + head % 2, code, about, answer)
    else:
        budget = facts * delta(max(2, answers)) / (subjects + relations) / LOOKUP_LOAD
        answer = relations + max(answer, 8 * math.ceil(budget / 8))
        head = min(HEAD_DIMS, key=lambda h: abs(h - math.sqrt(subjects + relations) * 2))
        slots = head - FLAG
        layout = Layout("attention", -(-subjects // slots), -(-relations // slots), head, 0, 0, answer)
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
