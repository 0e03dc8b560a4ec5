"""Which memories figures 1 right and 6 compare, and how far at which scale."""

from pydantic import JsonValue

from factweights.domains import Count, Title
from factweights.studies.figures.series import Series


class MLPSeries(Series):
    """One method with a width at one recall level.

    Attributes:
        most: largest m·d; anything above is left out.
        alone: largest m·d with all seeds; above it the first one alone is run.
        note: what the label tells besides method and criterion.
    """

    most: Count | None = None
    alone: Count | None = None
    note: Title = ""

    @property
    def label(self) -> str:
        """Method, note and criterion."""
        return super().label.replace(",", f" ({self.note}),", 1) if self.note else super().label


def trained(
    largest: int | None = None, most: int | None = None, alone: int | None = None
) -> tuple[MLPSeries, ...]:
    """All layers fitted, up to d = ``largest`` and m·d = ``most``, above m·d = ``alone`` with one seed.

    Gates are SiLU: bilinear ones span d (d + 1) / 2 dimensions and no more, which small d with large m/d
    exceed. One random start each, as restarts cost most of the time and buy some per cent of facts.
    """

    def fit(method: str, activation: str, note: str, cost: float) -> MLPSeries:
        return MLPSeries(
            method=method,
            recall=1.0,
            settings={"activation": activation, "max_evaluations": 250},
            note=note,
            largest=largest,
            most=most,
            alone=alone,
            cost=cost,
        )

    return (
        fit("gated-fit", "silu", "SiLU, 3 m·d weights", 8.0),
        fit("mlp-fit", "silu", "SiLU, 2 m·d weights", 4.0),
        fit("mlp-fit", "relu", "ReLU, 2 m·d weights", 4.0),
    )


def adam(largest: int, most: int) -> MLPSeries:
    """The paper's training, one seed."""
    return MLPSeries(
        method="paper-adam-mlp",
        recall=0.99,
        note="ReLU, 2 m·d weights",
        largest=largest,
        most=most,
        seeds=1,
        cost=1000.0,
    )


def constructed(most: int | None = None, alone: int | None = None) -> tuple[MLPSeries, ...]:
    """Random first layers: limits as above with the convex readout, none with closed forms."""
    whitened: dict[str, JsonValue] = {"readout": "whitened"}
    return (
        MLPSeries(method="random-features", recall=1.0, note="ReLU", most=most, alone=alone, cost=2.0),
        MLPSeries(method="gated-hebbian", recall=1.0, settings=whitened, note="whitened", cost=0.1),
        MLPSeries(method="hermite-ntk", recall=1.0, cost=0.02),
    )


SERIES: dict[str, tuple[MLPSeries, ...]] = {
    "smoke": (*trained()[:2], *constructed()),  # ReLU fits fail more often, and failing takes the time
    "laptop": (*trained(32, most=4096, alone=512), adam(16, 256), *constructed(4096, alone=512)),
    "paper": (*trained(), adam(32, 4096), *constructed()),
}
