"""``factweights store``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from factweights.cli.options import Flag, Json, Kind, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from factweights.facts import FactTable
    from factweights.methods import Method


def store(
    file: Path,
    /,
    *,
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
    wide: Annotated[bool | None, Parameter(negative="--no-wide")] = None,
    columns: Annotated[list[str] | None, Parameter(metavar="ROLE=NAME")] = None,
    encoding: str | None = None,
    json: Json = False,
) -> None:
    """Write a table of facts into a new memory, verify every one of them, save the result.

    Every fact gets a random key and every answer a random value of dimension d; `--d auto` finds the smallest
    d that holds them all, and `--width auto` the smallest hidden layer at one d (64 if none is given). If the
    facts do not fit, or not with the margin or under the key noise that the method was asked for, nothing is
    saved and the exit code is 1.

    Example: `factweights store examples/countries.csv --d auto --out countries`

    Args:
        file: Table of facts: CSV, TSV, JSON Lines or Parquet; one fact per row, or one subject per row.
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
        wide: One column per relation, or (`--no-wide`) subject, relation, answer; else the header tells.
        columns: What the file calls subject, relation and answer, as in `answer=city`.
        encoding: Of a text file, such as cp1252, where it is not UTF-8.
    """
    import torch

    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.storing import must_be_writable, store_table

    chosen, searched = _method(method, setting, rank, width)
    if out is not None:
        must_be_writable(out, overwrite=overwrite)
    table = choose(read(file, wide, columns, encoding), relations, limit)
    numbers = getattr(torch, dtype)
    with shown_progress() as tell:
        stored = store_table(
            table,
            chosen,
            d=d,
            searched=searched,
            recall=recall,
            seed=seed,
            kind=kind,
            dtype=numbers,
            on_progress=tell,
        )
        if out is not None:
            stored.save(out, overwrite=overwrite)
    if json:
        print_json({**stored.to_dict(), "out": None if out is None else str(out)})
        return
    print(stored)
    print(f"saved to {out}" if out is not None else "not saved: give --out DIR to keep it")


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


def read(file: Path, wide: bool | None, columns: list[str] | None, encoding: str | None) -> "FactTable":
    """The table in a file, as the options of a command describe it.

    Raises:
        SettingError: ``columns`` that are no ROLE=NAME; others as ``FactTable.read``.
    """
    from factweights.cli.options import split
    from factweights.errors import SettingError
    from factweights.facts import FactTable

    named: dict[str, str] = {}
    for entry in split(columns):
        role, equals, name = entry.partition("=")
        if not equals:
            raise SettingError(f"--columns takes ROLE=NAME, as in answer=city; got {entry!r}")
        named[role.strip()] = name.strip()
    return FactTable.read(file, wide=wide, columns=named, encoding=encoding)


def choose(table: "FactTable", relations: list[str] | None, limit: int | None) -> "FactTable":
    """The part of a table that the options of a command ask for."""
    from factweights.cli.options import split

    if relations is not None:
        # A name with a comma in it is known as a whole.
        table = table.select([r for w in relations for r in ([w] if w in table.relations else split([w]))])
    return table if limit is None else table.head(limit)
