"""The recall task of a command: random by its sizes, or of a table."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from factweights.cli.options import Flag
from factweights.cli.tables import TableOptions, read_if

if TYPE_CHECKING:
    from factweights.facts import FactTable, RecallTask


@Parameter(name="*")
@dataclass(frozen=True)
class TaskOptions:
    """A recall task.

    Attributes:
        subjects: S of a random task.
        relations: R of a random task.
        answers: D, answers of each relation.
        table: A table of facts instead of a random task: CSV, TSV, JSON, JSON Lines or Parquet.
        noise: Noise tokens; without it as many as subjects and relations.
        length: T, tokens of a prompt.
        alpha: Zipf exponent of the subjects.
        beta: Zipf exponent of the relations.
        structured: Subject s has answer ⌊sD/S⌋ of every relation, instead of random answers.
    """

    subjects: int | None = None
    relations: int | None = None
    answers: int | None = None
    table: Path | None = None
    noise: int | None = None
    length: int = 32
    alpha: float = 0.0
    beta: float = 0.0
    structured: Flag = False

    def build(self, reading: TableOptions, seed: int) -> "RecallTask":
        """The task, its random answers drawn from ``seed``.

        Raises:
            SettingError: sizes missing, or given beside a table.
            FactsError: a table that cannot be used.
        """
        facts = read_if(self.table, reading, "--table FILE")
        how: dict[str, Any] = {name: getattr(self, name) for name in ("noise", "length", "alpha", "beta")}
        return self._random(seed, how) if facts is None else self._of_table(facts, how)

    def _of_table(self, facts: "FactTable", how: dict[str, Any]) -> "RecallTask":
        from factweights.errors import SettingError
        from factweights.facts import RecallTask

        sizes = (self.subjects, self.relations, self.answers)
        if self.structured or any(size is not None for size in sizes):
            raise SettingError("give either --table or --subjects, --relations and --answers")
        return RecallTask.from_table(facts, **how)

    def _random(self, seed: int, how: dict[str, Any]) -> "RecallTask":
        from factweights.errors import SettingError
        from factweights.facts import RecallTask

        if self.subjects is None or self.relations is None or self.answers is None:
            raise SettingError("give --subjects, --relations and --answers, or --table FILE")
        if self.structured:
            return RecallTask.structured(self.subjects, self.relations, self.answers, **how)
        return RecallTask.random(self.subjects, self.relations, self.answers, seed=seed, **how)
