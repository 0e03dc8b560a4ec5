"""``factweights measure``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from factweights.cli.options import Flag, Json
from factweights.cli.output import say
from factweights.cli.tables import TableOptions


def measure(
    model: str,
    file: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    template: Annotated[list[str] | None, Parameter(name="--template", metavar="TEXT")] = None,
    templates: Annotated[Path | None, Parameter(name="--templates", metavar="FILE")] = None,
    wordings: int = 1,
    closed: Flag = False,
    open: Flag = False,
    prior: Literal["frequency", "uniform"] = "frequency",
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    device: str = "cpu",
    tolerance: float = 1e-6,
    stop: str = "",
    table: Literal["csv", "parquet"] = "csv",
    relations: Annotated[list[str] | None, Parameter(metavar="A,B")] = None,
    limit: int | None = None,
    seed: int = 0,
    reading: TableOptions | None = None,
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
        template: A way to ask, such as 'The {relation} of {subject} is'; may be repeated.
        templates: TOML with a list for each relation: `"capital" = ["The capital of {subject} is", …]`.
        wordings: How many of the shipped or default templates to ask for each relation.
        closed: Only rank the answers of the table.
        open: Only let the model write.
        prior: What an answer is worth before the model is asked: its frequency, or one in all answers.
        dtype: Of the passes; the saved one if none is given.
        device: Where they run, such as cuda.
        tolerance: Answers that cannot have this share of the probability are not read to their end.
        stop: Text that is counted with every answer, such as a full stop.
        table: Format of the table of facts.
        relations: Only the facts with these relations.
        limit: Only the first so many facts.
        seed: Of folds, permutations and intervals.
    """
    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.cli.tables import choose, read
    from factweights.errors import SettingError
    from factweights.models.measure import measure as measured

    if closed and open:
        raise SettingError("--closed and --open exclude each other; leave both out for both")
    facts = choose(read(file, reading), relations, limit)
    with shown_progress() as on_progress:
        found = measured(
            model,
            facts,
            templates=template,
            templates_file=templates,
            wordings=wordings,
            mode="closed" if closed else "open" if open else "both",
            prior=prior,
            dtype=dtype,
            device=device,
            tolerance=tolerance,
            stop=stop,
            seed=seed,
            out=out,
            on_progress=on_progress,
        )
        files = [] if out is None else [str(f) for f in found.save(out, table=table)]
    if json:
        print_json({**found.to_dict(), "files": files})
        return
    say(found)
    say("\n".join(f"wrote {f}" for f in files) if files else "nothing written: give --out DIR to keep it")
