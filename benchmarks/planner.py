"""The planner against real builds: python benchmarks/planner.py [--part grid|linear|layered|transformer|…].

`--part grid` runs every planned command as it stands on 24 sizes from 100 to 50,000 facts (`--most N` those
of up to N facts): each has to end with recall 1.0, within a factor of two of the time that was planned. For a
matrix (`linear`) the smallest d is searched and proved. For hidden layers (`layered`) the plan's width is
tried with 10 % more and 10 % less. For the transformer the largest task is searched. `builds` prints the
smallest widths seen and their loads. Spherical facts, recall 1.0, one core.
"""

import argparse
import contextlib
import io
import itertools
import json
import math
import shlex
import time

import torch

import factweights as fw
from factweights import theory
from factweights.cli import run
from factweights.methods import GatedFit, MLPFit
from factweights.sizing.probing import probe
from factweights.studies.measuring.capacity import measure_recall_capacity

GRID = (  # memory, N, M, d where it is given
    ("gated", 100, 100, None), ("gated", 300, 300, 16), ("gated", 300, 10, None), ("gated", 1000, 1000, None),
    ("gated", 1000, 50, 24), ("gated", 2000, 2000, 64), ("gated", 5000, 5000, 48), ("gated", 5000, 500, None),
    ("gated", 20_000, 20_000, 112), ("gated", 50_000, 5000, None),
    ("mlp", 100, 100, None), ("mlp", 300, 300, 16), ("mlp", 300, 10, None), ("mlp", 1000, 1000, 24),
    ("mlp", 1000, 50, None), ("mlp", 2000, 2000, None), ("mlp", 5000, 5000, None), ("mlp", 20_000, 200, None),
    ("linear", 100, 100, None), ("linear", 300, 30, None), ("linear", 1000, 1000, None),
    ("linear", 1000, 50, None), ("linear", 5000, 500, None), ("linear", 20_000, 20_000, None),
)  # fmt: skip
METHODS = {"gated": lambda m: GatedFit(m, activation="silu"), "mlp": lambda m: MLPFit(m, activation="silu")}
LINEAR = ((300, 300), (600, 600), (1000, 50), (1000, 250))  # N, M
LAYERED = (  # memory, d, N, M
    ("gated", 48, 700, 700),
    ("gated", 64, 1500, 100),
    ("mlp", 48, 700, 700),
    ("mlp", 64, 1500, 100),
)
BUILDS = ((32, 256, 256), (48, 512, 512), (64, 1024, 1024), (64, 2048, 64))  # d, N, M
BUILT, CHECKED = (16, 32, 64), (24, 48)  # d of transformers with 8 heads of d / 8, m = d and m = 2 d


def facts_of(n: int, m: int, d: int, seed: int) -> fw.Associations:
    outputs = None if m == n else m
    return fw.Associations.spherical(n, d, seed=seed, outputs=outputs, assignment="balanced")


def print_linear() -> None:
    print("memory    N      M      plan d  smallest d, proved  parameters off")
    for n, m in LINEAR:
        planned = fw.plan(facts=n, answers=m, memory="linear").memories[0].d
        found = fw.smallest_d(lambda d, n=n, m=m: facts_of(n, m, d, 0))
        off = planned**2 / found.size**2 - 1
        print(
            f"linear {n:>6,} {m:>6,} {planned:>8} {found.size:>10} {found.proved:>12} {off:>+10.1%}",
            flush=True,
        )


def print_layered(seeds: int) -> None:
    print("memory   d      N      M  planned m  verdicts at -10 % / planned / +10 %  seconds")
    for memory, d, n, m in LAYERED:
        planned = fw.plan(facts=n, answers=m, d=d, memory=memory).memories[0].width
        assert planned is not None
        widths = (math.floor(0.9 * planned), planned, math.ceil(1.1 * planned))
        begun, found = time.perf_counter(), []
        for width in widths:
            works = [fits(memory, width, d, n, m, seed) for seed in range(seeds)]
            found.append(f"m = {width}: {sum(works)}/{seeds}")
        spent = time.perf_counter() - begun
        print(
            f"{memory:>6} {d:>4} {n:>6,} {m:>6,} {planned:>8}   {', '.join(found)}   {spent:.0f}", flush=True
        )


