"""What every memory is: an ``nn.Module`` from keys to values that counts, saves and loads itself."""

import hashlib
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from factweights.errors import FileFormatError, ShapeError
from factweights.folders import whole_file

FORMAT = "factweights.memory.1"


class Memory(nn.Module, ABC):
    """A map from keys ``(…, d_in)`` to ``(…, d_out)``; it answers with the value of largest inner product.

    Attributes:
        d_in, d_out: dimensions of keys and values.
        frozen_groups: groups of :meth:`count_parameters` that are drawn and kept, such as embeddings.
    """

    d_in: int
    d_out: int
    frozen_groups: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The arguments of the constructor that gives this shape back."""

    @abstractmethod
    def count_parameters(self) -> dict[str, int]:
        """Scalars by named group; they add up to every scalar of the state dict."""

    @property
    def n_parameters(self) -> int:
        """All scalars that hold facts: every group but the frozen ones."""
        return sum(n for group, n in self.count_parameters().items() if group not in self.frozen_groups)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return next(iter(self.state_dict().values())).dtype

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(iter(self.state_dict().values())).device

    @property
    def hash(self) -> str:
        """SHA-256 of the kind, the names, shapes, dtypes and bytes of all weights."""
        h = hashlib.sha256(type(self).__name__.encode())
        for name, t in sorted(self.state_dict().items()):
            flat = t.detach().cpu().contiguous().view(-1)
            h.update(f"{name}{tuple(t.shape)}{t.dtype}".encode())
            h.update(flat.view(torch.uint8).numpy().tobytes())
        return h.hexdigest()

    def check_keys(self, keys: Tensor) -> None:
        """Raise ShapeError unless ``keys`` are ``(…, d_in)``."""
        if keys.shape[-1] != self.d_in:
            raise ShapeError(
                f"this memory takes keys of dimension {self.d_in}, got {keys.shape[-1]} "
                f"(shape {tuple(keys.shape)})"
            )

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file, whole or not at all.

        Raises:
            OutputError: the file could not be written.
        """
        path = Path(path)
        header = {"format": FORMAT, "kind": type(self).__name__, "config": self.config()}
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}
        with whole_file(path) as tmp:
            # one entry: the order of several would change from run to run, and with it the file's hash
            tmp.write_bytes(save(tensors, metadata={"factweights": json.dumps(header)}))
        return path

    def __repr__(self) -> str:
        sizes = ", ".join(f"{k}={v}" for k, v in self.config().items())
        return f"{type(self).__name__}({sizes}; {self.n_parameters:,} parameters)"


def read_memory(path: str | Path, kinds: dict[str, type[Memory]]) -> Memory:
    """Load a memory written by :meth:`Memory.save`.

    Raises:
        FileNotFoundError: no such file.
        FileFormatError: foreign, truncated or inconsistent contents.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no memory file at {path}")
    try:
        with safe_open(path, framework="pt") as f:
            header = json.loads((f.metadata() or {}).get("factweights", "{}"))
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as e:
        raise FileFormatError(f"{path} is not a whole safetensors file ({e}); write it again") from e
    if header.get("format") != FORMAT or header.get("kind") not in kinds:
        raise FileFormatError(
            f"{path} was not written by factweights as a memory (format {header.get('format')!r}, "
            f"kind {header.get('kind')!r}); expected {FORMAT!r} and one of {', '.join(kinds)}"
        )
    memory = kinds[header["kind"]](**header["config"])
    try:
        memory.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
    except (RuntimeError, StopIteration) as e:
        raise FileFormatError(f"{path}: weights do not fit their config: {e}") from e
    if bad := [name for name, t in tensors.items() if not torch.isfinite(t).all()]:
        raise FileFormatError(f"{path}: {', '.join(bad)} hold NaN or infinity")
    return memory


def frozen(x: Float[Tensor, "..."]) -> nn.Parameter:
    """A weight that is written, not trained, unless somebody asks for its gradient."""
    return nn.Parameter(x.detach().clone(), requires_grad=False)
