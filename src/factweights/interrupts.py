"""Steps that Ctrl-C may not cut in two, and what was written by then."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_written: ContextVar[dict[Path, None] | None] = ContextVar("written", default=None)


@contextlib.contextmanager
def noting() -> Iterator[dict[Path, None]]:
    """Yield what grows, in order, by every output that takes its name within the block."""
    paths: dict[Path, None] = {}
    token = _written.set(paths)
    try:
        yield paths
    finally:
        _written.reset(token)


def note(path: Path) -> None:
    """Say that ``path`` is written, to whoever is :func:`noting`."""
    paths = _written.get()
    if paths is not None:
        paths[path] = None


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C wait for the end of the block. Only the main thread is ever interrupted by one."""
    if threading.current_thread() is not threading.main_thread() or not callable(
        before := signal.getsignal(signal.SIGINT)
    ):
        yield
        return
    came: list[Any] = []
    try:
        signal.signal(signal.SIGINT, lambda *given: came.append(given))
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)
