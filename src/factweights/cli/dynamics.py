"""``factweights dynamics``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Parameter

from factweights.cli.options import Flag, Json
from factweights.cli.output import emit
from factweights.cli.tables import TableOptions
from factweights.cli.tasks import TaskOptions

if TYPE_CHECKING:
    from factweights.dynamics import Descent, Flow
    from factweights.facts import RecallTask
    from factweights.progress import OnProgress

MOVING = 90  # times drawn in a folder of frames or an animation


@Parameter(name="*")
@dataclass(frozen=True)
class Steps:
    """Steps of gradient descent.

    Attributes:
        rate: Learning rate of the steps.
        steps: How many.
        batch: Prompts for each step; 0 for the mean prompt.
        attention: Of the steps' model.
        embeddings: Of the steps' model.
        d: Dimension of random embeddings.
    """

    rate: float = 0.1
    steps: int = 8192
    batch: int = 1024
    attention: Literal["linear", "softmax"] = "linear"
    embeddings: Literal["one-hot", "random"] = "one-hot"
    d: int | None = None


@Parameter(name="*")
@dataclass(frozen=True)
class Pictures:
    """Pictures of the flow.

    Attributes:
        panel: Picture of the probabilities at the ends of the stages (PNG, SVG or PDF).
        frames: Folder for the probabilities at ninety times, one PNG each.
        animation: GIF of the same.
    """

    panel: Path | None = None
    frames: Path | None = None
    animation: Path | None = None

    def files(self) -> dict[str, str]:
        """Those that are asked for."""
        return {name: str(path) for name, path in vars(self).items() if path is not None}

    def must_be_possible(self, descend: bool) -> None:
        """Say before the work what cannot be drawn or written.

        Raises:
            SettingError: pictures of steps, or another suffix. OutputError: a place that cannot be written.
        """
        from factweights.cli.output import must_take_picture
        from factweights.errors import SettingError
        from factweights.folders import must_be_writable

        if descend and self.files():
            raise SettingError("--panel, --frames and --animation show the flow; leave --descend out")
        if self.panel is not None:
            must_take_picture(self.panel)
        if self.animation is not None:
            must_take_picture(self.animation, (".gif",))
        if self.frames is not None:
            must_be_writable(self.frames)

    def draw(self, flow: "Flow") -> None:
        """Draw and write them."""
        if not self.files():
            return
        from factweights import plots

        if self.panel is not None:
            plots.save(plots.frames_panel(flow.frames(flow.telling_times())), self.panel)
        moving = flow.frames(flow.spread_times(MOVING)) if self.frames or self.animation else {}
        if self.frames is not None:
            plots.save_frames(moving, self.frames)
        if self.animation is not None:
            plots.animate(moving, self.animation)


def dynamics(
    *,
    task: TaskOptions = TaskOptions(),
    start: Literal["balanced", "uniform", "random"] | None = None,
    init: float = 1e-5,
    goal: float = 0.01,
    tolerance: float = 0.05,
    end: float | None = None,
    descend: Flag = False,
    by: Steps = Steps(),
    seed: int = 0,
    reading: TableOptions = TableOptions(),
    pictures: Pictures = Pictures(),
    json: Json = False,
) -> None:
    """Follow a linear-attention model while it learns a recall task, and tell its stages.

    Solves the population's gradient flow exactly; no prompts are drawn. With `--descend` it takes steps of
    gradient descent on drawn prompts instead. The hallucination stage is where KL(p(·|r) ‖ p̂) ≤ tolerance:
    the relation is known and nothing of the subject.

    Example: `factweights dynamics --subjects 16 --relations 4 --answers 8 --init 1e-5 --json`

    Args:
        task.structured: Subject s has answer ⌊sD/S⌋ of every relation, as in figure 5, instead of
            random answers.
        start: Where training begins; balanced for the flow, uniform for descent.
        init: Size of the weights at the start.
        goal: Loss in nats that counts as learnt.
        tolerance: KL in nats that bounds the hallucination stage.
        end: Time at which the flow is left at the latest.
        descend: Take steps instead of solving the flow.
        seed: Of the task, a random start, and the prompts.
    """
    from factweights.cli.progress import shown_progress

    pictures.must_be_possible(descend)
    asked = task.build(reading, seed)
    stops: dict[str, Any] = {"init": init, "goal": goal, "tolerance": tolerance, "seed": seed}
    with shown_progress() as on_progress:
        if descend:
            found = _descended(asked, by, {"start": start or "uniform", **stops}, on_progress)
        else:
            found = _followed(asked, {"start": start or "balanced", "end": end, **stops}, on_progress)
            pictures.draw(found)
    files = pictures.files()
    loss = list(zip(found.trace.times, found.trace.loss, strict=True))
    more = {"loss": loss, "facts": len(asked), **files}
    emit(found, (found, *files.values()), json=json, more=more)


def _descended(task: "RecallTask", by: Steps, how: dict[str, Any], on_progress: "OnProgress") -> "Descent":
    from factweights.dynamics import descend

    steps = {**vars(by), "batch": by.batch or None}
    return descend(task, **steps, **how, on_progress=on_progress)


def _followed(task: "RecallTask", how: dict[str, Any], on_progress: "OnProgress") -> "Flow":
    from factweights.dynamics import gradient_flow

    return gradient_flow(task, **how, on_progress=on_progress)
