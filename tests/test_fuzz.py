"""A short run of the fuzzer; ``make fuzz`` takes 3,000 inputs."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_damaged_and_forged_inputs_are_errors_and_nothing_else():
    script = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"
    done = subprocess.run([sys.executable, str(script), "120", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
