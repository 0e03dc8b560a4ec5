"""Pairs of edits of one folder at the same time, with a reader beside them: how many changes are lost.

Run as ``python benchmarks/concurrent_edits.py [PAIRS]``. Each edit is the command ``edit`` in a process of
its own, forked so that torch is imported once.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import factweights as fw
from faults import run

torch.set_num_threads(1)


def pairs_of(home: Path, pairs: int) -> tuple[int, int, int, int]:
    """Changes lost, edits that failed, reads, and reads that failed."""
    out = home / "out"
    rows = [(f"s{i}", "is", "old") for i in range(2 * pairs)] + [("s", "is", "new")]
    fw.Bundle(*_stored(rows)).save(out)
    failed = reads = unread = 0
    for k in range(pairs):
        edits = [_forked(["edit", str(out), "--set", f"s{2 * k + i}", "is", "new"], home) for i in (0, 1)]
        while edits:
            reads += 1
            try:
                fw.Bundle.load(out)
            except fw.FactweightsError as e:
                unread += 1
                print(e, file=sys.stderr)
            for edit in list(edits):
                pid, status = os.waitpid(edit, os.WNOHANG)
                if pid:
                    edits.remove(edit)
                    failed += status != 0
    table = fw.Bundle.load(out).table
    lost = sum(table.lookup(f"s{i}", "is") != "new" for i in range(2 * pairs))
    left = [f.name for f in home.iterdir() if f != out]
    assert not left, left
    return lost, failed, reads, unread


def _stored(rows: list[tuple[str, str, str]]) -> tuple:
    from factweights.storing import store_table

    b = store_table(fw.FactTable.from_rows(rows), fw.ExactLinear(), d=16 + len(rows)).bundle
    return b.memory, b.facts, b.table, b.certificate, b.method


def _forked(tokens: list[str], home: Path) -> int:
    child = os.fork()
    if child == 0:
        found = run(tokens, home / "nowhere")
        if found.code:
            os.write(2, found.said.encode())
        os._exit(1 if found.code else 0)
    return child


def main(pairs: int) -> int:
    home = Path(tempfile.mkdtemp(prefix="edits-"))
    try:
        lost, failed, reads, unread = pairs_of(home, pairs)
    finally:
        shutil.rmtree(home)
    print(
        f"{pairs} pairs of edits: {lost} changes lost, {failed} edits failed; {reads} reads, {unread} failed"
    )
    return lost + failed + unread


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if sys.argv[1:] else 60))
