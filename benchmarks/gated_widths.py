"""The smallest width at which gated-fit recalls every fact: python benchmarks/gated_widths.py [--quick].

Spherical embeddings, a random permutation as the facts, recall 1.0, one core, median (range) over seeds; keys
and values are one table (tied) or two (separate). First the build at given widths, then the search of the
smallest one, which starts at the predicted width and steps outwards. The last column is what one probe may
spend, less for many facts, so the widths there are what that much time buys. Parameters P = 3dm. "map bits"
are log2 N! over P, the bits of a permutation; "bits" are N log2 N over P, as if answers were independent.
"""

import argparse
import statistics
import time

import torch

from factweights.certificates import verify
from factweights.facts import Associations
from factweights.methods import GatedFit
from factweights.sizing import width

TARGETS = ((32, 64, 4), (32, 64, 3), (32, 256, 9), (64, 512, 10), (128, 2048, 23))  # d, N, width
SIZES = (  # d, N, evaluations of one probe
    (32, 64, 4000),
    (32, 128, 4000),
    (32, 256, 4000),
    (64, 512, 4000),
    (64, 1024, 1500),
    (64, 2048, 1000),
    (128, 2048, 1000),
    (128, 4096, 600),
)
QUICK = 512  # most facts under --quick
TABLES = ((True, "tied"), (False, "separate"))


def print_builds(seeds: int, most: int) -> None:
    """Seconds, evaluations and recall of one build at the given widths."""
    print(
        f"{'d':>4} {'N':>6} {'tables':>9} {'width':>6} {'parameters':>11} {'recall':>7} {'starts':>7} "
        f"{'evaluations':>12} {'build s':>8} {'slowest':>8}"
    )
    for d, n, m in (t for t in TARGETS if t[1] <= most):
        for tied, tables in TABLES:
            seconds, solutions, recalls = [], [], []
            for seed in range(seeds):
                facts = Associations.spherical(n, d, seed=seed, tied=tied)
                begun = time.perf_counter()
                solution = GatedFit(m).solve(facts, seed=seed)
                seconds.append(time.perf_counter() - begun)
                solutions.append(solution)
                recalls.append(verify(solution.memory, facts).recall)
            evaluations = statistics.median(s.evaluations for s in solutions)
            print(
                f"{d:>4} {n:>6,} {tables:>9} {m:>6} {3 * d * m:>11,} {min(recalls):>7.4g} "
                f"{max(s.starts for s in solutions):>7} {evaluations:>12g} "
                f"{statistics.median(seconds):>8.3f} {max(seconds):>8.3f}",
                flush=True,
            )


def print_widths(seeds: int, most_facts: int) -> None:
    """One line per size and kind of tables, as soon as it is known."""
    print(
        f"\n{'d':>4} {'N':>6} {'tables':>9} {'width':>6} {'range':>7} {'predicted':>10} {'parameters':>11} "
        f"{'map bits':>9} {'bits':>6} {'N δ(N)/P':>9} {'build s':>8} {'search s':>9} {'evaluations':>12}"
    )
    for d, n, evaluations in SIZES:
        for tied, tables in TABLES:
            if n > most_facts:
                continue
            w = width(
                lambda m, limit=evaluations: GatedFit(m, max_evaluations=limit),
                d=d,
                facts=n,
                seeds=seeds,
                tied=tied,
            )
            spread = "–".join(str(x) for x in sorted(set(w.interval)))
            print(
                f"{d:>4} {n:>6,} {tables:>9} {w.width:>6} {spread:>7} {w.law or 0:>10} {w.parameters:>11,} "
                f"{w.map_bits_per_parameter or 0:>9.2f} {w.bits_per_parameter:>6.2f} "
                f"{w.n_delta_per_parameter:>9.2f} {w.build_seconds:>8.2f} {w.seconds:>9.1f} "
                f"{evaluations:>12,}",
                flush=True,
            )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--builds", action="store_true", help="only the builds at given widths")
    parser.add_argument("--quick", action="store_true", help=f"only up to {QUICK} facts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    GatedFit(2).store(Associations.spherical(8, 4))  # imports
    most = QUICK if arguments.quick else max(n for _, n, _ in SIZES)
    print_builds(arguments.seeds, most)
    if not arguments.builds:
        print_widths(arguments.seeds, most)


if __name__ == "__main__":
    main()
