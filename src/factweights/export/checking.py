"""The certificate of a compiled model: every fact, after reloading from disk, in the saved dtype."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from factweights import theory
from factweights.certificates import Missed
from factweights.errors import some
from factweights.export import real
from factweights.export.asking import ask_all, said_of
from factweights.export.assembly import leak, turn
from factweights.export.folder import WEIGHTS
from factweights.export.layout import Layout
from factweights.export.names import EOS, UNK, Vocabulary
from factweights.export.trials import ask_absent, ask_noise, ask_stop, ask_unknown
from factweights.facts import FactTable
from factweights.folders import sha256
from factweights.progress import OnProgress, silent
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LISTED = 100  # missed facts that a certificate names; all are counted
GROUPS = {"embed_tokens": "embeddings", "self_attn": "attention", "mlp": "mlp", "lm_head": "output"}


@dataclass(frozen=True)
class ModelCertificate(Shown):
    """What transformers' own forward says of a compiled model.

    Attributes:
        facts, outputs: facts, and the tokens they compete with: the whole vocabulary.
        answers: distinct answers.
        asked: how many facts were asked in at least one template; ``prompts`` were asked in all.
        never_asked: relation ↦ its facts that no template asks. They do not count as recalled.
        recall: share of all facts that were asked, and whose answer had the largest logit at the end of every
            prompt.
        min_margin: smallest logit of a right answer less the largest other one, in nats.
        min_probability: smallest probability of a right answer.
        templates: for each, its facts, recall and smallest margin.
        noise: ``length`` of prompts filled up with other words, how many ``prompts``, recall, margin; and how
            many of those that hold the answer as well were asked for ``</s>``, and gave it.
        unknown: for prompts without an answer, how many there were and the share that got ``<unk>``.
        absence: whether it is ``stored``, how many ``pairs`` of a known subject and a known relation have no
            fact, how many of them were ``asked``, how many of these gave ``<unk>``, and by what margin.
        stop: how many prompts that go on with their answer were ``asked``, how many gave ``</s>``, by what
            margin, and the answers ``by_setting``: words of a template, which end generation themselves.
        missed: the first of the facts not recalled; ``n_missed`` counts all.
        parameters, parameter_groups: every scalar of the checkpoint.
        bits, bits_per_parameter: information in answers that are free, N log2 M less Fano's share for those
            missed; over all parameters.
        map_bits, map_bits_per_parameter: the same of tables that give, within each relation, every answer as
            often as this one (:attr:`FactTable.map_bits`).
        bits_per_stored: the same over the matrices that hold the facts.
        turn, leak: radians by which the rotary pair in use turns over the whole context, and share of
            attention that the names lose at most there.
        dtype, transformers, facts_hash, weights_hash, seconds: how and on what this was measured.
    """

    facts: int
    outputs: int
    answers: int
    asked: int
    prompts: int
    never_asked: dict[str, int]
    recall: float
    min_margin: float
    min_probability: float
    templates: dict[str, dict[str, float]]
    noise: dict[str, float]
    unknown: dict[str, dict[str, float]]
    absence: dict[str, Any]
    stop: dict[str, Any]
    n_missed: int
    missed: tuple[Missed, ...]
    parameters: int
    parameter_groups: dict[str, int]
    bits: float
    bits_per_parameter: float
    map_bits: float
    map_bits_per_parameter: float
    bits_per_stored: float
    turn: float
    leak: float
    dtype: str
    transformers: str
    facts_hash: str
    weights_hash: str
    seconds: float = field(compare=False)

    @property
    def faults(self) -> list[str]:
        """What is not as it was asked for, beside facts that are missed."""
        noise, found = self.noise, []
        if noise["recall"] < 1:
            found.append(f"recall {noise['recall']:.4f} among noise")
        if (missed := noise["stop_asked"] - noise["stop_right"]) or self.stop["asked"] - self.stop["right"]:
            missed += self.stop["asked"] - self.stop["right"]
            found.append(f"{missed:,.0f} answers without an end")
        if self.absence["stored"] and (wrong := self.absence["asked"] - self.absence["right"]):
            found.append(f"{wrong:,} of {self.absence['asked']:,} absent facts have an answer")
        found += [
            f"{what} has an answer in {1 - x['unknown']:.2%} of {x['prompts']:,}"
            for what, x in self.unknown.items()
            if x["unknown"] != 1
        ]
        return found

    @property
    def holds(self) -> bool:
        """Whether everything that was asked came out as it should."""
        return self.recall == 1 and not self.faults

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Recall, over all and by template; written to ``path`` too if there is one."""
        from factweights.plots.results import shares

        return shares(
            f"recall of {self.facts:,} facts",
            {"all": self.recall, **{name: x["recall"] for name, x in self.templates.items()}},
            path,
        )

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        groups = ", ".join(f"{k} {v:,}" for k, v in self.parameter_groups.items())
        lines = [
            ("facts", f"{self.facts:,} among {self.outputs:,} tokens, {self.answers:,} of them answers"),
            ("recall", f"{self.recall:.6g} ({self.n_missed:,} missed)"),
            ("min margin", f"{self.min_margin:.3g} nats; probability at least {self.min_probability:.3g}"),
            ("asked", f"{self.asked:,} facts in {self.prompts:,} prompts of {len(self.templates)} templates"),
        ]
        if self.never_asked:
            lines.append(("never asked", said_of(self.never_asked)))
        for template, found in self.templates.items():
            said = f"recall {found['recall']:.6g} of {found['facts']:,.0f}, margin {found['min_margin']:.3g}"
            lines.append(("template", f"{template!r}: {said}"))
        n = self.noise
        lines.append(("noise", f"recall {n['recall']:.6g} of {n['prompts']} prompts of {n['length']} tokens"))
        for what, found in self.unknown.items():
            said = f"{found['unknown']:.1%} of {found['prompts']:,.0f} prompts answered {UNK}"
            lines.append((what, said))
        lines += [("absent facts", self.absence_said), ("end", self.stop_said)]
        lines += [
            ("parameters", f"{self.parameters:,} ({groups})"),
            (
                "bits",
                f"{self.map_bits_per_parameter:.3g} per parameter (tables with these counts of answers); if "
                f"answers are free {self.bits_per_parameter:.3g}, {self.bits_per_stored:.3g} where stored",
            ),
            ("measured", f"{self.dtype}, transformers {self.transformers}, {self.seconds:.3g} s"),
        ]
        lines += [("missed", f"{m.key} → {m.answered}, expected {m.expected}") for m in self.missed[:5]]
        return lines

    @property
    def absence_said(self) -> str:
        """What pairs without a fact answered."""
        a = self.absence
        if not a["asked"]:
            return "none: every subject has every relation" if a["pairs"] == 0 else "not stored, none asked"
        said = f"{a['right']:,} of {a['asked']:,} answered {UNK}"
        said += "" if a["asked"] == a["pairs"] else f", of {a['pairs']:,} that there are"
        return f"{said}, margin {a['min_margin']:.3g} nats" if a["stored"] else f"not stored: {said}"

    @property
    def stop_said(self) -> str:
        """What follows the answers."""
        said = f"{self.stop['right']:,} of {self.stop['asked']:,} answers are followed by {EOS}"
        if names := self.stop["by_setting"]:
            said += f"; generation itself ends after {some(names)}, words of a template too"
        return said


