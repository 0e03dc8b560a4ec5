"""``factweights compile``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from factweights.cli.options import Asking, Json, NewOutput
from factweights.cli.output import emit, saved_lines
from factweights.cli.tables import TablePart

if TYPE_CHECKING:
    from factweights.facts import FactTable


def compile(
    file: Path,
    /,
    *,
    to: NewOutput,
    store: Literal["mlp", "attention"] = "mlp",
    d: int | None = None,
    width: Annotated[
        int | Literal["auto", "smallest"], Parameter(metavar="INT|auto|smallest", show_choices=False)
    ] = "auto",
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    asking: Asking = Asking(),
    context: int = 512,
    absence: Annotated[bool, Parameter(negative="--no-absence")] = True,
    seed: int = 0,
    part: TablePart = TablePart(),
    json: Json = False,
) -> None:
    """Compile a table of facts into a Hugging Face checkpoint that knows them all, and nothing else.

    The result is a stock one-layer Llama with tokenizer, model card, certificate and a map of its weights.
    It is reloaded from disk, and transformers' own forward asked for every fact in the saved dtype; if one is
    missed, nothing is written and the exit code is 1. Needs the extra [hf].

    Example: `factweights compile examples/countries.csv --out countries-llama`

    Args:
        file: Table of facts: CSV, TSV, JSON, JSON Lines or Parquet; one fact per row, or one subject per row.
        to.out: Folder for the checkpoint.
        store: Where the facts live.
        d: Hidden size; else one that suits the names.
        width: Neurons of the MLP; `auto` takes a comfortable number, `smallest` searches.
        dtype: Of the weights, and of the passes that are certified.
        asking.template: Prompt to verify, such as 'The {relation} of {subject} is', or for one relation 'The
            capital of {subject} is'; may be repeated. Relations in none of them are asked as '{subject}
            {relation}'.
        asking.templates: TOML with a list for each relation, `"capital" = ["The capital of {subject} is",
            …]`; every template must hold the relation's name or `{relation}`, by which the model knows it.
        context: Longest prompt, in tokens.
        absence: A subject and a relation without a fact say `<unk>`; `--no-absence` gives them some answer.
        to.overwrite: Replace a folder that an earlier `compile` wrote.
        seed: Of codes and fit.
    """
    from factweights.cli.progress import shown_progress
    from factweights.export import compile_table
    from factweights.export.folder import must_be_writable

    must_be_writable(to.out, overwrite=to.overwrite)
    table = part.read(file)
    templates = _templates(asking, table)
    with shown_progress() as on_progress:
        compiled = compile_table(
            table,
            store=store,
            d=d,
            width=width,
            dtype=dtype,
            templates=templates,
            context=context,
            absence=absence,
            seed=seed,
            on_progress=on_progress,
            **vars(to),
        )
    emit(compiled, saved_lines(compiled, to.out, table, "explain"), json=json)


def _templates(asking: Asking, table: "FactTable") -> Sequence[str]:
    """Those that are given, or else the usual ones."""
    from factweights.export.names import TEMPLATES

    listed = _listed(asking.templates, table.relations) if asking.templates else ()
    return [*(asking.template or ()), *listed] or TEMPLATES


def _listed(file: Path, relations: Sequence[str]) -> list[str]:
    """The templates of a file for these relations, each with its relation's name in it."""
    from factweights.errors import SettingError
    from factweights.models.wordings import Wordings

    chosen = Wordings.choose(relations, file=file)
    found = []
    for relation in relations:
        for given in chosen.of(relation):
            template = given.replace("{relation}", relation)
            if relation not in template:
                raise SettingError(
                    f"the template {given!r} of {file.name} does not hold the name of its relation "
                    f"{relation!r}; a compiled model knows a relation by its name alone: write it, or "
                    "{relation}, or use graft, which reads wordings"
                )
            found.append(template)
    return list(dict.fromkeys(found))
