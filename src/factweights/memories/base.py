"""What every memory is: an ``nn.Module`` from keys to values that counts, saves and loads itself."""

import hashlib
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from factweights.errors import FileFormatError, ShapeError
from factweights.folders import whole_file
from factweights.folders.jsons import checked, parse_json
from factweights.folders.tensors import FLOATS, TensorFile, read_tensor_file

FORMAT = "factweights.memory.1"
_Size = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
_Coefficient = Annotated[float, Field(allow_inf_nan=False)]


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
    found = read_tensor_file(path)
    header = _header(path, found.metadata.get("factweights", "{}"), kinds)
    _must_fit(path, kinds[header.kind], header.config, found)
    try:
        with safe_open(path, framework="pt") as f:
            tensors = {name: f.get_tensor(name) for name in found.shapes}
        memory = kinds[header.kind](**header.config)
        memory.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
    except (SafetensorError, OSError, RuntimeError, ValueError) as e:
        raise FileFormatError(f"{path}: weights do not fit their config: {e}") from e
    if bad := [name for name, t in tensors.items() if not torch.isfinite(t).all()]:
        raise FileFormatError(f"{path}: {', '.join(bad)} hold NaN or infinity")
    return memory


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: str
    kind: str
    config: dict[str, _Size | StrictBool | StrictStr | list[_Coefficient]]


def _header(path: Path, text: str, kinds: dict[str, type[Memory]]) -> _Header:
    try:
        found = parse_json(text)
    except (ValueError, RecursionError) as e:
        raise FileFormatError(f"{path}: what it says of its memory is damaged ({str(e)[:200]})") from e
    said = found if isinstance(found, dict) else {}
    if said.get("format") != FORMAT or not isinstance(said.get("kind"), str) or said["kind"] not in kinds:
        raise FileFormatError(
            f"{path} was not written by factweights as a memory (format {str(said.get('format'))[:60]!r}, "
            f"kind {str(said.get('kind'))[:60]!r}); expected {FORMAT!r} and one of {', '.join(kinds)}"
        )
    return checked(_Header, said, path)


def _must_fit(path: Path, kind: type[Memory], config: dict[str, Any], found: TensorFile) -> None:
    """Compare shapes before anything of their size is allocated."""
    try:
        with torch.device("meta"):  # shapes without contents
            shell = kind(**config)
        expected = {name: tuple(t.shape) for name, t in shell.state_dict().items()}
    except (TypeError, ValueError, RuntimeError) as e:  # no such argument, or no such size
        raise FileFormatError(f"{path}: no {kind.__name__} has the config {str(config)[:200]} ({e})") from e
    if expected != found.shapes:
        raise FileFormatError(
            f"{path}: weights do not fit their config: a {kind.__name__} of it has {expected}, the file "
            f"{str(found.shapes)[:500]}"
        )
    for name in expected:
        found.must_be(path, name, FLOATS)
    if len(set(found.dtypes.values())) > 1 or not expected:
        raise FileFormatError(f"{path}: its weights have several dtypes ({found.dtypes}); save it again")


def frozen(x: Float[Tensor, "..."]) -> nn.Parameter:
    """A weight that is written, not trained, unless somebody asks for its gradient."""
    return nn.Parameter(x.detach().clone(), requires_grad=False)
