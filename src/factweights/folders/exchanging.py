"""Two names that trade places in one step, where the system can do it."""

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD, _NOREPLACE, _EXCHANGE = -100, 1, 2  # of Linux; see renameat2(2)
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}  # this file system, or this kernel


@cache
def _renameat2() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return function


def exchange(a: Path, b: Path) -> bool:
    """Let ``a`` and ``b`` trade places, and return True; False where the system has no such step.

    Raises:
        OSError: it has, and it failed; both are where they were.
    """
    return _rename(a, b, _EXCHANGE)


def rename_new(a: Path, b: Path) -> None:
    """Give the file ``a`` the name ``b``, which nothing may have.

    Raises:
        FileExistsError: something has it.
    """
    if not _rename(a, b, _NOREPLACE):
        os.link(a, b)  # fails where b exists
        os.unlink(a)


def _rename(a: Path, b: Path, flag: int) -> bool:
    function = _renameat2()
    if function is None:
        return False
    sys.audit("os.rename", str(a), str(b), -1, -1)
    if function(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(a), None, str(b))
