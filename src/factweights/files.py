"""Outputs that appear whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from factweights.errors import OutputError


@contextlib.contextmanager
def whole_file(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the name only if the block succeeds.

    Args:
        path: of the file.
        durable: wait until the disk has it. Without, only a power cut can leave it empty or cut short, which
            whoever reads it must then notice.

    Raises:
        OutputError: the file could not be written (read-only folder, full disk, …).
    """
    path = Path(path)
    tmp: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(fd)
        tmp = Path(name)
        yield tmp
        if durable:
            _sync(tmp)
        tmp.chmod(0o666 & ~_umask())
        os.replace(tmp, path)
        tmp = None
    except OSError as e:
        raise _output_error(path, e) from e
    finally:
        if tmp is not None:
            tmp.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it takes the name only if the block succeeds.

    An existing folder is replaced only with ``overwrite`` and only after the new one is complete.

    Raises:
        OutputError: ``path`` exists and ``overwrite`` is false, or writing failed.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} exists and is not a folder; choose another --out")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise OutputError(f"{path} is not empty; choose another folder or ask to overwrite it")
    tmp: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tmp = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        yield tmp
        for f in tmp.rglob("*"):
            if f.is_file():
                _sync(f)
        tmp.chmod(0o777 & ~_umask())
        _swap(tmp, path)
    except OSError as e:
        raise _output_error(path, e) from e
    finally:
        if tmp is not None:
            shutil.rmtree(tmp, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    if not path.exists():
        os.replace(new, path)
        return
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".old"))
    os.replace(path, old)  # an empty folder may be replaced by a folder
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb+") as f:
        os.fsync(f.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _output_error(path: Path, e: OSError) -> OutputError:
    if isinstance(e, OutputError):
        return e
    return OutputError(f"cannot write {path}: {e.strerror or e}; nothing was left there")
