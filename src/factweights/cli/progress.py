"""Progress on stderr: one live line on a terminal, plain lines anywhere else."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from factweights.cli.notes import tell_notes
from factweights.progress import OnProgress, Progress
from factweights.show import duration, shown


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """A listener that draws what it hears until the block ends."""
    live = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    with _bar() if live else _lines() as on_progress:
        yield on_progress


@contextmanager
def _lines() -> Iterator[OnProgress]:
    pace = _Pace()

    def on_progress(p: Progress) -> None:
        tell_notes()
        left = pace.left(p)
        print(shown(p.text) + (f" · about {left} left" if left else ""), file=sys.stderr, flush=True)

    yield on_progress


@contextmanager
def _bar() -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    whole, rest = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=16, table_column=Column(width=16)),
        TimeElapsedColumn(table_column=whole),
        TextColumn("{task.fields[left]}", table_column=whole),
        TextColumn("{task.description}", markup=False, table_column=rest),
    )
    pace = _Pace()
    with Bar(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
        task = bar.add_task("starting", total=None, left="")

        def on_progress(p: Progress) -> None:
            tell_notes()
            left = pace.left(p)
            eta = f"ETA {left}" if left else ""
            bar.update(task, completed=p.done, total=p.total, description=shown(p.text), left=eta)

        yield on_progress


class _Pace:
    """How fast the part of the work goes that is being reported.

    Another part begins where the total changes or the count goes back.
    """

    def __init__(self) -> None:
        self.begun = self.last = time.monotonic()
        self.total: float | None = None
        self.done = 0.0

    def left(self, p: Progress) -> str:
        """Time left at the pace so far."""
        if p.total != self.total or p.done < self.done:
            self.begun = self.last
        self.total, self.done, self.last = p.total, p.done, time.monotonic()
        return _left(p, self.last - self.begun)


def _left(p: Progress, elapsed: float) -> str:
    """Time left at the pace so far; nothing where it cannot be told."""
    if not p.total or not 0 < p.done < p.total:
        return ""
    return duration(round(elapsed * (p.total - p.done) / p.done))