def check_model(
    folder: Path,
    table: FactTable,
    vocabulary: Vocabulary,
    layout: Layout,
    templates: Sequence[str],
    *,
    absence: bool,
    whole: FactTable | None = None,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> ModelCertificate:
    """Load the folder as anybody would and ask for every fact in every template.

    ``whole`` are all its facts, where ``table`` is a part of them or has other answers.
    """
    begun = time.perf_counter()
    model, tokenizer = real.load(folder)
    asked = ask_all(model, tokenizer, vocabulary, table, templates, on_progress)
    wrong = np.flatnonzero(~asked.right)
    groups = count(model)
    bits = theory.fano_bits(len(table), len(table.answers), len(wrong) / len(table))
    map_bits = theory.fano_bits(len(table), len(table.answers), len(wrong) / len(table), table.map_bits)
    stored = groups[layout.store]
    return ModelCertificate(
        facts=len(table),
        outputs=len(vocabulary.tokens),
        answers=len(table.answers),
        asked=int((asked.times > 0).sum()),
        prompts=int(asked.times.sum()),
        never_asked=asked.never,
        recall=1 - len(wrong) / len(table),
        min_margin=asked.min_margin,
        min_probability=float(np.exp(asked.min_log_probability)),
        templates=asked.templates,
        noise=ask_noise(model, table, vocabulary, seed),
        unknown=ask_unknown(model, vocabulary),
        absence=ask_absent(model, whole or table, vocabulary, absence, seed, on_progress),
        stop=ask_stop(model, table, vocabulary, asked.prompts, on_progress),
        n_missed=len(wrong),
        missed=tuple(
            _missed(table, vocabulary, int(i), int(asked.best[i]), float(asked.margin[i]))
            for i in wrong[:LISTED]
        ),
        parameters=sum(groups.values()),
        parameter_groups=groups,
        bits=bits,
        bits_per_parameter=bits / sum(groups.values()),
        map_bits=map_bits,
        map_bits_per_parameter=map_bits / sum(groups.values()),
        bits_per_stored=bits / stored,
        turn=turn(layout) * model.config.max_position_embeddings,
        leak=leak(model.config.max_position_embeddings),
        dtype=str(model.dtype).removeprefix("torch."),
        transformers=real.transformers().__version__,
        facts_hash=table.hash,
        weights_hash=sha256(folder / WEIGHTS),
        seconds=time.perf_counter() - begun,
    )


def count(model: Any) -> dict[str, int]:
    """Scalars of a checkpoint by group."""
    groups = dict.fromkeys([*GROUPS.values(), "norms"], 0)
    for name, w in model.state_dict().items():
        group = next((g for part, g in GROUPS.items() if f"{part}." in name), "norms")
        groups[group] += w.numel()
    return groups


def _missed(table: FactTable, vocabulary: Vocabulary, row: int, best: int, margin: float) -> Missed:
    key = f"{table.subject[row]} {table.relation[row]}"
    answered = vocabulary.tokens[best] if best >= 0 else "never asked"
    return Missed(row, key, table.answer[row], answered, margin)
