"""Facts from plain rows of numbers, and of any length that floats have."""

import numpy as np
import pytest
import torch

from factweights import Associations, verify
from factweights.errors import FactsError, ShapeError
from factweights.methods import ExactLinear


def test_rows_of_numbers_are_facts():
    facts = Associations.from_tensors([[1, 0], [1, 5e-6]], torch.eye(2), [0, 1])
    assert facts.keys.dtype == torch.float32
    assert verify(ExactLinear().store(facts), facts).recall == 1.0
    both = Associations.from_tensors([[1, 0], [1, 5e-6]], np.eye(2), (0, 1))
    assert both.keys.dtype == torch.float64
    assert Associations.from_tensors([(1, 2), (3, 4)], [(1, 0), (0, 1)]).hash != both.hash


@pytest.mark.parametrize(
    ("keys", "values", "targets"),
    [
        ([[1, 0], [1]], [[1, 0], [0, 1]], None),
        ([["a", "b"], ["c", "d"]], [[1, 0], [0, 1]], None),
        (None, [[1, 0], [0, 1]], None),
        ({"a": 1}, [[1, 0], [0, 1]], None),
        ([[1, 0], [0, 1]], [[True, False], [False, True]], None),
        ([[1, 0], [0, 1]], [[1j, 0], [0, 1]], None),
        ([[1, 0], [0, 1]], [[1, 0], [0, 1]], [0.0, 1.0]),
        ([[1, 0], [0, 1]], [[1, 0], [0, 1]], "01"),
        ([[1, 0], [0, 10**400]], [[1, 0], [0, 1]], None),
        ([1, 2], [[1, 0], [0, 1]], None),
        ([], [], None),
    ],
)
def test_what_holds_no_numbers_is_said(keys, values, targets):
    with pytest.raises((ShapeError, FactsError)):
        Associations.from_tensors(keys, values, targets)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e-30, 1e30, 1e160, 1e300])
@pytest.mark.parametrize("which", ["keys", "values"])
def test_long_and_short_vectors_are_stored_as_others(size, which):
    rng = np.random.default_rng(0)
    K, V = rng.standard_normal((20, 8)), rng.standard_normal((20, 8))
    facts = Associations.from_tensors(*((K * size, V) if which == "keys" else (K, V * size)))
    assert verify(ExactLinear().store(facts), facts).recall == 1.0
