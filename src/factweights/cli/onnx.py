"""``factweights onnx``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from factweights.cli.options import Flag, Json
from factweights.cli.output import say


def onnx(
    folder: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    overwrite: Flag = False,
    json: Json = False,
) -> None:
    """Write a compiled model as one ONNX file, and ask it for every fact through onnxruntime.

    If a fact is missed nothing is written and the exit code is 1. Needs the extras [hf] and [onnx].

    Example: `factweights onnx countries-llama --out countries.onnx`

    Args:
        folder: What `factweights compile --out` wrote.
        out: The file.
        overwrite: Replace a file that is there.
    """
    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.export import to_onnx

    with shown_progress() as on_progress:
        found = to_onnx(folder, out, overwrite=overwrite, on_progress=on_progress)
    if json:
        print_json(found.to_dict())
        return
    say(found)
    say(f"saved to {out}")
