"""Tail-average margins: is the right answer among the strongest candidates?"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates.rounding import UNIT64, gamma
from factweights.certificates.streaming import Streamed, beyond_rounding, check_request
from factweights.domains import OpenShare, checked
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.typed import norm

BLOCK = 1 << 22  # scores held at once: 32 MiB in float64


def averaged(share: float, outputs: int) -> float:
    """How many competitors a share r stands for: r (M − 1), not a whole number, 1 at least."""
    return max(1.0, share * (outputs - 1))


@checked
def tail_margins(memory: Memory, facts: Associations, share: OpenShare) -> Float[Tensor, " n"]:
    """Score of the right answer less the mean of the best share r of the others, ``(N,)`` in float64.

    The mean is over k = r (M − 1) competitors, the last of them in part where k is not whole; k is 1 at
    least, and the margin then the usual one. A margin above 0 means that fewer than ⌈k⌉ competitors lead the
    answer, so it is among the best ⌈k⌉. Concave in the scores (after arXiv 2605.05189). ∞ where M is 1.

    Raises:
        ShapeError: the memory's dimensions are not those of the facts.
        SettingError: a share outside (0, 1).
    """
    return _streamed(memory, facts, share).margin


@checked
def least_tail_margins(memory: Memory, facts: Associations, share: OpenShare) -> Float[Tensor, " n"] | None:
    """A lower bound of every :func:`tail_margins`, in exact arithmetic and in any evaluation in its dtype.

    None for kinds of memories whose rounding is not bounded; errors as there.
    """
    found = _streamed(memory, facts, share)
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    with torch.no_grad():
        least = beyond_rounding(memory, facts, moved, found)
    if least is None:
        return None
    # Scores err as in any margin, their mean no more than they; adding up k of them errs by γ_k.
    summed = gamma(math.ceil(averaged(share, facts.n_outputs)) + 4, UNIT64)
    return least - 4 * summed * found.size


def _streamed(memory: Memory, facts: Associations, share: float) -> Streamed:
    check_request(memory, facts, (), ())
    moved = facts.to(device=memory.device, dtype=memory.dtype)
    n, k = len(moved), averaged(share, facts.n_outputs)
    margin, size = moved.keys.new_empty(n, dtype=torch.float64), moved.keys.new_empty(n, dtype=torch.float64)
    longest = norm(moved.values, dim=1).amax()
    rows = max(1, BLOCK // facts.n_outputs)
    with torch.no_grad():
        for start in range(0, n, rows):
            at = slice(start, start + rows)
            out = memory(moved.keys[at])
            margin[at] = _tail(out @ moved.values.T, moved.targets[at], k)
            size[at] = (longest * norm(out, dim=1)).double()
    return Streamed(margin, size, None)


def _tail(scores: Float[Tensor, "n m"], targets: Int[Tensor, " n"], k: float) -> Float[Tensor, " n"]:
    at, whole = targets[:, None], math.ceil(k)
    right = scores.gather(1, at)[:, 0].double()
    if scores.shape[1] == 1:
        return torch.full_like(right, math.inf)
    top = scores.scatter(1, at, -math.inf).topk(whole, 1).values.double()  # (n, ⌈k⌉)
    return right - (top[:, :-1].sum(1) + (k - whole + 1) * top[:, -1]) / k
