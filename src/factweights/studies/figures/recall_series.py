"""How the transformers of figures 4 and 7 to 9 are trained, and how far at which scale."""

from pydantic import BaseModel, ConfigDict, JsonValue

from factweights.domains import Count, Dimension, Positive, Title
from factweights.folders.jsons import Json

# Both criteria of the paper are met when recall is 0.99 on fresh prompts. Training aims a little higher, so
# that what has stopped is not thrown back by the draw of the prompts it is measured on.
RECALL, AIM = 0.99, 0.995
EVALUATIONS = 1500  # of loss and gradient: what a fit that fails costs, some 20 s at S = R = d = 32


class RecallSeries(BaseModel):
    """One way of training recall transformers.

    Attributes:
        method: a name in ``RECALL_METHODS``.
        settings: of the method, the sizes of the transformer left out.
        variants: settings tried one after the other until one reaches the recall level, the best one counts;
            none for a single try without more settings.
        seeds: how many of the study's seeds to use; None for all.
        largest: sizes d above are left out.
        note: what the label tells besides the method.
        cost: running time relative to the other series of the figure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    settings: dict[str, JsonValue] = {}
    variants: tuple[dict[str, JsonValue], ...] = ()
    seeds: Count | None = None
    largest: Dimension | None = None
    note: Title = ""
    cost: Positive = 1.0

    @property
    def label(self) -> str:
        """Method and note."""
        return f"{self.method} ({self.note})" if self.note else self.method

    def arguments(self, d: int, heads: int, head_dim: int, width: int, seed: int) -> Json:
        """What every cell of the series is called with, the task left out."""
        sizes = {"d": d, "heads": heads, "head_dim": head_dim, "width": width}
        return {
            "method": self.method,
            "settings": {**self.settings, **sizes},
            "variants": list(self.variants),
            "seed": seed,
        }


def fitted(evaluations: int = EVALUATIONS) -> RecallSeries:
    """All weights fitted by this library; with few evaluations, few of them with noise too."""
    settings: dict[str, JsonValue] = {"recall": AIM, "max_evaluations": evaluations}
    if evaluations < EVALUATIONS:
        settings["polish_evaluations"] = evaluations
    return RecallSeries(method="fit", settings=settings)


def adam(largest: int | None = None) -> RecallSeries:
    """The paper's training with one seed: the best of three learning rates."""
    rates: tuple[dict[str, JsonValue], ...] = tuple({"learning_rate": r} for r in (1e-2, 3e-3, 1e-3))
    return RecallSeries(
        method="paper-adam",
        settings={"recall": AIM, "steps": 2**14, "batch": 1024},
        variants=rates,
        seeds=1,
        largest=largest,
        note="the paper's training",
        cost=5.0,
    )
