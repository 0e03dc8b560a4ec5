"""What the searches hand back."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Verdict = Literal["fits", "refuted", "not found"]


@dataclass(frozen=True)
class Probe:
    """One question and its answer: do ``facts`` facts fit at ``size``?

    ``fits`` means a memory in hand reaches the recall level. ``refuted`` means a certificate rules every
    memory of this kind out. ``not found`` is neither: this method did not get there. ``size`` is what was
    varied: the number of facts, the dimension d, the rank. ``recall`` is that of the criterion, under key
    noise where it has one.
    """

    facts: int
    size: int
    verdict: Verdict
    recall: float
    margin_bound: float | None
    seconds: float = field(compare=False)


@dataclass(frozen=True)
class Run:
    """The search with one seed.

    Attributes:
        facts: the largest N found to fit.
        bracket: (largest N that fits, smallest N above it that does not).
        proved: ``both sides`` when the upper end is refuted, else ``lower side``.
        probes: every question asked, in order.
    """

    seed: int
    facts: int
    bracket: tuple[int, int]
    proved: str
    probes: tuple[Probe, ...]
    seconds: float = field(compare=False)


class OverSeeds(Shown, ABC):
    """What was searched for with several seeds, each a run of probes."""

    runs: tuple[Any, ...]

    @abstractmethod
    def pictured(self) -> tuple[str, str, float | None]:
        """Title, axis and law of :meth:`plot`."""

    def to_pandas(self) -> Any:
        """One row per seed (needs the extra [data])."""
        import pandas as pd

        rows = [{k: v for k, v in asdict(r).items() if k != "probes"} for r in self.runs]
        return pd.DataFrame(rows)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Every probe with its verdict; written to ``path`` too if there is one."""
        from factweights.plots.results import searched

        title, size, law = self.pictured()
        return searched(title, size, [asdict(r)["probes"] for r in self.runs], law, path)


@dataclass(frozen=True)
class Capacity(OverSeeds):
    """The largest number of facts at a named recall level, over seeds.

    Attributes:
        facts: median over seeds of the largest N proved to fit (each with a memory in hand).
        interval: smallest and largest of the seeds, an interval for the median with confidence ``coverage``.
        bracket: medians of the seeds' brackets.
        noise: norm of the key noise under which the recall was measured, 0 for none.
        law: the prediction for this method, None where there is none; it knows of no noise.
        proved: ``both sides`` when every seed's bracket is, else ``lower side``.
    """

    method: dict[str, Any]
    d: int
    d_out: int
    outputs: int | None
    kind: str
    recall: float
    noise: float
    facts: float
    interval: tuple[int, int]
    coverage: float
    bracket: tuple[float, float]
    law: float | None
    proved: str
    runs: tuple[Run, ...]
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def pictured(self) -> tuple[str, str, float | None]:
        """Title, axis and law of :meth:`plot`."""
        return f"facts that fit, d = {self.d}", "facts", self.law

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        outputs = "injective" if self.outputs is None else f"{self.outputs:,} outputs"
        lines = [
            ("method", f"{self.method['method']}, d = {self.d}, {self.kind}, {outputs}"),
            (
                "criterion",
                f"recall ≥ {self.recall:g}" + (f", key noise {self.noise:g}" if self.noise else ""),
            ),
            ("facts", f"{self.facts:,.6g} ({_seeds(len(self.runs))})"),
            ("bracket", f"{self.bracket[0]:,.6g} to {self.bracket[1]:,.6g}, proved on {self.proved}"),
        ]
        if len(self.runs) > 1:
            low, high = self.interval
            lines.append(("interval", f"{low:,} to {high:,} (covers the median with {self.coverage:.0%})"))
        if self.law is not None:
            deviation = self.facts / self.law - 1
            lines.append(("law", f"{self.law:,.1f} (measured {deviation:+.1%})"))
        lines.append(("seconds", f"{self.seconds:.3g}"))
        return lines


def _seeds(n: int) -> str:
    return "one seed" if n == 1 else f"median of {n} seeds"


def _asked(law: int | None) -> str:
    return "" if law is None else f" (the law asks {law:,})"


