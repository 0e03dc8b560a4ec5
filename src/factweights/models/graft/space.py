"""The private coordinates of a grafted model as named subspaces, and how many layers are added.

The model's own coordinates 0 … d−1 come first and stay as they were. Behind them:

    constant | own token | unit | earlier tokens | subject | flag | inside a word | … | scores | fired |
    answer

Layers are added before the model's own (``front``: recognise names, copy the last one to every later token)
and behind them (``back``: join subject and relation, spell the answer).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from factweights.models.graft.architecture import Architecture, NotGraftableError
from factweights.models.graft.codes import bits_for

LEAST_BANKS = 2  # a prompt may have fired a token before its end, too
LEAST_WIDTH = 4  # pairs for an answer being due

OTHERS = 2  # kinds of other questions, which compete with the relations

RELATION_NEURONS = 2  # of each relation, in each layer that reads or fires


@dataclass(frozen=True)
class Space:
    """Sizes of everything private.

    Attributes:
        d: the model's own hidden size; own coordinates come first.
        token_bits: signs of a token's code.
        window: tokens of a name that are compared at once.
        links: windows that the longest name takes, less one.
        subject_bits, node_bits: signs of a subject's code, and of the beginning of a long name.
        relations: how many.
        others: kinds of other questions.
        answer_bits: signs of an answer's code.
        places: of an answer's tokens, its stop included.
        unused: coordinates that make the hidden size a multiple of the heads.
    """

    d: int
    token_bits: int
    window: int
    links: int
    subject_bits: int
    node_bits: int
    relations: int
    others: int
    answer_bits: int
    places: int
    unused: int = 0

    @cached_property
    def subspaces(self) -> dict[str, range]:
        """Name ↦ coordinates of the hidden state."""
        link = self.node_bits + 1 if self.links else 0
        spelling = (1 + LEAST_BANKS) * self.answer_bits
        sizes = {
            "constant": 1,
            "own token": self.token_bits,
            "unit": 1,
            "earlier tokens": (self.window - 1) * (self.token_bits + 1),
            "subject": self.subject_bits + 1,  # the last sign is + for every subject
            "flag": 1,
            "inside a word": 1,
            "flag before": 1,
            **{f"beginning {i}": link for i in range(self.links)},
            **{f"beginning before {i}": link for i in range(self.links)},
            "cue": 1,
            "cue values": self.relations + self.others,
            "due score": 1,
            "due": 1,
            "score": self.relations + self.others,
            "eager": self.relations + self.others,
            "fired": self.relations,
            "answered": 1,
            "answering": self.places,
        }
        # By the time an answer is spelt, nothing reads the earlier tokens any more: its codes lie there too,
        # a hundred times as large, so that what is left of them does not matter.
        sizes["spelling"] = max(0, spelling - sizes["earlier tokens"])
        sizes["unused"] = self.unused
        found, at = {}, self.d
        for name, size in sizes.items():
            found[name] = range(at, at + size)
            at += size
        return found

    def at(self, name: str) -> list[int]:
        """The coordinates called ``name``."""
        return list(self.subspaces[name])

    def one(self, name: str) -> int:
        """The one coordinate called ``name``."""
        return self.subspaces[name].start

    def earlier(self, distance: int) -> list[int]:
        """Where the code of the token ``distance`` ≥ 1 back is, and behind it the constant from there."""
        size = self.token_bits + 1
        start = self.subspaces["earlier tokens"].start + (distance - 1) * size
        return list(range(start, start + size))

    @cached_property
    def _spelling(self) -> list[int]:
        return self.at("earlier tokens") + self.at("spelling")

    @property
    def answer_written(self) -> list[int]:
        """The code of the answer, where a fact writes it."""
        return self._spelling[: self.answer_bits]

    @property
    def banks(self) -> int:
        """How many answers, from different distances, can be looked at side by side."""
        return max(1, min(self.places, len(self._spelling) // self.answer_bits - 1))

    def answer_copied(self, place: int) -> list[int]:
        """Where the code of an answer is copied to whose token at ``place`` is due here."""
        start = self.answer_bits * (1 + place % self.banks)
        return self._spelling[start : start + self.answer_bits]

    @property
    def hidden(self) -> int:
        """D, all coordinates."""
        return max(r.stop for r in self.subspaces.values())

    @property
    def private(self) -> list[int]:
        """Every coordinate that is not the model's own."""
        return list(range(self.d, self.hidden))

    def to_dict(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


@dataclass(frozen=True)
class Depth:
    """How many layers are added, and how many neurons to each MLP.

    Attributes:
        names: layers that recognise names, the first ones.
        front: all layers before the model's own: names, one that looks at the next token, one that copies,
            and one for words that name relations where that cannot share the last one's keys.
        facts: layers behind the model's own that join subject and relation.
        spelling: layers behind those.
        width: neurons added to every MLP.
    """

    names: int
    front: int
    facts: int
    spelling: int
    width: int

    @property
    def back(self) -> int:
        """Layers behind the model's own."""
        return self.facts + self.spelling


@dataclass(frozen=True)
class Needs:
    """What a table asks for.

    Attributes:
        tokens: different tokens in names and answers.
        lengths: tokens of a name ↦ how many spellings of that length.
        subjects, relations, facts, answers: how many.
        places: for each place of an answer, how many answers have a token there.
    """

    tokens: int
    lengths: Mapping[int, int]
    subjects: int
    relations: int
    facts: int
    answers: int
    places: tuple[int, ...]


def plan(arch: Architecture, needs: Needs) -> tuple[Space, Depth]:
    """The window that costs the fewest parameters.

    Raises:
        NotGraftableError: a code does not fit into a head.
    """
    longest = max(needs.lengths)
    most = min(max(2, longest), arch.heads + 1)
    plans = [_planned(arch, needs, window) for window in range(2, most + 1)]
    space, depth = min(plans, key=lambda p: added(arch, *p))
    wide = {
        "tokens": space.token_bits + 1,
        "subjects": space.subject_bits + 1,
        "answers": space.answer_bits + 1,
        "beginnings of names": space.node_bits + 2 if space.links else 0,
    }
    if bad := [f"{what} take {bits} signs" for what, bits in wide.items() if bits > arch.head_dim]:
        raise NotGraftableError(
            f"{bad[0]} and a head carries {arch.head_dim}; leave out facts, or take a model with wider heads"
        )
    return space, depth


def _planned(arch: Architecture, needs: Needs, window: int) -> tuple[Space, Depth]:
    longest = max(needs.lengths)
    links = math.ceil(longest / window) - 1
    beginnings = sum(n * (math.ceil(length / window) - 1) for length, n in needs.lengths.items())
    space = Space(
        d=arch.d,
        token_bits=bits_for(needs.tokens),
        window=window,
        links=links,
        subject_bits=bits_for(needs.subjects),
        node_bits=bits_for(beginnings) if links else 0,
        relations=needs.relations,
        others=OTHERS,
        answer_bits=bits_for(needs.answers),
        places=len(needs.places),
    )
    space = replace(space, unused=-space.hidden % arch.heads)
    width = max(RELATION_NEURONS * (needs.relations + OTHERS) + 2, LEAST_WIDTH)
    room = arch.mlp + width
    short = sum(n for length, n in needs.lengths.items() if length <= window) + beginnings
    names = max(math.ceil(short / room) + links, 1)
    depth = Depth(
        names=names,
        front=max(names, 2) + (1 if shares_keys(arch) else 2),
        facts=math.ceil(needs.facts / room),
        spelling=_spelling_layers(needs.places, arch.heads, room),
        width=width,
    )
    return space, depth


def shares_keys(arch: Architecture) -> bool:
    """Whether two heads of one layer can have keys of their own, not normed alike."""
    return arch.kv_heads > 1 and not arch.head_norm


def spelling_order(places: Sequence[int]) -> list[int]:
    """Places in the order of their neurons: the first token comes last, see :mod:`circuit`."""
    return [*range(1, len(places)), 0]


def _spelling_layers(places: Sequence[int], heads: int, room: int) -> int:
    """Each layer looks at ``heads`` places and has ``room`` neurons for places seen so far."""
    layer, used = 0, 0
    for place in spelling_order(places):
        if place // heads > layer:
            layer, used = place // heads, 0
        n = places[place]
        while n:
            taken = min(n, room - used)
            n, used = n - taken, used + taken
            if n:
                layer, used = layer + 1, 0
    return layer + 1


def added(arch: Architecture, space: Space, depth: Depth) -> int:
    """Parameters that a graft adds, zeros included."""
    before = parameters(arch, arch.d, arch.layers, arch.mlp)
    layers = arch.layers + depth.front + depth.back
    return parameters(arch, space.hidden, layers, arch.mlp + depth.width) - before


def parameters(arch: Architecture, hidden: int, layers: int, mlp: int) -> int:
    """Scalars of a checkpoint of this architecture."""
    q, kv = arch.heads * arch.head_dim, arch.kv_heads * arch.head_dim
    layer = 2 * hidden * q + 2 * hidden * kv + 3 * hidden * mlp + 2 * hidden
    layer += arch.qkv_bias * (q + 2 * kv) + arch.o_bias * hidden + arch.mlp_bias * (2 * mlp + hidden)
    layer += arch.head_norm * 2 * arch.head_dim
    return layers * layer + hidden + arch.vocabulary * hidden * (1 if arch.tied else 2)
