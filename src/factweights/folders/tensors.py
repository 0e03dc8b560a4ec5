"""What a safetensors file holds, read from its header alone and compared with its size."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from factweights.errors import FileFormatError
from factweights.folders.jsons import checked, parse_json

HEADER = 100_000_000  # bytes; the package safetensors reads no longer ones
_BITS = {"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16}
_BITS |= {"I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8}
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})  # what weights, keys and values may be
INTEGERS = frozenset({"I64", "I32", "I16", "I8", "U8"})


class _Tensor(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    dtype: str
    shape: list[int] = Field(max_length=8)
    data_offsets: list[int] = Field(min_length=2, max_length=2)


class _Tensors(RootModel[dict[str, _Tensor]]):
    pass


class _Metadata(RootModel[dict[str, str]]):
    pass


@dataclass(frozen=True)
class TensorFile:
    """The header of a safetensors file.

    Attributes:
        shapes, dtypes: of every tensor; dtypes as the format names them, such as ``F32``.
        metadata: texts beside them.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]

    def must_be(self, path: Path, name: str, dtypes: frozenset[str], ndim: int | None = None) -> None:
        """Refuse a tensor of a dtype that is not one of ``dtypes``, or with other than ``ndim`` dimensions.

        Raises:
            FileFormatError: as said.
        """
        if self.dtypes[name] not in dtypes:
            raise FileFormatError(
                f"{path}: {name} is stored as {self.dtypes[name]}; it can be {', '.join(sorted(dtypes))}"
            )
        if ndim is not None and len(self.shapes[name]) != ndim:
            raise FileFormatError(f"{path}: {name} has the shape {self.shapes[name]}, not {ndim} dimensions")


def read_tensor_file(path: Path) -> TensorFile:
    """The header of a safetensors file, once it is sure that the file has the bytes that it speaks of.

    Nothing of the size of a tensor is allocated.

    Raises:
        FileNotFoundError: no such file.
        FileFormatError: foreign, cut short, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    try:
        size = path.stat().st_size
        with path.open("rb") as f:
            (length,) = struct.unpack("<Q", f.read(8))
            if length > min(HEADER, size - 8):
                raise ValueError(f"a header of {length:,} bytes in a file of {size:,}")
            found = parse_json(f.read(length))
    except (OSError, ValueError, struct.error, RecursionError) as e:
        raise FileFormatError(
            f"{path} is not a whole safetensors file ({str(e)[:200]}); write it again"
        ) from e
    if not isinstance(found, dict):
        raise FileFormatError(f"{path} is not a whole safetensors file (no header); write it again")
    metadata = checked(_Metadata, found.pop("__metadata__", {}), path).root
    tensors = checked(_Tensors, found, path).root
    _must_cover(path, tensors, size - 8 - length)
    return TensorFile(
        {name: tuple(t.shape) for name, t in tensors.items()},
        {name: t.dtype for name, t in tensors.items()},
        metadata,
    )


def _must_cover(path: Path, tensors: dict[str, _Tensor], size: int) -> None:
    """Shapes, dtypes and offsets must agree, one tensor must follow the other up to the end of the file."""
    at = 0
    for name, t in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        bits = _BITS.get(t.dtype)
        ends = [at, at + math.prod(t.shape) * (bits or 0) // 8]
        if bits is None or min(t.shape, default=0) < 0 or t.data_offsets != ends:
            said: Any = f"{name[:60]!r}: {t.dtype[:20]} of shape {t.shape}, bytes {t.data_offsets}"
            raise FileFormatError(f"{path} is not a whole safetensors file ({said}); write it again")
        at = ends[1]
    if at != size:
        raise FileFormatError(
            f"{path} is not a whole safetensors file ({size:,} bytes of tensors, not {at:,}); write it again"
        )
