"""``factweights transformer``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from cyclopts import Parameter

from factweights.cli.options import Json, OutOrNot, Setting
from factweights.cli.output import emit
from factweights.cli.tables import TableOptions
from factweights.cli.tasks import TaskOptions

if TYPE_CHECKING:
    from factweights.certificates import PromptCertificate
    from factweights.facts import RecallTask
    from factweights.methods.recall import RecallMethod, RecallSolution
    from factweights.progress import OnProgress


@Parameter(name="*")
@dataclass(frozen=True)
class Build:
    """A transformer, and how its weights come about.

    Attributes:
        method: `fit`, `attention-only`, `attention-mlp`, `paper-adam`, or `fit-or-descend`,
            the better of fit and paper-adam.
        d: Dimension of the residual stream.
        heads: H.
        head_dim: Dimension of a head.
        width: Neurons of the MLP.
        size: `auto` finds the smallest d of attention-only, the shape of attention-mlp with the fewest
            parameters (the width alone, where `--d` is given), or else the smallest width.
        recall: Share of the prompts that must be answered right; for fit and paper-adam the aim of training.
    """

    method: str = "fit"
    d: int | None = None
    heads: int | None = None
    head_dim: int | None = None
    width: int | None = None
    size: Annotated[Literal["auto"] | None, Parameter(metavar="auto", show_choices=False)] = None
    recall: float | None = None
    setting: Setting = None

    def solve(self, task: "RecallTask", seed: int, on_progress: "OnProgress") -> "RecallSolution":
        """The weights for a task.

        Raises:
            SettingError: a size given that is to be searched, or a setting that cannot be.
        """
        from factweights.errors import SettingError
        from factweights.methods.recall import AttentionMLP
        from factweights.sizing import fewest_parameters, smallest_transformer

        auto, searched = self.size == "auto", "d" if self.method == "attention-only" else "width"
        if auto and getattr(self, searched) is not None:
            raise SettingError(f"--size auto looks for the smallest {searched}; leave --{searched} out")
        if auto and self.method == AttentionMLP.name and self.d is None:
            dims = {} if self.head_dim is None else {"head_dims": (self.head_dim,)}
            usual = cast(AttentionMLP, self._method())
            return fewest_parameters(task, usual, **dims, seed=seed, on_progress=on_progress)
        if not auto or self.method in ("attention-only", "attention-mlp"):  # these search what is left out
            return self._method().solve(task, seed=seed, on_progress=on_progress)
        return smallest_transformer(
            task,
            lambda width: self._method(width=width),
            recall=self.recall or 0.99,
            seed=seed,
            on_progress=on_progress,
        )

    def _method(self, **more: int) -> "RecallMethod":
        from factweights.cli.settings import build_recall_method

        sizes = {name: getattr(self, name) for name in SIZES}
        return build_recall_method(self.method, self.setting, recall=self.recall, **{**sizes, **more})


SIZES = ("d", "heads", "head_dim", "width")


def transformer(
    *,
    task: TaskOptions = TaskOptions(),
    build: Build = Build(),
    draws: int = 16,
    seed: int = 0,
    out: OutOrNot = None,
    reading: TableOptions = TableOptions(),
    json: Json = False,
) -> None:
    """Write the facts of a recall task into a one-layer transformer and verify its prompts.

    A prompt holds a subject and a relation among noise tokens; the transformer answers at the last position.
    Recall is that of drawn prompts on plain attention; `margin_all_prompts` bounds the margin over every
    prompt of that length, and where it is positive no prompt is answered wrong.

    Example: `factweights transformer --subjects 8 --relations 4 --answers 4 --method attention-only`

    Args:
        draws: Prompts for each fact in the final check.
        seed: Of the task, the embeddings, the method and the prompts.
        out: File for the weights (safetensors); without it nothing is saved.
    """
    import time

    from factweights.certificates import verify_prompts
    from factweights.cli.progress import shown_progress

    begun = time.perf_counter()
    asked = task.build(reading, seed)
    with shown_progress() as on_progress:
        found = build.solve(asked, seed, on_progress)
        certificate = verify_prompts(found.memory, asked, draws=draws, seed=seed)
        if out is not None:
            found.memory.save(out)
    m, seconds = found.memory, time.perf_counter() - begun
    lines = (
        f"method              {build.method}: d = {m.d}, {m.heads} heads of {m.head_dim}, width {m.width}",
        certificate,
        f"steps               {found.steps:,} in {seconds:.3g} s with verification",
        f"saved to {out}" if out is not None else "not saved: give --out FILE to keep it",
    )
    emit(_document(found, certificate, build.method, out, seconds), lines, json=json)


def _document(
    found: "RecallSolution", certificate: "PromptCertificate", method: str, out: Path | None, seconds: float
) -> dict[str, Any]:
    named = certificate.to_dict()
    groups = {**named.pop("parameter_groups"), "total": certificate.parameters}
    return {
        **named,
        "parameters": groups,
        "method": method,
        "sizes": {name: getattr(found.memory, name) for name in SIZES},
        "steps": found.steps,
        "out": None if out is None else str(out),
        "seconds": seconds,
    }
