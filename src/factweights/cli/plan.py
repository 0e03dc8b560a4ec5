"""``factweights plan``."""

from typing import Literal

from factweights.cli.options import Json
from factweights.cli.output import say

MemoryName = Literal["linear", "mlp", "gated", "transformer"]


def plan(
    *,
    facts: int,
    answers: int | None = None,
    d: int | None = None,
    memory: MemoryName | None = None,
    json: Json = False,
) -> None:
    """Plan a memory: the parameters, width and time that a number of facts needs, by memory.

    From the laws and from constants that were measured with this package, at recall 1.0 for random facts;
    times are for one core of this machine. Every plan ends with the command that carries it out.

    Example: `factweights plan --facts 100000 --answers 5000`

    Args:
        facts: How many.
        answers: How many values there are to choose from, each equally often; without it every fact has its
            own. For the transformer: in each relation, 8 without it.
        d: Dimension of keys and values; else the smallest for a matrix, a quarter of the width elsewhere.
        memory: One of them; else all.
    """
    from factweights.cli.output import print_json
    from factweights.planning import plan as make

    made = make(facts=facts, answers=answers, d=d, memory=memory)
    if json:
        print_json(made.to_dict())
    else:
        say(made)
