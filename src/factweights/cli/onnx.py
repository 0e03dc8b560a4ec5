"""``factweights onnx``."""

from pathlib import Path

from factweights.cli.options import Json, NewOutput
from factweights.cli.output import emit


def onnx(
    folder: Path,
    /,
    *,
    to: NewOutput,
    json: Json = False,
) -> None:
    """Write a compiled model as one ONNX file, and ask it for every fact through onnxruntime.

    If a fact is missed nothing is written and the exit code is 1. Needs the extras [hf] and [onnx].

    Example: `factweights onnx countries-llama --out countries.onnx`

    Args:
        folder: What `factweights compile --out` wrote.
        to.out: The file.
        to.overwrite: Replace a file that is there.
    """
    from factweights.cli.progress import shown_progress
    from factweights.export import to_onnx

    with shown_progress() as on_progress:
        found = to_onnx(folder, on_progress=on_progress, **vars(to))
    emit(found, (found, f"saved to {to.out}"), json=json)
