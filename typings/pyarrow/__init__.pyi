from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from . import types as types

class ArrowException(Exception): ...
class DataType: ...

class BaseExtensionType(DataType):
    storage_type: DataType

class Schema:
    names: list[str]
    metadata: dict[bytes, bytes] | None

class Array:
    type: DataType
    def to_numpy(self, *, zero_copy_only: bool = True) -> NDArray[Any]: ...

class ChunkedArray:
    type: DataType

class Table:
    column_names: list[str]
    num_rows: int
    schema: Schema
    @classmethod
    def from_pandas(cls, frame: Any, **more: Any) -> Table: ...
    def column(self, i: int) -> ChunkedArray: ...

def array(cells: Sequence[Any]) -> Array: ...
def chunked_array(arrays: Sequence[Array], type: DataType) -> ChunkedArray: ...
def table(data: object) -> Table: ...
def int32() -> DataType: ...
def int64() -> DataType: ...
def string() -> DataType: ...
def __getattr__(name: str) -> Any: ...  # the rest is used by tests alone
