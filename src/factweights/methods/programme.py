"""Small problems as a linear programme, for what first-order methods leave open."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from factweights.certificates import Witness
from factweights.facts import Associations
from factweights.methods.whiten import Whitened

ENTRIES = 300_000  # of the constraint matrix; HiGHS takes a few seconds there


def small_enough(facts: Associations, entries: int = ENTRIES) -> bool:
    """Whether the programme of all constraints is one to be solved here."""
    return facts.n_facts * (facts.n_outputs - 1) * facts.d_in * facts.d_out <= entries


def solve_programme(
    white: Whitened, facts: Associations
) -> tuple[Float[Tensor, "o i"], Witness | None] | None:
    """max t with ⟨W, a⟩ ≥ t ‖a‖ for every constraint a and |W_jk| ≤ 1, in the coordinates of ``white``.

    Returns the best W there, and the programme's multipliers as a witness for ``facts`` (neither is checked
    here); None where the solver gives up.
    """
    from scipy.optimize import linprog

    m = facts.n_outputs
    K, V, f = white.keys.numpy(), white.values.numpy(), facts.targets.cpu().numpy()
    row, col = np.nonzero(np.arange(m)[None] != f[:, None])
    away = V[f[row]] - V[col]
    A = (away[:, :, None] * K[row][:, None, :]).reshape(len(row), -1)
    size = np.linalg.norm(A, axis=1)
    held = size > 0
    A, row, col, size = A[held] / size[held, None], row[held], col[held], size[held]
    cost = np.zeros(A.shape[1] + 1)
    cost[-1] = -1.0
    bounds = [(-1.0, 1.0)] * A.shape[1] + [(0.0, None)]
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(
        cost,
        np.hstack([-A, np.ones((len(A), 1))]),
        np.zeros(len(A)),
        bounds=bounds,
        method="highs",
        options=tight,
    )
    if found.status != 0:
        return None
    W = torch.from_numpy(found.x[:-1].reshape(V.shape[1], K.shape[1]).copy())
    # a row of the programme is the given constraint over its norm here and over the length of its key
    weight = -found.ineqlin.marginals / size / white.lengths.numpy()[row]
    used = weight > 1e-13 * max(weight.max(initial=0.0), 1e-300)
    if not used.any():
        return W, None
    row, col, weight = (torch.from_numpy(x[used]) for x in (row, col, weight))
    return W, Witness(row, col, weight, facts.hash)
