"""Straight lines by least squares."""

import numpy as np


def least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and intercepts ``(n,)`` of the rows of ``y`` ``(n, S)`` against ``x`` ``(S,)``."""
    centred = x - x.mean()
    slopes = y @ centred / (centred @ centred)
    return slopes, y.mean(axis=1) - slopes * x.mean()
