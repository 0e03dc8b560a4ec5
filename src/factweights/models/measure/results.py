"""What a measurement found, as numbers, as a table of facts, as a picture."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factweights.errors import MissingExtraError
from factweights.facts.writers import write_table
from factweights.folders import plain, whole_file
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACTS, NUMBERS, PICTURE = "facts", "measure.json", "measure.png"


@dataclass(frozen=True)
class Measured(Shown):
    """What a language model knows of a table.

    Attributes:
        facts: how many were asked.
        recall: ``closed`` (the right answer ranks first among its relation's), ``byte_normalised`` (the same
            by nats per byte), ``open`` (greedy text begins with the answer), ``open_stopped`` (and ends
            there); each with its 95 % interval.
        bits: coded bits of all facts, with the interval; ``bits_raw`` log2 p/q as it stands.
        bits_negative: the sum of the negative ones among ``bits``.
        bits_table: bits of the table under the prior: what a model that knows all of it reads.
        bits_shuffled: bits when the subjects of a relation are exchanged; mean over permutations, the
            interval that of a single one.
        bits_relation_only: bits when the subject is not told.
        bits_per_parameter: over all parameters of the model.
        relations: the same for each relation, and by template.
        calibration: confidence of the most likely answer against how often it is right.
        unfinished: bound on the share of a prompt's mass that is in answers not read to their end.
        settings: model, dtype, device, prior, tolerance, seed, templates and versions.
        table: one row a fact, by column.
        seconds: everything together.
    """

    facts: int
    recall: Mapping[str, Any]
    bits: float
    bits_interval: tuple[float, float]
    bits_raw: float
    bits_raw_interval: tuple[float, float]
    bits_negative: float
    bits_table: float
    bits_shuffled: float
    bits_shuffled_interval: tuple[float, float]
    bits_relation_only: float
    bits_relation_only_interval: tuple[float, float]
    parameters: int
    relations: Mapping[str, Mapping[str, Any]]
    calibration: Mapping[str, Any]
    unfinished: float
    tokens: int
    settings: Mapping[str, Any]
    seconds: float = field(compare=False)
    table: Mapping[str, list[Any]] = field(repr=False)

    @property
    def bits_per_parameter(self) -> float:
        """Bits over all parameters of the model."""
        return self.bits / self.parameters

    @property
    def bits_per_parameter_interval(self) -> tuple[float, float]:
        """95 % interval."""
        low, high = self.bits_interval
        return low / self.parameters, high / self.parameters

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON; without the table of facts."""
        names = [n for n in self.__dataclass_fields__ if n not in ("table", "seconds")]
        found = {n: getattr(self, n) for n in names}
        found["bits_per_parameter"] = self.bits_per_parameter
        found["bits_per_parameter_interval"] = self.bits_per_parameter_interval
        return plain({**found, "seconds": self.seconds})

    def to_pandas(self) -> Any:
        """A DataFrame with one row a fact; needs the extra ``[data]``."""
        try:
            import pandas as pd
        except ImportError as e:
            raise MissingExtraError("to_pandas()", "data") from e
        return pd.DataFrame(dict(self.table))

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Bits by relation, known against unknown, calibration; written to ``path`` (PNG, SVG or PDF) too."""
        from factweights.plots.knowledge import draw_knowledge

        return draw_knowledge(self.to_dict(), path)

    def save(self, folder: str | Path, *, table: str = "csv") -> tuple[Path, ...]:
        """Write ``measure.json``, ``measure.png`` and ``facts.csv`` (or ``facts.parquet``), each whole.

        Raises:
            OutputError: one could not be written; MissingExtraError: Parquet without pyarrow.
        """
        folder = Path(folder)
        facts = write_table(folder / f"{FACTS}.{table}", dict(self.table))
        with whole_file(folder / NUMBERS) as tmp:
            text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
            tmp.write_text(text + "\n", encoding="utf-8")
        self.plot(folder / PICTURE)
        return folder / NUMBERS, facts, folder / PICTURE

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        s = self.settings
        lines = [
            ("model", f"{s['model']}: {self.parameters:,} parameters, {s['dtype']} on {s['device']}"),
            ("facts", f"{self.facts:,}, worth {self.bits_table:,.0f} bits under the {s['prior']} prior"),
        ]
        for kind, found in self.recall.items():
            low, high = found["interval"]
            lines.append((f"recall, {kind}", f"{found['value']:.1%} ({low:.1%} to {high:.1%})"))
        lines += [
            ("bits", f"{_with(self.bits, self.bits_interval)}; as it stands {self.bits_raw:,.0f}"),
            ("bits/parameter", f"{self.bits_per_parameter:.3g}"),
            ("subjects shuffled", _with(self.bits_shuffled, self.bits_shuffled_interval)),
            ("relation only", _with(self.bits_relation_only, self.bits_relation_only_interval)),
        ]
        for name, found in self.relations.items():
            recall = ", ".join(f"{k} {v['value']:.1%}" for k, v in found["recall"].items())
            shown = f"{found['bits']:,.0f} of {found['bits_table']:,.0f} bits; {recall}"
            lines.append((f"  {name}", shown))
        return [*lines, ("seconds", f"{self.seconds:,.1f} for {self.tokens:,} tokens read")]


def _with(value: float, interval: tuple[float, float]) -> str:
    return f"{value:,.1f} (95 %: {interval[0]:,.1f} to {interval[1]:,.1f})"
