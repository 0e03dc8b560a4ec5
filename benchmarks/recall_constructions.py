"""Recall transformers built and fitted, in numbers: python benchmarks/recall_constructions.py --part all.

only      attention alone: smallest d at several sizes, raw sums and optimised lookups; parameters per fact
mlp       attention and MLP: smallest width at the same sizes; MLP parameters per fact, attention's per token
tradeoff  one task from all-attention to all-MLP: the smallest d for every width
fit       S = R = 32, D = 8 at H = 8, d_h = 4, d = m = 32: trained in how long, proved or not
capacity  the most facts of S = R, D = 8 at recall ≥ 0.99 on shapes of the paper, over its count of parameters

Every construction is verified on the plain forward and by the bound over all prompts. One core.
"""

import argparse
import math
import time
from collections.abc import Sequence

import numpy as np
import torch

from factweights.certificates import verify_prompts
from factweights.errors import NotStorableError
from factweights.facts import RecallTask
from factweights.methods.recall import AttentionMLP, AttentionOnly, TransformerFit

SIZES = ((16, 16), (24, 24), (64, 16), (32, 32), (48, 48))
# d, H d_h / d, m / d, and a load that is known to fit, to begin with
LOADS = ((32, 1.0, 1.0, 0.14), (32, 1.0, 2.0, 0.17), (64, 1.0, 2.0, 0.27))
WIDTHS = (0, 8, 16, 32, 64, 128, 256)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of log y against log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def only(seed: int) -> None:
    """Attention alone."""
    for lookup in ("optimised", "raw"):
        facts, parameters = [], []
        print(f"attention only, {lookup}: smallest d, recall 1.0 in every prompt")
        for S, R in SIZES:
            task, begun = RecallTask.random(S, R, 8, seed=seed), time.perf_counter()
            found = AttentionOnly(lookup).solve(task, seed=seed)
            c = verify_prompts(found.memory.double(), task, draws=8, seed=seed)
            facts.append(S * R)
            parameters.append(c.parameters)
            print(
                f"  S = {S}, R = {R}: d = {found.memory.d}, {c.parameters:,} parameters, "
                f"{c.parameters / len(task):.1f} per fact, d / max(R, D) = {found.memory.d / max(R, 8):.1f}, "
                f"recall {c.recall:g}, margin in all prompts {c.margin_all_prompts:.3g}, "
                f"{time.perf_counter() - begun:.1f} s",
                flush=True,
            )
        print(f"  parameters ∝ facts^{slope(facts, parameters):.2f}")


def mlp(seed: int, d: int) -> None:
    """Attention and MLP."""
    for lookup in ("optimised", "raw"):
        facts, tokens, of_mlp, of_attention = [], [], [], []
        print(f"attention + MLP, {lookup}, d = {d}: smallest width, recall 1.0 in every prompt")
        for S, R in SIZES:
            task, begun = RecallTask.random(S, R, 8, seed=seed), time.perf_counter()
            try:
                found = AttentionMLP(lookup, d=d).solve(task, seed=seed)
            except NotStorableError as e:
                print(f"  S = {S}, R = {R}: {e}")
                continue
            c = verify_prompts(found.memory.double(), task, draws=8, seed=seed)
            groups = c.parameter_groups
            facts.append(S * R)
            tokens.append(S + R)
            of_mlp.append(groups["mlp"])
            of_attention.append(groups["key-query"] + groups["output-value"])
            print(
                f"  S = {S}, R = {R}: m = {found.memory.width}, MLP {groups['mlp']:,} "
                f"({groups['mlp'] / len(task):.2f} per fact), attention {of_attention[-1]:,} "
                f"({of_attention[-1] / (S + R):.0f} per token), recall {c.recall:g}, margin in all prompts "
                f"{c.margin_all_prompts:.3g}, {time.perf_counter() - begun:.1f} s",
                flush=True,
            )
        print(
            f"  MLP ∝ facts^{slope(facts, of_mlp):.2f}, attention ∝ tokens^{slope(tokens, of_attention):.2f}"
        )


