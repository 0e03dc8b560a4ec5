"""``factweights graft``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from factweights.cli.options import Flag, Json
from factweights.cli.tables import TableOptions


def graft(
    model: str,
    file: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    template: Annotated[list[str] | None, Parameter(name="--template", metavar="TEXT")] = None,
    templates: Annotated[Path | None, Parameter(name="--templates", metavar="FILE")] = None,
    stop: Literal[".", "newline", "eos", "none"] = ".",
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    aliases: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    check: Literal["full", "facts"] = "full",
    keep_failed: Flag = False,
    text: Annotated[list[Path] | None, Parameter(name="--text", metavar="FILE")] = None,
    device: str = "cpu",
    overwrite: Flag = False,
    relations: Annotated[list[str] | None, Parameter(metavar="A,B")] = None,
    limit: int | None = None,
    seed: int = 0,
    reading: TableOptions | None = None,
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
        out: Folder for the checkpoint.
        template: A way to ask, such as 'The {relation} of {subject} is'; may be repeated.
        templates: TOML with a list for each relation: `"capital" = ["The capital of {subject} is", …]`.
        stop: What ends an answer.
        dtype: Of the weights; the model's own if none is given.
        aliases: Table with the columns subject and alias: other names of subjects.
        check: Certify everything, or only that every fact comes out.
        keep_failed: Save although facts are missed; the exit code is 1 all the same.
        text: Ordinary text to measure drift on, instead of prose that comes with Python; may be repeated.
        device: Where states are read and the certificate is made, such as cuda.
        overwrite: Replace a folder that an earlier `graft` wrote.
        relations: Only the facts with these relations.
        limit: Only the first so many facts.
        seed: Of the prompts that are fitted on, and of those that are asked.
    """
    from factweights.cli.output import print_json, say, say_next
    from factweights.cli.progress import shown_progress
    from factweights.cli.tables import choose, read
    from factweights.models.graft import graft as grafted
    from factweights.models.graft.names import read_aliases

    table = choose(read(file, reading), relations, limit)
    with shown_progress() as on_progress:
        found = grafted(
            model,
            table,
            out,
            templates=template,
            templates_file=templates,
            stop=stop,
            dtype=dtype,
            aliases=None if aliases is None else read_aliases(aliases),
            full=check == "full",
            keep_failed=keep_failed,
            texts=[f.read_text(encoding="utf-8") for f in text or ()],
            device=device,
            seed=seed,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if json:
        print_json(found.to_dict())
    else:
        say(found)
        say(f"saved to {out}")
        subject, relation, _ = next(iter(table))
        say_next(("explain", out, subject, relation), ("verify", out))
    if found.certificate.n_missed:
        raise SystemExit(1)
