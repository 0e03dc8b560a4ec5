"""One thread per test process, and property tests that neither race the clock nor change between runs."""

import os
import signal

# xdist runs one process per core and workers inherit this, so more threads would only fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# A shell's background jobs begin with Ctrl-C ignored, and what they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import torch
from hypothesis import settings

torch.set_num_threads(1)

settings.register_profile("factweights", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("factweights")
