"""A study of one's own: the capacity of any methods over sizes and seeds, at one named recall level."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

from pydantic import BaseModel, ConfigDict, JsonValue, field_validator

from factweights.studies.cells import Cell, Study
from factweights.studies.series import Series, over_seeds


class SweepMethod(BaseModel):
    """One method of a sweep.

    Attributes:
        method: as the command line calls it; ``factweights methods`` lists them.
        settings: where they differ from its defaults.
        ratios: widths m/d to try, for methods that have a width; none means that settings name it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    settings: dict[str, JsonValue] = {}
    ratios: tuple[float, ...] = ()


@final
class CapacitySweep(Study):
    """Facts that methods store, over d, widths and seeds.

    Attributes:
        methods: names, or tables with ``method``, ``settings`` and ``ratios``.
        sizes: the d.
        seeds: of the facts and the methods.
        recall: the criterion.
        tolerance: relative width of a bracket.
        outputs: M; None for injective facts.
        title: what the picture is called.
    """

    name: ClassVar[str] = "capacity-sweep"

    methods: tuple[SweepMethod, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    recall: float = 1.0
    tolerance: float = 0.01
    outputs: int | None = None
    title: str = "Facts stored"

    @field_validator("methods", mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """A bare name stands for the method with its defaults."""
        if not isinstance(given, (list, tuple)):
            return given
        return [{"method": entry} if isinstance(entry, str) else entry for entry in given]

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[SweepMethod, ...]) -> tuple[SweepMethod, ...]:
        """A method that does not exist or will not take its settings is told before the work begins."""
        from factweights.errors import UnknownNameError
        from factweights.methods import method_named

        for m in methods:
            kind = method_named(m.method)
            fields = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
            for key in m.settings:
                if key not in fields:
                    raise UnknownNameError(
                        f"setting of {m.method}", key, fields, f"(it has {', '.join(fields)})"
                    )
            if m.ratios and "width" not in fields:
                raise ValueError(f"{m.method} has no width, so it takes no ratios")
            kind(**{**({"width": 1 << 20} if m.ratios else {}), **m.settings})
        return methods

    def cells(self) -> list[Cell]:
        """One per method, ratio, size and seed."""
        return [
            self._cell(m, ratio, d, seed)
            for m, ratio in self._lines()
            for d in self.sizes
            for seed in self.seeds
        ]

    def gather(self, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """A series for each method and ratio, with exponents."""
        return {
            "figure": self.name,
            "scale": "own",
            "title": self.title,
            "recall": self.recall,
            "series": [self._gathered(m, ratio, results) for m, ratio in self._lines()],
            "lines": [],
        }

    def _lines(self) -> Iterator[tuple[SweepMethod, float | None]]:
        for m in self.methods:
            for ratio in m.ratios or (None,):
                yield m, ratio

    def _settings(self, m: SweepMethod, ratio: float | None, d: int) -> dict[str, Any]:
        return dict(m.settings) if ratio is None else {**m.settings, "width": max(1, round(ratio * d))}

    def _cell(self, m: SweepMethod, ratio: float | None, d: int, seed: int) -> Cell:
        arguments: dict[str, Any] = {
            "method": m.method,
            "settings": self._settings(m, ratio, d),
            "d": d,
            "recall": self.recall,
            "seed": seed,
            "tolerance": self.tolerance,
        }
        if self.outputs is not None:
            arguments["outputs"] = self.outputs
        return Cell(
            function="capacity",
            arguments=arguments,
            cost=0.1 + (d / 32) ** 3 * (1 if ratio is None else 4 * ratio),
            label=f"{_label(m, ratio)}, d = {d}, seed {seed}",
        )

    def _gathered(
        self, m: SweepMethod, ratio: float | None, results: Mapping[str, dict[str, Any]]
    ) -> dict[str, Any]:
        points = []
        for d in self.sizes:
            found = [results[self._cell(m, ratio, d, seed).hash] for seed in self.seeds]
            points.append({"d": d, "parameters": found[0]["parameters"], **over_seeds(found)})
        series = Series(method=m.method, recall=self.recall, settings=m.settings)
        return {**series.gathered(points, "parameters"), "label": _label(m, ratio)}


def _label(m: SweepMethod, ratio: float | None) -> str:
    return m.method if ratio is None else f"{m.method}, m = {ratio:g} d"
