"""The smallest memory that holds given facts."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from factweights import theory
from factweights.domains import Count, Dimension, Outputs, Seed, Seeds, Share, Tolerance, checked
from factweights.errors import NotStorableError, SettingError, WrongTypeError
from factweights.facts import Associations
from factweights.facts.embeddings import Kind
from factweights.methods import ExactLinear, Method, as_method, method_named
from factweights.methods.base import check_facts
from factweights.methods.low_rank_hebbian import LowRankHebbian
from factweights.progress import OnProgress, Progress, silent
from factweights.searching import Tried, threshold
from factweights.sizing.probing import probe, seed_list
from factweights.sizing.results import Probe, Smallest, Width, WidthRun

Setting = Callable[[int], tuple[Method, Associations]]
"""A size ↦ the method and the facts with which to try it."""

CEILING = 64  # times the law: further up something else is wrong
MOST_OVER_GUESS = 128  # one-pass closed forms need several times ln N more than N/d


def law_d(facts: Associations) -> int:
    """The d that the law asks for these facts, their most frequent answer taken into account."""
    most_shared = int(facts.targets.bincount().max())
    return theory.smallest_d(len(facts), max(2, facts.n_outputs), most_shared)


@checked
def smallest_d(
    facts_at: Callable[[int], Associations],
    method: Method | str | None = None,
    *,
    recall: Share = 1.0,
    seed: Seed = 0,
    tolerance: Tolerance = 0.0,
    on_progress: OnProgress = silent,
) -> Smallest:
    """The smallest d at which ``method`` (default ``ExactLinear``) stores the facts at recall ≥ ``recall``.

    Args:
        facts_at: makes the facts at a given dimension, for instance ``table.to_associations``.
        tolerance: relative width at which the bracket is narrow enough; 0 asks for neighbours.
        on_progress: told after every probe.

    Raises:
        NotStorableError: no dimension up to 64 times the law's stores them.
    """
    method = (ExactLinear() if method is None else as_method(method)).for_recall(recall)
    sample = facts_at(2)
    law = law_d(sample)
    return _smallest(
        "d",
        lambda d: (method, facts_at(d)),
        law,
        start=law,
        most=CEILING * max(law, 8),
        recall=recall,
        seed=seed,
        tolerance=tolerance,
        on_progress=on_progress,
    )


@checked
def smallest_rank(
    facts: Associations,
    method_at: Callable[[int], Method] | str = LowRankHebbian,
    *,
    recall: Share = 1.0,
    seed: Seed = 0,
    tolerance: Tolerance = 0.0,
    on_progress: OnProgress = silent,
) -> Smallest:
    """The smallest rank at which a low-rank method stores ``facts`` at recall ≥ ``recall``.

    Args:
        method_at: makes the method of a given rank: the class ``LowRankHebbian`` or ``LowRankFit`` itself.

    Raises:
        NotStorableError: not even full rank stores them.
    """
    check_facts(facts)
    method_at = _maker(method_at)
    full = min(facts.d_in, facts.d_out)

    def most(rank: int) -> float:
        return theory.where_it_applies(theory.low_rank_capacity, full, rank, facts.n_outputs) or 0.0

    law = next((r for r in range(1, full) if most(r) >= len(facts)), full)
    return _smallest(
        "rank",
        lambda r: (method_at(r), facts),
        law,
        start=law,
        most=full,
        recall=recall,
        seed=seed,
        tolerance=tolerance,
        on_progress=on_progress,
    )


@checked
def smallest_width(
    facts: Associations,
    method_at: Callable[[int], Method] | str,
    *,
    recall: Share = 1.0,
    seed: Seed = 0,
    tolerance: Tolerance = 0.0,
    most: Count | None = None,
    on_progress: OnProgress = silent,
) -> Smallest:
    """The smallest width m at which a method stores ``facts`` at recall ≥ ``recall``.

    Starts at the smallest width whose predicted capacity is enough, or at N/d where a method predicts none,
    steps outwards and bisects. A fit that is not convex may fail at m and succeed at m − 1: what is found is
    *a* change of verdict near the start, with every probe and its seed on record.

    Args:
        method_at: makes the method of a given width: a class such as ``RandomFeatures`` or ``GatedFit``, or a
            function.
        seed: of the fits.
        tolerance: relative width at which the bracket is narrow enough; 0 asks for neighbours.
        most: where to give up; None for 128 times the start.
        on_progress: told after every probe.

    Raises:
        NotStorableError: no width up to ``most`` stores them.
    """
    check_facts(facts)
    method_at = _maker(method_at)
    law = _width_by_law(facts, method_at, recall)
    start = _width_at_least(facts) if law is None else law
    return _smallest(
        "width",
        lambda m: (method_at(m), facts),
        law,
        start=start,
        most=MOST_OVER_GUESS * max(start, 16) if most is None else most,
        recall=recall,
        seed=seed,
        tolerance=tolerance,
        on_progress=on_progress,
    )


@checked
def width(
    method_at: Callable[[int], Method] | str,
    *,
    d: Dimension,
    facts: Count,
    recall: Share = 1.0,
    seeds: Seeds = 3,
    d_out: Dimension | None = None,
    outputs: Outputs | None = None,
    tied: bool | None = None,
    kind: Kind = "spherical",
    tolerance: Tolerance = 0.0,
    on_progress: OnProgress = silent,
    **shape: Any,
) -> Width:
    """The smallest width at which a method stores that many random facts, over seeds.

    Args:
        method_at: makes the method of a given width, as in :func:`smallest_width`.
        d: dimension of the keys, and of the values unless ``d_out`` says otherwise.
        facts: N.
        recall: the criterion, always named in the result.
        seeds: how many (0, 1, …) or which; each draws its facts and its fits.
        outputs: M; None for injective facts.
        tied: keys and values are one table and the facts a random permutation of it; None for yes, unless
            ``outputs`` or ``d_out`` rule it out.
        kind, shape: as in :meth:`Associations.random`.
        tolerance, on_progress: as in :func:`smallest_width`.

    Raises:
        NotStorableError: as in :func:`smallest_width`.
        SettingError: sizes or a recall level that mean nothing.
    """
    begun, method_at = time.perf_counter(), _maker(method_at)
    tied = (outputs is None and d_out is None) if tied is None else tied
    chosen = seed_list(seeds)

    def run(i: int, seed: int) -> tuple[WidthRun, int | None]:
        drawn = Associations.random(
            kind, facts, d, seed=seed, d_out=d_out, outputs=outputs, tied=tied, **shape
        )

        def named(p: Progress) -> None:
            on_progress(Progress(i, len(chosen), f"seed {seed}: {p.text}"))

        found = smallest_width(
            drawn, method_at, recall=recall, seed=seed, tolerance=tolerance, on_progress=named
        )
        return WidthRun.of(seed, found), found.law

    runs = [run(i, seed) for i, seed in enumerate(chosen)]
    return _over_seeds(
        method_at(statistics.median_high(r.width for r, _ in runs)),
        [r for r, _ in runs],
        {"d": d, "d_out": d_out or d, "facts": facts, "outputs": outputs, "tied": tied, "kind": kind},
        recall=recall,
        law=runs[0][1],
        seconds=time.perf_counter() - begun,
    )


def _over_seeds(
    method: Method,
    runs: Sequence[WidthRun],
    facts: dict[str, Any],
    *,
    recall: float,
    law: int | None,
    seconds: float,
) -> Width:
    """What the seeds found, and the memory of median width in numbers."""
    n, outputs = facts["facts"], facts["outputs"] or facts["facts"]
    found, parameters = [r.width for r in runs], method.n_parameters(facts["d"], facts["d_out"])
    # Below recall 1.0 the answers hold less than these bits; the certificate of a memory says how much.
    return Width(
        method=method.settings(),
        **facts,
        recall=recall,
        width=statistics.median_high(found),
        interval=(min(found), max(found)),
        parameters=parameters,
        bits_per_parameter=theory.bits_of_facts(n, outputs) / parameters,
        map_bits_per_parameter=None if facts["outputs"] else theory.map_bits([1] * n) / parameters,
        n_delta_per_parameter=n * theory.delta(outputs) / parameters if outputs > 1 else 0.0,
        law=law,
        build_seconds=statistics.median(r.build_seconds for r in runs),
        runs=tuple(runs),
        seconds=seconds,
    )


def _maker(method_at: Callable[[int], Method] | str) -> Callable[[int], Method]:
    """What makes the method of a size: as given, or the class of that name.

    Raises:
        UnknownNameError: no method is called so.
        WrongTypeError: a method that already has its size, or something else.
    """
    if isinstance(method_at, str):
        return method_named(method_at)
    if isinstance(method_at, Method) or not callable(method_at):
        hint = "give the class or a function of the size, as in lambda m: GatedFit(m, activation='silu')"
        raise WrongTypeError("method_at", method_at, "what makes a method of a given size", hint)
    return method_at


def _width_at_least(facts: Associations) -> int:
    return math.ceil(len(facts) / min(facts.d_in, facts.d_out))


def _width_by_law(facts: Associations, method_at: Callable[[int], Method], recall: float) -> int | None:
    """The smallest width whose predicted capacity is enough; None where none is, or none is predicted."""
    n, outputs = len(facts), max(2, facts.n_outputs)

    def holds(m: int) -> bool:
        try:
            method = method_at(m).for_recall(recall)
            law = method.predicted_capacity(
                facts.d_in, facts.d_out, outputs=None if outputs == n else outputs, recall=recall
            )
        except SettingError:  # some need more than one neuron
            return False
        return law is not None and law >= n

    start = _width_at_least(facts)
    most = CEILING * max(start, 16)
    found = threshold(holds, start, 0.0, most=most)[1]
    return found if found <= most else None


def _smallest(
    what: str,
    setting: Setting,
    law: int | None,
    *,
    start: int,
    most: int,
    recall: float,
    seed: int,
    tolerance: float,
    on_progress: OnProgress,
) -> Smallest:
    begun = time.perf_counter()

    def attempt(size: int) -> Probe:
        method, facts = setting(size)
        return probe(method.for_recall(recall), facts, recall, seed=seed, size=size)

    def tell(size: int, p: Probe) -> None:
        text = f"{what} = {size:,} {p.verdict} ({p.seconds:.2f} s)"
        on_progress(Progress(len(tried.found), None, text))

    tried = Tried(attempt, lambda p: p.verdict == "fits", tell)
    low, high = threshold(tried, start, tolerance, most=most)
    probes = tried.found
    if high > most:
        asked = "" if law is None else f" (the law asks {law:,})"
        raise NotStorableError(
            f"not stored at recall ≥ {recall:g} at any {what} up to {most:,}{asked}; "
            f"recall reached {probes[most].recall:.6g}. Do two facts share a key, or two answers a value?"
        )
    both = low == 0 or probes[low].verdict == "refuted"
    return Smallest(
        what=what,
        size=high,
        law=law,
        bracket=(low, high),
        proved="both sides" if both else "upper side",
        probes=tuple(probes.values()),
        seconds=time.perf_counter() - begun,
    )
