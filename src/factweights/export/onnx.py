"""A compiled model as one ONNX file, and every fact asked of it through onnxruntime."""

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from factweights.errors import MissingExtraError, NotStorableError, OutputError
from factweights.export import real
from factweights.export.asking import ask_all, complete, said_of
from factweights.export.opening import open_compiled
from factweights.folders import must_take_file, whole_file
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown

COMPARED = 64  # prompts of each template whose logits are compared with transformers'


@dataclass(frozen=True)
class OnnxModel(Shown):
    """What :func:`to_onnx` wrote.

    Attributes:
        path: the file.
        facts: of the table.
        asked: how many of them were asked in at least one template; ``prompts`` were asked in all.
        recall: share of all facts that were asked, and whose answer had the largest logit in every prompt.
        min_margin: smallest logit of a right answer less the largest other one, in nats.
        difference: largest difference of a logit from transformers', both in float32, over the ``compared``
            prompts of all templates whose logits were compared.
        bytes: of the file.
        onnxruntime: its version.
        seconds: everything together.
    """

    path: Path
    facts: int
    asked: int
    prompts: int
    recall: float
    min_margin: float
    compared: int
    difference: float
    bytes: int
    onnxruntime: str
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {**asdict(self), "path": str(self.path)}

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        return [
            ("facts", f"{self.facts:,}, {self.asked:,} of them asked, in {self.prompts:,} prompts"),
            ("recall", f"{self.recall:.6g}"),
            ("min margin", f"{self.min_margin:.3g} nats"),
            (
                "logits",
                f"within {self.difference:.2g} of transformers', in float32, over {self.compared:,} prompts",
            ),
            ("measured", f"onnxruntime {self.onnxruntime}, {self.bytes / 1e6:.3g} MB, {self.seconds:.3g} s"),
        ]


def to_onnx(
    folder: str | Path, out: str | Path, *, overwrite: bool = False, on_progress: OnProgress = silent
) -> OnnxModel:
    """Write a compiled model as ONNX, and ask the file for every fact in every template.

    Inputs are ``input_ids`` and ``attention_mask``, int64 of shape (batch, tokens), the output ``logits`` is
    float32 of shape (batch, tokens, vocabulary). Weights saved in 16 bits are widened, which changes none.

    Args:
        folder: what :func:`compile_table` wrote.
        out: the file; it appears whole and verified, or not at all.
        overwrite: replace a file that is there.
        on_progress: told of every step.

    Raises:
        FileFormatError: the folder is not a compiled model.
        MissingExtraError: transformers, onnxscript or onnxruntime is not installed.
        NotStorableError: onnxruntime misses facts.
        OutputError: the file is there, or cannot be written.
    """
    begun = time.perf_counter()
    out = Path(out)
    must_take_file(out, overwrite=overwrite)
    opened, runtime = open_compiled(folder), _packages()
    settings, table, tokenizer = opened.settings, opened.table, opened.tokenizer
    vocabulary, model = settings.vocabulary, opened.model.float()
    with whole_file(out, overwrite=overwrite) as tmp:
        on_progress(Progress(0, None, "exporting"))
        _export(model, tmp)
        session = _Session(runtime, tmp, model.config)
        templates, _ = complete(settings.templates, vocabulary, table)
        asked = ask_all(session, tokenizer, vocabulary, table, templates, on_progress)
        difference = float(np.max([_difference(session, model, p.ids[:COMPARED]) for p in asked.prompts]))
        recall, size = float(asked.right.mean()), tmp.stat().st_size
        if recall < 1:
            never = f"; {said_of(asked.never)}" if asked.never else ""
            raise NotStorableError(
                f"onnxruntime {runtime.__version__} recalls {recall:.6g} of {len(table):,} facts, smallest "
                f"margin {asked.min_margin:.2g} nats, logits within {difference:.2g} of transformers'{never}"
                "; compile again" + ("" if asked.never else ", with more width")
            )
    return OnnxModel(
        path=out,
        facts=len(table),
        recall=recall,
        min_margin=asked.min_margin,
        asked=int((asked.times > 0).sum()),
        prompts=int(asked.times.sum()),
        compared=sum(len(p.ids[:COMPARED]) for p in asked.prompts),
        difference=difference,
        bytes=size,
        onnxruntime=runtime.__version__,
        seconds=time.perf_counter() - begun,
    )


def _packages() -> Any:
    real.transformers()
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch.onnx writes with it
    except ImportError as e:
        raise MissingExtraError("an ONNX file", "onnx") from e
    return onnxruntime


class _Logits(torch.nn.Module):
    """The model with two inputs and one output."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits


def _export(model: Any, path: Path) -> None:
    ids = torch.tensor([[1, 2, 3], [1, 3, 2]])
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2)}
    with _hushed():
        program = torch.onnx.export(
            _Logits(model),
            (ids, torch.ones_like(ids)),
            dynamo=True,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=(sizes, sizes),
            verbose=False,
        )
        if program is None:  # the exporter that dynamo replaced writes files itself
            raise OutputError(f"torch {torch.__version__} exported nothing; use torch 2.6 or newer")
        program.save(str(path), external_data=False)


class _Session:
    """onnxruntime called as transformers' model is, so that both are asked by the same code."""

    def __init__(self, runtime: Any, path: Path, config: Any) -> None:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.config = config
        source = path.read_bytes()  # a name without .onnx it would not read
        self._run = runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"]).run

    def __call__(self, *, input_ids: Tensor, **_: Any) -> Any:
        ids = input_ids.numpy()
        (logits,) = self._run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return SimpleNamespace(logits=torch.from_numpy(logits))


@torch.no_grad()
def _difference(session: _Session, model: Any, prompts: Any) -> float:
    found = []
    for prompt in prompts:
        ids = torch.tensor([list(prompt)])
        found.append(float((session(input_ids=ids).logits - model(input_ids=ids).logits).abs().max()))
    return float(np.max(found))  # a NaN stays one, and of no prompts there is no largest


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """The exporter tells of its steps and of torchvision; nobody needs to hear."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
