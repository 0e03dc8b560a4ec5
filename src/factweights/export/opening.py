"""A compiled folder opened: what it says of itself, its facts, its model; all of one version, all checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factweights.errors import TamperedError
from factweights.export import real
from factweights.export.folder import SETTINGS, Settings, read_settings, read_table
from factweights.export.stock import must_list_all
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
        settings = read_settings(folder)
        table = read_table(folder, settings)
        must_list_all(folder, {SETTINGS, *settings.files})
        model, tokenizer = real.load(folder, attention=attention)
        config = model.config
        said = (len(settings.tokens), settings.residual.hidden, settings.residual.heads)
        if said != (config.vocab_size, config.hidden_size, config.num_attention_heads):
            raise TamperedError(f"{folder}: {SETTINGS} tells of another model; copy the whole folder")
        if len(tokenizer) != len(settings.tokens):
            raise TamperedError(f"{folder}: the tokenizer has other tokens than {SETTINGS} tells of")
        return Opened(settings, table, model, tokenizer)

    return one_version(path, read)
