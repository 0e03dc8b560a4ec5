"""Where facts lie: the ``torch.nn.Module``s that can hold them."""

from pathlib import Path

from factweights.memories.base import Memory, read_memory
from factweights.memories.gated import GatedMemory
from factweights.memories.linear import LinearMemory, LowRankMemory
from factweights.memories.mlp import MLPMemory
from factweights.memories.transformer import RecallTransformer

MEMORY = "memory.safetensors"  # in a folder of a stored memory, and in one of a compiled model

KINDS: dict[str, type[Memory]] = {
    c.__name__: c for c in (GatedMemory, LinearMemory, LowRankMemory, MLPMemory, RecallTransformer)
}


def load_memory(path: str | Path) -> Memory:
    """Load any memory saved by :meth:`Memory.save`; the file says which kind it is.

    Args:
        path: the file, or a folder with a memory in it, as ``store`` and ``compile`` write them.

    Raises:
        FileNotFoundError: no such file, or none in the folder.
        FileFormatError: foreign, truncated or inconsistent contents.
    """
    path = Path(path)
    return read_memory(path / MEMORY if path.is_dir() else path, KINDS)


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
