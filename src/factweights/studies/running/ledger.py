"""What is finished, failed and left to do in a folder: one SQLite file kept by one writer.

The results themselves are the files in ``cells/``, one per cell and each written whole. The ledger indexes
them, with their SHA-256, and keeps attempts, times and tracebacks. It can be made again from the files: a
damaged one is moved aside and rebuilt, and files that it does not know are taken up.
"""

import contextlib
import datetime
import hashlib
import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from factweights.errors import BusyError, FileFormatError, OutputError
from factweights.folders.jsons import parse_json
from factweights.folders.manifests import Sha256
from factweights.studies.running.engines import Outcome
from factweights.studies.running.kept import Kept
from factweights.studies.study import Cell, Result, Study, canonical_hash

LEDGER, LOCK = "ledger.sqlite", "ledger.lock"
FORMAT = 1  # raised when a column changes its meaning
PATIENCE = 3600.0  # seconds to wait for whoever reads the ledger
SCHEMA = """
CREATE TABLE IF NOT EXISTS studies (
    hash TEXT PRIMARY KEY, name TEXT, spec TEXT, version TEXT, added TEXT);
CREATE TABLE IF NOT EXISTS cells (
    hash TEXT PRIMARY KEY, function TEXT, arguments TEXT, version TEXT, label TEXT, cost REAL,
    state TEXT, attempts INTEGER, seconds REAL, peak_bytes INTEGER, worker TEXT, sha256 TEXT,
    error TEXT, changed TEXT);
CREATE TABLE IF NOT EXISTS study_cells (
    study TEXT, place INTEGER, cell TEXT, PRIMARY KEY (study, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, pid INTEGER, host TEXT, engine TEXT, slots INTEGER, begun TEXT, ended TEXT,
    how TEXT);
"""


