"""How studies bear faults, and what they cost: python benchmarks/studies.py [--part …].

faults: a run of small cells is hurt in every way of the table and taken up again; counted are the cells that
ran twice and those that were lost. workers: figure 1 left at smoke scale with one process and with two, one
thread each. ray: the same packs of small cells on Ray. ledger: what keeping a cell costs.
"""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

MORE_SEEDS = 12

SCRIPT = """
import sys
import faulty
from factweights.studies import measuring
measuring.FUNCTIONS["capacity"] = faulty.work
from factweights.studies import Cell, run_cells

if __name__ == "__main__":
    sizes = range(int(sys.argv[2]))
    made = [Cell(function="capacity", arguments={"d": d, "more": sys.argv[4:]}) for d in sizes]
    run_cells(made, sys.argv[1], workers=int(sys.argv[3]), on_progress=lambda p: print(p.text, flush=True))
"""
FAULTY = """
import os, pathlib, signal, time
here = pathlib.Path(__file__).parent

def work(d, more):
    with open(here / "log", "a") as log:
        log.write(f"{d}{''.join(more)}\\n")
    if (here / f"die-{d}").exists():
        (here / f"die-{d}").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return {"facts": d, "ballast": "x" * (200_000 if (here / "large").exists() else 10)}
"""
CELLS = 40


class Folder:
    """A study folder with a run that can be hurt."""

    def __init__(self, place: Path) -> None:
        self.place, self.out = place, place / "out"
        (place / "main.py").write_text(SCRIPT)
        (place / "faulty.py").write_text(FAULTY)

    def start(self, *more: str, cells: int = CELLS) -> subprocess.Popen:
        command = [sys.executable, str(self.place / "main.py"), str(self.out), str(cells), "2", *more]
        paths = [str(self.place), *filter(None, sys.path)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait_for(self, process: subprocess.Popen, word: str) -> None:
        assert process.stdout is not None
        while (line := process.stdout.readline()) and word not in line:
            pass

    def counts(self) -> Counter[str]:
        return Counter((self.place / "log").read_text().split())

    def finished(self) -> int:
        return len(list((self.out / "cells").glob("*.json")))


def worker_killed(f: Folder) -> str:
    (f.place / "die-7").touch()
    (f.place / "die-30").touch()
    said = f.start().communicate()[0]
    return f"{said.count('lost, again')} cells lost with two workers, all tried again in the same run"


def coordinator_killed(f: Folder) -> str:
    process = f.start()
    f.wait_for(process, "15/40")
    process.kill()
    process.communicate()
    return f"{f.finished()} of 40 kept"


def interrupted_twice(f: Folder) -> str:
    process = f.start()
    f.wait_for(process, "15/40")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    said = process.communicate()[0].strip().splitlines()[-1]
    return said.partition("; ")[2].partition(" and kept")[0]


def disk_full(f: Folder) -> str:
    f.out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(f.out)]
    if subprocess.run(mount, capture_output=True).returncode:
        return "not shown: this system lets nobody mount a small file system"
    try:
        (f.place / "large").touch()
        said = f.start().communicate()[0].strip().splitlines()[-1]
        kept = f.finished()
        left = len(list((f.out / "cells").glob(".*")))
        subprocess.run(["mount", "-o", "remount,size=64m", str(f.out)], check=True)
        (f.place / "large").unlink()
        f.start().communicate()
        again = sum(n - 1 for n in f.counts().values())
        told = "says so" if "No space left" in said or "disk is full" in said else said
        rest = f"with room again {f.finished()} of 40, {again} in flight ran twice"
        return f"{told}; {kept} kept, {left} half-written; {rest}"
    finally:
        subprocess.run(["umount", str(f.out)], check=False)


def spec_changed(f: Folder) -> str:
    f.start(cells=30).communicate()
    f.start(cells=40).communicate()
    first = f.finished()
    f.start("other").communicate()
    again = sum(n - 1 for n in f.counts().values())
    other = f.finished() - first
    return f"10 cells more: {again} of the 30 shared ran again; other arguments: {other} new cells"


def ledger_damaged(f: Folder) -> str:
    f.start().communicate()
    (f.out / "ledger.sqlite").write_bytes(os.urandom(5000))
    said = f.start().communicate()[0]
    return (
        "moved aside, made anew from the files"
        if "found and taken up" in said
        else f"not mended: {said[-200:]}"
    )


def cell_damaged(f: Folder) -> str:
    f.start().communicate()
    files = sorted((f.out / "cells").glob("*.json"))
    files[0].write_bytes(files[0].read_bytes()[:-9])  # cut short
    files[1].write_text(files[1].read_text().replace('"facts": ', '"facts": 9'))  # a digit more
    said = f.start().communicate()[0]
    return (
        "cut short and one digit changed: both seen"
        if "2 cell files were" in said
        else f"not seen: {said[-200:]}"
    )


def two_runs(f: Folder) -> str:
    first = f.start(cells=400)
    f.wait_for(first, "5/400")
    second = f.start().communicate()[0].strip().splitlines()[-1]
    first.communicate()
    return "the second is refused and told who writes" if "another run (process" in second else second


