"""Associations as tensor files: safetensors, and numpy's .npz and .npy. Nothing is ever unpickled."""

import json
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from factweights.errors import FactsError, FileFormatError, SettingError, ShapeError
from factweights.facts.guards import is_array, is_object
from factweights.folders import whole_file
from factweights.folders.jsons import checked, parse_json
from factweights.folders.tensors import FLOATS, INTEGERS, TensorFile, read_tensor_file

FORMAT = "factweights.associations.1"
MAX_HEADER = 90_000_000  # bytes; safetensors refuses to read a header of more than 100 million
_HEADER = "factweights"
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    OverflowError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)
_TENSORS = ("keys", "values", "targets")
_ALL = (*_TENSORS, "weights")


class _Names(BaseModel):
    """What stands beside the tensors."""

    model_config = ConfigDict(extra="forbid")

    format: str
    key_names: tuple[tuple[str, str], ...] | None
    value_names: tuple[str, ...] | None
    spec: dict[str, Any]


def as_tensor(what: str, x: Any, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor as it is, an array as a tensor of its own; rows of numbers in ``dtype``, or as numpy reads
    them.

    Raises:
        ShapeError: an array of a dtype that torch does not have, or something that holds no numbers.
    """
    if isinstance(x, Tensor):
        return x.detach()
    if not is_array(x):
        x = _rows(what, x)
        if dtype is not None and dtype.is_floating_point:
            return torch.as_tensor(x.astype(np.float64)).to(dtype)
    try:
        return torch.as_tensor(np.array(x, dtype=x.dtype.newbyteorder("="), order="C"))
    except TypeError as e:
        raise ShapeError(f"the {what} are an array of {x.dtype}; give float32 or float64") from e


def _rows(what: str, x: Any) -> NDArray[Any]:
    try:
        found = np.array(x)
    except (ValueError, TypeError, OverflowError) as e:
        raise ShapeError(
            f"the {what} are a {type(x).__name__} whose rows differ in length; give N rows of numbers"
        ) from e
    if found.dtype.kind not in "iuf":
        raise ShapeError(
            f"the {what} are a {type(x).__name__} that holds no numbers; give a tensor, an array or rows of "
            "numbers"
        )
    return found


def as_targets(targets: Any, keys: Tensor, values: Tensor) -> Tensor:
    """Targets ``(N,)`` as int64 beside the keys; None is 0, 1, …, N − 1.

    Raises:
        ShapeError: fewer values than keys without targets, or targets that are no integers.
    """
    n, m = len(keys), len(values)
    if targets is None:
        if m < n:
            raise ShapeError(f"{n} keys share {m} values; say with targets= which value answers which key")
        return torch.arange(n, device=keys.device)
    given = as_tensor("targets", targets)
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise ShapeError(f"targets are {given.dtype}; give the row of each key's value as an integer")
    return given.long()


def read_fields(path: Path, values: Path | None, targets: Path | None) -> dict[str, Any]:
    """The fields of :class:`Associations` from one file, or from two or three .npy files.

    Raises:
        FileNotFoundError: no such file.
        FileFormatError: foreign or truncated contents, tensors missing.
        SettingError: ``values`` missing for an .npy file, or given for another.
    """
    suffix = path.suffix.lower()
    if suffix not in (".safetensors", ".npz", ".npy"):
        hint = (
            "; tables are read by FactTable.read" if suffix in (".csv", ".tsv", ".jsonl", ".parquet") else ""
        )
        raise FileFormatError(
            f"{path}: tensors are read from .safetensors, .npz and .npy, not {suffix!r}{hint}"
        )
    parts = {"keys": path, "values": values, "targets": targets}
    given = {name: p for name, p in parts.items() if p is not None}
    for p in given.values():
        _must_exist(p)
    if suffix == ".npy":
        if values is None:
            raise SettingError(f"{path} holds one array, the keys; give the file of the values as values=")
        return {name: _npy(p) for name, p in given.items()}
    if len(given) > 1:
        raise SettingError(f"{path} holds keys, values and targets together; leave values= and targets= out")
    return _safetensors(path) if suffix == ".safetensors" else _npz(path)


def _must_exist(path: Path) -> None:
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder; give a file, or open a stored memory with Bundle.load")
    if not path.exists():
        raise FileNotFoundError(f"no facts file at {path}")


def _npy(path: Path) -> np.ndarray:
    array = _numpy_load(path)
    if not isinstance(array, np.ndarray):
        raise FileFormatError(f"{path} is an archive of arrays; name it .npz")
    return array


def _npz(path: Path) -> dict[str, Any]:
    arrays = _numpy_load(path)
    if isinstance(arrays, np.ndarray):
        raise FileFormatError(f"{path} is a single array; name it .npy and give the values as values=")
    return _needed(path, arrays, list(arrays))


def _numpy_load(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    try:
        if not zipfile.is_zipfile(path):  # mapped first, as then a shape is compared with the file's size
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _must_hold(archive, member)
        with path.open("rb") as f, np.load(f, allow_pickle=False) as loaded:
            return {k: loaded[k] for k in loaded.files}
    except _UNREADABLE as e:
        raise FileFormatError(f"{path} is not a whole numpy file of numbers ({e}); write it again") from e


def _must_hold(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """The shape of an array must be that of the bytes that its archive says it has."""
    with archive.open(member) as f:
        version = np.lib.format.read_magic(f)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(f)
        if f.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{member.filename}: {dtype} of shape {shape} in {member.file_size:,} bytes")


def _needed(path: Path, found: dict[str, Any], there: list[str]) -> dict[str, Any]:
    if lacking := [name for name in ("keys", "values") if name not in found]:
        raise FileFormatError(
            f"{path} lacks {' and '.join(lacking)}; it holds {', '.join(sorted(there)) or 'nothing'}. Facts "
            "are keys (N, d_in), values (M, d_out) and, unless value i answers key i, targets (N,)"
        )
    return {name: found[name] for name in _ALL if name in found}


def _safetensors(path: Path) -> dict[str, Any]:
    layout = _layout(path)
    there = list(layout.shapes)
    try:
        with safe_open(path, framework="pt") as f:
            found = {name: f.get_tensor(name) for name in there if name in _ALL}
    except (SafetensorError, OSError, ValueError) as e:
        raise FileFormatError(f"{path} is not a whole safetensors file ({e}); write it again") from e
    return _needed(path, found, there) | _names(path, layout.metadata.get(_HEADER))


def read_row(path: Path, row: int, of: int) -> tuple[Tensor, Tensor, Tensor]:
    """Key ``(1, d_in)`` of one of ``of`` facts, all values ``(M, d_out)``, and its target ``(1,)``.

    Raises:
        FileFormatError: as :func:`read_fields`, or not that many facts.
    """
    layout = _layout(path)
    shapes = [layout.shapes.get(name) for name in _TENSORS]
    if None in shapes or shapes[0][:1] != (of,) or shapes[2] != (of,):  # pyright: ignore[reportOptionalSubscript]
        raise FileFormatError(
            f"{path} does not hold {of:,} facts with keys, values and targets; write it again"
        )
    try:
        with safe_open(path, framework="pt") as f:
            key, target = (f.get_slice(name)[row : row + 1] for name in ("keys", "targets"))
            return key, f.get_tensor("values"), target.long()
    except (SafetensorError, OSError, ValueError) as e:
        raise FileFormatError(f"{path} is not a whole safetensors file ({e}); write it again") from e


def _layout(path: Path) -> TensorFile:
    layout = read_tensor_file(path)
    for name in _TENSORS:
        if name in layout.shapes:
            kind, ndim = (INTEGERS, 1) if name == "targets" else (FLOATS, 2)
            layout.must_be(path, name, kind, ndim)
    if "weights" in layout.shapes:
        layout.must_be(path, "weights", FLOATS, 1)
    return layout


def _names(path: Path, header: str | None) -> dict[str, Any]:
    if header is None:
        return {}
    try:
        found = parse_json(header)
    except (ValueError, RecursionError) as e:
        raise FileFormatError(
            f"{path}: the names beside the tensors are damaged ({str(e)[:200]}); write it again"
        ) from e
    if is_object(found) and found.get("format") != FORMAT:
        said = str(found.get("format"))[:60]
        raise FileFormatError(f"{path} has the format {said!r}; this version reads {FORMAT!r}")
    names = checked(_Names, found, path)
    return {"key_names": names.key_names, "value_names": names.value_names, "spec": names.spec}


def write_fields(path: Path, tensors: dict[str, Tensor], names: dict[str, Any]) -> Path:
    """Write keys, values and targets with their names and spec to a safetensors file.

    Raises:
        SettingError: another suffix.
        FactsError: a spec that JSON cannot hold, or more names than a safetensors header can.
        OutputError: the file could not be written.
    """
    if path.suffix.lower() != ".safetensors":
        raise SettingError(f"associations are written as .safetensors, not as {path.suffix!r}: {path}")
    try:
        header = json.dumps({"format": FORMAT, **names}, sort_keys=True)
    except (TypeError, ValueError) as e:
        raise FactsError(
            f"the spec cannot be written as JSON ({e}); use text, numbers, lists and dicts"
        ) from e
    if len(header) > MAX_HEADER:
        raise FactsError(
            f"the names take {len(header) / 1e6:.0f} MB but a safetensors header holds "
            f"{MAX_HEADER / 1e6:.0f} MB; store fewer facts in one file, or leave key_names out"
        )
    # Clones, as safetensors refuses tensors that share memory, which tied keys and values do. One entry in
    # the header, as several come out in a random order: the same facts shall be the same bytes.
    plain = {k: t.detach().cpu().clone(memory_format=torch.contiguous_format) for k, t in tensors.items()}
    raw = save(plain, metadata={_HEADER: header})
    with whole_file(path) as tmp:
        tmp.write_bytes(raw)
    return path


def check(keys: Tensor, values: Tensor, targets: Tensor) -> None:
    """Raise where tensors are no associations.

    Raises:
        ShapeError: shapes, dtypes or devices that do not fit each other.
        FactsError: NaN or infinite entries, targets out of range.
    """
    if keys.ndim != 2 or values.ndim != 2 or targets.ndim != 1:
        raise ShapeError(
            "keys are (N, d_in), values (M, d_out) and targets (N,); got "
            f"{tuple(keys.shape)}, {tuple(values.shape)} and {tuple(targets.shape)}"
        )
    if len(keys) != len(targets):
        raise ShapeError(f"{len(keys)} keys but {len(targets)} targets; give one target for each key")
    if not len(keys) or not len(values):
        raise FactsError(f"no facts: {len(keys)} keys and {len(values)} values; give at least one of each")
    if keys.dtype != values.dtype or not keys.is_floating_point():
        raise ShapeError(f"keys are {keys.dtype} and values {values.dtype}; give both in one float dtype")
    if keys.device != values.device or keys.device != targets.device:
        raise ShapeError(f"keys on {keys.device}, values on {values.device}: move them to one device")
    if targets.dtype != torch.int64:
        raise ShapeError(f"targets are {targets.dtype}; convert them with .long()")
    for what, t in (("keys", keys), ("values", values)):
        bad = (~torch.isfinite(t)).any(1).nonzero().flatten()
        if len(bad):
            raise FactsError(
                f"{len(bad)} rows of the {what} hold NaN or infinity, first row {int(bad[0])}; remove them"
            )
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= len(values):
        raise FactsError(
            f"targets run from {low} to {high} but there are {len(values)} values: use 0 to {len(values) - 1}"
        )