class Ledger:
    """The writer of a folder; open it with ``with``.

    Attributes:
        kept: the files.
        notes: what was found and mended on opening, for people.

    Raises:
        BusyError: another run writes to this folder.
        OutputError: the folder cannot be written to.
        FileFormatError: the ledger is of a later format.
    """

    def __init__(self, folder: str | Path, *, engine: str = "", slots: int = 0) -> None:
        self.kept, self.notes = Kept(folder), []
        self.kept.must_be_writable()
        self._path = self.kept.folder / LEDGER
        self._lock = _lock(self.kept.folder)
        try:
            self._db = self._open()
            self.kept.sweep()
            self._take_up()
            with self._writing() as db:
                row = (os.getpid(), socket.gethostname(), engine, slots, _now())
                self._run = db.execute(
                    "INSERT INTO runs (pid, host, engine, slots, begun) VALUES (?, ?, ?, ?, ?)", row
                ).lastrowid
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("finished" if kind is None else kind.__name__)

    def close(self, how: str = "finished") -> None:
        """Note how the run ended, and let others write."""
        try:
            with contextlib.suppress(OutputError), self._writing() as db:
                db.execute("UPDATE runs SET ended = ?, how = ? WHERE id = ?", (_now(), how, self._run))
        finally:
            self._db.close()
            self._lock.close()

    def add_study(self, study: Study, cells: Sequence[Cell]) -> None:
        """Remember the spec and which cells are its own."""
        spec = json.dumps(study.model_dump(mode="json"), ensure_ascii=False)
        others = self._db.execute(
            "SELECT hash FROM studies WHERE name = ? AND hash != ?", (study.name, study.hash)
        ).fetchall()
        known = self._db.execute("SELECT 1 FROM studies WHERE hash = ?", (study.hash,)).fetchone()
        if others and not known:
            count = "another spec" if len(others) == 1 else f"{len(others)} other specs"
            self.notes.append(f"{count} of {study.name} ran in this folder; cells in common are shared")
        with self._writing() as db:
            row = (study.hash, study.name, spec, cells[0].spec["factweights"] if cells else "", _now())
            old = db.execute("SELECT added FROM studies WHERE hash = ?", (study.hash,)).fetchone()
            db.execute(
                "DELETE FROM studies WHERE hash = ?", (study.hash,)
            )  # so that the last one run is last
            db.execute("INSERT INTO studies VALUES (?, ?, ?, ?, ?)", (*row[:4], old[0] if old else row[4]))
            db.execute("DELETE FROM study_cells WHERE study = ?", (study.hash,))
            rows = [(study.hash, place, cell.hash) for place, cell in enumerate(cells)]
            db.executemany("INSERT INTO study_cells VALUES (?, ?, ?)", rows)

    def add_cells(self, cells: Iterable[Cell]) -> None:
        """Make sure that every cell has a row, pending if it is new, under its present label and cost."""
        rows = [
            (c.hash, c.function, _text(c.arguments), c.spec["factweights"], str(c), c.cost) for c in cells
        ]
        with self._writing() as db:
            db.executemany(
                "INSERT INTO cells (hash, function, arguments, version, label, cost, state, attempts) "
                "VALUES (?, ?, ?, ?, ?, ?, 'pending', 0) "
                "ON CONFLICT (hash) DO UPDATE SET label = excluded.label, cost = excluded.cost",
                rows,
            )

    def results(self, cells: Mapping[str, Cell]) -> dict[str, Result]:
        """Those that are finished, by hash; a damaged file makes its cell pending again."""
        digests = dict(self._db.execute("SELECT hash, sha256 FROM cells WHERE state = 'done'"))
        found, damaged = {}, []
        for name, cell in cells.items():
            result = self.kept.read(cell, digests.get(name)) if name in digests else None
            if result is not None:
                found[name] = result
            elif name in digests:
                damaged.append((name,))
        if damaged:
            self.notes.append(f"{len(damaged)} cell files were missing or damaged; they are measured again")
            with self._writing() as db:
                db.executemany("UPDATE cells SET state = 'pending' WHERE hash = ?", damaged)
        return found

    def failed(self, cells: Mapping[str, Cell]) -> set[str]:
        """The hashes of those that failed and were not tried again since."""
        rows = self._db.execute("SELECT hash FROM cells WHERE state = 'failed'")
        return {name for (name,) in rows if name in cells}

    def finish(self, done: Sequence[tuple[Cell, Outcome]]) -> list[Result | None]:
        """Keep outcomes: the file first, then the row; return the results as they will be read."""
        results, rows = [], []
        for cell, outcome in done:
            result, digest = None, None
            if outcome.result is not None:
                result, digest = self.kept.write(cell, outcome.result, outcome.seconds)
            elif not outcome.lost:
                self.kept.write_failure(cell, outcome.error or "no traceback")
            state = "done" if result is not None else "lost" if outcome.lost else "failed"
            results.append(result)
            o = outcome
            rows.append((state, o.seconds, o.peak_bytes, o.worker, digest, o.error, _now(), cell.hash))
        with self._writing() as db:
            db.executemany(
                "UPDATE cells SET state = ?, attempts = attempts + 1, seconds = ?, peak_bytes = ?, "
                "worker = ?, sha256 = ?, error = ?, changed = ? WHERE hash = ?",
                rows,
            )
        return results

    def give_up(self, cell: Cell, outcome: Outcome) -> None:
        """A cell that was lost too often is a failed one."""
        self.kept.write_failure(cell, outcome.error or "no traceback")
        with self._writing() as db:
            db.execute("UPDATE cells SET state = 'failed' WHERE hash = ?", (cell.hash,))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            patiently(self._db, "BEGIN IMMEDIATE")
            try:
                yield self._db
                patiently(self._db, "COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as e:
            raise OutputError(
                f"cannot write {self._path}: {e}; finished cells are kept as files in {self.kept.cells}"
            ) from e

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self._path)
        except sqlite3.DatabaseError as e:
            if isinstance(e, sqlite3.OperationalError) and "decode" not in str(e):
                raise OutputError(f"cannot open {self._path}: {e}") from e
            aside = _move_aside(self._path)
            self.notes.append(
                f"the ledger was damaged ({e}); it is now {aside.name}, made anew from the cells"
            )
            return _connect(self._path)

    def _take_up(self) -> None:
        """Know every whole file in ``cells/``, whoever wrote it, and its SHA-256 from now on."""
        done = "SELECT hash FROM cells WHERE state = 'done' AND sha256 IS NOT NULL"
        known = {n for (n,) in self._db.execute(done)}
        rows = taken_up(self.kept, self.kept.names() - known)
        if not rows:
            return
        self.notes.append(f"{len(rows):,} finished cells of other runs were found and taken up")
        with self._writing() as db:
            db.executemany(
                f"{TAKE_UP} ON CONFLICT (hash) DO UPDATE SET state = 'done', seconds = excluded.seconds, "
                "sha256 = excluded.sha256, error = NULL",
                rows,
            )


TAKE_UP = (
    "INSERT INTO cells (hash, function, arguments, version, seconds, sha256, changed, state, attempts) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, 'done', 1)"
)


