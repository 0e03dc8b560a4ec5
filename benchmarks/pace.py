"""How many tokens a second a model reads on this processor, in float32 and in bfloat16, in turn.

    python benchmarks/pace.py MODEL [--seconds 12] [--rounds 2]

32 texts of 8 tokens at once. A processor without arithmetic in bfloat16 reads it slower than float32.
"""

import argparse
import time

import torch

from factweights.models import seam

BATCH, LENGTH = 32, 8


def pace(name: str, dtype: str, seconds: float) -> float:
    """Tokens a second of whole passes without a cache."""
    model = seam.load(name, dtype=dtype).model
    tokens = torch.randint(0, int(model.config.vocab_size), (BATCH, LENGTH))
    with torch.inference_mode():
        model(tokens)  # the first pass is slower
        start, read = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            model(tokens)
            read += tokens.numel()
    return read / (time.perf_counter() - start)


def main() -> None:
    """Both dtypes, in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    print(f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")
    for _ in range(args.rounds):
        for dtype in ("float32", "bfloat16"):
            print(f"{dtype}: {pace(args.model, dtype, args.seconds):.0f} tokens a second", flush=True)


if __name__ == "__main__":
    main()
