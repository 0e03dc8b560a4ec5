"""Which language models are trained, at which scale, and what is written beside them."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict


class TrainedSeries(BaseModel):
    """One architecture and shape at one number of exposures.

    Attributes:
        architecture: ``llama`` or ``gpt2``.
        shape: ``balanced``, ``attention`` (narrow MLPs, twice the layers) or ``mlp`` (wide ones).
        exposures: how often every person is told.
        sizes: parameters asked for; the nearest model is built.
        loads: bits of the people's names and attributes for each parameter; the best one counts.
        seeds: how many of the study's; None for all.
        batch, rate: of training, see :class:`factweights.models.people.training.Recipe`.
        alone: sizes above it are trained with the first seed only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    shape: str = "balanced"
    exposures: int
    sizes: tuple[int, ...]
    loads: tuple[float, ...] = (3.5,)
    seeds: int | None = None
    batch: int = 32
    rate: float = 0.2
    alone: int | None = None

    @property
    def label(self) -> str:
        """Architecture, shape and exposures."""
        form = "" if self.shape == "balanced" else f", {self.shape}-heavy"
        return f"{self.architecture}{form}, {self.exposures:,} exposures"


class Beside(BaseModel):
    """A memory of ours for comparison.

    Attributes:
        kind: ``gated`` (fitted gates, all facts at recall 1) or ``compiled`` (a table of people as a model).
        sizes: d of gated memories with m = 4 d, or people of compiled tables.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    sizes: tuple[int, ...]


def trained(larger: int) -> Iterator[TrainedSeries]:
    """Both architectures at 100 and 1,000 exposures, and shapes at one size; ``larger`` goes further."""
    thousand: tuple[int, ...] = (7_000, 14_000, 28_000)
    hundred: tuple[int, ...] = (14_000, 56_000, 200_000)
    alone: int | None = 14_000
    if larger > 1:
        thousand, hundred, alone = (*thousand, 56_000, 100_000, 200_000), (*hundred, 400_000, 1_000_000), None
    for architecture in ("llama", "gpt2"):
        yield TrainedSeries(architecture=architecture, exposures=1000, sizes=thousand, alone=alone)
        yield TrainedSeries(
            architecture=architecture,
            exposures=100,
            sizes=hundred,
            loads=(1.5,),
            batch=8,
            rate=0.1,
            seeds=larger,
        )
        for shape in ("attention", "mlp"):
            yield TrainedSeries(
                architecture=architecture, shape=shape, exposures=1000, sizes=(14_000,), seeds=larger
            )


BESIDE = (Beside(kind="gated", sizes=(12, 16, 24)), Beside(kind="compiled", sizes=(50, 200)))
