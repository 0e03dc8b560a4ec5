"""Facts without meaning, for trying sizes."""

from factweights.domains import Outputs, PlannedFacts, checked
from factweights.errors import SettingError
from factweights.facts.table import FactTable

MOST = 1_000_000  # facts: keys and values of a million take some GB


@checked
def made_up_table(facts: PlannedFacts, answers: Outputs | None = None) -> FactTable:
    """A table of so many subjects with one relation, its answers dealt out in turn.

    Keys and values of a table are drawn at random, so these are random facts with balanced answers.

    Args:
        facts: N.
        answers: M; None for one of its own for every fact.

    Raises:
        SettingError: numbers that mean nothing, more answers than facts, or over a million facts.
    """
    answers = facts if answers is None else answers
    if answers > facts:
        raise SettingError(
            f"{facts:,} facts have at most so many answers; got answers {answers:,}", fields=("answers",)
        )
    if facts > MOST:
        raise SettingError(f"facts cannot be {facts:,}: give at most {MOST:,}", fields=("facts",))
    return FactTable.from_rows((f"subject {i}", "answer", f"answer {i % answers}") for i in range(facts))
