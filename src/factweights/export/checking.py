"""The certificate of a compiled model: every fact, after reloading from disk, in the saved dtype."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from factweights import theory
from factweights.certificates import Missed
from factweights.export import real
from factweights.export.asking import ask_all, said_of
from factweights.export.assembly import leak, turn
from factweights.export.folder import WEIGHTS
from factweights.export.layout import Layout
from factweights.export.names import BOS, UNK, Vocabulary
from factweights.facts import FactTable
from factweights.folders import sha256
from factweights.progress import OnProgress, silent
from factweights.show import Shown

NOISY_PROMPTS = 64
NO_FACT = 512  # pairs without a fact that are asked
LISTED = 100
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
        noise: ``length`` of prompts filled up with other words, how many ``prompts``, recall, margin.
        unknown: for prompts without an answer, how many there were and the share that got ``<unk>``.
        missed: the first of the facts not recalled; ``n_missed`` counts all.
        parameters, parameter_groups: every scalar of the checkpoint.
        bits, bits_per_parameter: information in the answers, over all parameters.
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
    n_missed: int
    missed: tuple[Missed, ...]
    parameters: int
    parameter_groups: dict[str, int]
    bits: float
    bits_per_parameter: float
    bits_per_stored: float
    turn: float
    leak: float
    dtype: str
    transformers: str
    facts_hash: str
    weights_hash: str
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

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
        lines += [
            ("parameters", f"{self.parameters:,} ({groups})"),
            ("bits", f"{self.bits_per_parameter:.3g} per parameter, {self.bits_per_stored:.3g} where stored"),
            ("measured", f"{self.dtype}, transformers {self.transformers}, {self.seconds:.3g} s"),
        ]
        lines += [("missed", f"{m.key} → {m.answered}, expected {m.expected}") for m in self.missed[:5]]
        return lines


def check_model(
    folder: Path,
    table: FactTable,
    vocabulary: Vocabulary,
    layout: Layout,
    templates: Sequence[str],
    *,
    whole: FactTable | None = None,
    seed: int = 0,
    tell: OnProgress = silent,
) -> ModelCertificate:
    """Load the folder as anybody would and ask for every fact in every template.

    ``whole`` are all its facts, where ``table`` is a part of them or has other answers.
    """
    begun = time.perf_counter()
    model, tokenizer = real.load(folder)
    asked = ask_all(model, tokenizer, vocabulary, table, templates, tell)
    wrong = np.flatnonzero(~asked.right)
    groups = count(model)
    bits = theory.fano_bits(len(table), len(table.answers), len(wrong) / len(table))
    stored = groups["mlp"] if layout.store == "mlp" else groups["attention"]
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
        noise=_noise(model, table, vocabulary, seed),
        unknown=_unknown(model, whole or table, vocabulary, seed),
        n_missed=len(wrong),
        missed=tuple(
            _missed(table, vocabulary, int(i), int(asked.best[i]), float(asked.margin[i]))
            for i in wrong[:LISTED]
        ),
        parameters=sum(groups.values()),
        parameter_groups=groups,
        bits=bits,
        bits_per_parameter=bits / sum(groups.values()),
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


def _noise(model: Any, table: FactTable, vocabulary: Vocabulary, seed: int) -> dict[str, float]:
    """Names at random places among words that are neither subject nor relation, up to the whole context."""
    rng = np.random.default_rng(seed)
    asked = {*vocabulary.subjects, *vocabulary.relations, *vocabulary.tokens[:3]}
    others = [i for i, token in enumerate(vocabulary.tokens) if token not in asked]
    length = model.config.max_position_embeddings
    rows = rng.choice(len(table), min(NOISY_PROMPTS, len(table)), replace=False)
    ids = []
    for i in rows:
        prompt = rng.choice(others, length)
        prompt[0] = vocabulary.ids[BOS]
        places = 1 + rng.choice(length - 1, 2, replace=False)
        prompt[places] = vocabulary.of((table.subject[i], table.relation[i]))
        ids.append(prompt.tolist())
    found = real.answer(model, ids, vocabulary.of(table.answer[i] for i in rows))
    return {
        "length": length,
        "prompts": len(ids),
        "recall": found.recall,
        "min_margin": float(found.margin.min()),
    }


def _unknown(model: Any, table: FactTable, vocabulary: Vocabulary, seed: int) -> dict[str, dict[str, float]]:
    """Every subject without a relation, every relation without a subject, and pairs that have no fact."""
    bos, unk = vocabulary.ids[BOS], vocabulary.ids[UNK]
    subjects, relations = vocabulary.of(table.subjects), vocabulary.of(table.relations)
    known = set(zip(vocabulary.of(table.subject), vocabulary.of(table.relation), strict=True))
    rng = np.random.default_rng(seed)
    pairs = [(s, r) for s in subjects for r in relations if (s, r) not in known]
    chosen = rng.permutation(len(pairs))[:NO_FACT]
    kinds = {
        "unknown subject": [[bos, unk, r] for r in relations],
        "unknown relation": [[bos, s, unk] for s in subjects],
        "no such fact": [[bos, *pairs[i]] for i in chosen],
    }
    found = {}
    for what, ids in kinds.items():
        if ids:
            share = float((real.answer(model, ids).best == unk).double().mean())
            found[what] = {"prompts": len(ids), "unknown": share}
    return found