FAULTS: dict[str, tuple[Callable[[Folder], str], bool]] = {
    "two workers killed (-9)": (worker_killed, False),
    "coordinator killed (-9)": (coordinator_killed, True),
    "Ctrl-C twice": (interrupted_twice, True),
    "disk full": (disk_full, False),
    "spec changed between runs": (spec_changed, False),
    "ledger overwritten": (ledger_damaged, False),
    "cell files damaged": (cell_damaged, False),
    "two runs on one folder": (two_runs, False),
}


def print_faults() -> None:
    print("| fault | what happened | in the end | cells run twice |\n|---|---|---|---:|")
    for name, (hurt, resume) in FAULTS.items():
        place = Path(tempfile.mkdtemp(prefix="faults-"))
        try:
            folder = Folder(place)
            told = hurt(folder)
            if resume:
                folder.start().communicate()
            if not (folder.out / "ledger.sqlite").exists():
                end, twice = "–", "–"
            else:
                with sqlite3.connect(folder.out / "ledger.sqlite") as db:
                    (done,), (every,) = (
                        db.execute(f"SELECT COUNT(*) FROM cells {w}").fetchone()
                        for w in ("WHERE state = 'done'", "")
                    )
                end, twice = f"{done} of {every} done", str(sum(n - 1 for n in folder.counts().values()))
            print(f"| {name} | {told} | {end} | {twice} |", flush=True)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def print_workers() -> None:
    """Wall time of figure 1 left at smoke scale and of the same with more seeds, and all processor time."""
    print("seeds  workers  wall s  processor s  cell s  wall over one worker's")
    for seeds in ([], [f"seeds = {MORE_SEEDS}"]):
        first = 0.0
        for workers in (1, 2):
            place = Path(tempfile.mkdtemp(prefix="workers-"))
            spec = place / "spec.toml"
            spec.write_text("\n".join(['study = "fig1-left"', 'scale = "smoke"', *seeds]))
            command = [sys.executable, "-m", "factweights.cli", "study", "run", str(spec), "--json"]
            command += ["--out", str(place / "out"), "--workers", str(workers)]
            before, begun = os.times(), time.perf_counter()
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, env=env, capture_output=True, check=True)
            wall, after = time.perf_counter() - begun, os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            first = first or wall
            files = (place / "out" / "cells").glob("*.json")
            spent = sum(json.loads(f.read_text())["seconds"] for f in files)
            shown = f"{MORE_SEEDS if seeds else 'spec':>5} {workers:>8} {wall:>7.1f} {used:>12.1f}"
            print(f"{shown} {spent:>7.1f} {first / wall:>12.2f} ×", flush=True)
            shutil.rmtree(place, ignore_errors=True)


def print_ray() -> None:
    from factweights.studies import Cell, LocalEngine, run_cells
    from factweights.studies.running.ray_engine import RayEngine

    def cells(d: int, facts: int, first: int, n: int) -> list[Cell]:
        given = {"method": "ridge", "d": d, "facts": facts, "recall": 1.0}
        seeds = range(first, first + n)
        return [Cell(function="success", arguments={**given, "seed": s}) for s in seeds]

    print("engine  cells   ms each  wall s  work s  slots  idle or overhead")
    ray = RayEngine(slots=2)
    for d, facts, n in ((16, 60, 16000), (96, 1200, 2000)):
        for name, engine in (("local", LocalEngine(2)), ("ray", ray)):
            place = tempfile.mkdtemp(prefix="engine-")
            marks, spent = [], []

            def heard(_: Cell, found: dict, marks: list = marks, spent: list = spent) -> None:
                marks.append(time.perf_counter())
                spent.append(found["seconds"])

            if name == "ray":  # workers are started and import torch
                run_cells(cells(d, facts, 10**6, 8), place, engine=engine)
            run_cells(cells(d, facts, 0, n), place, engine=engine, on_result=heard)
            # from a fifth on: before that, local workers are still importing
            wall, work = marks[-1] - marks[n // 5], sum(spent[n // 5 + 1 :])
            each, over = 1e3 * work / (0.8 * n), 1 - work / wall / 2
            print(
                f"{name:>6} {n:>6,} {each:>8.1f} {wall:>8.2f} {work:>7.2f} {2:>6} {over:>17.1%}", flush=True
            )
            shutil.rmtree(place, ignore_errors=True)
    ray.close()


def print_ledger() -> None:
    from factweights.studies import Cell
    from factweights.studies.running.engines import Outcome
    from factweights.studies.running.ledger import Ledger

    place = tempfile.mkdtemp(prefix="ledger-")
    cells = [Cell(function="capacity", arguments={"d": d}) for d in range(2000)]
    with Ledger(place) as ledger:
        ledger.add_cells(cells)
        begun = time.perf_counter()
        for k in range(0, 2000, 20):
            ledger.finish([(c, Outcome({"facts": 1}, None, 0.01)) for c in cells[k : k + 20]])
        kept = time.perf_counter() - begun
    begun = time.perf_counter()
    with Ledger(place) as ledger:
        found = len(ledger.results({c.hash: c for c in cells}))
    read = time.perf_counter() - begun
    print(f"keeping a cell: {kept / 2:.2f} ms in packs of 20; opening and reading {found:,}: {read:.2f} s")
    shutil.rmtree(place, ignore_errors=True)


def main() -> None:
    parts = {"faults": print_faults, "workers": print_workers, "ray": print_ray, "ledger": print_ledger}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=tuple(parts))
    given = parser.parse_args()
    for name, part in parts.items():
        if given.part in (None, name):
            part()
            print(flush=True)


if __name__ == "__main__":
    main()
