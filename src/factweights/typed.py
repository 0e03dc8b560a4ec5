"""Calls of torch whose own annotations leave the result unknown, with their types."""

from torch import Tensor


def integers(x: Tensor) -> list[int]:
    """The entries of a tensor of whole numbers ``(n,)``."""
    return x.tolist()


def numbers(x: Tensor) -> list[float]:
    """The entries of a tensor of floats ``(n,)``."""
    return x.tolist()


def norm(x: Tensor, dim: int | None = None) -> Tensor:
    """Euclidean norms along ``dim``, or of all entries."""
    return x.norm(dim=dim)


def distinct(x: Tensor) -> Tensor:
    """The sorted entries of ``x`` without repeats ``(k,)``."""
    return x.unique()


def row_classes(x: Tensor) -> tuple[Tensor, Tensor]:
    """The class of equal rows that each row of ``(m, d)`` is in ``(m,)``, and the size of each ``(k,)``."""
    _, which, count = x.unique(dim=0, return_inverse=True, return_counts=True)
    return which, count
