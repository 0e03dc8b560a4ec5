"""How many tokens a second a model reads on this processor, in float32 and in bfloat16, in turn.

    python benchmarks/pace.py MODEL [--seconds 12] [--rounds 2]

32 texts of 8 tokens at once, whole passes without a cache. A processor without arithmetic in bfloat16 reads
it slower than float32.
"""

import argparse
import time

import torch

from factweights.models import seam

BATCH, LENGTH = 32, 8


def pace(lm: seam.LanguageModel, seconds: float) -> float:
    """Tokens a second."""
    tokens = torch.zeros(BATCH, LENGTH, dtype=torch.long)  # which ones does not matter
    lm.forward(tokens)  # the first pass is slower
    begun, passes = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < seconds:
        lm.forward(tokens)
        passes += 1
    return passes * tokens.numel() / spent


def main() -> None:
    """Both dtypes, in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    models = [seam.load(asked.model, dtype=dtype) for dtype in ("float32", "bfloat16")]
    print(f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")
    for lm in models * asked.rounds:
        print(f"{lm.dtype}: {pace(lm, asked.seconds):.0f} tokens a second", flush=True)


if __name__ == "__main__":
    main()
