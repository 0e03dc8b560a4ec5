"""What a checkpoint is going to be, before its facts are fitted."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.export import assembly
from factweights.export.assembly import Head, State
from factweights.export.fitting import MARGIN, NamedLookups
from factweights.export.layout import Layout
from factweights.export.names import UNK, Vocabulary, codes
from factweights.facts import FactTable
from factweights.memories import GatedMemory

COARSE = 1.5  # of the margin asked for, in 16 bits


@dataclass(frozen=True)
class Plan:
    """Everything about a checkpoint but its facts' weights.

    Attributes:
        table, vocabulary, layout, templates, dtype, context, seed: what is written, and how.
        head: steepness and floor to keep, when a checkpoint is edited.
        start: its MLP or its lookups, likewise.
        asked: cosine margin that the fit aims at in 32 bits.
        absence: whether a known subject and a known relation without a fact are to say <unk>.
    """

    table: FactTable
    vocabulary: Vocabulary
    layout: Layout
    templates: tuple[str, ...]
    dtype: torch.dtype
    context: int
    seed: int
    head: Head | None = None
    start: GatedMemory | NamedLookups | None = None
    asked: float = MARGIN
    absence: bool = True

    @property
    def margin(self) -> float:
        """What the fit should leave for rounding."""
        return self.asked if self.dtype == torch.float32 else COARSE * self.asked

    @cached_property
    def values(self) -> Float[Tensor, "m d"]:
        """Unit rows of the answers, and of <unk> if absence is stored, rounded as they are saved.

        With facts in attention the first dimensions say which relations an answer belongs to. Else the lookup
        of a relation could not raise all of its answers at once, unless there were as many dimensions.
        """
        kinds = self.layout.kinds(len(self.vocabulary.relations))
        u = codes("answer", self.vocabulary.answers, self.layout.answer - kinds, self.seed)
        if kinds:
            order = {r: i for i, r in enumerate(self.vocabulary.relations)}
            kind = torch.zeros(len(u), kinds, dtype=torch.float64)
            kind[self.targets, [order[r] for r in self.table.relation]] = 1.0
            kind /= kind.norm(dim=1, keepdim=True).clamp_min(1.0)
            u = torch.cat([kind, u], 1) / math.sqrt(2)
        if self.absence:
            unknown = torch.zeros(1, u.shape[1], dtype=u.dtype)
            unknown[:, kinds:] = codes("answer", [UNK], self.layout.answer - kinds, self.seed)
            u = torch.cat([u, unknown])
        return u.to(self.dtype).double()

    @cached_property
    def targets(self) -> Int[Tensor, " n"]:
        """Answer of each fact."""
        index = {a: i for i, a in enumerate(self.vocabulary.answers)}
        return torch.tensor([index[a] for a in self.table.answer])

    def tokens(self) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
        """Token ids of subject and relation of each fact."""
        ids = self.vocabulary.of
        return torch.tensor(ids(self.table.subject)), torch.tensor(ids(self.table.relation))

    def rounded(self, state: State) -> State:
        """In the dtype that is saved."""
        return {name: w.to(self.dtype) for name, w in state.items()}

    def frame(self) -> State:
        """Embeddings, attention without facts and norms: all that the keys depend on."""
        E = assembly.embeddings(self.layout, self.vocabulary, self.seed)
        state = {"model.embed_tokens.weight": E} | assembly.attention(self.layout, self.context)
        return self.rounded(state | assembly.norms(self.layout))
