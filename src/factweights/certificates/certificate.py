"""What ``verify`` hands back."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factweights.certificates.witness import REFUTED
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Missed:
    """A fact the memory does not recall: its row, what was asked, and what came instead."""

    row: int
    key: str
    expected: str
    answered: str
    margin: float


@dataclass(frozen=True)
class Certificate(Shown):
    """What ``verify`` found.

    Attributes:
        facts, outputs: N and M.
        recall: share of facts whose margin is positive in the memory's own arithmetic; ties, NaN are misses.
        min_margin: smallest margin ⟨v_f(i), F(k_i)⟩ − max_y ⟨v_y, F(k_i)⟩ over all facts.
        min_relative_margin: smallest margin over ‖F(k_i)‖ max_y ‖v_y‖, see
            :func:`factweights.certificates.relative_margins`; it compares memories of all kinds.
        weight_norm: Frobenius norm of all weights; ``min_margin / weight_norm`` compares linear memories.
        missed: the first of the facts not recalled, worst margin first; ``n_missed`` counts all.
        n_proved: facts proved right beyond rounding: in exact arithmetic, and in every order of summation of
            ``dtype``. None for kinds of memories whose rounding is not bounded.
        proved_margin: no margin, so evaluated, lies below it; the smallest over all facts.
        top_k: recall when the answer may be any of the k best, for each k asked for.
        noise_recall: recall when every key is moved by a random vector of the stated norm.
        parameters, parameter_groups: trained scalars, in all and by group.
        bits: information in the answers if they were independent and uniform: N log2 M at recall 1, by
            Fano's inequality below that.
        map_bits: log2 of the number of maps with these counts of answers (:func:`theory.map_bits`), log2 N!
            for a permutation; by Fano's inequality below recall 1. This is what was stored.
        bits_per_parameter, map_bits_per_parameter: these over ``parameters``, every stored scalar counted.
        margin_bound: upper bound of ``min_margin / weight_norm`` for every matrix, given a witness.
        relative_bound: the same in units of the constraints' own norms, see :class:`MarginBound`.
        weighted_recall, weighted_proved: the same of recall and ``n_proved`` weighted by how often facts are
            asked: Σ p(x) over those; None where the facts have no weights.
        dtype, device, facts_hash, weights_hash, seed, seconds: how and on what this was measured.
    """

    facts: int
    outputs: int
    recall: float
    min_margin: float
    min_relative_margin: float
    weight_norm: float
    n_missed: int
    n_proved: int | None
    proved_margin: float | None
    missed: tuple[Missed, ...]
    top_k: dict[int, float]
    noise_recall: dict[float, float]
    parameters: int
    parameter_groups: dict[str, int]
    bits: float
    bits_per_parameter: float
    map_bits: float
    map_bits_per_parameter: float
    margin_bound: float | None
    relative_bound: float | None
    dtype: str
    device: str
    facts_hash: str
    weights_hash: str
    seed: int
    seconds: float = field(compare=False)
    weighted_recall: float | None = None
    weighted_proved: float | None = None

    @property
    def proved(self) -> bool:
        """Whether every fact is proved right beyond the rounding of ``dtype``."""
        return self.n_proved == self.facts

    @property
    def refuted(self) -> bool:
        """Whether the witness rules every matrix out, at a relative margin of 1e-6."""
        return self.relative_bound is not None and self.relative_bound <= REFUTED

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        d = asdict(self)
        d["proved"], d["refuted"] = self.proved, self.refuted
        for name in ("weighted_recall", "weighted_proved"):  # only where the facts have weights
            if d[name] is None:
                del d[name]
        d["top_k"] = {str(k): v for k, v in self.top_k.items()}
        d["noise_recall"] = {str(k): v for k, v in self.noise_recall.items()}
        return d

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Recall, also in the top k and under noise; written to ``path`` too if there is one."""
        from factweights.plots.results import shares

        return shares(f"recall of {self.facts:,} facts", self._shares(), path)

    def _shares(self) -> dict[str, float | None]:
        found: dict[str, float | None] = {"recall": self.recall}
        found |= {f"recall in top {k}": x for k, x in self.top_k.items()}
        return found | {f"recall, key noise {k:g}": x for k, x in self.noise_recall.items()}

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        groups = ", ".join(f"{k} {v:,}" for k, v in self.parameter_groups.items())
        lines = [
            ("facts", f"{self.facts:,} among {self.outputs:,} outputs"),
            ("recall", f"{self.recall:.6g} ({self.n_missed:,} missed){self._vacuous()}"),
            ("proved", self._proof()),
            ("min margin", f"{self.min_margin:.4g} (weights of norm {self.weight_norm:.4g})"),
            ("relative", f"{self.min_relative_margin:.4g} of the lengths of output and longest value"),
            ("parameters", f"{self.parameters:,} ({groups})"),
            ("bits per parameter", self._bits()),
        ]
        if self.weighted_recall is not None:
            proved = "" if self.weighted_proved is None else f"; {self.weighted_proved:.6g} proved"
            lines.insert(2, ("weighted recall", f"{self.weighted_recall:.6g} of what is asked{proved}"))
        lines += [(f"recall in top {k}", f"{v:.6g}") for k, v in self.top_k.items()]
        lines += [(f"recall, key noise {k:g}", f"{v:.6g}") for k, v in self.noise_recall.items()]
        if self.margin_bound is not None:
            rel = f"{self.relative_bound:.2g} of its constraints' norms"
            lines.append(("bound", f"no matrix of norm 1 has a margin above {self.margin_bound:.3g} ({rel})"))
        lines.append(("measured", f"{self.dtype} on {self.device} in {self.seconds:.3g} s"))
        lines.append(("hashes", f"facts {self.facts_hash[:12]}, weights {self.weights_hash[:12]}"))
        for m in self.missed[:5]:
            lines.append(("missed", f"{m.key} → {m.answered}, expected {m.expected} ({m.margin:.3g})"))
        return lines

    def _vacuous(self) -> str:
        return "; with one output there is nothing to confuse" if self.outputs == 1 else ""

    def _bits(self) -> str:
        if_free = f"{self.bits_per_parameter:.4g} if answers were independent (N log2 M)"
        return f"{self.map_bits_per_parameter:.4g} (maps with these counts of answers); {if_free}"

    def _proof(self) -> str:
        if self.n_proved is None:
            return "nothing: the rounding of this kind of memory is not bounded"
        right = self.facts - self.n_missed
        return f"{self.n_proved:,} of the {right:,} recalled, beyond any rounding in {self.dtype}"
