"""Parameters, widths and time for given numbers of facts and answers."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from factweights import theory
from factweights.errors import SettingError, UnknownNameError
from factweights.show import Shown

WIDE = 4  # m/d where d is free, as in most transformers
HEADS = 8
FLOAT_BITS = 32


@dataclass(frozen=True)
class MemoryPlan:
    """One kind of memory for the facts.

    Attributes:
        memory: ``linear``, ``mlp``, ``gated`` or ``transformer``.
        method: how the facts get in, with the settings that matter.
        d, width: dimension of keys and values, neurons of the hidden layer (None for a matrix).
        heads, head_dim: of the transformer.
        parameters: every scalar.
        bits_per_parameter: N log2 M over the parameters.
        limit_parameters: fewer real parameters cannot store every such set of facts (Warren's count, for
            memories that are polynomial in their weights); None where no such bound is known.
        over_limit: parameters over that.
        over_information: bits of float32 weights over N log2 M.
        seconds: to store the facts once on one core; None where no run tells.
        possible: whether such a memory exists at the d that was asked for.
        notes: what the numbers rest on, and what they were never checked for.
    """

    memory: str
    method: str
    d: int
    width: int | None
    heads: int | None
    head_dim: int | None
    parameters: int
    bits_per_parameter: float
    limit_parameters: int | None
    over_limit: float | None
    over_information: float
    seconds: float | None
    possible: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Plan(Shown):
    """What each memory needs for ``facts`` facts with ``answers`` possible answers.

    Attributes:
        bits: N log2 M, the information in the facts.
        memories: one entry each.
    """

    facts: int
    answers: int
    bits: float
    memories: tuple[MemoryPlan, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def to_pandas(self) -> Any:
        """One row per memory (needs the extra [data])."""
        import pandas as pd

        return pd.DataFrame([asdict(m) for m in self.memories])

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        head = f"{self.facts:,} facts, {self.answers:,} answers: {self.bits:,.0f} bits"
        lines = [("plan", head)]
        for m in self.memories:
            if not m.possible:
                lines.append((m.memory, f"not possible at d = {m.d}"))
            else:
                width = "" if m.width is None else f", width {m.width:,}"
                heads = "" if m.heads is None else f", {m.heads} heads of {m.head_dim}"
                size = f"{m.parameters:,} parameters, {m.bits_per_parameter:.2f} bits each"
                limit = "" if m.over_limit is None else f", {m.over_limit:.1f} × the fewest possible"
                lines.append((m.memory, f"d = {m.d:,}{width}{heads}: {size}{limit}{_time(m.seconds)}"))
            lines += [("", note) for note in m.notes]
        return lines


def plan(*, facts: int, answers: int | None = None, d: int | None = None, memory: str | None = None) -> Plan:
    """What it takes to store random facts at recall 1.0, from the laws and from measured constants.

    The constants, and the runs that they are from, are in ``planning/constants.json``. Where d is free it is
    the smallest possible one for a matrix, and such that m = 4 d for a hidden layer.

    Args:
        facts: N.
        answers: M, values that the facts point to, each equally often; N by default. For the transformer the
            answers to choose from in each relation, 8 by default.
        d: dimension of keys and values.
        memory: one of ``MEMORIES``; all of them by default.

    Raises:
        UnknownNameError: no such memory.
        SettingError: sizes that mean nothing.
    """
    answers_given = answers
    answers = facts if answers is None else answers
    if not 2 <= answers <= facts:
        raise SettingError(f"give 2 or more facts and 2 to N answers, got {facts} and {answers}")
    if d is not None and d < 1:
        raise SettingError(f"d is {d}; give at least 1")
    if memory is not None and memory not in MEMORIES:
        raise UnknownNameError("memory", memory, MEMORIES, f"(there are {', '.join(MEMORIES)})")
    chosen = MEMORIES if memory is None else {memory: MEMORIES[memory]}
    made = []
    for name, make in chosen.items():
        # A relation of the recall task does not have as many answers as there are facts.
        of = (answers_given or min(8, facts)) if name == "transformer" else answers
        made.append(make(facts, of, d))
    return Plan(facts, answers, theory.bits_of_facts(facts, answers), tuple(made))


def _linear(facts: int, answers: int, d: int | None) -> MemoryPlan:
    outputs = None if answers == facts else answers
    needed = theory.smallest_d(facts, outputs, math.ceil(facts / answers))
    size = needed if d is None else d
    notes = ["N δ(M) = d², on the safe side by 2 to 5 % in certified runs"]
    if d is not None and d < needed:
        notes = [f"a matrix needs d = {needed:,}"]
    at = size**2
    return _made("linear", "exact-linear", facts, answers, size, at, 1, notes, possible=size >= needed)


def _layered(memory: str, per_neuron: Callable[[int], int], degree: int | None) -> "Maker":
    """A memory with a hidden layer: N δ(M) = load · parameters."""

    def make(facts: int, answers: int, d: int | None) -> MemoryPlan:
        constant = _constants()[memory]
        budget = facts * theory.delta(answers) / constant["load"]
        size = _free_d(budget, per_neuron) if d is None else d
        width = max(1, round(budget / per_neuron(size)))
        notes = [f"N δ(M) = {constant['load']:g} × parameters: {constant['from']}"]
        features = size * (size + 1) // 2
        possible = memory != "gated" or facts * theory.delta(answers) <= size * features
        if width < 8:
            notes.append("fewer than 8 neurons: rounding alone is more than 10 %")
        if not possible:
            notes = [f"bilinear gates have {features:,} features at this d, too few at any width"]
        parameters = width * per_neuron(size)
        return _made(
            memory,
            constant["method"],
            facts,
            answers,
            size,
            parameters,
            degree,
            notes,
            width=width,
            possible=possible,
        )

    return make


def _transformer(facts: int, answers: int, d: int | None) -> MemoryPlan:
    constant = _constants()["transformer"]
    bits = facts * math.log2(answers)
    size = _free_transformer(bits) if d is None else d
    narrow, wide = _transformer_bits(size)
    share = math.log(bits / narrow) / math.log(wide / narrow)  # of the way from m = d to m = 2 d
    width, head_dim = max(1, round(size * 2**share)), max(1, round(size / HEADS))
    sizes = [b["d"] for b in constant["builds"]]
    notes = [f"between measured sizes: {constant['from']}"]
    if not (min(sizes) <= size <= max(sizes) and 0 <= share <= 1):
        notes.append(f"beyond what was measured, d = {min(sizes)} to {max(sizes)} and m = d to 2 d")
    if answers != constant["answers"]:
        notes.append(f"checked with {constant['answers']} answers per relation only; scaled by bits")
    side = math.isqrt(max(0, facts - 1)) + 1
    notes.append(f"as {side:,} subjects × {side:,} relations, embeddings not counted")
    total = (4 * HEADS * head_dim + 2 * width) * size
    return _made(
        "transformer",
        "transformer fit",
        facts,
        answers,
        size,
        total,
        None,
        notes,
        width=width,
        head_dim=head_dim,
    )


def _free_transformer(bits: float) -> int:
    """The smallest multiple of 8 at which m = 2 d neurons are enough."""
    d = HEADS
    while _transformer_bits(d)[1] < bits:
        d += HEADS
    return d


def _transformer_bits(d: int) -> tuple[float, float]:
    """What H d_h = d holds with m = d and with m = 2 d.

    Bits per parameter lie on straight lines between the measured sizes, in logarithms, and are constant
    beyond them.
    """
    builds = sorted(_constants()["transformer"]["builds"], key=lambda b: b["d"])
    at = [math.log(b["d"]) for b in builds]
    narrow, wide = (
        math.exp(np.interp(math.log(d), at, [math.log(b["bits"][shape]) for b in builds])) for shape in (0, 1)
    )
    return 6 * d**2 * narrow, 8 * d**2 * wide


Maker = Callable[[int, int, int | None], MemoryPlan]

MEMORIES: Mapping[str, Maker] = {
    "linear": _linear,
    "mlp": _layered("mlp", lambda d: 2 * d + 1, None),
    "gated": _layered("gated", lambda d: 3 * d, 3),
    "transformer": _transformer,
}


def _made(
    memory: str,
    method: str,
    facts: int,
    answers: int,
    d: int,
    parameters: int,
    degree: int | None,
    notes: list[str],
    *,
    width: int | None = None,
    head_dim: int | None = None,
    possible: bool = True,
) -> MemoryPlan:
    bits = theory.bits_of_facts(facts, answers)
    limit = None if degree is None else theory.counting_parameters(facts, answers, degree)
    return MemoryPlan(
        memory=memory,
        method=method,
        d=d,
        width=width,
        heads=None if head_dim is None else HEADS,
        head_dim=head_dim,
        parameters=parameters,
        bits_per_parameter=bits / parameters,
        limit_parameters=limit,
        over_limit=None if limit is None else parameters / limit,
        over_information=FLOAT_BITS * parameters / bits,
        seconds=_seconds(memory, facts, answers, d),
        possible=possible,
        notes=tuple(notes),
    )


def _free_d(budget: float, per_neuron: Callable[[int], int]) -> int:
    """The smallest multiple of 8 with which m ≤ 4 d neurons are enough."""
    d = 8
    while WIDE * d * per_neuron(d) < budget:
        d += 8
    return d


def _seconds(memory: str, facts: int, answers: int, d: int) -> float | None:
    """By the straight line through measured builds in the logarithms of N M d and seconds."""
    builds = _constants()[memory].get("builds", [])
    if len(builds) < 2:
        return None
    x = [math.log(b["facts"] * b["answers"] * b["d"]) for b in builds]
    y = [math.log(b["seconds"]) for b in builds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum(
        (a - mean_x) ** 2 for a in x
    )
    return math.exp(mean_y + slope * (math.log(facts * answers * d) - mean_x))


@cache
def _constants() -> dict[str, Any]:
    return json.loads((files("factweights.planning") / "constants.json").read_text(encoding="utf-8"))


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    told = (
        f"{seconds:.2g} s"
        if seconds < 60
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
    return f", of the order of {told} on one core"
