"""What compiling a table will take, before it is done: the sizes that compile would begin with."""

from dataclasses import asdict, dataclass
from typing import Any

from factweights import theory
from factweights.export.checking import count
from factweights.export.compiling import weight
from factweights.export.layout import Store, layout_for
from factweights.export.names import TEMPLATES, Vocabulary
from factweights.export.saving import empty
from factweights.export.stores import store_of
from factweights.facts import FactTable
from factweights.show import Shown


@dataclass(frozen=True)
class CompiledPlan(Shown):
    """The checkpoint that ``compile`` would begin with; it may widen the MLP where the facts do not fit.

    Attributes:
        store: where the facts would be.
        facts, answers, tokens: of the table, and of the vocabulary.
        d, heads, head_dim, width: of the model.
        parameters: every scalar.
        bits, bits_per_parameter: N log2 M, the information in answers that are free.
        command: that carries it out.
    """

    store: Store
    facts: int
    answers: int
    tokens: int
    d: int
    heads: int
    head_dim: int
    width: int
    parameters: int
    bits: float
    bits_per_parameter: float
    command: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        shape = f"d = {self.d:,}, {self.heads} heads of {self.head_dim}, MLP of {self.width:,}"
        size = f"{self.parameters:,} parameters, {self.bits_per_parameter:.3f} bits each"
        told = f"{shape}, {self.tokens:,} tokens: {size}"
        return [(f"compiled, facts in the {self.store}", told), ("", self.command)]


def plan_compiled(
    table: FactTable,
    *,
    store: Store = "mlp",
    d: int | None = None,
    absence: bool = True,
    source: str = "TABLE",
) -> CompiledPlan:
    """The shape and the parameters of a table as a model, without fitting anything.

    Args:
        table: the facts.
        store, d, absence: as of ``compile_table``.
        source: what the command calls the table.

    Raises:
        FactsError, SettingError, MissingExtraError: as of ``compile_table``.
    """
    vocabulary = Vocabulary.build(table, TEMPLATES)
    names = (vocabulary.subjects, vocabulary.relations, vocabulary.answers)
    size = weight(table, vocabulary, absence)
    layout = layout_for(store, size, *map(len, names), d=d)
    width = store_of(layout).width_for(size, len(vocabulary.answers) + absence)
    bits = theory.bits_of_facts(len(table), max(2, len(vocabulary.answers)))
    parameters = sum(count(empty(layout, vocabulary, width)).values())
    options = "" if store == "mlp" else f" --store {store}"
    return CompiledPlan(
        store=store,
        facts=len(table),
        answers=len(vocabulary.answers),
        tokens=len(vocabulary.tokens),
        d=layout.hidden,
        heads=layout.heads,
        head_dim=layout.head_dim,
        width=width,
        parameters=parameters,
        bits=bits,
        bits_per_parameter=bits / parameters,
        command=f"factweights compile {source}{options} --out DIR",
    )
