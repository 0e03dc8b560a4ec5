"""``factweights plan``."""

from pathlib import Path
from typing import Literal

from factweights.cli.options import Json
from factweights.cli.output import emit
from factweights.cli.tables import TableOptions, read

MemoryName = Literal["linear", "mlp", "gated", "transformer"]


def plan(
    table: Path | None = None,
    /,
    *,
    facts: int | None = None,
    answers: int | None = None,
    d: int | None = None,
    memory: MemoryName | None = None,
    reading: TableOptions = TableOptions(),
    json: Json = False,
) -> None:
    """Plan a memory: the parameters, width and time that a number of facts, or a table, needs, by memory.

    From the laws and from constants that were measured with this package, at recall 1.0 for random facts;
    times are for one core of this machine. Every plan ends with the command that carries it out. For a table,
    the compiled checkpoint as well.

    Example: `factweights plan --facts 100000 --answers 5000`

    Args:
        table: Facts and answers are those of this table.
        facts: How many, without a table.
        answers: How many values there are to choose from, each equally often; without it every fact has its
            own. For the transformer: in each relation, 8 without it.
        d: Dimension of keys and values; else the smallest for a matrix, a quarter of the width elsewhere.
        memory: One of them; else all.
    """
    from factweights.errors import SettingError
    from factweights.planning import plan as make

    if (table is None) == (facts is None):
        raise SettingError("give either a table or --facts N")
    compiled = None
    if table is not None:
        from factweights.export import plan_compiled

        if answers is not None:
            raise SettingError("the table has its own answers; leave --answers out")
        given = read(table, reading)
        facts, answers = len(given), max(2, len(given.answers))
        compiled = plan_compiled(given, source=str(table))
    made = make(facts=facts, answers=answers, d=d, memory=memory)  # type: ignore[arg-type]
    more = {} if compiled is None else {"compiled": compiled.to_dict()}
    emit(made, (made,) if compiled is None else (made, compiled), json=json, more=more)
