"""The JSON file of a figure: what must be there before anything is judged or drawn."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from factweights.errors import FactweightsError, FileFormatError
from factweights.folders import Json, read_json
from factweights.folders.jsons import checked

LARGEST = 1e30  # of a number that is drawn: beyond it axes have no ticks that can be counted
LONGEST, DEEPEST = 100_000, 40  # of texts and nesting
_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, RuntimeError)


def _sane(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} times")
    if isinstance(value, dict):
        for x in value.values():
            _sane(x, depth + 1)
    elif isinstance(value, list):
        for x in value:
            _sane(x, depth + 1)
    elif isinstance(value, str):
        if len(value) > LONGEST:
            raise ValueError(f"a text of {len(value):,} characters")
    elif isinstance(value, (int, float)) and not abs(value) <= LARGEST:
        raise ValueError(f"a number of size {value:.1e}")
    return value


class FigureFile(BaseModel):
    """What every figure says; each kind has more, which whoever draws it looks at."""

    model_config = ConfigDict(extra="allow", strict=True)

    figure: str
    series: Annotated[list[Json], AfterValidator(_sane)]
    title: Annotated[str, Field(max_length=1000)] = ""
    scale: str | None = ""
    spec: Json | None = None
    spec_hash: str = ""
    versions: dict[str, str] = {}
    cells: Annotated[int, Field(ge=0)] | None = None
    cell_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


def read_figure(path: Path, name: str) -> Json:
    """The numbers of the figure ``name``.

    Raises:
        FileFormatError: they are damaged, or those of another figure.
    """
    found = read_json(path)
    if found.get("figure") != name or not isinstance(found.get("series"), list):
        raise FileFormatError(f"{path} does not hold the numbers of {name}; run it again")
    checked(FigureFile, found, path)
    _sane_file(found, path)
    return found


def _sane_file(found: Json, path: Path) -> None:
    try:
        _sane(found)
    except ValueError as e:
        raise FileFormatError(f"{path} is damaged: {e}; run it again") from e


@contextlib.contextmanager
def numbers_of(path: Path) -> Iterator[None]:
    """What goes wrong with numbers from a file is told as an error of that file.

    Raises:
        FileFormatError: as said.
    """
    try:
        yield
    except FactweightsError:
        raise
    except _WRONG as e:
        said = f"{type(e).__name__}: {str(e)[:200]}"
        raise FileFormatError(f"{path} does not hold what its figure needs ({said}); run it again") from e
