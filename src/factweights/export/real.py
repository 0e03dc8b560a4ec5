"""What a compiled checkpoint answers, through transformers' own forward and nothing else."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates.margins import margins_of
from factweights.errors import FileFormatError, MissingExtraError, SettingError
from factweights.export.stock import must_be_stock
from factweights.progress import OnProgress, Progress, silent

SCORES = 1 << 23  # logits held at once


def transformers() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import transformers as package
    except ImportError as e:
        raise MissingExtraError("a compiled model", "hf") from e
    return package


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No bars and no hints of transformers within the block."""
    logging = transformers().utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


ATTENTIONS = ("sdpa", "eager")  # transformers' own; other names fetch code


def load(path: str | Path, *, attention: str = "sdpa") -> tuple[Any, Any]:
    """Model and tokenizer of a folder, in the saved dtype, as anybody would load them; never from a network.

    Its files are read first by :func:`must_be_stock`: no code of a folder is run, nothing is asked.

    Args:
        path: the folder.
        attention: one of ``ATTENTIONS``, whatever the folder says.

    Raises:
        FileFormatError: it is no checkpoint of a compiled model, or transformers cannot read it.
        SettingError: another attention.
    """
    package = transformers()
    if attention not in ATTENTIONS:
        raise SettingError(f"attention is one of {', '.join(ATTENTIONS)}, got {attention!r}")
    must_be_stock(Path(path))
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet():
            model = package.AutoModelForCausalLM.from_pretrained(
                str(path), dtype="auto", use_safetensors=True, attn_implementation=attention, **local
            )
            tokenizer = package.AutoTokenizer.from_pretrained(str(path), **local)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as e:  # the tokenizers' own errors are plain, and their panics no Exception at all
        raise FileFormatError(f"{path} is no checkpoint that transformers can load: {str(e)[:500]}") from e
    return model.eval(), tokenizer


@dataclass(frozen=True)
class Answered:
    """What came out.

    Attributes:
        best: ``(N,)`` token with the largest logit.
        margin: ``(N,)`` logit of the right token less the largest other one, in nats; NaN without a target.
        log_probability: ``(N,)`` of the right token.
    """

    best: Int[Tensor, " n"]
    margin: Float[Tensor, " n"]
    log_probability: Float[Tensor, " n"]

    @property
    def recall(self) -> float:
        """Share of positive margins: ties are misses."""
        return float((self.margin > 0).double().mean())


@torch.no_grad()
def answer(
    model: Any,
    ids: Sequence[Sequence[int]],
    targets: Sequence[int] | None = None,
    *,
    on_progress: OnProgress = silent,
    what: str = "prompts",
) -> Answered:
    """One forward pass of every prompt, in batches of prompts of equal length."""
    n = len(ids)
    best = torch.zeros(n, dtype=torch.int64)
    margin = torch.full((n,), math.nan, dtype=torch.float64)
    chance = torch.full((n,), math.nan, dtype=torch.float64)
    lengths: dict[int, list[int]] = {}
    for i, prompt in enumerate(ids):
        lengths.setdefault(len(prompt), []).append(i)
    done, size = 0, model.config.vocab_size
    for length, rows in lengths.items():
        batch = max(1, min(SCORES // size, (1 << 16) // length))
        for start in range(0, len(rows), batch):
            chosen = rows[start : start + batch]
            tokens = torch.tensor([list(ids[i]) for i in chosen])
            logits = model(input_ids=tokens, logits_to_keep=1, use_cache=False).logits[:, -1]
            best[chosen] = logits.argmax(1)
            if targets is not None:
                right = torch.tensor([targets[i] for i in chosen])
                own = logits.gather(1, right[:, None])[:, 0].double()
                chance[chosen] = own - logits.float().logsumexp(1).double()
                margin[chosen] = margins_of(logits, right)
            done += len(chosen)
            on_progress(Progress(done, n, f"{what}: {done:,} of {n:,}"))
    return Answered(best, margin, chance)
