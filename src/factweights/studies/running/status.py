"""What a folder of studies holds, read without disturbing whoever writes to it."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

from factweights.errors import FileFormatError, MissingExtraError, SettingError, UnknownNameError
from factweights.folders import Json, whole_file
from factweights.show import Shown
from factweights.studies.figures import STUDIES
from factweights.studies.running.kept import Kept
from factweights.studies.running.ledger import LEDGER, SCHEMA, TAKE_UP, must_be_sound, taken_up
from factweights.studies.specs import validated
from factweights.studies.study import Study


@dataclass(frozen=True)
class StudyStatus:
    """One spec and how far it is."""

    study: str
    spec_hash: str
    version: str
    added: str
    cells: int
    done: int
    failed: int
    pending: int
    cell_seconds: float


class Running(TypedDict):
    """A run that has not ended."""

    pid: int
    host: str
    begun: str


@dataclass(frozen=True)
class Status(Shown):
    """How far the studies of a folder are.

    Attributes:
        folder: which.
        studies: one entry for each spec that was run there.
        cells, done, failed: of all cells, those of no known study included.
        failures: label and last line of the traceback of the first few.
        running: process, host and time of a run that has not ended, if any; a killed one looks the same.
    """

    folder: str
    studies: tuple[StudyStatus, ...]
    cells: int
    done: int
    failed: int
    failures: tuple[dict[str, str], ...]
    running: Running | None

    def to_dict(self) -> Json:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def to_pandas(self) -> Any:
        """One row per study (needs the extra [data])."""
        return _pandas().DataFrame([asdict(s) for s in self.studies])

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        lines = [("folder", self.folder)]
        for s in self.studies:
            left = f", {s.pending:,} to do" if s.pending else ""
            failed = f", {s.failed:,} failed" if s.failed else ""
            text = f"{s.done:,} of {s.cells:,} cells done{failed}{left}, {s.cell_seconds:,.0f} cell seconds"
            lines.append((f"{s.study} {s.spec_hash[:8]}", text))
        lines.append(("all", f"{self.done:,} of {self.cells:,} cells done, {self.failed:,} failed"))
        lines += [("failed", f"{f['cell']}: {f['error']}") for f in self.failures]
        if self.running is not None:
            r = self.running
            lines.append(("not ended", f"run of process {r['pid']} on {r['host']}, since {r['begun']}"))
        return lines


@dataclass(frozen=True)
class Results(Shown):
    """Every finished cell as one flat row.

    Attributes:
        rows: ``study``, ``label``, ``seconds``, the cell's arguments as ``in.*`` and the plain values of its
            result.
    """

    rows: tuple[Json, ...]

    def to_dict(self) -> Json:
        """The rows, ready for JSON."""
        return {"rows": list(self.rows)}

    def to_pandas(self) -> Any:
        """A data frame (needs the extra [data])."""
        return _pandas().DataFrame(list(self.rows))

    def to_parquet(self, path: str | Path) -> Path:
        """Write a Parquet file, whole or not at all (needs the extra [data]).

        Raises:
            OutputError: it could not be written.
            MissingExtraError: pandas or pyarrow is missing.
        """
        frame = self.to_pandas()
        with whole_file(path) as tmp:
            try:
                frame.to_parquet(tmp, index=False)
            except ImportError as e:
                raise MissingExtraError("writing Parquet", "data") from e
        return Path(path)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        return [(str(r["label"]), f"{r.get('facts', r.get('recall'))}") for r in self.rows]


def study_status(folder: str | Path) -> Status:
    """How far the studies of ``folder`` are.

    Raises:
        FileNotFoundError: nothing was run there.
        FileFormatError: the ledger is damaged; the next run makes it anew.
    """
    with _reading(folder) as db:
        studies = tuple(
            StudyStatus(
                study=name,
                spec_hash=spec,
                version=version,
                added=added,
                cells=cells,
                done=done,
                failed=failed,
                pending=cells - done - failed,
                cell_seconds=seconds or 0.0,
            )
            for name, spec, version, added, cells, done, failed, seconds in db.execute(
                "SELECT s.name, s.hash, s.version, s.added, COUNT(*), SUM(c.state = 'done'), "
                "SUM(c.state = 'failed'), SUM(CASE WHEN c.state = 'done' THEN c.seconds ELSE 0 END) "
                "FROM studies s JOIN (SELECT DISTINCT study, cell FROM study_cells) sc ON sc.study = s.hash "
                "JOIN cells c ON c.hash = sc.cell GROUP BY s.hash ORDER BY s.added, s.name"
            )
        )
        cells, done, failed = db.execute(
            "SELECT COUNT(*), COALESCE(SUM(state = 'done'), 0), COALESCE(SUM(state = 'failed'), 0) FROM cells"
        ).fetchone()
        failures = tuple(
            {"cell": label, "error": (error or "").rstrip().rpartition("\n")[2]}
            for label, error in db.execute(
                "SELECT label, error FROM cells WHERE state = 'failed' ORDER BY changed LIMIT 5"
            )
        )
        row = db.execute("SELECT pid, host, begun, ended FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    running: Running | None = None
    if row is not None and not row[3]:
        running = {"pid": row[0], "host": row[1], "begun": row[2]}
    return Status(str(folder), studies, cells, done, failed, failures, running)


def study_results(folder: str | Path, study: str | None = None) -> Results:
    """Every finished cell of ``folder``, or of one study by name.

    Raises:
        UnknownNameError: that study was not run there.
        FileNotFoundError, FileFormatError: as in :func:`study_status`.
    """
    folder = Path(folder)
    with _reading(folder) as db:
        names = [n for (n,) in db.execute("SELECT DISTINCT name FROM studies")]
        if study is not None and study not in names:
            raise UnknownNameError("study in this folder", study, names, f"(there are {', '.join(names)})")
        found = db.execute(
            "SELECT DISTINCT c.hash, COALESCE(s.name, ''), c.label, c.function, c.arguments, c.seconds, "
            "c.sha256 "
            "FROM cells c LEFT JOIN study_cells sc ON sc.cell = c.hash "
            "LEFT JOIN studies s ON s.hash = sc.study "
            "WHERE c.state = 'done' AND (? IS NULL OR s.name = ?) ORDER BY 2, sc.place, c.hash",
            (study, study),
        ).fetchall()
    rows, kept = [], Kept(folder)
    for name, of, label, function, arguments, seconds, digest in found:
        record = kept.record(name, digest)
        if record is None:
            continue  # the next run measures it again
        result = record["result"]
        row = {
            "study": of,
            "label": label or function,
            "cell": name,
            "function": function,
            "seconds": seconds,
        }
        given = {f"in.{k}": _flat(v) for k, v in json.loads(arguments).items()}
        plain = {k: v for k, v in result.items() if k not in row and isinstance(v, (int, float, str, bool))}
        rows.append({**row, **given, **plain})
    return Results(tuple(rows))


def studies_in(folder: str | Path, study: str | None = None) -> list[Study]:
    """The specs that were last run in ``folder``, one for each name.

    Raises:
        UnknownNameError: that study was not run there.
        SettingError: none was.
    """
    with _reading(folder) as db:
        specs = dict(db.execute("SELECT name, spec FROM studies ORDER BY rowid"))
    if study is not None:
        if study not in specs:
            raise UnknownNameError("study in this folder", study, specs, f"(there are {', '.join(specs)})")
        specs = {study: specs[study]}
    if not specs:
        raise SettingError(f"no study was run in {folder} with a ledger; run one: factweights study run")
    return [validated(STUDIES[name], json.loads(spec)) for name, spec in specs.items() if name in STUDIES]


@contextlib.contextmanager
def _reading(folder: str | Path) -> Iterator[sqlite3.Connection]:
    folder = Path(folder)
    if not (folder / LEDGER).is_file() and not (folder / "cells").is_dir():
        raise FileNotFoundError(f"nothing was run in {folder}: it has no {LEDGER} and no cells")
    with contextlib.closing(_opened(folder)) as db:
        try:
            if (folder / LEDGER).is_file():
                must_be_sound(db)
            yield db
        except sqlite3.DatabaseError as e:
            raise FileFormatError(
                f"{folder / LEDGER} is damaged ({e}); the next run here makes it anew from the cells"
            ) from e


def _opened(folder: Path) -> sqlite3.Connection:
    """The ledger, read only; cells without a ledger, of an earlier version, are listed for this once."""
    path = folder / LEDGER
    if path.is_file():
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)
    db = sqlite3.connect(":memory:")
    kept = Kept(folder)
    db.executescript(SCHEMA)
    db.executemany(TAKE_UP, taken_up(kept, kept.names()))
    return db


def _flat(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, float, str, bool)) else json.dumps(value)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as e:
        raise MissingExtraError("a data frame", "data") from e
    return pandas
