"""Damaged and forged inputs for every reader and command, drawn from one seed, each run in a forked child.

A child has 60 s of processor, 300 s on the clock and 2 GiB beyond what it began with. What counts: hangs,
tracebacks, memory, outputs that are half-written, litter, and damaged files that are accepted.
"""

import contextlib
import io
import json
import os
import random
import resource
import select
import shutil
import signal
import sqlite3
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import factweights as fw
from factweights.folders import sha256
from factweights.folders.manifests import _checksum
from fault_cases import REPORT, TABLE

SECONDS, CLOCK, BYTES = 60, 300, 2 << 30
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    3,
    2**31,
    2**63,
    -(10**18),
    1e308,
    -0.5,
    "",
    "x",
    "nan",
    "../x",
    "a" * 5000,
]
VALUES += [[], {}, [[]], {"a": 1}, [None], ["x", 3], "\u202e\x1b[31m"]
MANIFESTS = ("manifest.json", "factweights.json")


@dataclass
class Seen:
    """What a run of the fuzzer saw; ``first`` holds an example of each kind of trouble."""

    inputs: int = 0
    codes: Counter = field(default_factory=Counter)
    trouble: Counter = field(default_factory=Counter)
    first: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, what: str) -> None:
        self.trouble[kind] += 1
        print(f"{kind}: {what}", file=sys.stderr, flush=True)
        self.first.setdefault(kind, []).append(what)

    def __str__(self) -> str:
        kinds = ("traceback", "hang", "memory", "half-written", "litter", "accepted")
        said = ", ".join(f"{self.trouble[k]} {k}" for k in kinds)
        shown = "".join(f"\n  {k}: {w}" for k, ws in self.first.items() for w in ws[:6])
        return f"{self.inputs:,} inputs (exit codes {dict(self.codes)}): {said}{shown}"


# -- the seeds ---------------------------------------------------------------------------------------------


def seeds(home: Path, *, models: bool = True) -> dict[str, Path]:
    """One good input of every kind."""
    home.mkdir(parents=True, exist_ok=True)
    table = fw.FactTable.from_rows([line.split(",") for line in TABLE.splitlines()[1:]])
    found = {"memory": home / "memory", "study": home / "study", "report": home / "report"}
    from factweights.storing import store_table

    store_table(table, fw.ExactLinear(), d=4).save(found["memory"])
    if models:
        found["model"] = fw.compile_table(table, home / "model", width=8).path
    _study(found["study"])
    found["report"].mkdir()
    (found["report"] / "success-curve.json").write_text(json.dumps(REPORT))
    tables = home / "tables"
    tables.mkdir()
    for suffix in ("csv", "tsv", "jsonl", "parquet"):
        with contextlib.suppress(fw.FactweightsError):  # without the extra [data] there is no Parquet
            found[suffix] = table.write(tables / f"facts.{suffix}")
    facts = table.to_associations(4)
    found["safetensors"] = facts.write(tables / "facts.safetensors")
    np.savez(tables / "facts.npz", keys=facts.keys, values=facts.values, targets=facts.targets)
    np.save(tables / "facts.npy", facts.keys.numpy())
    found |= {"npz": tables / "facts.npz", "npy": tables / "facts.npy"}
    found["toml"] = tables / "spec.toml"
    found["toml"].write_text('study = "capacity-sweep"\nmethods = ["hebbian"]\nsizes = [4, 6]\nseeds = 2\n')
    return found


def _study(folder: Path) -> None:
    from factweights.studies.running.kept import Kept
    from factweights.studies.running.ledger import Ledger
    from factweights.studies.specs import study_from

    study = study_from({"study": "capacity-sweep", "methods": ["hebbian"], "sizes": [4], "seeds": 1})
    Kept(folder).must_be_writable()
    for cell in study.cells():
        Kept(folder).write(cell, {"facts": 4, "law": 4.0, "seconds": 0.1}, 0.1)
    with Ledger(folder) as ledger:
        ledger.add_cells(study.cells())
        ledger.add_study(study, study.cells())


# -- damage ------------------------------------------------------------------------------------------------


def damage(rng: random.Random, path: Path) -> str:
    """Change one file; say how."""
    raw = path.read_bytes()
    structured = path.suffix in (".json", ".safetensors", ".sqlite")
    kind = rng.choice(["bytes", "structure", "structure"] if structured else ["bytes"])
    if kind == "structure" and path.suffix == ".json":
        path.write_bytes(_damaged_json(rng, raw))
    elif kind == "structure" and path.suffix == ".safetensors":
        path.write_bytes(_damaged_tensors(rng, raw))
    elif kind == "structure":
        _damage_ledger(rng, path)
    else:
        path.write_bytes(_damaged_bytes(rng, raw))
    return f"{path.name} {kind}"


