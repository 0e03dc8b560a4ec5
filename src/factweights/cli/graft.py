"""``factweights graft``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from factweights.cli.options import Asking, Flag, Json, NewOutput, Passes
from factweights.cli.output import emit, saved_lines
from factweights.cli.tables import TablePart


def graft(
    model: str,
    file: Path,
    /,
    *,
    to: NewOutput,
    asking: Asking = Asking(),
    stop: Literal[".", "newline", "eos", "none"] = ".",
    passes: Passes = Passes(),
    aliases: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    check: Literal["full", "facts"] = "full",
    keep_failed: Flag = False,
    text: Annotated[list[Path] | None, Parameter(name="--text", metavar="FILE")] = None,
    seed: int = 0,
    part: TablePart = TablePart(),
    json: Json = False,
) -> None:
    """Write a table of facts into a pretrained language model, certified, with everything else untouched.

    The result is a stock checkpoint of the model's own class. It is loaded again as anybody would and asked
    for every fact, greedily; if one is not said in full, nothing is saved and the exit code is 1. Models of
    the
    types Llama, Mistral, Qwen2 and Qwen3 can be grafted. Needs the extra [hf].

    Example: `factweights graft smollm2 countries.csv --out smollm2-knows`

    Args:
        model: A folder that transformers loads, or a name whose files are already here; nothing is
            downloaded, and no code in the folder is run.
        file: Table of facts: CSV, TSV, JSON Lines or Parquet; one fact per row, or one subject per row.
        to.out: Folder for the checkpoint.
        stop: What ends an answer.
        passes.dtype: Of the weights; the model's own if none is given.
        aliases: Table with the columns subject and alias: other names of subjects.
        check: Certify everything, or only that every fact comes out.
        keep_failed: Save although facts are missed; the exit code is 1 all the same.
        text: Ordinary text to measure drift on, instead of prose that comes with Python; may be repeated.
        passes.device: Where states are read and the certificate is made, such as cuda.
        to.overwrite: Replace a folder that an earlier `graft` wrote.
        seed: Of the prompts that are fitted on, and of those that are asked.
    """
    from factweights.cli.progress import shown_progress
    from factweights.models.graft import graft as grafted
    from factweights.models.graft.names import read_aliases

    table = part.read(file)
    with shown_progress() as on_progress:
        found = grafted(
            model,
            table,
            stop=stop,
            aliases=None if aliases is None else read_aliases(aliases),
            full=check == "full",
            keep_failed=keep_failed,
            texts=[f.read_text(encoding="utf-8") for f in text or ()],
            seed=seed,
            on_progress=on_progress,
            **asking.wordings_of(),
            **vars(passes),
            **vars(to),
        )
    emit(found, saved_lines(found, to.out, table, "explain"), json=json)
    if found.certificate.n_missed:
        raise SystemExit(1)
