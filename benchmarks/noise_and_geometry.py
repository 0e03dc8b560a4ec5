"""What key noise and geometry cost each method: python benchmarks/noise_and_geometry.py.

Three parts, chosen by --part: ``noise``, capacity under key noise at equal parameters and the collapse of
least-squares readouts at m ≈ N; ``geometry``, capacity on spiked embeddings in per cent of that on spherical
ones; ``minilm``, facts between the 30,522 token embeddings of a MiniLM model (needs the extra [minilm]).
Each takes some minutes on one core.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from factweights import theory
from factweights.certificates import verify
from factweights.errors import MissingExtraError, NotStorableError
from factweights.facts import Associations, minilm_embeddings
from factweights.methods import (
    EncoderDecoder,
    ExactLinear,
    GatedFit,
    GatedHebbian,
    Hebbian,
    HermiteNTK,
    Method,
    MLPFit,
    RandomFeatures,
    Ridge,
)
from factweights.sizing import capacity, probe, smallest_width, threshold

RECALL = 0.99
NOISES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
TRIES = 1000  # evaluations of a fit that does not get there
MOST_WIDTH = 4096

Make = Callable[[float], Method]
"""The norm of the key noise ↦ the method prepared for it, where it can be asked."""


def methods(d: int, m: int) -> list[tuple[str, Make]]:
    """Every method with about 3 d m parameters; one matrix has its own d²."""
    ridges = (1e-12, 1e-6, 1e-3, 1e-1)
    mlp = 3 * d * m // (2 * d + 1)
    return [
        ("hebbian", lambda _: Hebbian()),
        ("ridge", lambda _: Ridge()),
        ("exact-linear", lambda _: ExactLinear()),
        ("gated-hebbian, raw", lambda _: GatedHebbian(m, "raw")),
        *((f"whitened, ridge {r:g}", lambda _, r=r: GatedHebbian(m, ridge=r)) for r in ridges),
        *(
            (f"data-dependent, ridge {r:g}", lambda _, r=r: GatedHebbian(m, "data-dependent", ridge=r))
            for r in ridges
        ),
        ("hermite-ntk", lambda _: HermiteNTK(m)),
        ("encoder-decoder", lambda _: EncoderDecoder(m)),
        ("random-features, ReLU", lambda _: RandomFeatures(3 * m // 2)),
        ("random-features, bilinear", lambda _: RandomFeatures(m, "bilinear")),
        ("mlp-fit", lambda _: MLPFit(mlp, max_evaluations=TRIES)),
        ("mlp-fit, margin 0.1", lambda _: MLPFit(mlp, margin=0.1, max_evaluations=TRIES)),
        (
            "mlp-fit, noise asked for",
            lambda e: MLPFit(mlp, noise=e, noise_recall=0.995, max_evaluations=TRIES),
        ),
        ("gated-fit", lambda _: GatedFit(m, max_evaluations=TRIES)),
        ("gated-fit, margin 0.1", lambda _: GatedFit(m, margin=0.1, max_evaluations=TRIES)),
        (
            "gated-fit, noise asked for",
            lambda e: GatedFit(m, noise=e, noise_recall=0.995, max_evaluations=TRIES),
        ),
    ]


def print_row(name: str, cells: Iterable[object], begun: float) -> None:
    """One line of a table, and what it took."""
    print(
        f"{name:<28}" + "".join(f"{c!s:>12}" for c in cells) + f"{time.perf_counter() - begun:>9.1f} s",
        flush=True,
    )


def print_noise(d: int, m: int, seeds: int, only: str) -> None:
    """Facts that each method holds at recall ≥ 0.99 under key noise."""
    print(f"facts at recall ≥ {RECALL} under key noise of norm ε, d = {d}, width {m} or as many parameters")
    print(f"{'ε':<28}{'parameters':>12}" + "".join(f"{e:>12g}" for e in NOISES))
    for name, make in methods(d, m):
        if only not in name:
            continue
        begun = time.perf_counter()
        found = [
            capacity(make(e), d=d, recall=RECALL, noise=e, seeds=seeds, tolerance=0.05).facts for e in NOISES
        ]
        print_row(name, [make(0.0).n_parameters(d, d), *(f"{n:g}" for n in found)], begun)


def print_collapse(d: int, n: int) -> None:
    """Recall under key noise around m = N, where least squares interpolates."""
    noises, widths = (0.0, 0.05, 0.1, 0.2), (64, 128, 192, 256, 320, 512)
    facts = Associations.spherical(n, d, seed=0)
    print(f"\nrecall without noise / under key noise of norm {noises[1:]}, d = {d}, N = {n}")
    print(f"{'m':<28}" + "".join(f"{m:>24}" for m in widths))
    rows: list[tuple[str, Callable[[int], Method]]] = [
        ("whitened, ridge 1e-12", lambda m: GatedHebbian(m, ridge=1e-12)),
        ("whitened, ridge 1e-06", lambda m: GatedHebbian(m)),
        ("gated-fit", lambda m: GatedFit(m)),
        ("gated-fit, margin 0.1", lambda m: GatedFit(m, margin=0.1)),
        ("gated-fit, noise 0.2 asked", lambda m: GatedFit(m, noise=0.2)),
    ]
    for name, make in rows:
        cells = []
        for m in widths:
            c = verify(make(m).store(facts), facts, noise=noises)
            cells.append("/".join(f"{r:.3f}".removeprefix("0") for r in c.noise_recall.values()))
        print(f"{name:<28}" + "".join(f"{c:>24}" for c in cells), flush=True)


GEOMETRIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("spike 8", {"kind": "spiked", "strength": 8.0}),
    ("spike 100", {"kind": "spiked", "strength": 100.0}),
    ("mean 1", {"kind": "spiked", "strength": 0.0, "mean": 1.0}),
    ("both", {"kind": "spiked", "strength": 100.0, "mean": 1.0}),
)


def print_geometry(d: int, m: int, seeds: int, only: str) -> None:
    """Capacity on spiked embeddings in per cent of that on spherical ones."""
    print(f"facts at recall ≥ {RECALL}, d = {d}, width {m} or as many parameters, median of {seeds} seeds;")
    print("spiked embeddings in per cent of the spherical capacity")
    print(f"{'':<28}{'spherical':>12}" + "".join(f"{name:>12}" for name, _ in GEOMETRIES))
    skipped = ("noise", "margin", "1e-12", "0.001")
    for name, make in methods(d, m):
        if only not in name or any(word in name for word in skipped):
            continue
        begun, method = time.perf_counter(), make(0.0)
        best, *found = (
            capacity(method, d=d, recall=RECALL, seeds=seeds, tolerance=0.05, **shape).facts
            for shape in ({}, *(shape for _, shape in GEOMETRIES))
        )
        print_row(name, [f"{best:g}", *(f"{n / best:.0%}" for n in found)], begun)


def tables() -> dict[str, torch.Tensor]:
    """The token embeddings as they are, with rows of length 1, and whitened over all rows; random ones."""
    rows = minilm_embeddings().double()
    centred = rows - rows.mean(0)
    e, U = torch.linalg.eigh(centred.T @ centred)
    white = centred @ (U * e.rsqrt())
    sphere = Associations.spherical(4096, rows.shape[1], seed=99).keys
    unit = [t / t.norm(dim=1, keepdim=True) for t in (rows, white)]
    return {"spherical": sphere, "as it is": rows, "unit rows": unit[0], "whitened": unit[1]}


def print_minilm(m: int, n: int, only: str) -> None:
    """What the geometry of a real table costs each method."""
    chosen = tables()
    d = chosen["as it is"].shape[1]
    print(f"recall / smallest relative margin / recall under noise of 0.2 key lengths, one {d} × {d} matrix")
    print(f"{'':<28}" + "".join(f"{name:>20}" for name in chosen))
    for facts_n in (n, 2 * n, 4 * n):
        for name, method in (("hebbian", Hebbian()), ("ridge", Ridge()), ("exact-linear", ExactLinear())):
            if only not in name:
                continue
            begun, cells = time.perf_counter(), []
            for table in chosen.values():
                facts = Associations.from_embeddings(table, facts_n)
                norm = 0.2 * float(facts.keys.norm(dim=1).median())
                c = verify(method.store(facts), facts, noise=[norm])
                cells.append(f"{c.recall:.3f}/{c.min_relative_margin:.2f}/{c.noise_recall[norm]:.3f}")
            print(f"{f'{name}, N = {facts_n}':<28}" + "".join(f"{c:>20}" for c in cells), end="")
            print(f"{time.perf_counter() - begun:>9.1f} s", flush=True)
    print(f"\nsmallest width for {n} facts at recall ≥ {RECALL}")
    print(f"{'':<28}" + "".join(f"{name:>12}" for name in chosen))
    widths: list[tuple[str, Callable[[int], Method]]] = [
        ("gated-hebbian, raw", lambda w: GatedHebbian(w, "raw")),
        ("whitened", lambda w: GatedHebbian(w)),
        ("data-dependent", lambda w: GatedHebbian(w, "data-dependent", max_iterations=100)),
        ("hermite-ntk", lambda w: HermiteNTK(w)),
        ("encoder-decoder", lambda w: EncoderDecoder(w)),
        ("random-features, ReLU", lambda w: RandomFeatures(w)),
    ]
    for name, make in widths:
        if only not in name:
            continue
        begun = time.perf_counter()
        print_row(name, [_width(Associations.from_embeddings(t, n), make) for t in chosen.values()], begun)
    mlp = 3 * d * m // (2 * d + 1)
    fits = (
        ("random-features, ReLU", RandomFeatures(3 * m // 2)),
        ("mlp-fit", MLPFit(mlp, max_evaluations=TRIES // 2)),
        ("gated-fit", GatedFit(m, max_evaluations=TRIES // 2)),
    )
    print(f"\nfacts at recall ≥ {RECALL}, width {m} or as many parameters ({3 * d * m:,})")
    print(f"{'':<28}" + "".join(f"{name:>12}" for name in chosen))
    for name, method in fits:
        if only not in name:
            continue
        begun = time.perf_counter()
        print_row(name, [_facts(t, method) for t in chosen.values()], begun)


def _width(facts: Associations, make: Callable[[int], Method]) -> str:
    try:
        return str(smallest_width(facts, make, recall=RECALL, tolerance=0.03, most=MOST_WIDTH).size)
    except NotStorableError:
        return f"> {MOST_WIDTH}"


def _facts(table: torch.Tensor, method: Method) -> int:
    d, aiming = table.shape[1], method.for_recall(RECALL)

    def fails(n: int) -> bool:
        return probe(aiming, Associations.from_embeddings(table, n), RECALL).verdict != "fits"

    guess = aiming.predicted_capacity(d, d, recall=RECALL) or theory.facts_for_budget(
        aiming.n_parameters(d, d)
    )
    return threshold(fails, round(guess), 0.05, most=len(table))[0]


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("noise", "geometry", "minilm"), action="append")
    parser.add_argument("--width", type=int, default=16, help="m of the gated memories at d = 32")
    parser.add_argument("--seeds", type=int, default=None, help="1 for noise, 3 for geometry")
    parser.add_argument("--only", default="", help="methods with this in their names")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in arguments.part or ("noise", "geometry", "minilm"):
        if part == "noise":
            print_noise(32, arguments.width, arguments.seeds or 1, arguments.only)
            print_collapse(32, 256)
        elif part == "geometry":
            print_geometry(32, arguments.width, arguments.seeds or 3, arguments.only)
        else:
            try:
                print_minilm(6, 384, arguments.only)
            except MissingExtraError as e:
                print(e)


if __name__ == "__main__":
    main()
