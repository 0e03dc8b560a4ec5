"""One version of a folder, whole, while somebody may replace it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from factweights.folders.locks import locked, tidy

T = TypeVar("T")
TRIES = 20  # before the writers are asked to wait
_PAUSE = 0.01  # seconds


def one_version(path: str | Path, read: Callable[[Path], T]) -> T:
    """What ``read(path)`` returns or raises, all of it seen in one version of the folder ``path``.

    A folder is replaced by another one of the same name, never changed, so it is the same version if the
    name still means the same folder afterwards; else it is read again.

    Args:
        path: the folder; what a dead writer left beside it is put right first.
        read: reads it, and keeps nothing open that it would read later.
    """
    path = Path(path)
    for attempt in range(TRIES):
        tidy(path)
        with _identity(path) as same:
            try:
                found = read(path)
            except Exception:
                if same():
                    raise
            else:
                if same():
                    return found
        time.sleep(_PAUSE * attempt)
    with locked(path):
        return read(path)


@contextlib.contextmanager
def _identity(path: Path) -> Iterator[Callable[[], bool]]:
    """Yield what tells whether ``path`` still is what it was.

    The folder is held open meanwhile, or a new one might get its number.
    """
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:  # no folder, or one that is not ours to open; Windows opens none
        yield lambda: not path.is_dir() or os.name == "nt"
        return
    try:
        before = os.fstat(fd)

        def same() -> bool:
            try:
                return os.path.samestat(before, os.stat(path))
            except OSError:
                return False

        yield same
    finally:
        os.close(fd)
