"""The smallest width at which each closed form recalls every fact: python benchmarks/closed_form_widths.py.

Spherical keys that are also the table of values, a random permutation as the facts, recall 1.0, plain
bisection over the width from a ceiling, median over seeds. Beside it the range that the public code of
arXiv 2607.10034 reaches on the same task (its NTK reads Hermite features through ReLU gates), and recall
under key noise of least-squares readouts around m = N, where they interpolate and collapse unless a ridge
holds them. Five minutes on one core.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch

from factweights.certificates import verify
from factweights.facts import Associations
from factweights.methods.base import Method
from factweights.methods.encoder_decoder import EncoderDecoder
from factweights.methods.gated_hebbian import GatedHebbian
from factweights.methods.hermite_ntk import HermiteNTK
from factweights.methods.random_features import RandomFeatures

SIZES = ((32, 64), (32, 128), (32, 256), (64, 512))
Make = Callable[[int], Method]

# name, method of a width, ceiling of the search as a function of (d, N), what the public code reaches
ROWS: tuple[tuple[str, Make, Callable[[int, int], int], tuple[str, ...]], ...] = (
    (
        "raw",
        lambda m: GatedHebbian(m, "raw"),
        lambda d, n: 65_536 if n > d**2 / 8 else 8 * n,
        ("101–146", "382–547", "never", "753"),
    ),
    ("whitened", lambda m: GatedHebbian(m), lambda d, n: 2 * n, ("36–40", "77–82", "150–172", "231")),
    (
        "data-dependent",
        lambda m: GatedHebbian(m, "data-dependent"),
        lambda d, n: n // 2,
        ("17–19", "33–36", "69–70", "88"),
    ),
    (
        "hermite-ntk, ReLU gates",
        lambda m: HermiteNTK(m, activation="relu"),
        lambda d, n: 65_536 if n > d**2 / 8 else 32 * n,
        ("417–545", "935–1315", "never", "1422"),
    ),
    (
        "hermite-ntk",
        lambda m: HermiteNTK(m),
        lambda d, n: 65_536 if n > d**2 / 8 else 32 * n,
        ("–",) * 4,
    ),
    ("encoder-decoder", lambda m: EncoderDecoder(m), lambda d, n: n, ("–",) * 4),
    (
        "random-features, ReLU",
        lambda m: RandomFeatures(m, stop="first"),
        lambda d, n: n // 2,
        ("–",) * 4,
    ),
    (
        "random-features, bilinear",
        lambda m: RandomFeatures(m, "bilinear", stop="first"),
        lambda d, n: n // 2,
        ("–",) * 4,
    ),
)


def recalls(make: Make, width: int, facts: Associations, seed: int) -> bool:
    """Whether a memory of this width recalls every fact."""
    return verify(make(width).store(facts, seed=seed), facts).recall == 1.0


def smallest_width(make: Make, facts: Associations, seed: int, ceiling: int) -> float:
    """By bisection, as if recall rose with the width; infinity where the ceiling does not do."""
    if not recalls(make, ceiling, facts, seed):
        return math.inf
    low, high = 0, ceiling
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if recalls(make, middle, facts, seed) else (middle, high)
    return high


def print_widths(seeds: int) -> None:
    """One line per method and size."""
    print(f"{'method':<26} {'d':>3} {'N':>4} {'median':>7} {'range':>12} {'public code':>12} {'seconds':>8}")
    for name, make, ceiling, public in ROWS:
        for (d, n), theirs in zip(SIZES, public, strict=True):
            begun = time.perf_counter()
            found = [
                smallest_width(make, Associations.spherical(n, d, seed=s, tied=True), s, ceiling(d, n))
                for s in range(seeds)
            ]
            low, middle, high = (_width(f) for f in (min(found), statistics.median(found), max(found)))
            seconds = time.perf_counter() - begun
            print(
                f"{name:<26} {d:>3} {n:>4} {middle:>7} {f'{low}–{high}':>12} {theirs:>12} {seconds:>8.1f}",
                flush=True,
            )


def print_noise(d: int, n: int, noises: tuple[float, ...]) -> None:
    """Recall under key noise of least-squares readouts by width over N, and of the exact encoder."""
    facts = Associations.spherical(n, d, tied=True)
    print(f"\nd = {d}, N = {n}: clean recall, and recall under key noise of norm {noises}")
    methods: list[tuple[str, Method]] = [
        (f"whitened, ridge {ridge:g}, m = {ratio} N", GatedHebbian(round(ratio * n), ridge=ridge))
        for ridge in (1e-12, 1e-6, 1e-3)
        for ratio in (0.75, 0.95, 1.0, 1.05, 1.5)
    ]
    methods.append(("data-dependent, ridge 1e-06, m = N", GatedHebbian(n, "data-dependent")))
    methods.append(("encoder-decoder, exact, m = N / 2", EncoderDecoder(n // 2)))
    methods += [(f"random-features, ReLU, m = {m}", RandomFeatures(m)) for m in (2 * d, 4 * d)]
    for name, method in methods:
        c = verify(method.store(facts), facts, noise=noises)
        print(f"{name:<36} {c.recall:.3f}  ", "  ".join(f"{c.noise_recall[e]:.3f}" for e in noises))


def _width(x: float) -> str:
    return "never" if math.isinf(x) else f"{x:g}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--skip-widths", action="store_true", help="only the table of key noise")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.skip_widths:
        print_widths(arguments.seeds)
    print_noise(32, 256, (0.05, 0.1, 0.2))


if __name__ == "__main__":
    main()
