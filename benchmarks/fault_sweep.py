"""Kill and interrupt store, edit, compile, report and onnx before every file operation, and count losses.

Run as ``python benchmarks/fault_sweep.py [EVERY] [COMMAND …]``: before each EVERYth operation of the named
commands, or of all. A few minutes each on a quiet machine.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import fault_cases

torch.set_num_threads(1)


def main(given: list[str]) -> int:
    names, bad = [g for g in given if not g.isdigit()], 0
    every = next((int(g) for g in given if g.isdigit()), 1)
    for name in names or list(fault_cases.CASES):
        home, begun = Path(tempfile.mkdtemp(prefix="faults-")), time.perf_counter()
        try:
            for tally in fault_cases.sweeps(name, home, signals=(signal.SIGKILL, signal.SIGINT), every=every):
                print(f"{tally}  ({time.perf_counter() - begun:.0f} s)", flush=True)
                bad += not tally.sound
        finally:
            shutil.rmtree(home)
    return bad


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
