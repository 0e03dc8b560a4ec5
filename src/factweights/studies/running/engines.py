"""The seam between what is to be computed and where: an engine takes packs of cells and yields outcomes."""

import os
import time
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from factweights.domains import Workers, checked
from factweights.studies.running.processes import run_in_processes
from factweights.studies.study import Cell, Result

Pack = tuple[Cell, ...]

HINTS = {
    -9: "; was memory short? Try fewer workers",
    1: '; a script that asks for workers has its calls under `if __name__ == "__main__":`, has yours?',
}
PACK_SECONDS = 0.5  # of work in a pack of small cells: handing one over takes some milliseconds


@dataclass(frozen=True)
class Outcome:
    """How one cell ended: with a result, or with a traceback.

    Attributes:
        lost: the process or machine that ran it is gone, so the cell may be innocent.
        worker: who ran it.
        peak_bytes: the most memory its process had held by then; 0 where that is unknown.
    """

    result: Result | None
    error: str | None
    seconds: float
    lost: bool = False
    worker: str = ""
    peak_bytes: int = 0


def attempt(cell: Cell) -> Outcome:
    """Run one cell here; an exception is an outcome, an interrupt is not."""
    begun = time.perf_counter()
    try:
        result, error = cell.run(), None
    except Exception:
        result, error = None, traceback.format_exc()
    spent = time.perf_counter() - begun
    return Outcome(result, error, spent, worker=str(os.getpid()), peak_bytes=_peak_bytes())


def attempt_pack(pack: Pack) -> list[Outcome]:
    """Run the cells of a pack one after the other; a cell that fails does not stop the others."""
    return [attempt(cell) for cell in pack]


def lost_pack(pack: Pack, why: str, seconds: float) -> list[Outcome]:
    """The outcomes of a pack whose worker is gone."""
    return [Outcome(None, f"{why}\n", seconds / len(pack), lost=True) for _ in pack]


class Engine(ABC):
    """Runs packs of cells somewhere.

    Attributes:
        name: as the command line calls it.
        slots: how many packs it works on at a time.
    """

    name: ClassVar[str]
    slots: int

    @abstractmethod
    def run(self, packs: Iterable[Pack]) -> Generator[tuple[Pack, list[Outcome]]]:
        """Yield every pack with its outcomes as they arrive; a pack is drawn when there is room for it.

        Closing the generator ends all work at once and leaves no process behind.
        """


@final
class LocalEngine(Engine):
    """Processes of this machine, one thread each; a single worker is this process itself."""

    name = "local"

    @checked
    def __init__(self, workers: Workers = 1) -> None:
        self.slots = workers

    def run(self, packs: Iterable[Pack]) -> Generator[tuple[Pack, list[Outcome]]]:
        """As :meth:`Engine.run`."""
        if self.slots == 1:
            for pack in packs:
                yield pack, attempt_pack(pack)
        else:
            yield from run_in_processes(packs, self.slots, attempt_pack, _died)


def _died(pack: Pack, exitcode: int | None, seconds: float) -> list[Outcome]:
    why = f"signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"exit code {exitcode}"
    hint = HINTS.get(exitcode or 0, "")
    return lost_pack(pack, f"the process that ran this cell died ({why}){hint}", seconds)


class Packer(Iterator[Pack]):
    """Deals cells out in packs of about :data:`PACK_SECONDS`, as far as their guessed cost tells.

    A large cell is a pack of its own, and so is every cell until the first outcomes tell how long a unit of
    cost takes. The more workers and the fewer cells left, the smaller the packs, so that all end together.

    Args:
        cells: in the order in which they are dealt out.
        slots: of the engine.
        single: no packs, to find out which cell it is that kills workers.
    """

    def __init__(self, cells: Sequence[Cell], slots: int, *, single: bool = False) -> None:
        self._left, self._slots, self._single = deque(cells), slots, single
        self._seconds = self._cost = 0.0

    def learn(self, pack: Pack, outcomes: Sequence[Outcome]) -> None:
        """Take notice of how long a pack took."""
        # Older packs fade: cells come costliest first, and small ones have their own pace.
        self._seconds = 0.7 * self._seconds + sum(o.seconds for o in outcomes)
        self._cost = 0.7 * self._cost + sum(c.cost for c in pack)

    def __next__(self) -> Pack:
        """The next pack.

        Raises:
            StopIteration: all are dealt out.
        """
        if not self._left:
            raise StopIteration
        pace = self._seconds / self._cost if self._cost else float("inf")
        most = 1 if self._single else max(1, len(self._left) // (2 * self._slots))
        pack = [self._left.popleft()]
        cost, gpus = pack[0].cost, pack[0].gpus
        while len(pack) < most and self._left and self._left[0].gpus == gpus:
            cost += self._left[0].cost
            if not cost * pace <= PACK_SECONDS:
                break
            pack.append(self._left.popleft())
        return tuple(pack)


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
