"""Files that appear whole or not at all."""

import contextlib
import errno
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from factweights.errors import BusyError, OutputError
from factweights.folders.exchanging import rename_new
from factweights.folders.leftovers import Beside, remove, sync
from factweights.folders.locks import locked
from factweights.folders.targets import file_at, stream_at
from factweights.interrupts import note, uninterrupted

LISTENS = 30.0  # seconds in which somebody must begin to read a pipe


@contextlib.contextmanager
def whole_file(
    path: str | Path, *, durable: bool = True, overwrite: bool = True, noted: bool = True
) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the name only if the block succeeds.

    Where ``path`` is a link the file that it leads to is written and the link stays. A device, a pipe or a
    socket is written to once the block has succeeded, and never replaced.

    Args:
        path: of the file.
        durable: wait until the disk has it. Without, only a power cut can leave it empty or cut short, which
            whoever reads it must then notice.
        overwrite: whether a file that is there when the block ends is replaced.
        noted: whether it is an output that :func:`noting` tells of.

    Raises:
        OutputError: the file could not be written (read-only folder, full disk, …).
        BusyError: another process writes the same file.
    """
    path = Path(path)
    if stream_at(path):
        with writing(path, "some of it may have gone there"), _stream(path) as tmp:
            yield tmp
        return
    with writing(path):
        target = file_at(path)
        with new_parents(target), locked(target):
            part = Beside(target).file_part
            try:
                os.close(
                    os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0), 0o666)
                )
                yield part
                _take_name(part, target, durable, overwrite, path if noted else None)
            finally:
                if os.path.lexists(part):
                    with uninterrupted():
                        remove(part)


def _take_name(part: Path, target: Path, durable: bool, overwrite: bool, noted: Path | None) -> None:
    if durable:
        sync(part)
    with contextlib.suppress(FileNotFoundError):
        part.chmod(stat.S_IMODE(target.stat().st_mode))
    with uninterrupted():
        if overwrite:
            os.replace(part, target)
        else:
            try:
                rename_new(part, target)
            except FileExistsError:
                raise OutputError(f"{target} exists; choose another file or ask to overwrite it") from None
        if noted is not None:
            note(noted)
    if durable:
        sync(target.parent)


@contextlib.contextmanager
def _stream(path: Path) -> Iterator[Path]:
    """A temporary file whose bytes go to a device or a pipe at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="factweights-") as folder:
        tmp = Path(folder) / f"out{path.suffix}"
        tmp.touch()
        yield tmp
        with os.fdopen(_opened(path), "wb") as out, tmp.open("rb") as f:
            while block := f.read(1 << 20):
                out.write(block)


def _opened(path: Path) -> int:
    """Open for writing what is no file; a pipe only if somebody reads it, or begins to soon."""
    end = time.monotonic() + LISTENS
    while True:
        try:
            fd = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as e:
            if e.errno != errno.ENXIO or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            os.set_blocking(fd, True)
            return fd


@contextlib.contextmanager
def writing(path: Path, left: str = "nothing was left there") -> Iterator[None]:
    """Errors of the system within the block are told as :class:`OutputError`."""
    try:
        yield
    except (OutputError, BusyError):
        raise
    except OSError as e:
        raise OutputError(f"cannot write {path}: {e.strerror or e}; {left}") from e


@contextlib.contextmanager
def new_parents(target: Path) -> Iterator[None]:
    """Make the folders above ``target``; remove them again if the block fails."""
    made = [p for p in target.parents if not os.path.lexists(p)]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for p in made:  # the innermost first; one that holds anything stays, and so do those above
                p.rmdir()
        raise
