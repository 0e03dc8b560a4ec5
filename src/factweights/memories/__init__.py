"""Where facts lie: the ``torch.nn.Module``s that can hold them."""

from pathlib import Path

from factweights.memories.base import Memory, read_memory
from factweights.memories.gated import GatedMemory
from factweights.memories.linear import LinearMemory, LowRankMemory
from factweights.memories.mlp import MLPMemory
from factweights.memories.transformer import RecallTransformer

KINDS: dict[str, type[Memory]] = {
    c.__name__: c for c in (GatedMemory, LinearMemory, LowRankMemory, MLPMemory, RecallTransformer)
}


def load_memory(path: str | Path) -> Memory:
    """Load any memory saved by :meth:`Memory.save`; the file says which kind it is.

    Raises:
        FileNotFoundError: no such file.
        FileFormatError: foreign, truncated or inconsistent contents.
    """
    return read_memory(path, KINDS)


__all__ = [
    "KINDS",
    "GatedMemory",
    "LinearMemory",
    "LowRankMemory",
    "MLPMemory",
    "Memory",
    "RecallTransformer",
    "load_memory",
]
