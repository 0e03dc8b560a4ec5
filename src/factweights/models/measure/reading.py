"""From the answers to bits, controls, recall and intervals."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from factweights.facts import FactTable
from factweights.models.measure.asked import Block, Relation, begins, closed_logs, stops
from factweights.models.measure.bits import (
    Coded,
    calibration,
    coded_bits,
    folds_of,
    interval,
    shuffled,
)
from factweights.models.measure.results import Measured

PERMUTATIONS = 5  # of subjects, for the control
NATS = math.log(2)


@dataclass(frozen=True)
class Answers:
    """One relation in all its templates.

    Attributes:
        relation: its facts.
        templates: ``(t,)``.
        blocks: for each template, all facts.
        blank: ``(t, a)`` nats of every answer without a subject; None where only greedy text was asked.
    """

    relation: Relation
    templates: tuple[str, ...]
    blocks: Sequence[Block]
    blank: np.ndarray | None

    @property
    def closed(self) -> bool:
        """Whether all answers of the relation were scored."""
        return self.blank is not None


@dataclass(frozen=True)
class _Read:
    """A relation's facts, one value for each."""

    coded: Coded
    raw: np.ndarray  # (n,) bits in the fact's template
    shuffled: np.ndarray  # (permutations, n)
    relation_only: np.ndarray  # (n,)
    log_p: np.ndarray  # (t, n) nats, closed or open
    right: Mapping[str, np.ndarray]  # kind -> (t, n) bool
    rank: np.ndarray  # (t, n); 0 where not closed
    best: np.ndarray  # (t, n) the most likely answer; -1 where not closed


def _read(found: Answers, seed: int) -> _Read:
    r = found.relation
    n, prior = len(r.subjects), r.log_prior[r.own]
    folds = folds_of(n, seed)
    log_p = np.stack([b.own - closed_logs(b) if found.closed else b.own for b in found.blocks])
    log_p = np.minimum(log_p, 0.0)
    coded = coded_bits(log_p - prior, folds)
    raw = (log_p - prior)[coded.template, np.arange(n)] / NATS
    right, rank, best = _ranks(found)
    shuffles, only = np.zeros((1, n)), np.zeros(n)
    if (blank := found.blank) is not None:
        shuffles = _shuffled(found, folds, seed)
        alone = np.minimum(blank - np.logaddexp.reduce(blank, axis=1, keepdims=True), 0.0)[:, r.own]
        only = coded_bits(alone - prior, folds).bits
    return _Read(coded, raw, shuffles, only, log_p, right, rank, best)


def _shuffled(found: Answers, folds: np.ndarray, seed: int) -> np.ndarray:
    """``(permutations, n)`` bits of every fact read off another subject's prompt.

    An answer that was not read to its end counts with its upper bound, which is in the model's favour.
    """
    r, n = found.relation, len(found.relation.subjects)
    mass = [closed_logs(b) for b in found.blocks]
    found_bits = []
    for moved in shuffled(n, PERMUTATIONS, seed):
        log_p = np.stack(
            [
                np.minimum(b.log_probability[moved, r.own] - m[moved], 0.0)
                for b, m in zip(found.blocks, mass, strict=True)
            ]
        )
        found_bits.append(coded_bits(log_p - r.log_prior[r.own], folds).bits)
    return np.stack(found_bits)


def _ranks(found: Answers) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """What is right in every template; ranks count ties against the answer, and bounds as if they were it."""
    r, t, n = found.relation, len(found.blocks), len(found.relation.subjects)
    rank, best = np.zeros((t, n), int), np.full((t, n), -1)
    right: dict[str, np.ndarray] = {}
    if found.closed:
        size = np.array([len(a.encode()) for a in r.answers])
        by_bytes = np.zeros((t, n), bool)
        for k, b in enumerate(found.blocks):
            own, others = b.own[:, None], np.ones_like(b.finished)
            others[np.arange(n), r.own] = False
            rank[k] = 1 + ((b.log_probability >= own) & others).sum(1)
            best[k] = np.where(b.finished, b.log_probability, -np.inf).argmax(1)
            each = b.log_probability / size
            by_bytes[k] = ~((each >= (b.own / size[r.own])[:, None]) & others).any(1)
        right |= {"closed": rank == 1, "byte_normalised": by_bytes}
    if any(any(b.said) for b in found.blocks):
        pairs = [[(s, r.answers[o]) for s, o in zip(b.said, r.own, strict=True)] for b in found.blocks]
        right["open"] = np.array([[begins(s, a) for s, a in row] for row in pairs])
        right["open_stopped"] = np.array([[stops(s, a) for s, a in row] for row in pairs])
    return right, rank, best


