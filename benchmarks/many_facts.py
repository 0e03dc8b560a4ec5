"""100,000 facts in one gated memory, recall 1.0 verified over all outputs: python benchmarks/many_facts.py.

Keys = values table, a random permutation, float32. The default width is the widest whose 3dm parameters stay
within twice what 2 bits per parameter would ask for. Prints what every pass found, then time, peak memory of
the process, and the certificate. Two cores take about half an hour.
"""

import argparse
import json
import math
import resource
import time

import torch

import factweights as fw
from factweights.progress import Progress


def main() -> None:
    """Store, verify, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--facts", type=int, default=100_000)
    parser.add_argument("--d", type=int, default=512)
    parser.add_argument("--width", type=int, help="neurons; default: one bit of facts per parameter")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    n, d = args.facts, args.d
    width = args.width or int(n * math.log2(n) / (3 * d))
    begin = time.perf_counter()

    def tell(p: Progress) -> None:
        print(f"{time.perf_counter() - begin:7.0f} s  {p.text}", flush=True)

    facts = fw.Associations.spherical(n=n, d=d, seed=args.seed, tied=True, dtype=torch.float32)
    facts = facts.to(device=args.device)
    print(f"{n:,} facts, d = {d}, width {width:,}: {3 * d * width:,} parameters", flush=True)
    memory = fw.GatedFit(width).store(facts, seed=args.seed, on_progress=on_progress)
    stored = time.perf_counter() - begin
    c = fw.verify(memory, facts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(c)
    row = {
        "facts": n,
        "d": d,
        "width": width,
        "parameters": c.parameters,
        "bits_per_parameter": c.bits_per_parameter,
        "recall": c.recall,
        "min_margin": c.min_margin,
        "seconds": stored,
        "seconds_with_verification": time.perf_counter() - begin,
        "peak_gib": peak,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
