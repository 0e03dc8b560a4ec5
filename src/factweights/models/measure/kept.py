"""Answers that are kept while a measurement runs, so that one that was stopped goes on where it was."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from factweights.folders import whole_file
from factweights.models.measure.asked import Block
from factweights.models.seam import LanguageModel

FOLDER = "asked"
FORMAT = "factweights.asked.1"


def fingerprint(lm: LanguageModel) -> str:
    """SHA-256 of every weight, the dtype and the vocabulary: equal models, equal answers."""
    found = hashlib.sha256(lm.dtype.encode())
    for name, weight in sorted(lm.model.state_dict().items()):
        found.update(name.encode())
        found.update(weight.detach().cpu().contiguous().flatten().view(dtype=_bytes()).numpy())
    vocabulary = json.dumps(sorted(lm.tokenizer.get_vocab().items()), ensure_ascii=True)
    found.update(vocabulary.encode())
    return found.hexdigest()


def _bytes() -> Any:
    import torch

    return torch.uint8


class Kept:
    """Blocks of answers by what was asked; in a folder, or nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else folder / FOLDER

    def path(self, asked: dict[str, Any]) -> Path | None:
        """Where the answers to this are kept."""
        if self.folder is None:
            return None
        text = json.dumps({"format": FORMAT, **asked}, sort_keys=True, ensure_ascii=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"

    def get(self, path: Path | None) -> Block | None:
        """The block, or None where there is none or it is damaged."""
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as found:
                return Block(
                    log_probability=found["log_probability"],
                    finished=found["finished"],
                    own=found["own"],
                    left=found["left"],
                    said=tuple(found["said"].tolist()),
                    tokens=int(found["tokens"]),
                )
        except (OSError, ValueError, KeyError, EOFError):
            return None  # asked again

    def put(self, path: Path | None, block: Block) -> None:
        """Keep a block; a cut-off run leaves whole files or none."""
        if path is None:
            return
        out = io.BytesIO()
        said = np.array(block.said, dtype=np.str_)
        np.savez_compressed(
            out,
            log_probability=block.log_probability,
            finished=block.finished,
            own=block.own,
            left=block.left,
            said=said,
            tokens=np.array(block.tokens),
        )
        with whole_file(path, durable=False) as tmp:
            tmp.write_bytes(out.getvalue())
