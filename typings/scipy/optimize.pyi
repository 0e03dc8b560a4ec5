from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

def brentq(f: Callable[[float], float], a: float, b: float, *, xtol: float = 2e-12) -> float: ...
def nnls(
    A: NDArray[np.float64], b: NDArray[np.float64], *, maxiter: int | None = None
) -> tuple[NDArray[np.float64], float]: ...
def __getattr__(name: str) -> Any: ...  # linprog, minimize: results whose fields depend on the method
