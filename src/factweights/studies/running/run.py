"""Runs cells: skips those that are finished, keeps every result at once, goes on after failures."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from factweights.errors import FactweightsError, OutputError
from factweights.progress import OnProgress, Progress, silent
from factweights.studies.measuring import HEADLINES
from factweights.studies.running.engines import Engine, LocalEngine, Outcome, Packer
from factweights.studies.running.ledger import Ledger
from factweights.studies.study import Cell, Result, Study

OnResult = Callable[[Cell, Result], None]

TRIES = 3  # of a cell whose worker was lost; what kills three workers is the cell


class StudyError(FactweightsError):
    """Cells that failed; the others are done and kept."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a line that says what is kept."""


def run_cells(
    cells: Iterable[Cell],
    folder: str | Path,
    *,
    workers: int = 1,
    engine: Engine | None = None,
    studies: Sequence[Study] = (),
    retry: bool = True,
    partial: bool = False,
    on_result: OnResult | None = None,
    on_progress: OnProgress = silent,
) -> dict[str, Result]:
    """Run what is not finished yet, costliest first, and return every result by hash of cell.

    Results are kept as ``folder/cells/<hash>.json`` the moment they arrive and noted in the folder's ledger,
    so running the same cells in the same folder again resumes. A cell that fails leaves its traceback in
    ``folder/failed/<hash>.txt``; the others are run all the same. A cell whose worker is lost is tried up to
    three times.

    Args:
        cells: duplicates are run once.
        folder: made if needed; one run at a time writes to it.
        workers: processes of one thread each; 1 runs the cells in this process. A script that asks for more
            must guard its main part with ``if __name__ == "__main__"``, as Python's multiprocessing asks.
        engine: where to run them instead of on ``workers`` local processes.
        studies: what the cells belong to, for the ledger.
        retry: whether cells that failed earlier are tried again.
        partial: return what there is instead of raising when cells failed.
        on_result: told of every result, kept ones first.
        on_progress: told after every cell; ``done`` and ``total`` are shares of the guessed cost.

    Raises:
        StudyError: cells failed, after all others are done.
        BusyError: another run writes to the folder.
        OutputError: the folder cannot be written to.
        Interrupted: Ctrl-C; all but the cells in flight are kept.
    """
    engine = LocalEngine(workers) if engine is None else engine
    wanted = {cell.hash: cell for cell in cells}
    with _one_interrupt(), Ledger(folder, engine=engine.name, slots=engine.slots) as ledger:
        ledger.add_cells(wanted.values())
        for study in studies:
            ledger.add_study(study, study.expanded)
        run = _Run(ledger, wanted, engine, on_result, on_progress)
        run.begin(retry)
        try:
            run.work()
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; {run.done()}; the same command goes on from there") from None
        except OutputError as e:
            raise OutputError(f"{e}; {run.done()}; mend that, and the same command goes on") from e
        if run.failures and not partial:
            raise StudyError(run.failed())
    return {h: run.results[h] for h in wanted if h in run.results}


