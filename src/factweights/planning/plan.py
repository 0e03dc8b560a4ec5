"""Parameters, widths and time for given numbers of facts and answers."""

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from factweights import theory
from factweights.domains import Dimension, PlannedAnswers, PlannedFacts, checked
from factweights.errors import SettingError, UnknownNameError
from factweights.planning.pace import Problem, evaluation_seconds
from factweights.searching import threshold
from factweights.show import Shown, duration
from factweights.theory.lines import least_squares

WIDE = 4  # m/d where d is free, as in most transformers
HEADS = 8  # of the transformers that the constants were measured on
FEW_ANSWERS = 4  # times as many evaluations where there are at most 2 d answers
MOST_FACTS, MOST_D = 10**6, 2**15  # beyond these nothing was ever stored
FLOAT_BITS = 32  # of a float32 parameter


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
        seconds: to store and verify the facts once on one core of this machine; None where no run tells.
        command: what stores so many random facts in such a memory; ``store`` takes a table in the place of
            ``--random``. None where there is no such memory.
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
    command: str | None
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
                lines.append((m.memory, f"not possible at d = {m.d:,}"))
            else:
                width = "" if m.width is None else f", width {m.width:,}"
                heads = "" if m.heads is None else f", {m.heads} heads of {m.head_dim}"
                size = f"{m.parameters:,} parameters, {m.bits_per_parameter:.2f} bits each"
                limit = "" if m.over_limit is None else f", {m.over_limit:.1f} × the fewest possible"
                lines.append((m.memory, f"d = {m.d:,}{width}{heads}: {size}{limit}{_time(m.seconds)}"))
            lines += [("", m.command)] if m.command else []
            lines += [("", note) for note in m.notes]
        return lines


@checked
def plan(
    *,
    facts: PlannedFacts,
    answers: PlannedAnswers | None = None,
    d: Dimension | None = None,
    memory: str | None = None,
) -> Plan:
    """What it takes to store random facts at recall 1.0, from the laws and from measured constants.

    Sizes are comfortable, not the smallest: some per cent more for a matrix, a sixth more for a hidden layer,
    so that one fit from one start succeeds and takes a time that can be foretold. The constants, and the
    runs that they are from, are in ``planning/constants.json``; times rest on one evaluation that is timed
    on this machine, in processor time. Where d is free it is such that m ≤ 4 d for a hidden layer.

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
    if answers > facts:
        raise SettingError(
            f"{facts:,} facts have at most so many answers, got {answers:,}; give answers from 2 to facts",
            fields=("answers",),
        )
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
    law = theory.smallest_d(facts, outputs, -(-facts // answers))
    needed = law + max(1, math.ceil(_constants()["linear"]["over"] * law))
    size = needed if d is None else d
    notes = [f"N δ(M) = d² asks for d = {law:,} in the mean over draws; {needed / law - 1:.0%} more is safe"]
    if d is not None and d < needed:
        notes = [f"a matrix needs d = {needed:,}"]
    if size < needed:
        return _made("linear", "exact-linear", facts, answers, size, size**2, 1, notes, possible=False)
    command = f"{_store(facts, answers)} --d {size}"
    return _made("linear", "exact-linear", facts, answers, size, size**2, 1, notes, command=command)


FEW = 0.2  # of the width more where values do not span their space: without, 0 to 3 of 8 seeds fit (lab log)


def _layered(memory: Literal["mlp", "gated"], degree: int | None) -> "Maker":
    """A memory with a hidden layer: N δ(M) = load · parameters, as far as answers span the value space."""

    def make(facts: int, answers: int, d: int | None) -> MemoryPlan:
        constant = _constants()[memory]
        budget = facts * theory.delta(answers) / constant["load"]

        def width_at(size: int) -> int:
            # M values span M − 1 directions that matter, whatever the dimension they lie in
            read = 2 * size if memory == "gated" else size + 1
            few = 1 + FEW if answers - 1 < size else 1
            return math.ceil(few * budget / (read + min(size, answers - 1))) + 1

        size = _smallest_multiple(lambda n: width_at(n) <= WIDE * n) if d is None else d
        width = width_at(size)
        parameters = width * (3 * size if memory == "gated" else 2 * size + 1)
        notes = [f"N δ(M) = {constant['load']:g} × parameters: {constant['from']}"]
        if size < constant["checked_from"]:
            notes.append(f"never checked below d = {constant['checked_from']}")
        possible = size > 1 or answers == 2
        if not possible:
            notes = ["unit values on a line are ±1, so only two answers can be told apart"]
        how = f"--method {memory}-fit --setting activation=silu --d {size} --width {width}"
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
            command=f"{_store(facts, answers)} {how}",
        )

    return make


def _store(facts: int, answers: int) -> str:
    among = "" if answers == facts else f" --answers {answers}"
    return f"factweights store --random {facts}{among}"


def _transformer(facts: int, answers: int, d: int | None) -> MemoryPlan:
    constant = _constants()["transformer"]
    bits = facts * math.log2(answers)
    size = _smallest_multiple(lambda n: _transformer_bits(n)[1] >= bits) if d is None else d
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
    command = (
        f"factweights transformer --subjects {side} --relations {side} --answers {answers} "
        f"--d {size} --heads {HEADS} --head-dim {head_dim} --width {width} --recall 0.99"
    )
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
        command=command,
    )


def _smallest_multiple(enough: Callable[[int], bool], of: int = HEADS) -> int:
    """The smallest multiple of ``of`` that is enough, for what stays enough."""
    return of * threshold(lambda n: enough(n * of), 1, 0.0, factors=itertools.repeat(2.0))[1]


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
    "mlp": _layered("mlp", None),
    "gated": _layered("gated", None),
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
    command: str | None = None,
) -> MemoryPlan:
    bits = theory.bits_of_facts(facts, answers)
    if facts > MOST_FACTS or d > MOST_D:
        command, notes = None, [*notes, "beyond what can be stored with this package: no command"]
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
        seconds=_seconds(memory, facts, answers, d, width) if possible else None,
        command=command if possible else None,
        possible=possible,
        notes=tuple(notes),
    )


def _seconds(memory: str, facts: int, answers: int, d: int, width: int | None) -> float | None:
    """Evaluations, as measured, times what one takes here; for transformers a line through builds."""
    constant = _constants()[memory]
    if memory != "transformer":
        kind: Any = memory
        problem = Problem(kind, facts, answers, d, width or 0)
        slow = FEW_ANSWERS if width and answers <= 2 * d else 1
        return constant["start_seconds"] + slow * constant["evaluations"] * evaluation_seconds(problem)
    builds = constant["builds"]
    x = np.log([b["facts"] * b["answers"] * b["d"] for b in builds])
    slope, intercept = least_squares(x, np.log([[b["seconds"] for b in builds]]))
    return math.exp(intercept[0] + slope[0] * math.log(facts * answers * d))


@cache
def _constants() -> dict[str, Any]:
    return json.loads((files("factweights.planning") / "constants.json").read_text(encoding="utf-8"))


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f", about {duration(seconds)} on one core of this machine"
