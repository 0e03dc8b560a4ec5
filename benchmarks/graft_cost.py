"""What a graft of each table would add, by the plan, and how few neurons answers as a trie would need.

    python benchmarks/graft_cost.py MODEL [--table countries people airports]

Nothing is fitted: a minute, most of it reading the model.
"""

import argparse
from collections.abc import Sequence

from factweights.models import seam
from factweights.models.graft.architecture import architecture
from factweights.models.graft.building import number
from factweights.models.graft.space import added, parameters, plan
from graft_tables import table_of


def aligned(low: int, high: int) -> int:
    """Blocks 2^k j … 2^k (j + 1) that make up ``low`` … ``high``: one test of the leading signs each."""
    blocks = 0
    while low < high:
        size = low & -low or 1 << high.bit_length()
        while low + size > high:
            size //= 2
        low, blocks = low + size, blocks + 1
    return blocks


def as_trie(answers: Sequence[Sequence[int]]) -> int:
    """Neurons if answers in the order of their tokens, with a common beginning, shared those that say it."""
    ordered, neurons = sorted(map(tuple, answers)), 0
    for place in range(max(map(len, ordered))):
        start = 0
        for i in range(1, len(ordered) + 1):
            if i == len(ordered) or ordered[i][: place + 1] != ordered[start][: place + 1]:
                neurons += aligned(start, i) if len(ordered[start]) > place else 0
                start = i
    return neurons


def said_by_facts(answers: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Neurons if a fact says its first token and a common beginning is one neuron; numbers that this takes.

    A group of answers is one test of leading signs where its numbers fill a block 2^k j … 2^k (j + 1).
    """
    ids = {tuple(a) for a in answers}
    neurons = len({a[: place + 1] for a in ids for place in range(1, len(a))})

    def padded(group: set[tuple[int, ...]], depth: int) -> int:
        if len(group) == 1:
            return 1
        parts: dict[int | None, set[tuple[int, ...]]] = {}
        for a in group:
            parts.setdefault(a[depth] if depth < len(a) else None, set()).add(a)
        total = sum(padded(part, depth + 1) for part in parts.values())
        return total if depth == 0 or len(parts) == 1 else 1 << (total - 1).bit_length()

    return neurons, padded(ids, 0)


def conflicts(answers: Sequence[Sequence[int]]) -> set[tuple[int, int]]:
    """Places that cannot share a coordinate: the same token stands before them and another one is due."""
    return {
        (i, j)
        for a in answers
        for j in range(1, len(a))
        for i in range(1, j)
        if a[i - 1] == a[j - 1] and a[i] != a[j]
    }


def classes(pairs: set[tuple[int, int]], places: int) -> int:
    """Coordinates that are enough for the places behind the first, taken greedily."""
    taken: dict[int, int] = {}
    for place in range(1, places):
        near = {taken[i] for i, j in pairs if j == place}
        taken[place] = next(c for c in range(places) if c not in near)
    return 1 + max(taken.values(), default=-1)


def main() -> None:
    """A few lines for each table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--table", nargs="*", default=["countries", "people", "airports"])
    given = parser.parse_args()
    lm = seam.load(given.model, dtype="float32")
    arch = architecture(lm.model)
    before = parameters(arch, arch.d, arch.layers, arch.mlp)
    for kind in given.table:
        written = number(lm.tokenizer, table_of(kind), ".")
        needs = written.needs()
        space, depth = plan(arch, needs)
        answers = f"{needs.answers:,} answers in {sum(needs.places):,} places"
        spellings = f"{sum(needs.lengths.values()):,} spellings"
        trie = f"as a trie {as_trie(written.answers.ids):,}"
        print(f"{kind}: {needs.facts:,} facts, {spellings}, {answers}, {trie}")
        front = f"{depth.front} layers before ({depth.names} of them for names)"
        back = f"{depth.facts} for facts, {depth.spelling} for answers"
        share = added(arch, space, depth) / before
        print(f"  {front}, {back}, {len(space.private)} coordinates: {share:+.1%} parameters")
        print(f"  neurons of a layer: {arch.mlp + depth.width:,}")
        neurons, numbers = said_by_facts(written.answers.ids)
        pairs = conflicts(written.answers.ids)
        enough = classes(pairs, len(needs.places))
        print(f"  first tokens by facts, beginnings shared: {neurons:,} neurons, {numbers:,} numbers")
        print(
            f"  {len(pairs)} pairs of places repeat a token; {enough} coordinates are enough for the places"
        )


if __name__ == "__main__":
    main()
