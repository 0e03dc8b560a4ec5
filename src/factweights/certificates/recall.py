"""Is it there? Every fact against every output, on the real forward pass."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from factweights import theory
from factweights.certificates.certificate import Certificate, Missed
from factweights.certificates.streaming import (
    check_request,
    noisy_recall,
    relative,
    rounding,
    streamed_margins,
)
from factweights.certificates.witness import Witness, margin_bound
from factweights.facts import Associations
from factweights.memories import Memory

LISTED_MISSES = 100


def verify(
    memory: Memory,
    facts: Associations,
    *,
    noise: Sequence[float] = (),
    top_k: Sequence[int] = (),
    witness: Witness | None = None,
    seed: int = 0,
) -> Certificate:
    """Check every fact against every output on the memory's real forward pass.

    Scores are computed in the dtype of the memory's weights, in blocks; no N×M matrix is ever held.

    Args:
        memory: any memory; facts are moved to its device and dtype.
        facts: what should be recalled.
        noise: norms ε (in units of the keys themselves) at which to measure recall under key noise.
        top_k: values of k for which to measure recall among the k best outputs.
        witness: multipliers of a refutation, checked in float64 here; ``memory.witness`` where it has one.
        seed: of the key noise.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
        SettingError: a negative noise norm or a k below 1.
    """
    begun = time.perf_counter()
    check_request(memory, facts, noise, top_k)
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        margins, size, rank = streamed_margins(memory, moved, moved.keys, ranked=bool(top_k))
        wrong = ~(margins > rounding(moved) * size)
        noisy = {float(e): noisy_recall(memory, moved, float(e), seed) for e in noise}
        missed = _describe_misses(memory, moved, margins, wrong)
    n, n_missed = len(facts), int(wrong.sum())
    bits = theory.fano_bits(n, facts.n_outputs, n_missed / n)
    witness = witness if witness is not None else getattr(memory, "witness", None)
    return Certificate(
        facts=n,
        outputs=facts.n_outputs,
        recall=(n - n_missed) / n,
        min_margin=float(margins.min()),
        min_relative_margin=float(relative(margins, size).min()),
        weight_norm=math.sqrt(sum(float(w.double().square().sum()) for w in memory.state_dict().values())),
        n_missed=n_missed,
        missed=missed,
        top_k={k: float((rank <= k).double().mean()) for k in top_k},
        noise_recall=noisy,
        parameters=memory.n_parameters,
        parameter_groups=memory.count_parameters(),
        bits=bits,
        bits_per_parameter=bits / memory.n_parameters,
        margin_bound=None if witness is None else margin_bound(facts, witness),
        dtype=str(memory.dtype).removeprefix("torch."),
        device=str(memory.device),
        facts_hash=facts.hash,
        weights_hash=memory.hash,
        seed=seed,
        seconds=time.perf_counter() - begun,
    )


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
    answered = scores.argmax(1)
    keys, values = facts.key_names, facts.value_names
    return tuple(
        Missed(
            row=i,
            key=f"key {i}" if keys is None else " ".join(keys[i]),
            expected=f"value {f}" if values is None else values[f],
            answered=f"value {a}" if values is None else values[a],
            margin=m,
        )
        for i, f, a, m in zip(
            rows.tolist(),
            facts.targets[rows].tolist(),
            answered.tolist(),
            margin[rows].tolist(),
            strict=True,
        )
    )
