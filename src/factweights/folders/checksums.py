"""Hashes of files, and whether files have them.

They reveal accidents and careless edits. They are no signature: whoever can change a folder can change
them too.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from factweights.errors import TamperedError


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def check_files(path: Path, files: Mapping[str, str], *, contents: bool) -> None:
    """Compare the files of a folder with their hashes, or only see that they are there.

    Raises:
        TamperedError: one is missing or is not the one that was saved.
    """
    for name, expected in files.items():
        if not (path / name).is_file():  # a pipe by that name would never end
            raise TamperedError(f"{path}: {name} is missing; copy the whole folder")
        if contents and (found := sha256(path / name)) != expected:
            raise TamperedError(
                f"{path}: {name} is not the file that was saved (SHA-256 {found[:12]}… instead of "
                f"{expected[:12]}…); copy it again, or pass check=False to open it as it is"
            )
