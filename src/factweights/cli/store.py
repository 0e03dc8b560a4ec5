"""``factweights store``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from factweights.cli.options import Flag, Json, Kind, Setting
from factweights.cli.output import say, say_next
from factweights.cli.tables import TableOptions, choose, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from factweights.facts import FactTable
    from factweights.methods import Method


def store(
    file: Path | None = None,
    /,
    *,
    random: int | None = None,
    answers: int | None = None,
    method: str = "exact-linear",
    d: Annotated[int | Literal["auto"], Parameter(metavar="INT|auto", show_choices=False)] = "auto",
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    overwrite: Flag = False,
    recall: float = 1.0,
    relations: Annotated[list[str] | None, Parameter(metavar="A,B")] = None,
    limit: int | None = None,
    seed: int = 0,
    kind: Kind = "spherical",
    dtype: Literal["float32", "float64"] = "float64",
    rank: Annotated[int | Literal["auto"] | None, Parameter(metavar="INT|auto", show_choices=False)] = None,
    width: Annotated[int | Literal["auto"] | None, Parameter(metavar="INT|auto", show_choices=False)] = None,
    setting: Setting = None,
    reading: TableOptions | None = None,
    json: Json = False,
) -> None:
    """Write a table of facts into a new memory, verify every one of them, save the result.

    Every fact gets a random key and every answer a random value of dimension d; `--d auto` finds the smallest
    d that holds them all, and `--width auto` the smallest hidden layer at one d (64 if none is given). If the
    facts do not fit, or not with the margin or under the key noise that the method was asked for, nothing is
    saved and the exit code is 1.

    Example: `factweights store examples/countries.csv --d auto --out countries`

    Args:
        file: Table of facts: CSV, TSV, JSON, JSON Lines or Parquet; one fact per row, or one subject per row.
        random: So many made-up facts instead of a table, as `factweights plan` plans for.
        answers: How many answers the made-up facts have, each equally often; else one each.
        method: How they are written; `factweights methods` lists them.
        d: Dimension of keys and values; `auto` looks for the smallest that will do.
        out: Folder for weights, facts and certificate; without it nothing is saved.
        overwrite: Replace a folder that an earlier `store` wrote.
        recall: Share of the facts that must come out right.
        relations: Only the facts with these relations.
        limit: Only the first so many facts.
        seed: Of keys, values and method.
        kind: How keys and values are drawn.
        dtype: Of keys, values and weights.
        rank: Of the memory, for methods that have one; `auto` looks for the smallest at this d.
        width: Of the hidden layer, for methods that have one; `auto` looks for the smallest at this d.
    """
    import torch

    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.storing import must_be_writable, store_table

    chosen, searched = _method(method, setting, rank, width)
    if out is not None:
        must_be_writable(out, overwrite=overwrite)
    table = choose(_table(file, random, answers, reading), relations, limit)
    numbers = getattr(torch, dtype)
    with shown_progress() as on_progress:
        stored = store_table(
            table,
            chosen,
            d=d,
            searched=searched,
            recall=recall,
            seed=seed,
            kind=kind,
            dtype=numbers,
            on_progress=on_progress,
        )
        if out is not None:
            stored.save(out, overwrite=overwrite)
    if json:
        print_json({**stored.to_dict(), "out": None if out is None else str(out)})
        return
    say(stored)
    if out is None:
        say("not saved: give --out DIR to keep it")
        return
    say(f"saved to {out}")
    subject, relation, _ = next(iter(table))
    say_next(("recall", out, subject, relation), ("verify", out))


def _table(
    file: Path | None, random: int | None, answers: int | None, reading: TableOptions | None
) -> "FactTable":
    """The facts of the file, or made-up ones."""
    from factweights.errors import FactweightsError, SettingError
    from factweights.facts.made_up import made_up_table

    if (file is None) == (random is None):
        raise SettingError("give either a table, FILE, or --random with a number of facts")
    if file is not None:
        if answers is not None:
            raise SettingError("a table has the answers that it has; leave --answers out")
        return read(file, reading)
    try:
        return made_up_table(random or 0, answers)
    except FactweightsError as e:
        raise SettingError(str(e).replace("facts cannot", "--random cannot", 1), fields=("answers",)) from e


def _method(
    name: str, given: list[str] | None, rank: int | str | None, width: int | str | None
) -> "tuple[Method | Callable[[int], Method], Literal['rank', 'width']]":
    """The method, or what makes one of a given size, and the size that is to be searched then."""
    from factweights.cli.options import build_method, method_by_rank, method_by_width
    from factweights.errors import SettingError

    if rank is not None and width is not None:
        raise SettingError("no method has both a rank and a width; give one of them")
    if rank == "auto":
        return method_by_rank(name, given), "rank"
    if width == "auto":
        return method_by_width(name, given), "width"
    return build_method(name, given, rank=rank, width=width), "rank"