@dataclass(frozen=True)
class Smallest(Shown):
    """The smallest memory that stores given facts.

    Attributes:
        what: the size that was searched: ``d``, ``rank`` or ``width``.
        size: the smallest that fits.
        law: what the law asks for this many facts and outputs; None where there is no law.
        bracket: (largest that does not fit, smallest that does).
        proved: ``both sides`` when the lower end is refuted, else ``upper side``.
        probes: every question asked.
    """

    what: str
    size: int
    law: int | None
    bracket: tuple[int, int]
    proved: str
    probes: tuple[Probe, ...]
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Every probe with its verdict; written to ``path`` too if there is one."""
        from factweights.plots.results import searched

        return searched(f"smallest {self.what}", self.what, [self.to_dict()["probes"]], self.law, path)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        low, high = self.bracket
        return [
            (self.what, f"{self.size:,}" + _asked(self.law)),
            ("bracket", f"{low:,} does not fit, {high:,} fits; proved on {self.proved}"),
            ("seconds", f"{self.seconds:.3g}"),
        ]


@dataclass(frozen=True)
class WidthRun:
    """The search of a width with one seed.

    Attributes:
        width: the smallest that fits.
        bracket: (largest below it that does not fit, smallest that does).
        proved: ``both sides`` when the lower end is refuted, else ``upper side``.
        probes: every question asked, in order.
        build_seconds: storing and verifying at this width alone.
    """

    seed: int
    width: int
    bracket: tuple[int, int]
    proved: str
    probes: tuple[Probe, ...]
    build_seconds: float = field(compare=False)
    seconds: float = field(compare=False)

    @classmethod
    def of(cls, seed: int, found: Smallest) -> "WidthRun":
        """The record of one search."""
        built = next(p.seconds for p in found.probes if p.size == found.size)
        return cls(seed, found.size, found.bracket, found.proved, found.probes, built, found.seconds)


@dataclass(frozen=True)
class Width(OverSeeds):
    """The smallest width that stores a number of random facts at a named recall level, over seeds.

    Attributes:
        method: its settings, at this width.
        width: median over seeds, the upper one where there are two.
        interval: smallest and largest of the seeds.
        parameters: every scalar of the memory of this width.
        bits_per_parameter: N log2 M over ``parameters``.
        map_bits_per_parameter: log2 N! over ``parameters`` for injective facts, one answer each; None for
            answers drawn independently, whose bits are N log2 M.
        n_delta_per_parameter: N δ(M) over ``parameters``: 1 for the best matrix at its law.
        law: the width that the method predicts, None where it predicts none.
        build_seconds: storing and verifying at the width found, median over seeds.
    """

    method: dict[str, Any]
    d: int
    d_out: int
    facts: int
    outputs: int | None
    tied: bool
    kind: str
    recall: float
    width: int
    interval: tuple[int, int]
    parameters: int
    bits_per_parameter: float
    map_bits_per_parameter: float | None
    n_delta_per_parameter: float
    law: int | None
    runs: tuple[WidthRun, ...]
    build_seconds: float = field(compare=False)
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def pictured(self) -> tuple[str, str, float | None]:
        """Title, axis and law of :meth:`plot`."""
        return f"width for {self.facts:,} facts", "neurons", self.law

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        outputs = "injective" if self.outputs is None else f"{self.outputs:,} outputs"
        table = "one table of keys and values" if self.tied else "keys and values apart"
        low, high = self.interval
        spread = f", {low:,} to {high:,}" if low < high else ""
        return [
            ("method", f"{self.method['method']}, d = {self.d}, {self.kind}, {outputs}, {table}"),
            ("criterion", f"{self.facts:,} facts at recall ≥ {self.recall:g}"),
            ("width", f"{self.width:,} ({_seeds(len(self.runs))}{spread})" + _asked(self.law)),
            ("parameters", f"{self.parameters:,}, {self._bits()}"),
            ("N δ(M) / parameter", f"{self.n_delta_per_parameter:.3g}"),
            ("seconds", f"{self.seconds:.3g}, {self.build_seconds:.3g} to store and verify once"),
        ]

    def _bits(self) -> str:
        if self.map_bits_per_parameter is None:
            return f"{self.bits_per_parameter:.3g} bits of facts in each (N log2 M)"
        free = f"{self.bits_per_parameter:.3g} if answers were independent"
        return f"{self.map_bits_per_parameter:.3g} bits of the map in each (log2 N!); {free}"
