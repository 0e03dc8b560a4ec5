"""A compiled folder opened: what it says of itself, its facts, its model; all of one version, all checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factweights.export import real
from factweights.export.folder import Settings, read_settings, read_table
from factweights.facts import FactTable
from factweights.folders import one_version


@dataclass(frozen=True)
class Opened:
    """What lay in one folder at one moment.

    Attributes:
        settings: how it was made.
        table: its facts.
        model, tokenizer: as transformers loads them.
    """

    settings: Settings
    table: FactTable
    model: Any
    tokenizer: Any


def open_compiled(path: str | Path, *, attention: str = "sdpa") -> Opened:
    """Check every file of a compiled folder and load it.

    Args:
        path: what ``compile`` wrote.
        attention: which of transformers' own implementations is used, ``sdpa`` or ``eager``.

    Raises:
        FileNotFoundError: no such folder.
        FileFormatError: not a folder of ``compile``; TamperedError: a file is not the one that was saved.
    """

    def read(folder: Path) -> Opened:
        settings, table = read_settings(folder), read_table(folder)
        return Opened(settings, table, *real.load(folder, attention=attention))

    return one_version(path, read)
