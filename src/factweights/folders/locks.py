"""One writer at a time for each name, by a lock that the system takes back when its process ends."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from factweights.errors import BusyError, OutputError
from factweights.folders.leftovers import Beside, settle
from factweights.progress import OnProgress, Progress, silent

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PATIENCE = 600.0  # seconds to wait for another writer
_PAUSES = (0.002, 0.1)  # the first and the longest, in seconds
_held = threading.local()


@contextlib.contextmanager
def locked(
    path: str | Path, *, patience: float = PATIENCE, on_progress: OnProgress = silent
) -> Iterator[None]:
    """Be the only one who writes the file or folder ``path`` within the block; others wait for its end.

    What a dead writer left beside ``path`` is put right first. A thread that has the lock may take it again.
    Readers take no lock.

    Args:
        path: need not exist; the folder that it is in must.
        patience: seconds to wait for another writer.
        on_progress: told, once, that there is one.

    Raises:
        BusyError: another process still writes there.
        OutputError: no lock can be made beside ``path``, as nothing can be written there.
    """
    place = os.path.realpath(path)
    mine: set[str] = _held.__dict__.setdefault("places", set())
    if place in mine:
        yield
        return
    try:
        lock = _wait(Path(place), patience, on_progress)
    except OSError as e:
        raise OutputError(f"cannot write {path}: {e.strerror or e}; nothing was left there") from e
    try:
        mine.add(place)
        settle(Path(place))
        yield
    finally:
        mine.discard(place)
        _release(lock, Beside(Path(place)).lock)


def tidy(path: Path) -> None:
    """Put right what a dead writer left beside ``path``, unless one is alive or nothing may be written."""
    path = Path(os.path.realpath(path))
    if not any(os.path.lexists(left) for left in Beside(path).all()):
        return
    with contextlib.suppress(OSError, BusyError), locked(path, patience=0):
        pass


def _wait(path: Path, patience: float, on_progress: OnProgress) -> FileIO:
    name, end, pause, told = Beside(path).lock, time.monotonic() + patience, _PAUSES[0], False
    while (lock := try_lock(name)) is None:
        if time.monotonic() >= end:
            raise BusyError(
                f"{_owner(name)} writes to {path}; wait until it ends, or choose another place"
            ) from None
        if not told:
            on_progress(Progress(0, None, f"waiting for {_owner(name)}, which writes to {path}"))
            told = True
        time.sleep(pause)
        pause = min(2 * pause, _PAUSES[1])
    return lock


def try_lock(name: Path) -> FileIO | None:
    """The lock file ``name``, held, with a word on who holds it; None where another has it."""
    while True:
        fd = os.open(
            name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0), 0o666
        )
        lock = FileIO(fd, "r+")  # closes itself if Ctrl-C comes in the middle
        if not _take(fd):
            lock.close()
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(name)):
                break
        lock.close()  # its last holder has removed it meanwhile
    who = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):  # a full disk locks as well
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(who).encode(), 0)
    return lock


def _take(fd: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
    except BlockingIOError:
        return False
    except PermissionError:
        if fcntl is None:
            return False
        raise
    return True


def _release(lock: FileIO, name: Path) -> None:
    with contextlib.suppress(OSError):
        name.unlink()  # while it is held: whoever opened it before sees that it has lost its name
    lock.close()


def _owner(name: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        who = json.loads(name.read_bytes()[:1000])
        return f"process {int(who['pid'])} on {str(who['host'])[:100]!s} (since {str(who['since'])[:40]})"
    return "another process"
