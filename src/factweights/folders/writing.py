"""Folders that appear whole or not at all, and replace only what is known."""

import contextlib
import os
import shutil
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

from factweights.errors import OutputError
from factweights.folders.exchanging import exchange
from factweights.folders.files import new_parents, writing
from factweights.folders.leftovers import Beside, sync
from factweights.folders.locks import locked
from factweights.folders.manifests import Kind
from factweights.folders.targets import folder_at, must_be_free
from factweights.interrupts import note, noting, uninterrupted
from factweights.progress import OnProgress, silent


@contextlib.contextmanager
def whole_folder(
    path: str | Path, *, kind: Kind | None = None, overwrite: bool = False, on_progress: OnProgress = silent
) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it takes the name only if the block succeeds.

    A folder that is there is replaced only with ``overwrite``, only after the new one is complete, and only
    if everything in it then is listed in its manifest with the hash that it has. Both trade places in one
    step where the system can do that, so there is a whole folder under the name at every moment; where it
    cannot, the next reader or writer puts the old one back if this process dies in between.

    Args:
        path: of the folder. Where it is a link, the folder that it leads to is written.
        kind: of the folder. Without, only an empty one is replaced.
        overwrite: replace one of that kind.
        on_progress: told if another process writes there and is waited for.

    Raises:
        OutputError: ``path`` is not empty and may not be replaced, or writing failed.
        BusyError: another process still writes there.
    """
    path = Path(path)
    with writing(path):
        target = folder_at(path)
        with new_parents(target), locked(target, on_progress=on_progress):
            must_be_free(target, kind, overwrite, contents=False)
            part = Beside(target).part
            try:
                part.mkdir()
                with noting():  # its files are not yet anybody's
                    yield part
                _sync(part)
                with uninterrupted():
                    _take_name(part, target, kind, overwrite)
                    note(path)
            finally:
                with uninterrupted():
                    if os.path.lexists(part):
                        shutil.rmtree(part, ignore_errors=True)


def _sync(folder: Path) -> None:
    for above, _, names in os.walk(folder):
        for name in names:
            sync(Path(above) / name)
        sync(Path(above))


def _take_name(part: Path, target: Path, kind: Kind | None, overwrite: bool) -> None:
    there = target.is_dir() and os.listdir(target)
    if target.is_dir():
        part.chmod(stat.S_IMODE(target.stat().st_mode))
    if not there:
        _appear(part, target)
        sync(target.parent)
        return
    before = _signatures(target)
    must_be_free(target, kind, overwrite)
    old = part
    if not exchange(part, target):
        old = _step_aside(part, target)
    try:
        if _signatures(old) != before:  # something came, or changed, in the last moment
            must_be_free(old, kind, overwrite)
    except OutputError:
        _undo(old, part, target)
        must_be_free(target, kind, overwrite)
        raise
    sync(target.parent)
    _remove(old, before)


def _appear(part: Path, target: Path) -> None:
    try:
        os.rename(part, target)  # onto nothing, or an empty folder
    except OSError:
        must_be_free(target, None, False)  # says it better, if a file has come meanwhile
        raise


def _step_aside(part: Path, target: Path) -> Path:
    old = Beside(target).old
    os.rename(target, old)
    try:
        os.rename(part, target)
    except BaseException:
        os.rename(old, target)
        raise
    return old


def _undo(old: Path, part: Path, target: Path) -> None:
    if old == part:
        exchange(part, target)
    else:
        os.rename(target, part)
        os.rename(old, target)


def _signatures(folder: Path) -> dict[str, tuple[int, ...]]:
    """What changes with the contents of the files in a folder."""
    found = {}
    for entry in os.scandir(folder):
        s = entry.stat(follow_symlinks=False)
        found[entry.name] = (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns)
    return found


def _remove(old: Path, names: dict[str, tuple[int, ...]]) -> None:
    """Remove the files that were there when the folder was checked; keep what has come since."""
    try:
        for name in names:
            (old / name).unlink(missing_ok=True)
        old.rmdir()
    except OSError as e:
        if not old.is_dir() or not (left := os.listdir(old)):
            return
        kept = _kept(old)
        warnings.warn(
            f"{', '.join(left)} came into the folder at the last moment, kept in {kept} ({e})", stacklevel=2
        )


def _kept(old: Path) -> Path:
    n = 1
    while os.path.lexists(kept := old.with_name(f"{old.name.strip('.')}-{n}")):
        n += 1
    os.rename(old, kept)
    return kept
