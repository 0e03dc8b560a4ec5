"""``factweights measure``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from factweights.cli.options import Asking, Flag, Json, OutOrNot, Passes
from factweights.cli.output import emit
from factweights.cli.tables import TablePart


@Parameter(name="*")
@dataclass(frozen=True)
class Questions(Asking):
    """How a language model is asked, and what is made of its answers.

    Attributes:
        wordings: How many of the shipped or default templates to ask for each relation.
        closed: Only rank the answers of the table.
        open: Only let the model write.
    """

    wordings: int = 1
    closed: Flag = False
    open: Flag = False

    def mode(self) -> str:
        """Closed, open or both.

        Raises:
            SettingError: both are asked for alone.
        """
        from factweights.errors import SettingError

        if self.closed and self.open:
            raise SettingError("--closed and --open exclude each other; leave both out for both")
        return "closed" if self.closed else "open" if self.open else "both"


def measure(
    model: str,
    file: Path,
    /,
    *,
    out: OutOrNot = None,
    asking: Questions = Questions(),
    prior: Literal["frequency", "uniform"] = "frequency",
    passes: Passes = Passes(),
    tolerance: float = 1e-6,
    stop: str = "",
    table: Literal["csv", "parquet"] = "csv",
    seed: int = 0,
    part: TablePart = TablePart(),
    json: Json = False,
) -> None:
    """Measure how many bits of a table a language model knows, with controls and intervals.

    Every fact is asked in words. Closed, all answers of its relation are scored after the prompt, and the
    right one is ranked among them; open, the model writes by itself. Both are done unless one is asked for.
    Two controls stand beside the bits: subjects exchanged within a relation, and the relation alone. A run
    that was stopped goes on where it was when it is given the same --out. Needs the extra [hf].

    Example: `factweights measure countries-llama examples/countries.csv --out countries-known`

    Args:
        model: A folder that transformers loads, or a name whose files are already here; nothing is
            downloaded, and no code in the folder is run.
        file: Table of facts: CSV, TSV, JSON Lines or Parquet; one fact per row, or one subject per row.
        out: Folder for measure.json, the table of facts, and the picture.
        prior: What an answer is worth before the model is asked: its frequency, or one in all answers.
        tolerance: Answers that cannot have this share of the probability are not read to their end.
        stop: Text that is counted with every answer, such as a full stop.
        table: Format of the table of facts.
        seed: Of folds, permutations and intervals.
    """
    from factweights.cli.progress import shown_progress
    from factweights.models.measure import measure as measured

    mode = asking.mode()
    facts = part.read(file)
    with shown_progress() as on_progress:
        found = measured(
            model,
            facts,
            wordings=asking.wordings,
            mode=mode,
            prior=prior,
            tolerance=tolerance,
            stop=stop,
            seed=seed,
            out=out,
            on_progress=on_progress,
            **asking.wordings_of(),
            **vars(passes),
        )
        files = [] if out is None else [str(f) for f in found.save(out, table=table)]
    emit(found, _lines(found, files), json=json, more={"files": files})


def _lines(found: object, files: list[str]) -> Iterator[object]:
    yield found
    if not files:
        yield "nothing written: give --out DIR to keep it"
    for file in files:
        yield f"wrote {file}"
