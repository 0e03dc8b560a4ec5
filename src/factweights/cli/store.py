"""``factweights store``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from factweights.cli.options import Flag, Json, Kind, OutOrNot, Setting
from factweights.cli.output import emit, saved_lines
from factweights.cli.tables import TableOptions, TablePart, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from factweights.facts import FactTable
    from factweights.methods import Method


Searchable = Annotated[int | Literal["auto"] | None, Parameter(metavar="INT|auto", show_choices=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class MadeUp:
    """Facts without a table.

    Attributes:
        random: So many made-up facts instead of a table, as `factweights plan` plans for.
        answers: How many answers the made-up facts have, each equally often; else one each.
    """

    random: int | None = None
    answers: int | None = None

    def build(self) -> "FactTable":
        """Their table.

        Raises:
            SettingError: a number out of its range.
        """
        from factweights.errors import FactweightsError, SettingError
        from factweights.facts.made_up import made_up_table

        try:
            return made_up_table(self.random or 0, self.answers)
        except FactweightsError as e:
            text = str(e).replace("facts cannot", "--random cannot", 1)
            raise SettingError(text, fields=("answers",)) from e


@Parameter(name="*")
@dataclass(frozen=True)
class Sizes:
    """Of a memory.

    Attributes:
        rank: Of the memory, for methods that have one; `auto` looks for the smallest at this d.
        width: Of the hidden layer, for methods that have one; `auto` looks for the smallest at this d.
    """

    rank: Searchable = None
    width: Searchable = None


@Parameter(name="*")
@dataclass(frozen=True)
class Drawn:
    """How the vectors of a table are drawn.

    Attributes:
        seed: Of keys, values and method.
        kind: How keys and values are drawn.
        dtype: Of keys, values and weights.
    """

    seed: int = 0
    kind: Kind = "spherical"
    dtype: Literal["float32", "float64"] = "float64"

    def arguments(self) -> dict[str, Any]:
        """As arguments of ``store_table``."""
        import torch

        return {"seed": self.seed, "kind": self.kind, "dtype": getattr(torch, self.dtype)}


def store(
    file: Path | None = None,
    /,
    *,
    made_up: MadeUp = MadeUp(),
    method: str = "exact-linear",
    d: Annotated[int | Literal["auto"], Parameter(metavar="INT|auto", show_choices=False)] = "auto",
    out: OutOrNot = None,
    overwrite: Flag = False,
    recall: float = 1.0,
    drawn: Drawn = Drawn(),
    sizes: Sizes = Sizes(),
    setting: Setting = None,
    part: TablePart = TablePart(),
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
        method: How they are written; `factweights methods` lists them.
        d: Dimension of keys and values; `auto` looks for the smallest that will do.
        out: Folder for weights, facts and certificate; without it nothing is saved.
        overwrite: Replace a folder that an earlier `store` wrote.
        recall: Share of the facts that must come out right.
    """
    from factweights.cli.progress import shown_progress
    from factweights.storing import must_be_writable, store_table

    chosen, searched = _method(method, setting, sizes)
    if out is not None:
        must_be_writable(out, overwrite=overwrite)
    table = part.of(_table(file, made_up, part))
    with shown_progress() as on_progress:
        stored = store_table(
            table,
            chosen,
            d=d,
            searched=searched,
            recall=recall,
            on_progress=on_progress,
            **drawn.arguments(),
        )
        if out is not None:
            stored.save(out, overwrite=overwrite)
    lines = (stored, "not saved: give --out DIR to keep it")
    if out is not None:
        lines = saved_lines(stored, out, table, "recall")
    emit(stored, lines, json=json, more={"out": None if out is None else str(out)})


def _table(file: Path | None, made_up: MadeUp, reading: TableOptions) -> "FactTable":
    """The facts of the file, or made-up ones."""
    from factweights.errors import SettingError

    if (file is None) == (made_up.random is None):
        raise SettingError("give either a table, FILE, or --random with a number of facts")
    if file is None:
        return made_up.build()
    if made_up.answers is not None:
        raise SettingError("a table has the answers that it has; leave --answers out")
    return read(file, reading)


def _method(
    name: str, given: list[str] | None, sizes: Sizes
) -> "tuple[Method | Callable[[int], Method], Literal['rank', 'width']]":
    """The method, or what makes one of a given size, and the size that is to be searched then."""
    from factweights.cli.settings import build_method, method_by_rank, method_by_width
    from factweights.errors import SettingError

    if sizes.rank is not None and sizes.width is not None:
        raise SettingError("no method has both a rank and a width; give one of them")
    if sizes.rank == "auto":
        return method_by_rank(name, given), "rank"
    if sizes.width == "auto":
        return method_by_width(name, given), "width"
    return build_method(name, given, **vars(sizes)), "rank"
