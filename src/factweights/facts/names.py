"""The names of facts in a file of their own: a header of tensors holds no million of long ones."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from factweights.errors import FileFormatError
from factweights.folders import read_json, whole_file
from factweights.folders.jsons import checked

FORMAT = "factweights.names.1"
Pairs = tuple[tuple[str, str], ...]


class NamesFile(BaseModel):
    """The contents of ``names.json``.

    Attributes:
        key_names: (subject, relation) of each key, in the order of the keys.
        value_names: the answer that each value stands for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    key_names: Pairs | None
    value_names: tuple[str, ...] | None


def write_names(path: Path, key_names: Pairs | None, value_names: tuple[str, ...] | None) -> None:
    """Write names, whole or not at all.

    Raises:
        OutputError: the file could not be written.
    """
    found: dict[str, Any] = {"format": FORMAT, "key_names": key_names, "value_names": value_names}
    with whole_file(path) as tmp:
        tmp.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def read_names(path: Path) -> NamesFile:
    """Read what :func:`write_names` wrote.

    Raises:
        FileFormatError: foreign or damaged.
    """
    found = read_json(path)
    if found.get("format") != FORMAT:
        said = str(found.get("format"))[:60]
        raise FileFormatError(f"{path} has the format {said!r}; this version reads {FORMAT!r}")
    return checked(NamesFile, found, path)
