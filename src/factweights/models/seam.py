"""The one seam to transformers: load any causal language model offline, and run it in batches.

Everything here works on token ids in batches of equal length, so that no padding and no attention mask is
needed and any architecture answers as it would one prompt at a time.
"""

import copy
import difflib
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.errors import FactweightsError, FileFormatError, SettingError
from factweights.export.real import quiet, transformers
from factweights.progress import OnProgress, Progress, silent

__all__ = [
    "DTYPES",
    "LanguageModel",
    "MemoryShortError",
    "NoCausalModelError",
    "fork",
    "in_batches",
    "load",
    "out_of_memory",
    "quiet",
    "transformers",
]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ATTENTIONS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
ROUNDING = 64  # units of the dtype by which an earlier token's logits may differ when later tokens change


class NoCausalModelError(FileFormatError):
    """A checkpoint that is no causal language model."""


class MemoryShortError(FactweightsError, MemoryError):
    """Not even one row fits into memory."""


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model of transformers with its tokenizer, in evaluation mode.

    Attributes:
        model, tokenizer: as transformers gives them.
        source: the folder or name it came from.
    """

    model: Any
    tokenizer: Any
    source: str

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> str:
        """Of the weights: float32, bfloat16 or float16."""
        return str(next(self.model.parameters()).dtype).removeprefix("torch.")

    @cached_property
    def parameters(self) -> int:
        """Scalars of all weights, tied ones once."""
        return sum({id(p): p.numel() for p in self.model.parameters()}.values())

    @cached_property
    def context(self) -> int | None:
        """Longest text in tokens; None where the configuration does not say."""
        config = self.model.config.get_text_config()
        for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
            if isinstance(size := getattr(config, name, None), int) and size > 0:
                return size
        return None

    @cached_property
    def stops(self) -> frozenset[int]:
        """Ids that end a text, by the generation settings, the configuration and the tokenizer."""
        found: set[int] = set()
        for holder in (getattr(self.model, "generation_config", None), self.model.config, self.tokenizer):
            given = getattr(holder, "eos_token_id", None)
            found.update(given if isinstance(given, (list, tuple)) else [] if given is None else [given])
        return frozenset(int(i) for i in found)

    @cached_property
    def caches(self) -> bool:
        """Whether a prompt's keys and values can be kept and continued from by several continuations."""
        past = self.forward(torch.tensor([self._probe[:2]]), cache=True)[1]
        layers = getattr(past, "layers", None)
        return bool(layers) and all(_plain(layer) for layer in layers)

    @cached_property
    def _probe(self) -> list[int]:
        """Three ordinary tokens; different ones where the vocabulary has them."""
        size = self.model.get_input_embeddings().weight.shape[0]
        return [size // 2, size // 3, max(0, size - 1 - size // 4)]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with what the tokenizer puts before a text and without what it puts after.

        A tokenizer may end a text with a stop of its own; a prompt that is to be continued must not have it.
        """
        if not texts:
            return []
        ids = [list(i) for i in self.tokenizer(list(texts), verbose=False).input_ids]
        tail = self._tail
        return [i[: len(i) - tail] if tail else i for i in ids]

    @cached_property
    def _tail(self) -> int:
        """How many special tokens the tokenizer puts after a text."""
        whole = list(self.tokenizer("a").input_ids)
        bare = list(self.tokenizer("a", add_special_tokens=False).input_ids)
        if not bare:
            return 0
        at = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
        return max(0, len(whole) - at - len(bare))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special ones left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    @cached_property
    def _takes_keep(self) -> bool:
        return "logits_to_keep" in inspect.signature(self.model.forward).parameters

    @torch.no_grad()
    def forward(
        self, ids: Int[Tensor, "b t"], past: Any = None, *, keep: int = 0, cache: bool = False
    ) -> tuple[Float[Tensor, "b k v"], Any]:
        """Logits in float32 of the last ``keep`` positions (0 for all), and the cache if asked for.

        Args:
            ids: ``(b, t)`` tokens, all rows of one length; on any device.
            past: what an earlier call returned, or a :func:`fork` of it; it is used up.
            keep: positions from the end.
            cache: whether to return keys and values.
        """
        more: dict[str, Any] = {"logits_to_keep": keep} if keep and self._takes_keep else {}
        out = self.model(
            input_ids=ids.to(self.device), past_key_values=past, use_cache=cache or past is not None, **more
        )
        logits = out.logits[:, -keep:] if keep else out.logits
        return logits.float(), getattr(out, "past_key_values", None) if cache else None


def _plain(layer: Any) -> bool:
    """A layer of a cache that holds one key and value for each position and can be copied by rows."""
    whole = isinstance(getattr(layer, "keys", None), Tensor) and hasattr(layer, "batch_select_indices")
    return whole and not getattr(layer, "is_linear", False) and type(layer).__name__.startswith("Dynamic")


def fork(past: Any, rows: Int[Tensor, " r"]) -> Any:
    """A copy of the chosen rows of a cache, with repeats; the old one stays as it was."""
    new = copy.copy(past)
    new.layers = [copy.copy(layer) for layer in past.layers]
    new.batch_select_indices(rows)  # binds new tensors, does not write into the old ones
    return new


def load(
    source: str | Path,
    *,
    dtype: str = "auto",
    device: str | torch.device = "cpu",
    attention: str | None = None,
) -> LanguageModel:
    """A causal language model and its tokenizer from a folder, or by a name that is in the local cache.

    Never reaches for a network and never runs code that lies in the folder.

    Args:
        source: a folder that ``from_pretrained`` reads, or a name whose files are already here.
        dtype: ``auto`` for the saved one, or ``float32``, ``bfloat16``, ``float16``.
        device: where to put it.
        attention: transformers' ``attn_implementation``, one of ``ATTENTIONS``.

    Raises:
        FileNotFoundError: no such folder and nothing of that name in the cache, with the nearest names.
        NoCausalModelError: a checkpoint of another kind: no head over the vocabulary, or one whose tokens
            see the ones after them.
        FileFormatError: transformers cannot read it, or it would make up missing weights.
        SettingError: a dtype or device that there is not.
        MissingExtraError: transformers is not installed.
    """
    package = transformers()
    if dtype not in ("auto", *DTYPES):
        raise SettingError(f"dtype is auto, {', '.join(DTYPES)}; got {dtype!r}")
    place, path = _device(device), Path(source)
    offline: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with quiet():
        config = _config(package, source, offline)
        _must_be_causal(package, config, source)
        _must_attend_here(config, source, attention)
        more = offline | ({} if attention is None else {"attn_implementation": attention})
        name = str(path) if path.exists() else str(source)
        try:
            model, info = package.AutoModelForCausalLM.from_pretrained(
                name, dtype=DTYPES.get(dtype, dtype), output_loading_info=True, **more
            )
            tokenizer = package.AutoTokenizer.from_pretrained(name, **offline)
        except Exception as e:  # foreign files make transformers raise nearly anything
            if isinstance(e, (MemoryError, FactweightsError)) or out_of_memory(e):
                raise
            raise FileFormatError(
                f"{source} is no checkpoint that transformers {package.__version__} can load: {_short(e)}"
            ) from e
    if missing := sorted(info["missing_keys"]):
        raise FileFormatError(
            f"{source} lacks {len(missing)} weights of {type(model).__name__} ({', '.join(missing[:3])}, …), "
            "which transformers would draw at random; is the folder whole?"
        )
    found = LanguageModel(model.eval().to(place), tokenizer, str(source))
    _must_look_back(found)
    return found


def _config(package: Any, source: str | Path, offline: dict[str, Any]) -> Any:
    path = Path(source)
    if path.is_file():
        raise FileFormatError(f"{source} is a file; give the folder that holds config.json")
    if path.is_dir() and not (path / "config.json").is_file():
        held = ", ".join(sorted(f.name for f in path.iterdir())[:5]) or "nothing"
        raise FileFormatError(f"{source} has no config.json (it holds {held}); give a Hugging Face folder")
    if not path.exists() and _looks_local(source):
        raise FileNotFoundError(f"no folder at {source}{_nearest(path)}")
    try:
        return package.AutoConfig.from_pretrained(str(source), **offline)
    except Exception as e:
        if not path.exists():
            raise FileNotFoundError(
                f"no folder at {source}{_nearest(path)}, and nothing of that name in the local cache "
                "(factweights downloads nothing)"
            ) from e
        raise FileFormatError(f"{source}/config.json means nothing to transformers: {_short(e)}") from e


def _must_attend_here(config: Any, source: str | Path, attention: str | None) -> None:
    """transformers takes any other name for a kernel to fetch and run."""
    named = attention or getattr(config, "_attn_implementation", None)
    if named not in (None, *ATTENTIONS):
        raise FileFormatError(
            f"{source} asks for the attention {str(named)[:60]!r}; give attention= one of "
            f"{', '.join(ATTENTIONS)}"
        )


def _looks_local(source: str | Path) -> bool:
    text = str(source)
    return (isinstance(source, Path) and source.is_absolute()) or text.startswith((".", "~", "/", "\\"))


def _nearest(path: Path) -> str:
    """Folders beside the missing one whose names look like it."""
    parent = next((p for p in path.absolute().parents if p.is_dir()), Path.cwd())
    wanted = path.absolute().relative_to(parent).parts[0]
    folders = [f.name for f in os.scandir(parent) if f.is_dir() and not f.name.startswith(".")]
    close = difflib.get_close_matches(wanted, folders, n=3, cutoff=0.5)
    return "; did you mean " + " or ".join(repr(str(parent / c)) for c in close) + "?" if close else ""


def _must_be_causal(package: Any, config: Any, source: str | Path) -> None:
    known = package.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    named = list(getattr(config, "architectures", None) or ())
    heads = {n for v in known.values() for n in ([v] if isinstance(v, str) else v)}
    if config.model_type not in known or (named and not heads.intersection(named)):
        what = ", ".join(named) or f"a model of type {config.model_type!r}"
        raise NoCausalModelError(
            f"{source} is no causal language model but {what}; give one that writes text from left to right"
        )


@torch.no_grad()
def _must_look_back(found: LanguageModel) -> None:
    """Two texts that differ in their later tokens must have the same logits before them."""
    a, b, c = found._probe
    if b == c:
        return
    logits = found.forward(torch.tensor([[a, *[b] * 7], [a, *[c] * 7]]))[0][:, 0].log_softmax(-1)
    if not torch.isfinite(logits).all():
        raise FileFormatError(
            f"{found.source} has logits that are not finite in {found.dtype}; load it with another dtype"
        )
    near = ROUNDING * torch.finfo(next(found.model.parameters()).dtype).eps * (1 + float(logits.abs().max()))
    if float((logits[0] - logits[1]).abs().max()) > near:
        raise NoCausalModelError(
            f"{found.source} is no causal language model: a token's logits depend on the tokens after it"
        )


def _device(device: str | torch.device) -> torch.device:
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as e:
        raise SettingError(f"no device {str(device)!r} here ({_short(e)}); cpu is always there") from e
    return place


def _short(e: Exception) -> str:
    return " ".join(str(e).split())[:300]


def out_of_memory(e: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    text = str(e).lower()
    return isinstance(e, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(e, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def in_batches(
    rows: int,
    size: int,
    work: Callable[[int, int], None],
    *,
    on_progress: OnProgress = silent,
    what: str = "rows",
) -> int:
    """Call ``work(start, stop)`` over all rows; where memory runs out, halve the batch, say so and go on.

    Returns:
        The batch that was used in the end.

    Raises:
        MemoryShortError: one row alone is too much.
    """
    start = 0
    while start < rows:
        stop = min(rows, start + size)
        try:
            work(start, stop)
        except Exception as e:
            if not out_of_memory(e):
                raise
            if stop - start == 1:
                raise MemoryShortError(
                    f"memory does not suffice for a single one of the {what}; use a smaller dtype, a shorter "
                    "text, or a machine with more"
                ) from e
            size = (stop - start) // 2
            on_progress(Progress(start, rows, f"out of memory: going on with batches of {size:,} {what}"))
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        start = stop
    return size
