"""Finished cells on disk: one file each, written whole, so that nothing but cells in flight is ever lost."""

import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from factweights.errors import OutputError
from factweights.folders import plain, whole_file
from factweights.folders.leftovers import sweep
from factweights.studies.cells import Cell, canonical_hash

CHEAP = 1.0  # seconds of a cell for which waiting for the disk would be most of the work
_PACKAGES = ("factweights", "torch", "numpy", "scipy", "matplotlib")


class Kept:
    """The results in ``folder/cells`` and the tracebacks in ``folder/failed``.

    Raises:
        OutputError: the folder cannot be made or written to; said before any work is done.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.cells, self.failed = self.folder / "cells", self.folder / "failed"
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise OutputError(f"cannot make {self.cells}: {e.strerror or e}; choose another folder") from e
        with whole_file(self.cells / ".writable"):
            pass
        (self.cells / ".writable").unlink(missing_ok=True)
        self._failures = {p.stem for p in self.failed.glob("*.txt")}

    def read(self, cell: Cell, digest: str | None = None) -> dict[str, Any] | None:
        """The result of a cell that was finished earlier; None where there is none that can be trusted.

        Args:
            cell: whose.
            digest: SHA-256 that the file must have, where it is known.
        """
        record = self.record(cell.hash, digest)
        return record["result"] if record is not None and record["cell"] == cell.spec else None

    def record(self, name: str, digest: str | None = None) -> dict[str, Any] | None:
        """All that the file of the cell with hash ``name`` says; None unless it is whole and of that cell."""
        try:
            data = (self.cells / f"{name}.json").read_bytes()
            found = json.loads(data)
        except (OSError, ValueError, RecursionError):
            return None
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            return None
        whole = isinstance(found, dict) and isinstance(found.get("result"), dict)
        return found if whole and canonical_hash(found.get("cell")) == name else None

    def names(self) -> set[str]:
        """The hashes of all cells that have a file."""
        return {p.stem for p in self.cells.glob("*.json") if not p.name.startswith(".")}

    def write(self, cell: Cell, result: dict[str, Any], seconds: float) -> tuple[dict[str, Any], str]:
        """Keep a result; return it as :meth:`read` will, and the SHA-256 of the file."""
        record = {"cell": cell.spec, "result": plain(result), "seconds": seconds, "versions": versions()}
        text = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"  # indented is slow
        # The ledger has the SHA-256, so a file that a power cut emptied is noticed and measured again.
        with whole_file(self.cells / f"{cell.hash}.json", durable=seconds > CHEAP) as tmp:
            tmp.write_bytes(text.encode())
        if cell.hash in self._failures:
            (self.failed / f"{cell.hash}.txt").unlink(missing_ok=True)
        return json.loads(text)["result"], hashlib.sha256(text.encode()).hexdigest()

    def sweep(self) -> None:
        """Remove what a killed process left half-written; only whoever alone writes here may."""
        for folder in (self.cells, self.failed):
            sweep(folder)

    def write_failure(self, cell: Cell, traceback: str) -> Path:
        """Keep what went wrong, with the cell that it went wrong in."""
        path = self.failed / f"{cell.hash}.txt"
        self._failures.add(cell.hash)
        with whole_file(path) as tmp:
            tmp.write_text(f"{json.dumps(cell.spec, ensure_ascii=False)}\n\n{traceback}", encoding="utf-8")
        return path


@cache  # a third of a millisecond for each cell otherwise
def versions() -> dict[str, str]:
    """The versions that a number may depend on."""
    found = {"python": python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source tree without installation
            continue
    return found
