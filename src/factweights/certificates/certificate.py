"""What ``verify`` hands back."""

from dataclasses import asdict, dataclass, field
from typing import Any

from factweights.show import Shown


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
        recall: share of facts whose margin exceeds the rounding error of their scores; ties are misses.
        min_margin: smallest margin ⟨v_f(i), F(k_i)⟩ − max_y ⟨v_y, F(k_i)⟩ over all facts.
        min_relative_margin: smallest margin over ‖F(k_i)‖ max_y ‖v_y‖, see
            :func:`factweights.certificates.relative_margins`; it compares memories of all kinds.
        weight_norm: Frobenius norm of all weights; ``min_margin / weight_norm`` compares linear memories.
        missed: the first of the facts not recalled, worst margin first; ``n_missed`` counts all.
        top_k: recall when the answer may be any of the k best, for each k asked for.
        noise_recall: recall when every key is moved by a random vector of the stated norm.
        parameters, parameter_groups: trained scalars, in all and by group.
        bits: information in the answers, N log2 M at recall 1, by Fano's inequality below that.
        bits_per_parameter: ``bits`` over ``parameters``, every stored scalar counted.
        margin_bound: upper bound of ``min_margin / weight_norm`` for every matrix, given a witness.
        dtype, device, facts_hash, weights_hash, seed, seconds: how and on what this was measured.
    """

    facts: int
    outputs: int
    recall: float
    min_margin: float
    min_relative_margin: float
    weight_norm: float
    n_missed: int
    missed: tuple[Missed, ...]
    top_k: dict[int, float]
    noise_recall: dict[float, float]
    parameters: int
    parameter_groups: dict[str, int]
    bits: float
    bits_per_parameter: float
    margin_bound: float | None
    dtype: str
    device: str
    facts_hash: str
    weights_hash: str
    seed: int
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        d = asdict(self)
        d["top_k"] = {str(k): v for k, v in self.top_k.items()}
        d["noise_recall"] = {str(k): v for k, v in self.noise_recall.items()}
        return d

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        groups = ", ".join(f"{k} {v:,}" for k, v in self.parameter_groups.items())
        lines = [
            ("facts", f"{self.facts:,} among {self.outputs:,} outputs"),
            ("recall", f"{self.recall:.6g} ({self.n_missed:,} missed)"),
            ("min margin", f"{self.min_margin:.4g} (weights of norm {self.weight_norm:.4g})"),
            ("relative", f"{self.min_relative_margin:.4g} of the lengths of output and longest value"),
            ("parameters", f"{self.parameters:,} ({groups})"),
            ("bits per parameter", f"{self.bits_per_parameter:.4g}, every stored scalar counted"),
        ]
        lines += [(f"recall in top {k}", f"{v:.6g}") for k, v in self.top_k.items()]
        lines += [(f"recall, key noise {k:g}", f"{v:.6g}") for k, v in self.noise_recall.items()]
        if self.margin_bound is not None:
            lines.append(("bound", f"no matrix of norm 1 has a margin above {self.margin_bound:.3g}"))
        lines.append(("measured", f"{self.dtype} on {self.device} in {self.seconds:.3g} s"))
        lines.append(("hashes", f"facts {self.facts_hash[:12]}, weights {self.weights_hash[:12]}"))
        for m in self.missed[:5]:
            lines.append(("missed", f"{m.key} → {m.answered}, expected {m.expected} ({m.margin:.3g})"))
        return lines
