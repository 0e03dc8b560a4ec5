"""Is it there? Every fact against every output, on the real forward pass."""

import math
import time

import torch
from torch import Tensor

from factweights import theory
from factweights.certificates.certificate import Certificate, Missed
from factweights.certificates.streaming import (
    beyond_rounding,
    check_request,
    noisy_recall,
    relative,
    streamed_margins,
)
from factweights.certificates.witness import MarginBound, Witness, bound_margins
from factweights.domains import Norms, Ranks, Seed, checked
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.typed import integers, numbers

LISTED_MISSES = 100  # missed facts that a certificate names; all are counted


@checked
def verify(
    memory: Memory,
    facts: Associations,
    *,
    noise: Norms = (),
    top_k: Ranks = (),
    witness: Witness | None = None,
    seed: Seed = 0,
) -> Certificate:
    """Check every fact against every output on the memory's real forward pass.

    Scores are computed in the dtype of the memory's weights, in blocks; no N×M matrix is ever held. A fact is
    recalled when its margin there is positive: ties and NaN are misses. Beside it stands how many facts are
    *proved*: right in exact arithmetic and in every order of summation of that dtype, by the model of
    :mod:`factweights.certificates.rounding`.

    Args:
        memory: any memory; facts are moved to its device and dtype.
        facts: what should be recalled.
        noise: norms ε (in units of the keys themselves) at which to measure recall under key noise.
        top_k: values of k for which to measure recall among the k best outputs.
        witness: multipliers of a refutation, checked in float64 here; ``memory.witness`` where it has one
            for these very facts.
        seed: of the key noise.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
        SettingError: a negative noise norm or a k below 1.
        WitnessError: a witness that bounds nothing.
    """
    begun = time.perf_counter()
    check_request(memory, facts, noise, top_k)
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        found = streamed_margins(memory, moved, moved.keys, ranked=bool(top_k))
        least = beyond_rounding(memory, facts, moved, found)
        wrong = ~(found.margin > 0)
        noisy = {float(e): noisy_recall(memory, moved, float(e), seed) for e in noise}
        missed = _describe_misses(memory, moved, found.margin, wrong)
    n, n_missed = len(facts), int(wrong.sum())
    bits = theory.fano_bits(n, facts.n_outputs, n_missed / n)
    counts = integers(torch.bincount(facts.targets, minlength=facts.n_outputs))
    map_bits = theory.fano_bits(n, facts.n_outputs, n_missed / n, theory.map_bits(counts))
    bound = _bound(memory, facts, witness)
    return Certificate(
        facts=n,
        outputs=facts.n_outputs,
        recall=(n - n_missed) / n,
        min_margin=float(found.margin.min()),
        min_relative_margin=float(relative(found.margin, found.size).min()),
        weight_norm=math.sqrt(sum(float(w.double().square().sum()) for w in memory.state_dict().values())),
        n_missed=n_missed,
        n_proved=None if least is None else int((least > 0).sum()),
        proved_margin=None if least is None else float(least.min()),
        missed=missed,
        top_k={} if found.rank is None else {k: float((found.rank <= k).double().mean()) for k in top_k},
        noise_recall=noisy,
        parameters=memory.n_parameters,
        parameter_groups=memory.count_parameters(),
        bits=bits,
        bits_per_parameter=bits / memory.n_parameters,
        map_bits=map_bits,
        map_bits_per_parameter=map_bits / memory.n_parameters,
        margin_bound=None if bound is None else bound.absolute,
        relative_bound=None if bound is None else bound.relative,
        dtype=str(memory.dtype).removeprefix("torch."),
        device=str(memory.device),
        facts_hash=facts.hash,
        weights_hash=memory.hash,
        seed=seed,
        seconds=time.perf_counter() - begun,
        weighted_recall=_share(facts, ~wrong),
        weighted_proved=None if least is None else _share(facts, least > 0),
    )


def _share(facts: Associations, right: Tensor) -> float | None:
    """Σ p(x) over the facts that are ``right``; exactly 1 where all are."""
    if facts.weights is None:
        return None
    return 1.0 if bool(right.all()) else float(facts.weights.to(right.device)[right].sum())


def _bound(memory: Memory, facts: Associations, witness: Witness | None) -> MarginBound | None:
    if witness is None:
        witness = getattr(memory, "witness", None)
        if witness is None or witness.facts_hash not in (None, facts.hash):
            return None
    return bound_margins(facts, witness)


def _describe_misses(
    memory: Memory, facts: Associations, margin: Tensor, wrong: Tensor
) -> tuple[Missed, ...]:
    rows = wrong.nonzero()[:, 0]
    rows = rows[margin[rows].argsort()][:LISTED_MISSES]
    if not len(rows):
        return ()
    out = memory(facts.keys[rows])
    scores = out @ facts.values.T
    scores[torch.arange(len(rows)), facts.targets[rows]] = -math.inf
    answered = torch.where(scores.isnan().any(1), -1, scores.argmax(1))
    keys, values = facts.key_names, facts.value_names
    return tuple(
        Missed(
            row=i,
            key=f"key {i}" if keys is None else " ".join(keys[i]),
            expected=f"value {f}" if values is None else values[f],
            answered="NaN" if a < 0 else f"value {a}" if values is None else values[a],
            margin=m,
        )
        for i, f, a, m in zip(
            integers(rows),
            integers(facts.targets[rows]),
            integers(answered),
            numbers(margin[rows]),
            strict=True,
        )
    )
