"""Options that several commands share, each described once: a command says more of one as ``name.field``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(show_default=False)]
Json = Annotated[
    bool,
    Parameter(name="--json", show_default=False, help="Print one JSON document and nothing else on stdout."),
]
Out = Annotated[Path, Parameter(name=["--out", "-o"])]
OutOrNot = Annotated[Path | None, Parameter(name=["--out", "-o"])]
# Spelt out again, as the original lies behind the import of numpy; a test compares the two.
Kind = Literal["spherical", "gaussian", "orthonormal", "spiked"]
Setting = Annotated[
    list[str] | None,
    Parameter(name="--setting", metavar="KEY=VALUE", help="Setting of the method; may be repeated."),
]
Seeds = Annotated[str, Parameter(metavar="COUNT|LIST")]
ModelDtype = Literal["auto", "float32", "bfloat16", "float16"]


@Parameter(name="*")
@dataclass(frozen=True)
class NewOutput:
    """Where the result goes.

    Attributes:
        out: Folder or file for the result.
        overwrite: Replace what is there.
    """

    out: Out
    overwrite: Flag = False


@Parameter(name="*")
@dataclass(frozen=True)
class Asking:
    """How a language model is asked.

    Attributes:
        template: A way to ask, such as 'The {relation} of {subject} is'; may be repeated.
        templates: TOML with a list for each relation: `"capital" = ["The capital of {subject} is", …]`.
    """

    template: Annotated[list[str] | None, Parameter(name="--template", metavar="TEXT")] = None
    templates: Annotated[Path | None, Parameter(name="--templates", metavar="FILE")] = None

    def wordings_of(self) -> dict[str, Any]:
        """As arguments of ``graft`` and ``measure``."""
        return {"templates": self.template, "templates_file": self.templates}


@Parameter(name="*")
@dataclass(frozen=True)
class Passes:
    """In which numbers and where a pretrained model runs.

    Attributes:
        dtype: Of the passes; the saved one if none is given.
        device: Where they run, such as cuda.
    """

    dtype: ModelDtype = "auto"
    device: str = "cpu"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RandomFacts:
    """Random facts by their sizes.

    Attributes:
        d: Dimension of the keys, and of the values unless `--d-out` says otherwise.
        outputs: How many values there are to choose from; without it every fact has its own.
        d_out: Dimension of the values.
        kind: How keys and values are drawn.
    """

    d: int
    outputs: int | None = None
    d_out: int | None = None
    kind: Kind = "spherical"
