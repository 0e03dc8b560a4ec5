"""``factweights transformer``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from factweights.cli.options import Flag, Json, recall_task
from factweights.cli.output import say
from factweights.cli.tables import TableOptions, read_if

if TYPE_CHECKING:
    from factweights.facts import RecallTask
    from factweights.methods.recall import RecallMethod


def transformer(
    *,
    subjects: int | None = None,
    relations: int | None = None,
    answers: int | None = None,
    table: Path | None = None,
    noise: int | None = None,
    length: int = 32,
    alpha: float = 0.0,
    beta: float = 0.0,
    structured: Flag = False,
    method: str = "fit",
    d: int | None = None,
    heads: int | None = None,
    head_dim: int | None = None,
    width: int | None = None,
    size: Annotated[Literal["auto"] | None, Parameter(metavar="auto", show_choices=False)] = None,
    recall: float | None = None,
    setting: Annotated[
        list[str] | None,
        Parameter(name="--setting", metavar="KEY=VALUE", help="Setting of the method; may be repeated."),
    ] = None,
    draws: int = 16,
    seed: int = 0,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    reading: TableOptions | None = None,
    json: Json = False,
) -> None:
    """Write the facts of a recall task into a one-layer transformer and verify its prompts.

    A prompt holds a subject and a relation among noise tokens; the transformer answers at the last position.
    Recall is that of drawn prompts on plain attention; `margin_all_prompts` bounds the margin over every
    prompt of that length, and where it is positive no prompt is answered wrong.

    Example: `factweights transformer --subjects 8 --relations 4 --answers 4 --method attention-only`

    Args:
        subjects: S of a random task.
        relations: R of a random task.
        answers: D, answers of each relation.
        table: A table of facts instead of a random task: CSV, TSV, JSON, JSON Lines or Parquet.
        noise: Noise tokens; without it as many as subjects and relations.
        length: T, tokens of a prompt.
        alpha: Zipf exponent of the subjects.
        beta: Zipf exponent of the relations.
        structured: Subject s has answer ⌊sD/S⌋ of every relation, instead of random answers.
        method: `fit`, `attention-only`, `attention-mlp` or `paper-adam`.
        d: Dimension of the residual stream.
        heads: H.
        head_dim: Dimension of a head.
        width: Neurons of the MLP.
        size: `auto` finds the smallest d of attention-only, the shape of attention-mlp with the fewest
            parameters (the width alone, where `--d` is given), or else the smallest width.
        recall: Share of the prompts that must be answered right; for fit and paper-adam the aim of training.
        draws: Prompts for each fact in the final check.
        seed: Of the task, the embeddings, the method and the prompts.
        out: File for the weights (safetensors); without it nothing is saved.
    """
    import time

    from factweights.certificates import verify_prompts
    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress

    begun = time.perf_counter()
    facts = read_if(table, reading, "--table FILE")
    task = recall_task(
        subjects, relations, answers, facts, noise, length, alpha, beta, structured=structured, seed=seed
    )
    sizes = {"d": d, "heads": heads, "head_dim": head_dim, "width": width}
    with shown_progress() as on_progress:
        found = _solve(task, method, sizes, setting, recall, size == "auto", seed, on_progress)
        certificate = verify_prompts(found.memory, task, draws=draws, seed=seed)
        if out is not None:
            found.memory.save(out)
    seconds = time.perf_counter() - begun
    if json:
        extra = {
            "method": method,
            "sizes": {k: getattr(found.memory, k) for k in sizes},
            "steps": found.steps,
            "out": None if out is None else str(out),
        }
        named = certificate.to_dict()
        groups = {**named.pop("parameter_groups"), "total": certificate.parameters}
        print_json({**named, "parameters": groups, **extra, "seconds": seconds})
        return
    m = found.memory
    say(f"method              {method}: d = {m.d}, {m.heads} heads of {m.head_dim}, width {m.width}")
    say(certificate)
    say(f"steps               {found.steps:,} in {seconds:.3g} s with verification")
    say(f"saved to {out}" if out is not None else "not saved: give --out FILE to keep it")


def _solve(
    task: "RecallTask",
    name: str,
    sizes: dict[str, int | None],
    setting: list[str] | None,
    recall: float | None,
    auto: bool,
    seed: int,
    on_progress: Any,
) -> Any:
    from factweights.cli.options import build_recall_method
    from factweights.errors import SettingError
    from factweights.sizing import fewest_parameters, smallest_transformer

    def build(**more: int) -> "RecallMethod":
        return build_recall_method(name, setting, recall=recall, **{**sizes, **more})

    searched = "d" if name == "attention-only" else "width"
    if auto and sizes[searched] is not None:
        raise SettingError(f"--size auto looks for the smallest {searched}; leave --{searched} out")
    if auto and name == "attention-mlp" and sizes["d"] is None:
        dims = {} if sizes["head_dim"] is None else {"head_dims": (sizes["head_dim"],)}
        return fewest_parameters(task, build(), **dims, seed=seed, on_progress=on_progress)
    if not auto or name in ("attention-only", "attention-mlp"):  # these search when a size is left out
        return build().solve(task, seed=seed, on_progress=on_progress)
    return smallest_transformer(
        task, lambda width: build(width=width), recall=recall or 0.99, seed=seed, on_progress=on_progress
    )
