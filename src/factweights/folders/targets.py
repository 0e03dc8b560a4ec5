"""Where an output may go, said before the work that makes it."""

import os
import stat
from pathlib import Path

from factweights.errors import OutputError, some
from factweights.folders.manifests import Kind, strangers


def must_be_writable(
    path: str | Path, *, kind: Kind | None = None, overwrite: bool = False, contents: bool = True
) -> None:
    """Say before long work, not after it, that a folder cannot go to ``path``.

    Args:
        path: of the folder. A link to one is followed.
        kind: of the folder that will be written, and of the one that may be replaced.
        overwrite: whether one may be.
        contents: compare its files with their hashes; without, only the names.

    Raises:
        OutputError: it is a file, a mount point or the working folder, is not empty, holds other files than
            those of such a folder, or lies where nothing can be written.
    """
    target = folder_at(path)
    must_be_free(target, kind, overwrite, contents=contents)
    _must_have_room(Path(path), target)


def must_take_file(path: str | Path, *, overwrite: bool = True) -> None:
    """Say before long work that a file cannot be written at ``path``.

    Raises:
        OutputError: it is a folder, is there and not to be replaced, or lies where nothing can be written.
    """
    path = Path(path)
    if stream_at(path):
        return
    target = file_at(path)
    if not overwrite and os.path.lexists(target):
        raise OutputError(f"{path} exists; choose another file or ask to overwrite it")
    _must_have_room(path, target)


def folder_at(path: str | Path) -> Path:
    """The absolute path that a folder given as ``path`` will have, links followed.

    Raises:
        OutputError: no folder can be written or replaced there.
    """
    path = Path(path)
    target = _resolved(path)
    if target.exists() and not target.is_dir():
        raise OutputError(f"{path} exists and is not a folder; choose another place")
    here = _resolved(Path.cwd())
    if target == here or target in here.parents:
        raise OutputError(
            f"{path} is the folder you work in, or one above it; name another folder, such as {path / 'out'}"
        )
    if target.exists() and os.path.ismount(target):
        raise OutputError(f"{path} is where a disk is mounted; name a folder in it, such as {path / 'out'}")
    return target


def file_at(path: Path) -> Path:
    """The path at which a file is written that is given as ``path``: where a link leads, links stay.

    Raises:
        OutputError: it is a folder, or a name that no file can have.
    """
    target = _resolved(path)
    if target.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; give the name of a file")
    return target


def stream_at(path: Path) -> bool:
    """Whether ``path`` is a device, a pipe or a socket: written to, and never replaced."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def must_be_free(target: Path, kind: Kind | None, overwrite: bool, *, contents: bool = True) -> None:
    """Refuse a folder that is not empty, unless it may be replaced and all of it is of that kind.

    Raises:
        OutputError: as said.
    """
    if not target.is_dir() or not (there := os.listdir(target)):
        return
    if not overwrite:
        raise OutputError(f"{target} is not empty; choose another folder or ask to overwrite it")
    if kind is None:
        raise OutputError(f"{target} holds other files ({some(sorted(there))}); choose another folder")
    if other := strangers(target, kind, contents=contents):
        raise OutputError(
            f"{target} holds other files than a {kind.what} as it was written ({some(other)}), which "
            "overwriting would delete; move them away or choose another folder"
        )


def _resolved(path: Path) -> Path:
    try:
        target = Path(os.path.realpath(path))
    except (OSError, ValueError) as e:  # a NUL in the name
        raise _refused(path, e) from e
    try:
        if stat.S_ISLNK(os.lstat(target).st_mode):
            raise OutputError(f"{path} is a link that leads back to itself; choose another name")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OutputError:
        raise
    except (OSError, ValueError) as e:  # a name too long
        raise _refused(path, e) from e
    return target


def _refused(path: Path, e: Exception) -> OutputError:
    return OutputError(f"cannot write {_shown(path)}: {getattr(e, 'strerror', None) or e}")


def _must_have_room(path: Path, target: Path) -> None:
    """The nearest folder that there is must take new names, and the name must not be too long."""
    above = next(p for p in target.parents if os.path.lexists(p))
    if not above.is_dir():
        raise OutputError(f"{path} cannot be made: {above} is a file; choose another folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be made: no permission to write in {above}; choose another folder")
    longest = _longest(above)
    for part in target.relative_to(above).parts:
        if (n := len(os.fsencode(part))) > longest:
            raise OutputError(
                f"{_shown(path)} cannot be made: a name of {n} bytes, and {above} takes {longest}; choose a "
                "shorter one"
            )


def _longest(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):
        return 255


def _shown(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 100 else f"{text[:60]}…{text[-30:]}"
