"""The answers of one relation as a tree of tokens: what they share is read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Node:
    """A run of tokens without a branch.

    Attributes:
        tokens: of the run; empty at the root alone.
        children: places of the nodes that follow.
        answers: places of the answers that end with the run's last token.
        below: places of all answers here and below.
        chain: most answers of the subtree of which each begins with the one before.
    """

    tokens: tuple[int, ...]
    children: tuple[int, ...]
    answers: tuple[int, ...]
    below: tuple[int, ...]
    chain: int

    @property
    def fed(self) -> tuple[int, ...]:
        """The tokens that must be read: a leaf's last one is only asked for."""
        return self.tokens if self.children else self.tokens[:-1]


@dataclass(frozen=True)
class Trie:
    """All answers, each a path from the root.

    Attributes:
        answers: token ids of each, none empty.
        nodes: the root first.
    """

    answers: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, answers: Sequence[Sequence[int]]) -> "Trie":
        """The tree of these token sequences; equal ones share a node."""
        nodes: list[Node | None] = [None]
        rows = sorted(range(len(answers)), key=lambda i: tuple(answers[i]))

        def build(place: int, chosen: list[int], begin: int, end: int) -> int:
            """Fill in a node for ``chosen``, which share tokens up to ``end``; returns its longest chain."""
            here = tuple(i for i in chosen if len(answers[i]) == end)
            groups: dict[int, list[int]] = {}
            for i in chosen:
                if len(answers[i]) > end:
                    groups.setdefault(answers[i][end], []).append(i)
            children, chains = [], [0]
            for group in groups.values():
                stop = end + 1
                # a run goes on as long as nobody ends and nobody turns off
                while all(len(answers[i]) > stop for i in group) and (
                    len({answers[i][stop] for i in group}) == 1
                ):
                    stop += 1
                nodes.append(None)
                children.append(len(nodes) - 1)
                chains.append(build(children[-1], group, end, stop))
            chain = max(chains) + len(here)
            run = tuple(answers[chosen[0]][begin:end])
            nodes[place] = Node(run, tuple(children), here, tuple(chosen), chain)
            return chain

        build(0, rows, 0, 0)
        return cls(tuple(tuple(a) for a in answers), tuple(n for n in nodes if n is not None))

    @cached_property
    def first(self) -> np.ndarray:
        """``(nodes,)`` first token of every run; the root's is 0."""
        return np.array([n.tokens[0] if n.tokens else 0 for n in self.nodes])

    @cached_property
    def tokens_fed(self) -> int:
        """Tokens that are read for one prompt when nothing is left out."""
        return sum(len(n.fed) for n in self.nodes)
