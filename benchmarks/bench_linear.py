"""Speed of the linear memory, as ratios measured in one run: `make bench`.

Each test prints the figures it stands for; absolute times vary by machine, the ratios should not.
"""

import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

import factweights as fw
from factweights.certificates import margins

VERIFY_N, VERIFY_D = 20_000, 256


def best_seconds(work: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


@pytest.mark.parametrize(("d", "adam_seeds"), [(16, [0]), (32, [0]), (64, [0])])
def test_capacity_against_the_papers_recipe(benchmark, d: int, adam_seeds: list[int]):
    """One capacity, proved on both sides to 1 %, against one bisection of paper-adam at its own criterion."""
    fw.capacity(fw.ExactLinear(), d=8, seeds=1)  # imports and caches
    exact = benchmark.pedantic(
        lambda: fw.capacity(fw.ExactLinear(), d=d, seeds=adam_seeds), rounds=3, iterations=1
    )
    adam = fw.capacity(fw.PaperAdam(), d=d, seeds=adam_seeds, recall=0.99)
    again = fw.capacity(fw.ExactLinear(), d=d, seeds=adam_seeds)
    ours = statistics.median([*benchmark.stats.stats.data, again.seconds])
    print(
        f"\nd = {d}: exact-linear {exact.facts:.0f} facts at recall 1.0, proved on {exact.proved}, "
        f"bracket {exact.bracket}, {ours:.2f} s; paper-adam {adam.facts:.0f} facts at recall 0.99, "
        f"{adam.seconds:.1f} s; ratio {adam.seconds / ours:.0f}x"
    )
    assert exact.proved == "both sides"


def test_one_probe_at_128_against_the_papers_recipe(benchmark):
    """At d = 128 a whole bisection of paper-adam takes many minutes: single probes near the limit."""
    facts = fw.Associations.spherical(1830, 128, seed=0)
    method = fw.ExactLinear(stop="first")
    solution = benchmark.pedantic(lambda: method.solve(facts), rounds=3, iterations=1)
    ours = statistics.median(benchmark.stats.stats.data)
    begun = time.perf_counter()
    memory = fw.PaperAdam(recall=1.0, max_steps=1500).store(facts)
    adam = time.perf_counter() - begun
    recall = fw.verify(memory, facts).recall
    print(
        f"\nd = 128, N = 1,830: exact-linear recall 1.0 in {ours:.2f} s; paper-adam recall {recall:.4f} in "
        f"{adam:.1f} s (at most 1,500 of the recipe's 4,096 steps); ratio {adam / ours:.0f}x"
    )
    assert solution.storable


def test_verify_against_the_matrix_product(benchmark):
    """verify at N = M = 20,000, d = 256 in float32: share of the machine's own matrix-product rate."""
    a, b = torch.randn(4096, 4096), torch.randn(4096, 4096)
    facts = fw.Associations.spherical(VERIFY_N, VERIFY_D, seed=0, dtype=torch.float32)
    memory = fw.Hebbian().store(facts)
    torch.mm(a, b)
    fw.verify(memory, facts)
    ratios = []
    for _ in range(5):  # interleaved, so that both meet the same machine
        product = 2 * 4096**3 / best_seconds(lambda: torch.mm(a, b), 1)
        streamed = 2 * VERIFY_N**2 * VERIFY_D / best_seconds(lambda: margins(memory, facts), 1)
        whole = 2 * VERIFY_N**2 * VERIFY_D / best_seconds(lambda: fw.verify(memory, facts), 1)
        ratios.append((streamed / product, whole / product, product / 1e9))
    benchmark.pedantic(lambda: fw.verify(memory, facts), rounds=3, iterations=1)
    margin, full, rate = (statistics.median(r[i] for r in ratios) for i in range(3))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\nN = M = {VERIFY_N:,}, d = {VERIFY_D}, float32: matrix product {rate:.0f} GFLOP/s; margins at "
        f"{margin:.0%} of it, verify with hashes at {full:.0%}; peak memory of the process {peak:.2f} GiB"
    )
