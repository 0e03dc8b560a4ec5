"""Gradient flow: what the numbers in docs/dynamics.md and the lab log are from.

    python benchmarks/dynamics.py [--seeds 3] [--phase FOLDER]

Seconds are of processor time, on one core. The phase diagram is summed up from the folder that
``factweights reproduce phase-diagram --scale laptop --out FOLDER`` wrote.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import factweights as fw
from factweights.dynamics import find_plateau
from factweights.dynamics.population import Population
from factweights.dynamics.starts import start_weights
from factweights.dynamics.systems import FullSystem
from factweights.facts import RecallTask
from factweights.studies.measuring.dynamics import measure_descent

FIG5 = RecallTask.structured(16, 4, 8, noise=20)


def plain_lsoda(task: RecallTask, goal: float = 0.01) -> tuple[float, float]:
    """The full system by LSODA as it comes: seconds and the time at which the goal is reached."""
    p = Population.of(task)
    system = FullSystem(p)
    y = system.pack(*start_weights(p, "balanced", 1e-5))

    def above(_: float, y: np.ndarray) -> float:
        return system.loss(y) - goal

    above.terminal = True
    begun = time.process_time()
    found = solve_ivp(
        lambda _, y: system.field(y), (0, 1e5), y, method="LSODA", rtol=1e-8, atol=1e-15, events=above
    )
    return time.process_time() - begun, float(found.t[-1])


def flows() -> None:
    """Points 1 and 3: exact flows, their seconds, plateaus and rates."""
    fw.gradient_flow(FIG5, end=1.0)  # imports
    tasks = {
        "figure 5, balanced start": (FIG5, {}),
        "figure 5, uniform start": (FIG5, {"start": "uniform"}),
        "figure 5, all variables": (FIG5, {"reduce": False}),
        "S = 64, balanced": (RecallTask.structured(64, 4, 8), {}),
        "S = 64, balanced, all variables": (RecallTask.structured(64, 4, 8), {"reduce": False}),
        **{f"S = 64, random {seed}": (RecallTask.random(64, 4, 8, seed=seed), {}) for seed in range(3)},
    }
    for name, (task, how) in tasks.items():
        begun = time.process_time()
        flow = fw.gradient_flow(task, **how)
        seconds = time.process_time() - begun
        print(f"\n{name}: {seconds:.2f} s")
        print(flow)
        off = {
            k: f"{r.measured / r.theory - 1:+.2%}, worst {r.worst:.2%}"
            for k, r in flow.rates.items()
            if r.measured
        }
        print(
            f"rates off theory: {off}; plateau off H(a|r): {flow.plateau.loss - flow.relation_entropy:+.4f}"
        )
    for name, task in (("figure 5", FIG5), ("S = 64, random 0", RecallTask.random(64, 4, 8, seed=0))):
        seconds, end = plain_lsoda(task)
        print(f"\nplain LSODA on all variables, {name}: {seconds:.2f} s, loss 0.01 at t = {end:.2f}")


def descents(seeds: int) -> None:
    """Point 2: the stochastic run against the flow, and softmax attention."""
    for seed in range(seeds):
        settings = {"rate": 0.1, "steps": 8192, "batch": 1024}
        begun = time.process_time()
        found = measure_descent(16, 4, 8, settings, seed, noise=20)
        off = {k: round(v, 5) for k, v in found["off_flow"].items()}
        print(f"\ndescent, seed {seed}, {time.process_time() - begun:.1f} s: {found['stages']}")
        print(f"  off the flow: {off}")
    for rate, steps in ((0.1, 8192), (0.05, 16384)):
        found = measure_descent(16, 4, 8, {"rate": rate, "steps": steps, "batch": None}, 0, noise=20)
        print(f"plain descent, rate {rate}: off the flow {found['off_flow']}")
    softmax = fw.descend(FIG5, attention="softmax", start="balanced", batch=None, rate=5.0)
    print(f"\nsoftmax attention, mean prompt, rate 5:\n{softmax}")
    model = fw.PaperAdamTransformer(d=32, heads=8, head_dim=8, width=32)
    for S, rate in ((16, 3e-3), (64, 1e-3)):
        task = RecallTask.random(S, 4, 8, noise=20)
        watched = fw.watch_training(model.start(task, seed=0), task, rate=rate, steps=2000, batch=256)
        print(f"\nrecall transformer by Adam, S = {S}, random table:\n{watched}")
        trace = watched.trace
        there = np.interp(find_plateau(trace).time, trace.times, trace.accuracy)
        print(f"  accuracy at the plateau {there:.3f}")


def phases(folder: Path) -> None:
    """Point 5: the phase diagram summed up."""
    data = json.loads((folder / "phase-diagram.json").read_text(encoding="utf-8"))
    print(f"\nphase diagram: {data['settings']} flows, {data['cell_seconds']:.0f} s of cells")
    for series in data["series"]:
        without = [f for f in series["flows"] if not f["shown"]]
        with_it = [f for f in series["flows"] if f["shown"]]
        print(f"start {series['init']:g}: {series['against_paper']}, length over law {series['law']}")
        print(
            f"  λ_rel/λ_sub: largest without {max(f['rate_ratio'] for f in without):.2f}, smallest with "
            f"{min(f['rate_ratio'] for f in with_it):.2f}; S/(8R√(2D)): largest without "
            f"{max(f['paper_ratio'] for f in without):.3f}, smallest with "
            f"{min(f['paper_ratio'] for f in with_it):.3f}"
        )
    for kind in ("zipf", "random"):
        for exponent in sorted({f["exponent"] for f in data["others"] if f["kind"] == kind}):
            here = [f for f in data["others"] if (f["kind"], f["exponent"]) == (kind, exponent)]
            shown = [f["rate_ratio"] for f in here if f["shown"]]
            rest = [f["rate_ratio"] for f in here if not f["shown"]]
            print(
                f"{kind} {exponent:g}: smallest λ_rel/λ_sub with {min(shown, default=0):.2f}, largest "
                f"without {max(rest, default=0):.2f}; length over the equal-frequency law "
                f"{[round(f['length'] / f['law'], 2) for f in here if f['shown'] and f['rate_ratio'] >= 4]}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--phase", type=Path)
    given = parser.parse_args()
    flows()
    descents(given.seeds)
    if given.phase is not None:
        phases(given.phase)
