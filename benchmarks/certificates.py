"""Certificates against two independent judges: exact rationals and HiGHS, on random cases of eleven kinds.

    python benchmarks/certificates.py            # 2,200 cases
    python benchmarks/certificates.py --each 20

For every case: whether *any* matrix stores the facts is decided in exact rational arithmetic (Gordan's
alternative by the simplex method on fractions) and by a linear programme. Counted as wrong:

- ``storable`` True where exact arithmetic knows no matrix, or the matrix misses a fact in exact arithmetic;
- ``storable`` False where a matrix exists whose margins are above the stated 1e-6 of the constraints' norms;
- a fact that ``verify`` counts as proved and that is wrong in exact arithmetic;
- a ``margin_bound`` below a margin that some matrix of norm 1 has.

"below 1e-6" counts refutations of facts that exact arithmetic can store, with margins below the stated
tolerance.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from scipy.optimize import linprog

import factweights as fw
from factweights.certificates import least_margins

TOLERANCE = 1e-6
KINDS = (
    "duplicate keys",
    "zero keys",
    "collinear keys",
    "tied table",
    "spiked keys",
    "ill-scaled keys",
    "equal values",
    "N = 1",
    "M = 1",
    "d = 1",
    "N < d",
)


def case(kind: str, seed: int) -> fw.Associations:
    """Random facts of a kind, small enough for exact arithmetic: at most 8 weights and 36 constraints."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    d_in, d_out = int(rng.integers(2, 5)), 2
    m = int(rng.integers(2, 5))
    n = int(rng.integers(2, 1 + 36 // max(m - 1, 3)))
    if kind == "N = 1":
        n = 1
    elif kind == "M = 1":
        m = 1
    elif kind == "d = 1":
        d_in, d_out = (1, 2) if rng.random() < 0.5 else (int(rng.integers(1, 4)), 1)
        n = int(rng.integers(1, 5))
    elif kind == "N < d":
        d_in = int(rng.integers(3, 5))
        n = int(rng.integers(1, d_in))
    K, V = rng.standard_normal((n, d_in)), rng.standard_normal((m, d_out))
    t = rng.integers(0, m, n)
    i, j = int(rng.integers(n)), int(rng.integers(n))
    if kind == "duplicate keys":
        K[i] = K[j]
    elif kind == "zero keys":
        K[i] = 0
    elif kind == "collinear keys":
        K[i] = K[j] * rng.choice([2.0, -1.0, 0.5, 3.0, -0.7, 1e-3])
    elif kind == "tied table":
        d_out = d_in = int(rng.integers(2, 4)) if n < 6 else 2
        n = m = min(n, 5)
        K = rng.standard_normal((n, d_in))
        V, t = K, rng.permutation(n)
    elif kind == "spiked keys":
        K = K * np.exp(rng.normal(scale=3, size=(n, 1))) + 10 * rng.random() * rng.standard_normal(d_in)
    elif kind == "ill-scaled keys":
        K = K * 10.0 ** -rng.uniform(0, 6, d_in)
    elif kind == "equal values" and m > 1:
        a, b = rng.choice(m, 2, replace=False)
        V[a] = V[b] * rng.choice([1.0, 1.0, 2.0, 0.5])
        if m > 2 and rng.random() < 0.5:
            c = next(y for y in range(m) if y not in (a, b))
            V[a] = V[b] + (V[c] - V[b]) * rng.choice([0.5, 0.25, 1 / 3])
    return fw.Associations.from_tensors(K, V, t)


# -- judges --------------------------------------------------------------------------------------------------


def constraints(facts: fw.Associations) -> list[list[Fraction]]:
    """The rows (v_f(i) − v_y) ⊗ k_i, exactly."""
    K, V = ([[Fraction(x) for x in row] for row in t.double().tolist()] for t in (facts.keys, facts.values))
    return [
        [(a - b) * k for a, b in zip(V[f], V[y], strict=True) for k in K[i]]
        for i, f in enumerate(facts.targets.tolist())
        for y in range(facts.n_outputs)
        if y != f
    ]


def storable_exactly(rows: list[list[Fraction]]) -> bool:
    """Whether some w has ⟨w, a⟩ > 0 for every row a: there is no λ ≥ 0 with Σλ = 1 and Σ λ a = 0.

    Phase one of the simplex method with Bland's rule, which never cycles; all in fractions.
    """
    if not rows:
        return True
    columns = [[*row, Fraction(1)] for row in rows]
    size = len(columns[0])
    table = [[c[i] for c in columns] + [Fraction(i == j) for j in range(size)] for i in range(size)]
    right = [Fraction(0)] * (size - 1) + [Fraction(1)]
    basis = list(range(len(rows), len(rows) + size))
    while True:
        artificial = [i for i, b in enumerate(basis) if b >= len(rows)]
        if sum((right[i] for i in artificial), Fraction(0)) == 0:
            return False
        gains = (sum((table[i][j] for i in artificial), Fraction(0)) for j in range(len(rows)))
        enter = next((j for j, gain in enumerate(gains) if gain > 0 and j not in basis), None)
        if enter is None:
            return True
        ratios = [(right[i] / table[i][enter], basis[i], i) for i in range(size) if table[i][enter] > 0]
        leave = min(ratios)[2]
        pivot = table[leave][enter]
        table[leave] = [x / pivot for x in table[leave]]
        right[leave] /= pivot
        for i in range(size):
            factor = table[i][enter]
            if i != leave and factor:
                table[i] = [x - factor * y for x, y in zip(table[i], table[leave], strict=True)]
                right[i] -= factor * right[leave]
        basis[leave] = enter


def best_matrix(rows: list[list[Fraction]]) -> tuple[np.ndarray, float, float]:
    """HiGHS: a matrix of large margins, its smallest ⟨w, a⟩ at ‖w‖ = 1 and the same in units of ‖a‖."""
    A = np.array([[float(x) for x in row] for row in rows])
    size = np.linalg.norm(A, axis=1)
    unit = A / np.where(size > 0, size, 1)[:, None]
    cost = np.r_[np.zeros(A.shape[1]), -1]
    bounds = [(-1, 1)] * A.shape[1] + [(None, None)]
    found = linprog(cost, np.c_[-unit, np.ones(len(A))], np.zeros(len(A)), bounds=bounds, method="highs")
    w = found.x[:-1]
    norm = float(np.linalg.norm(w)) or 1.0
    return w, float((A @ w).min()) / norm, float((unit @ w).min()) / norm


def exact_margins(memory: fw.LinearMemory, facts: fw.Associations) -> list[Fraction | None]:
    """Every fact's margin in exact arithmetic; None with one output."""
    W, K, V = (
        [[Fraction(x) for x in row] for row in t.double().tolist()]
        for t in (memory.weight, facts.keys, facts.values)
    )
    found: list[Fraction | None] = []
    for k, f in zip(K, facts.targets.tolist(), strict=True):
        out = [sum((a * b for a, b in zip(row, k, strict=True)), Fraction(0)) for row in W]
        scores = [sum((a * b for a, b in zip(v, out, strict=True)), Fraction(0)) for v in V]
        own = scores.pop(f)
        found.append(own - max(scores) if scores else None)
    return found


# -- the comparison ------------------------------------------------------------------------------------------


def judge(facts: fw.Associations) -> dict[str, bool]:
    """What the certificates say of one case, and what is wrong with it."""
    rows = constraints(facts)
    exists = storable_exactly(rows)
    solution = fw.ExactLinear().solve(facts)
    margins = exact_margins(solution.memory, facts)
    certificate = fw.verify(solution.memory, facts)
    least = least_margins(solution.memory, facts)
    assert least is not None
    proved = [i for i, x in enumerate(least.tolist()) if x > 0]
    off = [i for i in proved if margins[i] is not None and margins[i] < Fraction(least[i].item())]
    wrong = bool(off) or certificate.n_proved != len(proved)
    below = False
    if solution.storable is True:
        wrong |= not exists or certificate.recall < 1 or any(x is not None and x <= 0 for x in margins)
    if solution.storable is False:
        _, margin, relative = best_matrix(rows)
        assert solution.witness is not None
        bound = fw.margin_bound(facts, solution.witness)
        wrong |= relative > TOLERANCE or margin > bound or not certificate.refuted
        below = exists
    return {
        "wrong": wrong,
        "storable": solution.storable is True,
        "refuted": solution.storable is False,
        "undecided": solution.storable is None,
        "below 1e-6": below,
        "exists": exists,
    }


def campaign(each: int, on_progress: Callable[[str], None] = print) -> Counter:
    """``each`` cases of every kind; prints a row for each kind and returns the totals."""
    names = ("wrong", "storable", "refuted", "undecided", "below 1e-6")
    on_progress(f"{'kind':<17}{'cases':>6}" + "".join(f"{n:>12}" for n in names) + f"{'seconds':>10}")
    total: Counter = Counter()
    for kind in KINDS:
        begun, found = time.perf_counter(), Counter()
        for seed in range(each):
            found.update({k: int(v) for k, v in judge(case(kind, seed)).items()})
        total.update(found)
        seconds = time.perf_counter() - begun
        on_progress(f"{kind:<17}{each:>6}" + "".join(f"{found[n]:>12}" for n in names) + f"{seconds:>10.1f}")
    on_progress(f"{'all':<17}{each * len(KINDS):>6}" + "".join(f"{total[n]:>12}" for n in names))
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=200, help="cases of each kind")
    torch.set_num_threads(1)
    found = campaign(parser.parse_args().each)
    raise SystemExit(1 if found["wrong"] else 0)
