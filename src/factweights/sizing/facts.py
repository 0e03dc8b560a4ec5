"""The largest number of facts at a named recall level."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from factweights.domains import Dimension, Norm, Outputs, PositiveTolerance, Seeds, Share, checked
from factweights.facts import Associations
from factweights.facts.embeddings import Kind
from factweights.methods import Method, as_method
from factweights.progress import OnProgress, Progress, silent
from factweights.searching import Tried, threshold
from factweights.sizing.probing import probe, seed_list
from factweights.sizing.results import Capacity, Probe, Run

UNDECIDED_STEPS = 6  # half per cents that a search goes past sizes it cannot decide
HEAD_START = 1.03  # certified capacities lie 3 to 5 % above the law (lab log): start the search there


@checked
def capacity(
    method: Method | str,
    *,
    d: Dimension,
    recall: Share = 1.0,
    noise: Norm = 0.0,
    seeds: Seeds = 5,
    d_out: Dimension | None = None,
    outputs: Outputs | None = None,
    kind: Kind = "spherical",
    tolerance: PositiveTolerance = 0.01,
    on_progress: OnProgress = silent,
    **shape: Any,
) -> Capacity:
    """The largest number of random facts that ``method`` stores at recall ≥ ``recall``, perhaps under noise.

    For each seed the search starts at the law, steps outwards until one size fits and one does not, and
    bisects until they are ``tolerance`` apart (or neighbours). Each probe makes its facts from (N, seed)
    alone, so it can be made again. Untied facts are nested, so whether any matrix stores them is monotone in
    N; a method that is not exact may fail at N and succeed at N + 1, and gets one such change near its law.
    So may any method under key noise, which nothing is proved about.

    Args:
        method: any method, or its name for one with its default settings; it is told the recall level if it
            aims at one.
        d: dimension of the keys, and of the values unless ``d_out`` says otherwise.
        recall: the criterion, always named in the result.
        noise: norm of the key noise under which recall is measured, on a thousand noisy keys or more; no
            method hears of it, so ask those that can be asked: ``GatedFit(width, noise=…)``.
        seeds: how many (0, 1, …) or which.
        outputs: M; None for injective facts.
        kind: of the embeddings; this and ``shape`` (``tied=True`` for one) as in :meth:`Associations.random`.
        tolerance: relative width at which a bracket is narrow enough.
        on_progress: told after every probe.

    Raises:
        SettingError: sizes, a recall level or a noise that mean nothing.
        Exception: an error in a probe is an error; it never counts as "does not fit".
    """
    chosen, begun = seed_list(seeds), time.perf_counter()
    method = as_method(method).for_recall(recall)
    law = method.predicted_capacity(d, d_out or d, outputs=outputs, recall=recall)

    def family(n: int, seed: int) -> Associations:
        return Associations.random(kind, n, d, seed=seed, d_out=d_out, outputs=outputs, **shape)

    most = d if kind == "orthonormal" else None
    runs = tuple(
        _Search(method, family, seed, recall, noise, _listener(on_progress, i, len(chosen), seed)).run(
            HEAD_START * law if law else float(d), tolerance, most
        )
        for i, seed in enumerate(chosen)
    )
    found = [r.facts for r in runs]
    return Capacity(
        method=method.settings(),
        d=d,
        d_out=d_out or d,
        outputs=outputs,
        kind=kind,
        recall=recall,
        noise=noise,
        facts=statistics.median(found),
        interval=(min(found), max(found)),
        coverage=1 - 2.0 ** (1 - len(found)),
        bracket=(
            statistics.median(r.bracket[0] for r in runs),
            statistics.median(r.bracket[1] for r in runs),
        ),
        law=None if noise else law,
        proved="both sides" if all(r.proved == "both sides" for r in runs) else "lower side",
        runs=runs,
        seconds=time.perf_counter() - begun,
    )


@dataclass
class _Search:
    """The search with one seed."""

    method: Method
    family: Callable[[int, int], Associations]
    seed: int
    recall: float
    noise: float
    on_probe: Callable[[Probe], None]

    def __post_init__(self) -> None:
        self.fits = Tried(self._probe, lambda p: p.verdict == "fits", lambda _, p: self.on_probe(p))

    def run(self, guess: float, tolerance: float, most: int | None) -> Run:
        begun = time.perf_counter()
        low, high = threshold(lambda n: not self.fits(n), round(guess), tolerance, most=most)
        refuted = self._refuted_from(high, most)
        return Run(
            seed=self.seed,
            facts=low,
            bracket=(low, refuted or high),
            proved="both sides" if refuted else "lower side",
            probes=tuple(self.fits.found.values()),
            seconds=time.perf_counter() - begun,
        )

    def _probe(self, n: int) -> Probe:
        facts = self.family(n, self.seed)
        return probe(self.method, facts, self.recall, noise=self.noise, seed=self.seed, size=n)

    def _refuted_from(self, n: int, most: int | None) -> int | None:
        """The smallest refuted size from ``n`` up; past undecided ones it looks a little further."""
        if not self.method.refutes or self.recall < 1 or self.noise:
            return None
        for _ in range(UNDECIDED_STEPS):
            if most is not None and n > most:
                return None
            self.fits(n)
            if self.fits.found[n].verdict == "refuted":
                return n
            n = max(n + 1, math.ceil(n * 1.005))
        return None


def _listener(on_progress: OnProgress, i: int, total: int, seed: int) -> Callable[[Probe], None]:
    def heard(p: Probe) -> None:
        bound = "" if p.margin_bound is None else f", margin ≤ {p.margin_bound:.1e}"
        text = f"seed {seed}: N = {p.facts:,} {p.verdict} ({p.seconds:.2f} s{bound})"
        on_progress(Progress(i, total, text))

    return heard