def _damaged_bytes(rng: random.Random, raw: bytes) -> bytes:
    at, n = rng.randrange(len(raw) + 1), rng.choice([1, 1, 4, 64])
    noise = rng.randbytes(n)
    how = rng.randrange(7)
    if how == 0:
        return raw[:at]
    if how == 1:
        return raw[:at] + noise + raw[at:]
    if how == 2:
        return raw[:at] + raw[at + n :]
    if how == 3:
        return raw + raw[at:] + noise
    if how == 4:
        return noise * rng.choice([0, 1, 1000])
    if how == 5:
        return (
            raw[:at]
            + rng.choice([b"[" * 10**5, b"9" * 5000, b"\x00" * 100, b'"' * 50, b"\xff\xfe"])
            + raw[at:]
        )
    flipped = bytearray(raw)
    for _ in range(n):
        flipped[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _damaged_json(rng: random.Random, raw: bytes) -> bytes:
    found = json.loads(raw)
    for _ in range(rng.choice([1, 1, 3])):
        _damage_value(rng, found)
    text = json.dumps(found)
    if rng.random() < 0.1:
        text = text.replace(": 0", rng.choice([": NaN", ": " + "9" * 5000, ": 1e999", ": " + "[" * 9000]), 1)
    return text.encode("utf-8", "surrogatepass")


def _damage_value(rng: random.Random, found: Any) -> None:
    """Somewhere within: another value, one less, one more."""
    at = found
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(at[key], (dict, list)) and at[key] and rng.random() < 0.75:
            at = at[key]
            continue
        how = rng.random()
        if how < 0.7:
            at[key] = rng.choice(VALUES)
        elif how < 0.85:
            del at[key]
        elif isinstance(at, dict):
            at[rng.choice(["more", "auto_map", "_attn_implementation", "__metadata__"])] = rng.choice(VALUES)
        else:
            at.insert(key, rng.choice(VALUES))
        return


def _damaged_tensors(rng: random.Random, raw: bytes) -> bytes:
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    if rng.random() < 0.5:
        name = rng.choice([k for k in header if k != "__metadata__"])
        what = rng.choice(["dtype", "shape", "data_offsets"])
        given = {"dtype": ["F8_E4M3", "F8_E5M2", "I64", "BOOL", "F16", "BF16", "X", "C64"]}
        given["shape"] = [[10**9, 10**9], [-1], [], [0], [1] * 30, [2**63], header[name]["shape"][::-1]]
        given["data_offsets"] = [[0, 0], [0, 10**12], [5], [-8, 8], "x"]
        header[name][what] = rng.choice(given[what])
    elif "factweights" in header.get("__metadata__", {}) and rng.random() < 0.7:
        text = header["__metadata__"]["factweights"].encode()
        header["__metadata__"]["factweights"] = _damaged_json(rng, text).decode("utf-8", "replace")
    else:
        _damage_value(rng, header)
    text = json.dumps(header).encode("utf-8", "replace")
    return struct.pack("<Q", rng.choice([len(text)] * 9 + [2**62])) + text + raw[8 + length :]


def _damage_ledger(rng: random.Random, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        table = rng.choice(["cells", "studies", "study_cells", "runs"])
        column = rng.choice([row[1] for row in db.execute(f"PRAGMA table_info({table})")])
        value = rng.choice(["x", -1, 1e300, None, b"\xff", "{", "[" * 3000, "9" * 5000, "a" * 64])
        with contextlib.suppress(sqlite3.Error):
            db.execute(f"UPDATE {table} SET {column} = ?", (value,))
        db.commit()


def reseal(folder: Path) -> None:
    """Write the hashes of changed files into the manifest, as whoever can change one can."""
    for name in MANIFESTS:
        with contextlib.suppress(Exception):
            found = json.loads((folder / name).read_text())
            found["files"] = {n: sha256(folder / n) for n in found["files"]}
            found["checksum"] = _checksum(found)
            (folder / name).write_text(json.dumps(found))


# -- commands ----------------------------------------------------------------------------------------------


def commands(kind: str, path: Path, out: Path, good: dict[str, Path]) -> list[list[str]]:
    """What is done with an input of that kind; all that they write is ``out``."""
    here, to = str(path), ["--out", str(out)]
    known: dict[str, list[list[str]]] = {
        "memory": [
            ["recall", here, "Peru", "capital"],
            ["verify", here],
            ["edit", here, "--set", "Peru", "capital", "Paris", *to],
        ],
        "model": [
            ["explain", here, "Peru", "capital"],
            ["edit", here, "--set", "Peru", "capital", "Paris", *to],
        ],
        "study": [
            ["study", "status", here],
            ["study", "results", here, "--json"],
            ["study", "run", str(good["toml"]), "--out", here, "--dry-run"],
        ],
        "report": [["report", here, *to]],
        "toml": [["study", "run", here, *to, "--dry-run"]],
    }
    tables = [
        ["store", here, "--d", "4", *to],
        ["verify", str(good["memory"]), here],
        ["edit", str(good["memory"]), "--from", here, *to],
    ]
    return known.get(kind, tables)


def run(work: Callable[[], int]) -> tuple[int | None, str, int]:
    """Exit code, what was said, and bytes that were added at the peak; None for a hang."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _limited(work, write)
    os.close(write)
    said, end = b"", time.monotonic() + CLOCK + 5
    while time.monotonic() < end and select.select([read], [], [], max(0, end - time.monotonic()))[0]:
        if not (block := os.read(read, 1 << 16)):
            break
        said += block
    else:
        os.kill(child, signal.SIGKILL)
    os.close(read)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text, _, grown = said.decode(errors="replace").rpartition("\0")
    hung = status in (-signal.SIGKILL, -signal.SIGALRM, -signal.SIGXCPU)
    return None if hung else status, text, int(grown) if grown.isdigit() else 0


def _limited(work: Callable[[], int], out: int) -> None:
    code, stream = 70, io.StringIO()
    try:
        signal.alarm(CLOCK)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, size + BYTES))
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            code = work()
        stream.write(f"\0{1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)}")
    except BaseException as e:
        import traceback

        stream.write("Traceback " + "".join(traceback.format_exception(e)[-4:]) + "\0" + "0")
    finally:
        os.write(out, stream.getvalue().encode(errors="replace")[-20000:])
        os._exit(code)


def _command(tokens: Sequence[str]) -> Callable[[], int]:
    def work() -> int:
        from factweights.cli import run as command

        return command(tokens)

    return work


def _reading(path: Path) -> Callable[[], int]:
    """Tensor files are read by the library alone."""

    def work() -> int:
        try:
            fw.Associations.read(path, values=path if path.suffix == ".npy" else None)
        except (fw.FactweightsError, FileNotFoundError) as e:
            print(f"error: {e}")
            return 1
        return 0

    return work


# -- one input after another -------------------------------------------------------------------------------


def fuzz(
    home: Path, count: int, *, seed: int = 0, models: bool = True, on_progress: Callable = print
) -> Seen:
    """Draw ``count`` inputs and run what reads them."""
    rng, seen = random.Random(seed), Seen()
    good = seeds(home / "good", models=models)
    kinds = [k for k in good for _ in range(3 if k in ("memory", "study") else 1)]
    while seen.inputs < count:
        kind = rng.choice(kinds)
        work = home / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        _one(rng, kind, good, work, seen)
        if seen.inputs % 200 == 0:
            on_progress(f"{seen.inputs:,} of {count:,}: {dict(seen.trouble)}")
    return seen


def _one(rng: random.Random, kind: str, good: dict[str, Path], work: Path, seen: Seen) -> None:
    path, out = work / good[kind].name, work / "out"
    sealed, how, harmless = False, "", False
    if good[kind].is_dir():
        shutil.copytree(good[kind], path)
        files = sorted(f for f in path.rglob("*") if f.is_file() and f.name != "ledger.lock")
        chosen = rng.choice(files)
        before = chosen.read_bytes()
        how = damage(rng, chosen)
        harmless = _same(before, chosen)
        if sealed := kind in ("memory", "model") and rng.random() < 0.6:
            reseal(path)
    else:
        shutil.copy(good[kind], path)
        how = damage(rng, path)
    if kind in ("safetensors", "npz", "npy"):
        tokens, action = ["read", str(path)], _reading(path)
    else:
        tokens = rng.choice(commands(kind, path, out, good))
        action = _command(tokens)
    code, said, grown = run(action)
    seen.inputs += 1
    seen.codes[code] += 1
    where = f"{' '.join(tokens[:2])} {how}{' resealed' if sealed else ''} (input {seen.inputs})"
    if code is None:
        seen.note("hang", where)
    elif "Traceback" in said or code not in (0, 1, 2):
        seen.note("traceback", f"{where}: {said[-700:]}")
    if grown > BYTES or "not enough memory" in said:
        seen.note("memory", f"{where}: {grown:,}")
    if litter := [f.name for f in work.rglob(".*factweights-*")]:
        seen.note("litter", f"{where}: {litter}")
    if kind in ("memory", "model") and code == 0 and not sealed and not harmless:
        seen.note("accepted", f"{where}: {said[-200:]}")
    if kind == "study" and tokens[1] == "results" and code == 0 and not _true(said):
        seen.note("accepted", f"{where}: {said[-300:]}")
    _look_at(out, seen, where, code)


def _same(before: bytes, path: Path) -> bool:
    """Whether a manifest says the same as before, with other spaces; any other file must have its bytes."""
    now = path.read_bytes()
    if path.name in MANIFESTS:
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(before) == json.loads(now)
    return before == now


def _true(said: str) -> bool:
    """Whether results are those that were measured, or none."""
    with contextlib.suppress(ValueError):
        rows = json.loads(said[said.index("{") :])["rows"]
        return all(r["facts"] == 4 and r["law"] == 4.0 for r in rows)
    return False


def _look_at(out: Path, seen: Seen, where: str, code: int | None) -> None:
    if not out.exists():
        return
    if out.is_file():
        whole = out.stat().st_size > 0
    else:
        whole = (out / "manifest.json").is_file() or (out / "factweights.json").is_file() or code == 0
        with contextlib.suppress(FileNotFoundError):
            fw.Bundle.load(out) if (out / "manifest.json").is_file() else None
    if not whole:
        seen.note("half-written", where)