def taken_up(kept: Kept, names: Iterable[str]) -> list[tuple[Any, ...]]:
    """Rows for ``TAKE_UP``, of the files that are whole."""
    rows = []
    for name in sorted(names):
        raw = kept.raw(name)
        digest = "" if raw is None else hashlib.sha256(raw).hexdigest()
        record = None if raw is None else kept.record(name, digest)
        if record is None:
            continue
        spec = record["cell"]
        function, arguments = str(spec.get("function")), _text(spec.get("arguments"))
        made = (name, function, arguments, spec.get("factweights"))
        rows.append((*made, record.get("seconds"), digest, _now()))
    return rows


def patiently(db: sqlite3.Connection, statement: str) -> None:
    """Execute one that waits for others: a reader may hold the file for as long as it reads."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute(statement)
        except sqlite3.OperationalError as e:
            if "locked" not in str(e) or time.monotonic() > end:
                raise
        else:
            return


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=1, isolation_level=None)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise FileFormatError(
                f"{path} has format {version}, this factweights reads {FORMAT}; use the later version"
            )
        (sound,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        if version < FORMAT:
            patiently(db, "BEGIN IMMEDIATE")
            for statement in SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {FORMAT}")
            patiently(db, "COMMIT")
        must_be_sound(db)
    except BaseException:
        db.close()
        raise
    return db


class _Row(BaseModel):
    """One row of ``cells``; SQLite itself takes anything in any column."""

    model_config = ConfigDict(strict=True)

    hash: Sha256
    function: str
    arguments: str
    version: str | None
    label: str | None
    cost: float | None
    state: Literal["pending", "done", "failed", "lost"]
    attempts: Annotated[int, Field(ge=0)] | None
    seconds: float | None
    peak_bytes: int | None
    worker: str | None
    sha256: Sha256 | None
    error: str | None
    changed: str | None


def must_be_sound(db: sqlite3.Connection) -> None:
    """Every row must be one, and every hash that of its own call.

    Raises:
        sqlite3.DatabaseError: one is not.
    """
    names = list(_Row.model_fields)
    for values in db.execute(f"SELECT {', '.join(names)} FROM cells"):
        try:
            row = _Row.model_validate(dict(zip(names, values, strict=True)))
            spec = {
                "function": row.function,
                "arguments": parse_json(row.arguments),
                "factweights": row.version,
            }
        except (ValueError, RecursionError) as e:
            raise sqlite3.DatabaseError(f"a row of cells is none: {str(e)[:100]}") from e
        if canonical_hash(spec) != row.hash:
            raise sqlite3.DatabaseError(f"the cell {row.hash[:12]} has the hash of another")
    for row in db.execute("SELECT hash, name, spec, version, added FROM studies"):
        try:
            if not all(isinstance(x, str) for x in row) or not isinstance(parse_json(row[2]), dict):
                raise ValueError("a text is none")
        except (ValueError, RecursionError) as e:
            raise sqlite3.DatabaseError(f"a row of studies is none: {str(e)[:100]}") from e
    db.execute("SELECT study, place, cell FROM study_cells").fetchall()
    db.execute("SELECT id, pid, host, engine, slots, begun, ended, how FROM runs LIMIT 1")


def _lock(folder: Path) -> sqlite3.Connection:
    """An exclusive transaction that lasts as long as the process: the system ends it with the process.

    Raises:
        BusyError: another process has it.
    """
    lock = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as e:
        lock.close()
        if "locked" not in str(e):
            raise OutputError(f"cannot lock {folder / LOCK}: {e}; choose another folder") from e
        raise BusyError(
            f"another run{_owner(folder)} writes to {folder}; wait until it ends, or choose another folder"
        ) from e
    except sqlite3.DatabaseError:  # something else was written over it
        lock.close()
        (folder / LOCK).unlink(missing_ok=True)
        return _lock(folder)
    return lock


def _owner(folder: Path) -> str:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(folder / LEDGER)) as db:
        row = db.execute("SELECT pid, host, begun FROM runs ORDER BY id DESC LIMIT 1").fetchone()
        if row is not None:
            return f" (process {row[0]} on {row[1]}, since {row[2]})"
    return ""


def _move_aside(path: Path) -> Path:
    n = 1
    while (aside := path.with_name(f"{path.name}.damaged-{n}")).exists():
        n += 1
    os.replace(path, aside)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)
    return aside


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
