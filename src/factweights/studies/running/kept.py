"""Finished cells on disk: one file each, written whole, so that nothing but cells in flight is ever lost."""

import hashlib
import json
import os
import stat
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from factweights.errors import OutputError
from factweights.folders import Json, plain, whole_file
from factweights.folders.jsons import parse_json
from factweights.folders.leftovers import sweep
from factweights.studies.study import Cell, Result, canonical_hash

CHEAP = 1.0  # seconds of a cell for which waiting for the disk would be most of the work
_PACKAGES = ("factweights", "torch", "numpy", "scipy", "matplotlib")


class CellFile(BaseModel):
    """The contents of ``cells/<hash>.json``.

    Attributes:
        cell: its spec.
        result: what the call returned.
        seconds: that it took.
        versions: of the packages.
        checksum: SHA-256 of all other fields; files of earlier versions have none.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    cell: dict[str, JsonValue]
    result: dict[str, JsonValue]
    seconds: float = 0.0
    versions: dict[str, str] = Field(default_factory=dict)
    checksum: str | None = None


class Kept:
    """The results in ``folder/cells``, the tracebacks in ``folder/failed``; reading them writes nothing."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.cells, self.failed = self.folder / "cells", self.folder / "failed"
        self._failures = {p.stem for p in self.failed.glob("*.txt")}

    def must_be_writable(self) -> None:
        """Make the folder, and see before any work is done that files can be written there.

        Raises:
            OutputError: they cannot.
        """
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise OutputError(f"cannot make {self.cells}: {e.strerror or e}; choose another folder") from e
        with whole_file(self.cells / ".writable", noted=False):
            pass
        (self.cells / ".writable").unlink(missing_ok=True)

    def read(self, cell: Cell, digest: str | None = None) -> Json | None:
        """The result of a cell that was finished earlier; None where there is none that can be trusted.

        Args:
            cell: whose.
            digest: SHA-256 that the file must have, where it is known.
        """
        record = self.record(cell.hash, digest)
        return record["result"] if record is not None and record["cell"] == cell.spec else None

    def record(self, name: str, digest: str | None = None) -> Json | None:
        """All that the file of the cell with hash ``name`` says; None unless it is whole and of that cell.

        A file has a checksum of its own beside the SHA-256 that the ledger may know, so that a changed digit
        is seen without a ledger too.
        """
        found = self.raw(name)
        if found is None or (digest is not None and hashlib.sha256(found).hexdigest() != digest):
            return None
        try:
            fields = parse_json(found)
            CellFile.model_validate(fields)
        except (ValueError, RecursionError):
            return None
        checksum = fields.pop("checksum", None)
        whole = checksum is None or checksum == canonical_hash(fields)
        return fields if whole and canonical_hash(fields["cell"]) == name else None

    def raw(self, name: str) -> bytes | None:
        """The bytes of the file of a cell; None where there is no file that can be read."""
        try:
            fd = os.open(self.cells / f"{name}.json", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            return None
        with os.fdopen(fd, "rb") as f:  # a pipe by that name is opened without waiting, and not read
            return f.read() if stat.S_ISREG(os.fstat(fd).st_mode) else None

    def names(self) -> set[str]:
        """The hashes of all cells that have a file."""
        return {p.stem for p in self.cells.glob("*.json") if not p.name.startswith(".")}

    def write(self, cell: Cell, result: Result, seconds: float) -> tuple[Json, str]:
        """Keep a result; return it as :meth:`read` will, and the SHA-256 of the file."""
        record = {"cell": cell.spec, "result": plain(result), "seconds": seconds, "versions": versions()}
        record["checksum"] = canonical_hash(record)
        text = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"  # indented is slow
        # The ledger has the SHA-256, so a file that a power cut emptied is noticed and measured again.
        with whole_file(self.cells / f"{cell.hash}.json", durable=seconds > CHEAP, noted=False) as tmp:
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
        with whole_file(path, noted=False) as tmp:
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
