"""The hidden names beside an output while it is written, and what a dead process left under them.

Beside ``NAME`` there may be ``.NAME.factweights-part``, which grows into the new one,
``.NAME.factweights-old``, the one before, and ``.NAME.factweights-lock``. All are touched only by whoever
holds the lock, so what lies there once the lock is free belongs to nobody alive.
"""

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

LONGEST = 200  # bytes of a name that leave room for what is added; most file systems allow 255 in all
_SUFFIX = 12  # bytes


@dataclass(frozen=True)
class Beside:
    """The hidden names beside ``path``.

    Attributes:
        part: the new one while it is written; a file keeps its suffix, as some writers go by it.
        old: the one before, where two names cannot trade places in one step.
        lock: held while anything here changes.
    """

    path: Path

    def _named(self, what: str, suffix: str = "") -> Path:
        name = self.path.name
        if len(os.fsencode(name)) > LONGEST:
            name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
        return self.path.parent / f".{name}.factweights-{what}{suffix}"

    @property
    def part(self) -> Path:
        """Of a folder."""
        return self._named("part")

    @property
    def file_part(self) -> Path:
        """Of a file."""
        suffix = self.path.suffix
        return self._named("part", suffix if len(os.fsencode(suffix)) <= _SUFFIX else "")

    @property
    def old(self) -> Path:
        return self._named("old")

    @property
    def lock(self) -> Path:
        return self._named("lock")

    def all(self) -> tuple[Path, ...]:
        """Every name that something may have been left under."""
        return self.part, self.file_part, self.old, self.lock


def settle(path: Path) -> None:
    """Put the output back under its name where a dead process left it aside, and remove the rest.

    To be called with the lock held.
    """
    beside = Beside(path)
    if os.path.lexists(beside.old):
        if os.path.lexists(path):
            remove(beside.old)
        else:
            os.rename(beside.old, path)
    for left in {beside.part, beside.file_part}:
        if os.path.lexists(left):
            remove(left)


def sweep(folder: Path) -> None:
    """Remove every leftover in ``folder``; for whoever alone writes in it."""
    for left in folder.glob(".*.factweights-*"):
        remove(left)


def remove(path: Path) -> None:
    """Whatever it is; a link is removed and not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder that may be written in but not read; Windows opens none
        if path.is_dir():
            return
        raise
    try:
        os.fsync(fd)
    except OSError:
        if not path.is_dir():  # some file systems cannot wait for a folder
            raise
    finally:
        os.close(fd)
