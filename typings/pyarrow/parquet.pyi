from io import BytesIO
from os import PathLike
from typing import Any, Self

from . import Schema, Table

class FileMetaData:
    num_columns: int
    num_rows: int

class ParquetFile:
    metadata: FileMetaData
    schema_arrow: Schema
    def __init__(self, source: str | PathLike[str]) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def read(self, columns: list[str] | None = None) -> Table: ...

def write_table(table: Table, where: str | PathLike[str] | BytesIO, **more: Any) -> None: ...
