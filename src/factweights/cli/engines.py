"""What ``reproduce`` and ``study`` share: where cells run, and how a study is printed."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Parameter

from factweights.cli.output import table_lines

if TYPE_CHECKING:
    from factweights.studies import Engine
    from factweights.studies.running.run import OnResult

EngineName = Literal["local", "ray"]
LogName = Literal["tensorboard", "trackio"]


@Parameter(name="*")
@dataclass(frozen=True)
class Running:
    """Where the cells of a study run, and who is told meanwhile.

    Attributes:
        workers: Processes of one thread each; else one per core.
        engine: local processes, or ray: a Ray cluster (the one in RAY_ADDRESS, else this machine).
        log: Send numbers to TensorBoard or trackio while it runs.
    """

    workers: int | None = None
    engine: EngineName = "local"
    log: LogName | None = None

    def slots(self) -> int:
        """How many cells run at once."""
        from factweights.processors import cores

        return cores() if self.workers is None else self.workers

    def build_engine(self) -> "Engine":
        """The engine of that name."""
        from factweights.studies import LocalEngine

        if self.engine == "ray":
            from factweights.studies.running.ray_engine import RayEngine

            return RayEngine(slots=self.workers)
        return LocalEngine(self.slots())

    def listener(self, out: Path) -> "AbstractContextManager[OnResult | None]":
        """What hears of every finished cell while the block lasts, if anything does."""
        from factweights.studies.running.live import live_log

        return nullcontext() if self.log is None else live_log(self.log, out)


def study_lines(data: dict[str, Any], files: Iterable[Path]) -> Iterator[object]:
    """The numbers of a study as tables, and what was written."""
    from factweights.studies import STUDIES

    for table in STUDIES[data["figure"]].tables(data):
        yield table.title
        if table.columns:
            yield from table_lines(table.columns, table.rows)
        yield from table.notes
        yield ""
    yield from files