def measured_of(
    table: FactTable,
    answers: Sequence[Answers],
    parameters: int,
    settings: Mapping[str, Any],
    *,
    begun: float,
) -> Measured:
    """Everything together; errors of chance are over subjects."""
    seed = int(settings["seed"])
    reads = [_read(a, seed) for a in answers]
    subjects = [s for a in answers for s in a.relation.subjects]
    kinds = [
        k for k in ("closed", "byte_normalised", "open", "open_stopped") if all(k in r.right for r in reads)
    ]
    chosen = {k: np.concatenate([_chosen(r, r.right[k]) for r in reads]) for k in kinds}
    of = {
        name: np.concatenate([getattr(r, name) if name != "bits" else r.coded.bits for r in reads], axis=-1)
        for name in ("bits", "raw", "shuffled", "relation_only")
    }
    spread = {name: interval(values, subjects, seed=seed) for name, values in of.items()}
    confidence, hits = _confidence(answers, reads)
    return Measured(
        facts=len(subjects),
        recall={k: _share(v, subjects, seed) for k, v in chosen.items()},
        bits=float(of["bits"].sum()),
        bits_interval=spread["bits"],
        bits_raw=float(of["raw"].sum()),
        bits_raw_interval=spread["raw"],
        bits_negative=float(np.minimum(of["bits"], 0).sum()),
        bits_table=sum(_worth(a.relation) for a in answers),
        bits_shuffled=float(of["shuffled"].sum(1).mean()),
        bits_shuffled_interval=spread["shuffled"],
        bits_relation_only=float(of["relation_only"].sum()),
        bits_relation_only_interval=spread["relation_only"],
        parameters=parameters,
        relations={a.relation.name: _of_relation(a, r, seed) for a, r in zip(answers, reads, strict=True)},
        calibration=calibration(confidence, hits),
        unfinished=max(_error(b) for a in answers for b in a.blocks) if answers[0].closed else 0.0,
        tokens=sum(b.tokens for a in answers for b in a.blocks),
        settings=settings,
        table=_table(table, answers, reads),
        seconds=time.perf_counter() - begun,
    )


def _chosen(read: _Read, values: np.ndarray) -> np.ndarray:
    """``(n,)`` of ``(t, n)``: each fact in the template that other facts chose."""
    return values[read.coded.template, np.arange(values.shape[1])]


def _worth(r: Relation) -> float:
    return float(-r.log_prior[r.own].sum() / NATS)


def _error(block: Block) -> float:
    return float((block.left / np.exp(closed_logs(block))).max())


def _share(right: np.ndarray, subjects: Sequence[str], seed: int) -> dict[str, Any]:
    values = right.astype(float)
    return {"value": float(values.mean()), "interval": interval(values, subjects, mean=True, seed=seed)}


def _of_relation(a: Answers, r: _Read, seed: int) -> dict[str, Any]:
    who = a.relation.subjects
    prior = a.relation.log_prior[a.relation.own]
    by_template = {}
    for k, template in enumerate(a.templates):
        alone = coded_bits(r.log_p[k : k + 1] - prior, folds_of(len(who), seed)).bits
        by_template[template] = {
            "recall": {kind: float(v[k].mean()) for kind, v in r.right.items()},
            "bits": float(alone.sum()),
            "bits_raw": float((r.log_p[k] - prior).sum() / NATS),
            "facts_chosen": int((r.coded.template == k).sum()),
        }
    return {
        "facts": len(who),
        "answers": len(a.relation.answers),
        "recall": {kind: _share(_chosen(r, v), who, seed) for kind, v in r.right.items()},
        "bits": float(r.coded.bits.sum()),
        "bits_interval": interval(r.coded.bits, who, seed=seed),
        "bits_raw": float(r.raw.sum()),
        "bits_negative": float(np.minimum(r.coded.bits, 0).sum()),
        "bits_table": _worth(a.relation),
        "bits_shuffled": float(r.shuffled.sum(1).mean()),
        "bits_shuffled_interval": interval(r.shuffled, who, seed=seed),
        "bits_relation_only": float(r.relation_only.sum()),
        "weight": float(r.coded.weight.mean()),
        "by_template": by_template,
    }


def _confidence(answers: Sequence[Answers], reads: Sequence[_Read]) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each fact's most likely answer among its relation's, and whether it is right."""
    found, right = [np.zeros(0)], [np.zeros(0)]
    for a, r in zip(answers, reads, strict=True):
        if not a.closed:
            continue
        top = np.stack([np.exp(b.log_probability.max(1) - closed_logs(b)) for b in a.blocks])
        found.append(np.minimum(_chosen(r, top), 1.0))
        right.append(_chosen(r, r.right["closed"]).astype(float))
    return np.concatenate(found), np.concatenate(right)


def _table(table: FactTable, answers: Sequence[Answers], reads: Sequence[_Read]) -> dict[str, list[Any]]:
    """One row a fact, in the order of the table."""
    rows: list[dict[str, Any]] = [{} for _ in range(len(table))]
    for a, r in zip(answers, reads, strict=True):
        for i, at in enumerate(a.relation.rows.tolist()):
            t = int(r.coded.template[i])
            block, own = a.blocks[t], int(a.relation.own[i])
            row: dict[str, Any] = {
                "subject": a.relation.subjects[i],
                "relation": a.relation.name,
                "answer": a.relation.answers[own],
                "template": a.templates[t],
                "candidates": len(a.relation.answers),
                "log_probability": float(block.own[i]),
                "bits": float(r.coded.bits[i]),
                "bits_raw": float(r.raw[i]),
                "bits_table": float(-a.relation.log_prior[own] / NATS),
            }
            if a.closed:
                row |= {
                    "rank": int(r.rank[t, i]),
                    "probability": float(np.exp(r.log_p[t, i])),
                    "best": a.relation.answers[int(r.best[t, i])],
                    "known": bool(r.right["closed"][t, i]),
                }
            if "open" in r.right:
                row |= {"said": block.said[i], "said_right": bool(r.right["open"][t, i])}
            rows[at] = row
    return {name: [row[name] for row in rows] for name in rows[0]}
