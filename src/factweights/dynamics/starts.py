"""Where training begins."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from factweights.dynamics.population import Array, Population
from factweights.errors import SettingError, UnknownNameError

Start = Literal["balanced", "uniform", "random"]
STARTS: tuple[str, ...] = get_args(Start)


def start_weights(
    population: Population, start: str, init: float, seed: int = 0
) -> tuple[Float[Array, " z"], Float[Array, "z a"]]:
    """w ``(Z,)`` and O ``(Z, A)`` at time 0.

    Args:
        population: whose tokens and answers.
        start: ``balanced``: O = α and w = α √(A + 1), so that w² − ‖O‖² = α² for every token, as in theorem 6
            of arXiv 2412.06538; ``uniform``: all weights α, as in its figure 5; ``random``: all weights drawn
            from N(0, α²), one draw for all noise tokens, which thereby stay equal.
        init: α.
        seed: of the random start.

    Raises:
        UnknownNameError: another start.
        SettingError: α that is not above 0.
    """
    if start not in STARTS:
        raise UnknownNameError("start", start, STARTS, f"(there are {', '.join(STARTS)})")
    if not 0 < init < np.inf:
        raise SettingError(f"init is {init}; 0 is a stationary point, so give a finite number above 0")
    Z, A = population.n_tokens, population.n_answers
    if start == "random":
        drawn = init * np.random.default_rng(seed).normal(size=(Z, A + 1))
        return drawn[:, 0].copy(), drawn[:, 1:].copy()
    first = init * np.sqrt(A + 1) if start == "balanced" else init
    return np.full(Z, float(first)), np.full((Z, A), float(init))