def tradeoff(seed: int) -> None:
    """One task, from all-attention to all-MLP."""
    task = RecallTask.random(32, 32, 8, seed=seed)
    print("S = R = 32, D = 8: smallest d for every width, recall 1.0 in every prompt")
    for width in WIDTHS:
        begun = time.perf_counter()
        found = AttentionMLP(d=None, width=width).solve(task, seed=seed)
        c = verify_prompts(found.memory.double(), task, draws=8, seed=seed)
        groups = c.parameter_groups
        attention = groups["key-query"] + groups["output-value"]
        print(
            f"  m = {width}: d = {found.memory.d}, attention {attention:,}, MLP {groups['mlp']:,} "
            f"({groups['mlp'] / c.parameters:.0%}), recall {c.recall:g}, margin in all prompts "
            f"{c.margin_all_prompts:.3g}, {time.perf_counter() - begun:.1f} s",
            flush=True,
        )


def fit(seeds: Sequence[int]) -> None:
    """The size at which the paper's recipe stands near 0.77."""
    print("fit, S = R = 32, D = 8, H = 8, d_h = 4, d = m = 32")
    for seed in seeds:
        task, begun = RecallTask.random(32, 32, 8, seed=seed), time.perf_counter()
        found = TransformerFit(32, 8, 4, 32).solve(task, seed=seed)
        seconds = time.perf_counter() - begun
        c = verify_prompts(found.memory.double(), task, draws=16, seed=seed)
        print(
            f"  seed {seed}: recall {c.recall:.4f} in {seconds:.1f} s, {found.steps:,} evaluations "
            f"({found.polished:,} with noise), {c.facts_proved:,} of {c.facts:,} facts proved, margin in all "
            f"prompts {c.margin_all_prompts:.3g}",
            flush=True,
        )


def capacity(seeds: Sequence[int]) -> None:
    """Facts over parameters on shapes of the paper."""
    print("fit, S = R, D = 8, H = 8, recall ≥ 0.99: most facts over 4 H d_h d + 2 m d")
    for d, ratio_a, ratio_m, load in LOADS:
        head_dim, width = max(1, round(d * ratio_a / 8)), round(d * ratio_m)
        count = 4 * 8 * head_dim * d + 2 * width * d
        for seed in seeds:
            begun, size, held, proved = time.perf_counter(), math.ceil(math.sqrt(load * count)), 0, 0
            while True:
                task = RecallTask.random(size, size, 8, seed=seed)
                method = TransformerFit(
                    d, 8, head_dim, width, recall=0.992, max_evaluations=3000, polish_evaluations=0
                )
                c = verify_prompts(method.store(task, seed=seed).double(), task, draws=16, seed=seed)
                if c.recall < 0.99:
                    break
                held, size, proved = size, math.ceil(size * 1.04), c.facts_proved
            print(
                f"  d = {d}, H d_h / d = {ratio_a:g}, m / d = {ratio_m:g}, {count:,} parameters, "
                f"seed {seed}: S = R = {held}, {held**2 / count:.3f} facts per parameter, {proved:,} of them "
                f"proved in every prompt; S = R = {size} came to {c.recall:.3f}; "
                f"{time.perf_counter() - begun:.0f} s",
                flush=True,
            )


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--part", default="all", choices=("all", "only", "mlp", "tradeoff", "fit", "capacity")
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--d", type=int, default=48, help="of attention + MLP")
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(args.seed, args.seed + args.seeds)
    parts = {
        "only": lambda: only(args.seed),
        "mlp": lambda: mlp(args.seed, args.d),
        "tradeoff": lambda: tradeoff(args.seed),
        "fit": lambda: fit(seeds),
        "capacity": lambda: capacity(seeds),
    }
    for name, part in parts.items():
        if args.part in ("all", name):
            part()


if __name__ == "__main__":
    main()
