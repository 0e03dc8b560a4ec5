"""A kill or Ctrl-C before any file operation leaves one whole version, and no litter after it."""

import subprocess
import sys

import pytest

import fault_cases

# The whole sweep is benchmarks/fault_sweep.py; every so manyth operation is taken here.
EVERY = {"store": 17, "edit": 29, "report": 5}


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_fault_before_any_operation_loses_nothing(tmp_path, name):
    # The children are forked: from a process of its own, as the test runner has threads.
    code = (
        "import sys, torch; torch.set_num_threads(1); sys.path.insert(0, sys.argv[1]); import fault_cases;"
        "from pathlib import Path;"
        "found = list(fault_cases.sweeps(sys.argv[2], Path(sys.argv[3]), every=int(sys.argv[4])));"
        "print(*found, sep='\\n'); sys.exit(not all(t.sound for t in found))"
    )
    here = fault_cases.__file__.rpartition("/")[0]
    done = subprocess.run(
        [sys.executable, "-c", code, here, name, tmp_path, str(EVERY[name])], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
