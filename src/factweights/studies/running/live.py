"""Numbers sent to TensorBoard or trackio while a study runs."""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from factweights.errors import MissingExtraError, UnknownNameError
from factweights.studies.running.run import OnResult
from factweights.studies.study import Cell, Result

LOGS = ("tensorboard", "trackio")


@contextlib.contextmanager
def live_log(name: str, folder: str | Path) -> Iterator[OnResult]:
    """A listener for ``on_result`` that logs the plain numbers of every cell; it is closed with the block.

    The step is the count of finished cells, kept ones included; a number of a cell is called
    ``<function>/<number>``.

    Args:
        name: ``tensorboard`` writes event files to ``folder/tensorboard``; ``trackio`` logs to the project
            ``factweights`` of its local dashboard.
        folder: of the study.

    Raises:
        UnknownNameError: no such log.
        MissingExtraError: the extra of that name is not installed.
    """
    openers = {"tensorboard": _tensorboard, "trackio": _trackio}
    if name not in openers:
        raise UnknownNameError("live log", name, LOGS, f"(there are {', '.join(LOGS)})")
    write, close = openers[name](Path(folder))
    step = 0

    def listen(cell: Cell, result: Result) -> None:
        nonlocal step
        step += 1
        write({f"{cell.function}/{k}": float(v) for k, v in result.items() if _is_number(v)}, step)

    try:
        yield listen
    finally:
        close()


Opened = tuple[Callable[[dict[str, float], int], None], Callable[[], None]]


def _tensorboard(folder: Path) -> Opened:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as e:
        raise MissingExtraError("logging to TensorBoard", "tensorboard") from e
    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(numbers: dict[str, float], step: int) -> None:
        for key, value in numbers.items():
            writer.add_scalar(key, value, step)

    return write, writer.close


def _trackio(folder: Path) -> Opened:
    try:
        trackio: Any = importlib.import_module("trackio")
    except ImportError as e:
        raise MissingExtraError("logging to trackio", "trackio") from e
    trackio.init(project="factweights", name=folder.name)
    return lambda numbers, step: trackio.log(numbers, step=step), trackio.finish


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