class _Run:
    """One go at the cells of a folder."""

    def __init__(
        self,
        ledger: Ledger,
        wanted: dict[str, Cell],
        engine: Engine,
        on_result: OnResult | None,
        on_progress: OnProgress,
    ) -> None:
        self.ledger, self.wanted, self.engine = ledger, wanted, engine
        self.on_result, self.on_progress = on_result, on_progress
        self.results = ledger.results(wanted)
        self.failures: list[str] = []
        self.todo: list[Cell] = []

    def begin(self, retry: bool) -> None:
        """Tell what is finished already, and settle what is to be done."""
        if self.on_result is not None:
            for h, found in self.results.items():
                self.on_result(self.wanted[h], found)
        self.failures = [] if retry else sorted(self.ledger.failed(self.wanted))
        skipped = set(self.failures)
        left = [c for h, c in self.wanted.items() if h not in self.results and h not in skipped]
        self.todo = sorted(left, key=lambda c: -c.cost)
        for note in self.ledger.notes:
            self.on_progress(Progress(0, None, note))

    def work(self) -> None:
        """Run the cells; those whose worker was lost again, one by one and not for ever."""
        engine = LocalEngine(1) if self.engine.name == "local" and len(self.todo) <= 1 else self.engine
        meter = _Meter(self.todo, len(self.results), min(engine.slots, len(self.todo)), self.on_progress)
        for n in range(TRIES):
            last = n == TRIES - 1
            self.todo = self._go(engine, self.todo, meter, single=n > 0, last=last)
            if not self.todo:
                break

    def _go(
        self, engine: Engine, todo: list[Cell], meter: "_Meter", *, single: bool, last: bool
    ) -> list[Cell]:
        packer, lost = Packer(todo, engine.slots, single=single), []
        with contextlib.closing(engine.run(packer)) as answers:
            for pack, outcomes in answers:
                packer.learn(pack, outcomes)
                done = list(zip(pack, outcomes, strict=True))
                for (cell, outcome), result in zip(done, self.ledger.finish(done), strict=True):
                    if result is not None:
                        self.results[cell.hash] = result
                        if self.on_result is not None:
                            self.on_result(cell, result)
                    elif outcome.lost and not last:
                        lost.append(cell)
                    else:
                        self.failures.append(cell.hash)
                        if outcome.lost:
                            self.ledger.give_up(cell, outcome)
                    meter.tell(cell, outcome, result, len(self.failures), again=outcome.lost and not last)
        return lost

    def done(self) -> str:
        """How much is finished."""
        kept = self.ledger.kept.cells
        return f"{len(self.results):,} of {len(self.wanted):,} cells are finished and kept in {kept}"

    def failed(self) -> str:
        """How much went wrong, and how."""
        kept = self.ledger.kept
        try:
            text = (kept.failed / f"{self.failures[0]}.txt").read_text(encoding="utf-8")
        except OSError:  # somebody tidied up
            text = "(its traceback is gone)"
        last = text.rstrip().rpartition("\n")[2]
        return (
            f"{len(self.failures)} of {len(self.wanted)} cells failed, the others are kept; "
            f"tracebacks are in {kept.failed}, the first ends with: {last}. "
            "They are tried again when asked (reproduce always does, and study retry)"
        )


@contextlib.contextmanager
def _one_interrupt() -> Iterator[None]:
    """The first Ctrl-C ends the run; a second one must not disturb the end: workers killed, ledger closed."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Meter:
    """Turns outcomes into reports: share of the guessed cost, cells per second, failures, the best so far."""

    def __init__(self, todo: Sequence[Cell], kept: int, slots: int, on_progress: OnProgress) -> None:
        self.total, self.cost = len(todo), sum(c.cost for c in todo)
        self.done, self.spent, self.begun = 0, 0.0, time.perf_counter()
        self.best: dict[str, float] = {}
        self.on_progress = on_progress
        before = f", {kept:,} finished earlier" if kept else ""
        where = f" on {slots} processes" if slots > 1 else ""
        on_progress(Progress(0, self.cost or None, f"{self.total:,} cells to run{where}{before}"))

    def tell(self, cell: Cell, outcome: Outcome, result: Result | None, failed: int, *, again: bool) -> None:
        if not again:
            self.done, self.spent = self.done + 1, self.spent + cell.cost
        rate = self.done / (time.perf_counter() - self.begun)
        count = f"{self.done:,}/{self.total:,} cells, {rate:.2g}/s"
        state = f"{outcome.seconds:.2f} s" if result is not None else "lost, again" if again else "FAILED"
        note = f", {failed} failed" if failed else ""
        text = f"{count}{note} · {cell} ({state}){self._best(cell, result)}"
        self.on_progress(Progress(self.spent, self.cost, text))

    def _best(self, cell: Cell, result: Result | None) -> str:
        name = HEADLINES.get(cell.function)
        if result is not None and name is not None and isinstance(result.get(name), (int, float)):
            self.best[name] = max(self.best.get(name, 0), result[name])
        return "".join(f" · most {n} {x:,.6g}" for n, x in self.best.items())