def fits(memory: str, width: int, d: int, n: int, m: int, seed: int) -> bool:
    return probe(METHODS[memory](width), facts_of(n, m, d, seed), 1.0, seed=seed).verdict == "fits"


def print_grid(most: int) -> None:
    """Every planned command, run as it stands."""
    print("memory       N       M    d  width  recall  seconds  planned  ratio   verdict")
    kept = [g for g in GRID if g[1] <= most]
    held = timely = 0
    for memory, n, m, d in kept:
        planned = fw.plan(facts=n, answers=m, d=d, memory=memory).memories[0]
        assert planned.command is not None
        assert planned.seconds is not None
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = run([*shlex.split(planned.command)[1:], "--json"])
        told = json.loads(out.getvalue())
        recall, spent = (told["recall"], told["seconds"]) if code == 0 else (math.nan, math.nan)
        ratio, ok = spent / planned.seconds, code == 0 and recall == 1.0
        held, timely = held + ok, timely + (0.5 <= ratio <= 2)
        size = f"{memory:>6} {n:>7,} {m:>7,} {planned.d:>4} {planned.width or 0:>6}"
        verdict = "holds" if ok else told["error"]["message"]
        times = f"{spent:>8.1f} {planned.seconds:>8.1f} {ratio:>6.2f}"
        print(f"{size} {recall:>7.4f} {times}   {verdict}", flush=True)
    print(f"{held} of {len(kept)} commands hold, {timely} within a factor of two of the planned time")


def print_builds() -> None:
    print("memory   d      N      M   smallest m seen  load  seconds at +10 %")
    for memory, (d, n, m) in ((k, b) for k in METHODS for b in BUILDS):
        per = 3 * d if memory == "gated" else 2 * d + 1
        budget = n * theory.delta(m)
        width = math.ceil(budget / (1.5 * per))
        while fits(memory, max(1, math.floor(width / 1.03) - (width < 34)), d, n, m, 0):
            width = max(1, math.floor(width / 1.03) - (width < 34))
        begun = time.perf_counter()
        METHODS[memory](math.ceil(1.1 * width)).store(facts_of(n, m, d, 0), seed=0)
        spent = time.perf_counter() - begun
        print(
            f"{memory:>6} {d:>4} {n:>6,} {m:>6,} {width:>8} {budget / per / width:>10.3f} {spent:>8.2f}",
            flush=True,
        )


def print_transformer() -> None:
    print("d    m    parameters  largest S  facts  bits per parameter  seconds of that fit  plan")
    for d, ratio in itertools.product((*BUILT, *CHECKED), (1, 2)):
        settings = {
            "d": d,
            "heads": 8,
            "head_dim": d // 8,
            "width": ratio * d,
            "recall": 0.995,
            "max_evaluations": 3000,
        }
        parameters = (4 + 2 * ratio) * d**2
        guess = round(math.sqrt(0.19 * parameters))
        found = measure_recall_capacity("fit", settings, "S=R", 0, guess=guess, tolerance=0.02)
        bits, size = 3 * found["facts"] / parameters, found["runs"][0]["size"]
        spent = next(p["seconds"] for p in found["runs"][0]["probes"] if p["size"] == size)
        planned = fw.plan(facts=found["facts"], answers=8, d=d, memory="transformer").memories[0].parameters
        what = "the constant is from it" if d in BUILT else "checked"
        print(
            f"{d:<4} {ratio * d:<4} {parameters:>10,} {size:>10} {found['facts']:>6,} {bits:>19.3f} "
            f"{spent:>20.1f}  {planned / parameters - 1:+.1%}, {what}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("grid", "builds", "linear", "layered", "transformer"))
    parser.add_argument("--most", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    parts = {
        "linear": print_linear,
        "layered": lambda: print_layered(given.seeds),
        "transformer": print_transformer,
        "builds": print_builds,
        "grid": lambda: print_grid(given.most),
    }
    for name, part in parts.items():
        if given.part in (None, name) and (given.part or name != "builds"):
            part()
            print()


if __name__ == "__main__":
    main()
