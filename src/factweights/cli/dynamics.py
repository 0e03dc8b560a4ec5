"""``factweights dynamics``."""

from pathlib import Path
from typing import Any, Literal

from factweights.cli.options import Flag, Json, recall_task
from factweights.cli.output import say
from factweights.cli.tables import TableOptions, read_if

MOVING = 90  # times drawn in a folder of frames or an animation


def dynamics(
    *,
    subjects: int | None = None,
    relations: int | None = None,
    answers: int | None = None,
    table: Path | None = None,
    structured: Flag = False,
    noise: int | None = None,
    length: int = 32,
    alpha: float = 0.0,
    beta: float = 0.0,
    start: Literal["balanced", "uniform", "random"] | None = None,
    init: float = 1e-5,
    goal: float = 0.01,
    tolerance: float = 0.05,
    end: float | None = None,
    descend: Flag = False,
    rate: float = 0.1,
    steps: int = 8192,
    batch: int = 1024,
    attention: Literal["linear", "softmax"] = "linear",
    embeddings: Literal["one-hot", "random"] = "one-hot",
    d: int | None = None,
    seed: int = 0,
    reading: TableOptions | None = None,
    panel: Path | None = None,
    frames: Path | None = None,
    animation: Path | None = None,
    json: Json = False,
) -> None:
    """Follow a linear-attention model while it learns a recall task, and tell its stages.

    Solves the population's gradient flow exactly; no prompts are drawn. With `--descend` it takes steps of
    gradient descent on drawn prompts instead. The hallucination stage is where KL(p(·|r) ‖ p̂) ≤ tolerance:
    the relation is known and nothing of the subject.

    Example: `factweights dynamics --subjects 16 --relations 4 --answers 8 --init 1e-5 --json`

    Args:
        subjects: S of a random task.
        relations: R of a random task.
        answers: D, answers of each relation.
        table: A table of facts instead of a random task: CSV, TSV, JSON, JSON Lines or Parquet.
        structured: Subject s has answer ⌊sD/S⌋ of every relation, as in figure 5, instead of random answers.
        noise: Noise tokens; without it as many as subjects and relations.
        length: T, tokens of a prompt.
        alpha: Zipf exponent of the subjects.
        beta: Zipf exponent of the relations.
        start: Where training begins; balanced for the flow, uniform for descent.
        init: Size of the weights at the start.
        goal: Loss in nats that counts as learnt.
        tolerance: KL in nats that bounds the hallucination stage.
        end: Time at which the flow is left at the latest.
        descend: Take steps instead of solving the flow.
        rate: Learning rate of the steps.
        steps: How many.
        batch: Prompts for each step; 0 for the mean prompt.
        attention: Of the steps' model.
        embeddings: Of the steps' model.
        d: Dimension of random embeddings.
        seed: Of the task, a random start, and the prompts.
        panel: Picture of the probabilities at the ends of the stages (PNG, SVG or PDF).
        frames: Folder for the probabilities at ninety times, one PNG each.
        animation: GIF of the same.
    """
    from factweights.cli.output import must_take_picture, print_json
    from factweights.cli.progress import shown_progress
    from factweights.dynamics import descend as take_steps
    from factweights.dynamics import gradient_flow
    from factweights.errors import SettingError
    from factweights.folders import must_be_writable

    pictures = {"panel": panel, "frames": frames, "animation": animation}
    if descend and any(p is not None for p in pictures.values()):
        raise SettingError("--panel, --frames and --animation show the flow; leave --descend out")
    if panel is not None:
        must_take_picture(panel)
    if animation is not None:
        must_take_picture(animation, (".gif",))
    if frames is not None:
        must_be_writable(frames)
    facts = read_if(table, reading, "--table FILE")
    task = recall_task(
        subjects, relations, answers, facts, noise, length, alpha, beta, structured=structured, seed=seed
    )
    stops: dict[str, Any] = {"init": init, "goal": goal, "tolerance": tolerance, "seed": seed}
    with shown_progress() as on_progress:
        if descend:
            found: Any = take_steps(
                task,
                rate=rate,
                steps=steps,
                batch=batch or None,
                attention=attention,
                embeddings=embeddings,
                d=d,
                start=start or "uniform",
                **stops,
                on_progress=on_progress,
            )
        else:
            found = gradient_flow(task, start=start or "balanced", end=end, **stops, on_progress=on_progress)
            _draw(found, pictures)
    files = {name: str(path) for name, path in pictures.items() if path is not None}
    if json:
        told = found.to_dict()
        told["loss"] = told.get("loss") or list(zip(found.trace.times, found.trace.loss, strict=True))
        print_json({**told, "facts": len(task), **files})
        return
    say(found)
    for path in files.values():
        say(path)


def _draw(flow: Any, pictures: dict[str, Path | None]) -> None:
    """The pictures that were asked for."""
    if all(path is None for path in pictures.values()):
        return
    from factweights import plots

    if (path := pictures["panel"]) is not None:
        plots.save(plots.frames_panel(flow.frames(flow.telling_times())), path)
    moving = flow.frames(flow.spread_times(MOVING)) if pictures["frames"] or pictures["animation"] else {}
    if (path := pictures["frames"]) is not None:
        plots.save_frames(moving, path)
    if (path := pictures["animation"]) is not None:
        plots.animate(moving, path)
