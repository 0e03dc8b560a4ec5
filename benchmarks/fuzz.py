"""Damaged and forged inputs for every reader and command: ``make fuzz``, or fuzz.py [N] [SEED].

Exits with 1 if anything is wrong.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import torch

from fuzzing import fuzz

torch.set_num_threads(1)


def main(count: int = 3000, seed: int = 0) -> int:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as home:
        seen = fuzz(Path(home), count, seed=seed)
    print(seen)
    return int(bool(seen.trouble))


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
