"""Keys, values and targets: the one thing every memory stores."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.domains import Count, Dimension, Seed, checked, must_fit
from factweights.errors import FactsError, SettingError, ShapeError
from factweights.facts.embeddings import Kind, draw_rows, embed
from factweights.facts.tensors import as_targets, as_tensor, check, read_fields, read_row, write_fields
from factweights.facts.weights import as_weights, check_weights, normalised
from factweights.seeds import generators
from factweights.typed import integers

Assignment = Literal["uniform", "balanced"]


@dataclass(frozen=True, eq=False)
class Associations:
    """N facts: key i is to be answered with value ``targets[i]`` out of M.

    Attributes:
        keys: ``(N, d_in)``.
        values: ``(M, d_out)``, same dtype and device as the keys.
        targets: ``(N,)`` int64 in ``[0, M)``.
        key_names: ``(subject, relation)`` of each key, where the facts came from a table.
        value_names: the answer each value stands for, likewise.
        spec: how the facts were made, where they can be made again.
        weights: ``(N,)`` float64, p(x): how often each fact is asked, adding up to 1; None for equally often.

    Raises:
        ShapeError: shapes, dtypes or devices that do not fit each other.
        FactsError: NaN or infinite entries, targets out of range.
    """

    keys: Float[Tensor, "n d_in"]
    values: Float[Tensor, "m d_out"]
    targets: Int[Tensor, " n"]
    key_names: tuple[tuple[str, str], ...] | None = None
    value_names: tuple[str, ...] | None = None
    spec: dict[str, Any] = field(default_factory=dict[str, Any])
    weights: Float[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        check(self.keys, self.values, self.targets)
        if self.weights is not None:
            check_weights(self.weights, self.keys)
        for what, names, n in (
            ("key", self.key_names, self.n_facts),
            ("value", self.value_names, self.n_outputs),
        ):
            if names is not None and len(names) != n:
                raise ShapeError(f"{len(names)} {what} names for {n} {what}s; give one each")

    # -- sizes -------------------------------------------------------------------------------------------

    @property
    def n_facts(self) -> int:
        """N, the number of facts."""
        return self.keys.shape[0]

    @property
    def n_outputs(self) -> int:
        """M, the number of values to choose from."""
        return self.values.shape[0]

    @property
    def d_in(self) -> int:
        """Dimension of a key."""
        return self.keys.shape[1]

    @property
    def d_out(self) -> int:
        """Dimension of a value."""
        return self.values.shape[1]

    def __len__(self) -> int:
        return self.n_facts

    def __repr__(self) -> str:
        made = f", {self.spec['kind']}, seed {self.spec['seed']}" if self.spec.get("kind") else ""
        return (
            f"Associations({self.n_facts:,} facts, {self.n_outputs:,} outputs, "
            f"d_in {self.d_in}, d_out {self.d_out}{made}, {str(self.keys.dtype).removeprefix('torch.')})"
        )

    # -- the same facts otherwise ------------------------------------------------------------------------

    def to(
        self, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> "Associations":
        """The same facts on another device or in another dtype."""
        return replace(
            self,
            keys=self.keys.to(device=device, dtype=dtype),
            values=self.values.to(device=device, dtype=dtype),
            targets=self.targets.to(device=device),
            weights=None if self.weights is None else self.weights.to(device=device),
        )

    def weighted(self, weights: Any) -> "Associations":
        """The same facts asked with frequencies proportional to ``weights`` ``(N,)``.

        ``verify`` tells weighted recall then; of the methods, ``hebbian`` heeds them.

        Raises:
            ShapeError: another number of weights than facts.
            FactsError: weights that are negative, not finite, or all 0.
        """
        return replace(self, weights=as_weights(weights, self.keys))

    def subset(self, rows: Tensor | slice) -> "Associations":
        """Some of the facts, all of the values; their weights add up to 1 again."""
        if isinstance(rows, slice):
            rows = torch.arange(self.n_facts)[rows]
        names = self.key_names
        picked = None if names is None else tuple(names[i] for i in integers(rows))
        rows = rows.to(self.keys.device)
        weights = None if self.weights is None else normalised(self.weights[rows])
        return replace(
            self, keys=self.keys[rows], targets=self.targets[rows], key_names=picked, spec={}, weights=weights
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of dtype, shapes and little-endian contents: equal facts, equal hash, on any machine."""
        h = hashlib.sha256(b"factweights.associations.1")
        weights = () if self.weights is None else (self.weights,)
        for t in (self.keys, self.values, self.targets, *weights):
            name = str(t.dtype).removeprefix("torch.")
            t = t.detach().cpu().contiguous()
            a = (t.view(torch.int16) if name == "bfloat16" else t).numpy()  # numpy has no bfloat16
            h.update(f"{name}{a.shape}".encode())
            h.update(np.ascontiguousarray(a, dtype=a.dtype.newbyteorder("<")).tobytes())
        return h.hexdigest()

    # -- makers ------------------------------------------------------------------------------------------

    @classmethod
    def spherical(cls, n: int, d: int, **settings: Any) -> "Associations":
        """Keys and values uniform on the unit sphere. Settings as in :meth:`random`."""
        return cls.random("spherical", n, d, **settings)

    @classmethod
    def gaussian(cls, n: int, d: int, **settings: Any) -> "Associations":
        """Keys and values with entries N(0, 1/d). Settings as in :meth:`random`."""
        return cls.random("gaussian", n, d, **settings)

    @classmethod
    def orthonormal(cls, n: int, d: int, **settings: Any) -> "Associations":
        """Orthonormal keys and values, n ≤ d. Settings as in :meth:`random`."""
        return cls.random("orthonormal", n, d, **settings)

    @classmethod
    def spiked(cls, n: int, d: int, **settings: Any) -> "Associations":
        """Anisotropic keys and values. Settings as in :meth:`random`."""
        return cls.random("spiked", n, d, **settings)

    @classmethod
    @checked
    def random(
        cls,
        kind: Kind,
        n: Count,
        d: Dimension,
        *,
        seed: Seed = 0,
        d_out: Dimension | None = None,
        outputs: Count | None = None,
        assignment: Assignment = "uniform",
        tied: bool = False,
        dtype: torch.dtype = torch.float64,
        **shape: Any,
    ) -> "Associations":
        """Random facts; the same spec gives the same bits on every machine.

        Args:
            kind: see :func:`factweights.facts.embeddings.embed`, which also takes ``**shape``.
            n: number of facts N.
            d: dimension of the keys, and of the values unless ``d_out`` says otherwise.
            seed: the only source of randomness.
            outputs: M. None gives injective facts, one value per key (M = N). Otherwise answers are
                drawn ``uniform`` or dealt out ``balanced`` (fact i gets value i mod M).
            tied: the values are the keys themselves and the facts a random permutation of them.
            dtype: facts are drawn in float64 and rounded to this.

        With untied facts those of ``n`` are the first ``n`` of any larger set with the same seed.
        """
        if tied and (outputs not in (None, n) or d_out not in (None, d)):
            raise SettingError(
                "tied facts use one table for keys and values: leave outputs and d_out out",
                fields=("outputs", "d_out"),
            )
        most = n if outputs is None else outputs
        must_fit(8 * (n * d + most * (d_out or d)), f"{n:,} keys and {most:,} values", ("n", "d", "outputs"))
        key_rng, value_rng, target_rng = generators(seed, 3)
        keys = embed(kind, key_rng, n, d, **shape)
        m = n if outputs is None else outputs
        values = keys if tied else embed(kind, value_rng, m, d if d_out is None else d_out, **shape)
        if tied:
            targets = target_rng.permutation(n)
        elif outputs is None:
            targets = np.arange(n)
        elif assignment == "balanced":
            targets = np.arange(n) % m
        else:
            targets = target_rng.integers(0, m, size=n)
        spec = {"kind": kind, "n": n, "d": d, "seed": seed, "d_out": d_out, "outputs": outputs}
        spec |= {"assignment": assignment, "tied": tied, **shape}
        return cls(
            torch.as_tensor(keys).to(dtype),
            torch.as_tensor(values).to(dtype),
            torch.as_tensor(targets.astype(np.int64)),
            spec=spec,
        )

    @classmethod
    def from_tensors(
        cls,
        keys: Any,
        values: Any,
        targets: Any = None,
        *,
        key_names: Iterable[tuple[str, str]] | None = None,
        value_names: Iterable[str] | None = None,
        spec: dict[str, Any] | None = None,
        weights: Any = None,
    ) -> "Associations":
        """Facts of your own. Tensors are shared, not copied; arrays and rows of numbers are copied.

        Args:
            keys: ``(N, d_in)``, a tensor, an array or rows of numbers, which take the other dtype or float64.
            values: ``(M, d_out)``, likewise, of the same dtype and on the same device.
            targets: ``(N,)`` of any integer dtype; None answers the i-th key with the i-th value.
            key_names: ``(subject, relation)`` of each key.
            value_names: the answer each value stands for.
            spec: how the facts were made, as JSON can hold it.
            weights: ``(N,)`` how often each fact is asked, as in :meth:`weighted`; None for equally often.

        Raises:
            ShapeError: shapes, dtypes or devices that do not fit each other.
            FactsError: NaN or infinite entries, targets out of range.
        """
        dtypes = [as_tensor("", x).dtype for x in (keys, values) if isinstance(x, (Tensor, np.ndarray))]
        dtype = dtypes[0] if dtypes else torch.float64
        k, v = as_tensor("keys", keys, dtype), as_tensor("values", values, dtype)
        for what, t in (("keys", k), ("values", v)):
            if t.ndim != 2:
                raise ShapeError(f"{what} are {tuple(t.shape)}; give rows: (number of {what}, dimension)")
        return cls(
            k,
            v,
            as_targets(targets, k, v),
            key_names=None if key_names is None else tuple((s, r) for s, r in key_names),
            value_names=None if value_names is None else tuple(value_names),
            spec=spec or {},
            weights=None if weights is None else as_weights(weights, k),
        )

    @classmethod
    @checked
    def from_embeddings(
        cls,
        embeddings: Tensor,
        n: Count,
        *,
        seed: Seed = 0,
        outputs: Count | None = None,
        tied: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> "Associations":
        """Facts between rows of a table of embeddings, such as the token embeddings of a language model.

        Args:
            embeddings: ``(R, d)``; rows are taken as they are, lengths included.
            n: number of facts N ≤ R; their keys are N different rows.
            seed: the only source of randomness.
            outputs: M different rows to be values, answers drawn uniformly. None gives injective facts.
            tied: the values are the keys themselves and the facts a random permutation of them.
            dtype: of the facts.

        Untied, injective facts of ``n`` are the first ``n`` of any larger set with the same seed.

        Raises:
            SettingError: more keys or values than rows, or ``tied`` with ``outputs``.
        """
        if tied and outputs not in (None, n):
            raise SettingError("tied facts use one table for keys and values: leave outputs out")
        key_rng, value_rng, target_rng = generators(seed, 3)
        m, rows = n if outputs is None else outputs, embeddings.detach().cpu().to(dtype)
        keys = rows[draw_rows(key_rng, len(rows), n)]
        values = keys if tied else rows[draw_rows(value_rng, len(rows), m)]
        if tied:
            targets = target_rng.permutation(n)
        else:
            targets = np.arange(n) if outputs is None else target_rng.integers(0, m, size=n)
        spec = {"rows": len(rows), "n": n, "seed": seed, "outputs": outputs, "tied": tied}
        return cls(keys, values, torch.as_tensor(targets.astype(np.int64)), spec=spec)

    # -- files -------------------------------------------------------------------------------------------

    @classmethod
    def read(
        cls, path: str | Path, *, values: str | Path | None = None, targets: str | Path | None = None
    ) -> "Associations":
        """Facts from a .safetensors or .npz file with tensors ``keys``, ``values`` and perhaps ``targets``.

        Or from an .npy file of keys, with others for ``values`` and ``targets``. Pickles are refused.

        Raises:
            FileNotFoundError: no such file.
            FileFormatError: foreign or truncated contents, tensors missing.
            ShapeError, FactsError: as in :meth:`from_tensors`.
        """
        more = [None if p is None else Path(p) for p in (values, targets)]
        fields = read_fields(Path(path), *more)
        try:
            return cls.from_tensors(**fields)
        except (ShapeError, FactsError) as e:
            raise type(e)(f"{path}: {e}") from e

    @classmethod
    def read_row(cls, path: str | Path, row: int, of: int) -> "Associations":
        """One of the ``of`` facts in a .safetensors file, and all values; the other keys are not read.

        Raises:
            FileFormatError, ShapeError, FactsError: as in :meth:`read`; or not that many facts.
        """
        keys, values, targets = read_row(Path(path), row, of)
        try:
            return cls(keys, values, targets)
        except (ShapeError, FactsError) as e:
            raise type(e)(f"{path}: {e}") from e

    def write(self, path: str | Path) -> Path:
        """Write one .safetensors file with names and spec, whole or not at all; :meth:`read` gives it back.

        Raises:
            SettingError: another suffix.
            OutputError: the file could not be written.
        """
        names = {"key_names": self.key_names, "value_names": self.value_names, "spec": self.spec}
        tensors = {"keys": self.keys, "values": self.values, "targets": self.targets}
        if self.weights is not None:
            tensors["weights"] = self.weights
        return write_fields(Path(path), tensors, names)
