"""Local worker processes that can be counted on: one thread each, none left behind, a dead one noticed.

The standard pool breaks as a whole when one worker dies, and hides the processes that Ctrl-C must end.
"""

import contextlib
import multiprocessing
import multiprocessing.resource_tracker as resource_tracker
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Any = None  # the one it works on
    begun: float = field(default_factory=time.perf_counter)

    def give(self, task: object) -> None:
        self.task, self.begun = task, time.perf_counter()
        with contextlib.suppress(OSError):  # it died meanwhile; waiting for its answer finds out
            self.pipe.send(task)


def run_in_processes(
    tasks: Iterable[Task],
    workers: int,
    work: Callable[[Task], Answer],
    died: Callable[[Task, int | None, float], Answer],
) -> Generator[tuple[Task, Answer]]:
    """Yield every task with its answer as answers arrive; tasks are handed out in order.

    Args:
        tasks: picklable; each is drawn when a worker is free for it.
        workers: how many processes.
        work: a module-level function, called in the workers.
        died: makes the answer for a task whose process ended without one; another process takes its place.
    """
    context = multiprocessing.get_context("spawn")
    if os.name == "posix":  # starting it lets Ctrl-C through again, so not while a worker is being started
        resource_tracker.ensure_running()
    waiting = iter(tasks)
    crew: list[_Worker] = []
    try:
        for task in waiting:
            _hire(context, work, crew).give(task)
            if len(crew) == workers:
                break
        while crew:
            ready = wait([w.pipe for w in crew])
            for worker in [w for w in crew if w.pipe in ready]:
                task = worker.task
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    spent = time.perf_counter() - worker.begun
                    answer = died(task, worker.process.exitcode, spent)
                following = next(waiting, None)
                if following is not None and worker.process.is_alive():
                    worker.give(following)
                elif following is not None:
                    crew.remove(worker)
                    _hire(context, work, crew).give(following)
                else:
                    crew.remove(worker)
                    worker.pipe.close()
                yield task, answer
    finally:
        for worker in crew:
            worker.process.kill()
            worker.process.join()


def _hire(context: SpawnContext, work: Callable[[Task], Answer], crew: list[_Worker]) -> _Worker:
    """Start a worker and note it in ``crew``, both before Ctrl-C is heard again: none is forgotten."""
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    worker = _Worker(process, ours)
    with _one_thread(), _no_interrupts():
        process.start()
        crew.append(worker)
    theirs.close()
    return worker


def _serve(pipe: Connection, work: Callable[[Task], Answer]) -> None:
    """Life of a worker: answer until the other end is closed, or until the parent is no more."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(work(pipe.recv()))


def _leave_with_parent() -> None:
    """A parent that was killed cannot end its workers, and a cell may take hours."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Workers inherit the environment, and torch reads it once, when it is imported there."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ctrl-C is for the parent, which ends its workers; a blocked signal stays blocked in a new process."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
