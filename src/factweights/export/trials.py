"""What a compiled model is asked besides its facts: noise, the end, and prompts that have no answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from factweights.export import real
from factweights.export.absence import Absence
from factweights.export.names import BOS, EOS, UNK, Prompts, Vocabulary
from factweights.facts import FactTable
from factweights.progress import OnProgress

NOISY_PROMPTS = 64  # facts asked among noise: a spot check, the claim is proved
UNSTORED = 512  # pairs without a fact that are asked where their absence is not stored
MOST = 1 << 18  # and where it is


def ask_noise(model: Any, table: FactTable, vocabulary: Vocabulary, seed: int) -> dict[str, float]:
    """Names at random places among words that are neither subject nor relation, up to the whole context.

    Half as many more prompts have the answer as their last token, and are to end.
    """
    rng = np.random.default_rng(seed)
    asked = {*vocabulary.subjects, *vocabulary.relations, *vocabulary.tokens[:3]}
    others = [i for i, token in enumerate(vocabulary.tokens) if token not in asked]
    last = [i for i in others if vocabulary.tokens[i] not in {*vocabulary.plain_answers}]
    length = model.config.max_position_embeddings
    rows = rng.choice(len(table), min(NOISY_PROMPTS, len(table)), replace=False)
    ids, ended = [], []
    for i in rows:
        prompt = rng.choice(others, length)
        prompt[0], prompt[-1] = vocabulary.ids[BOS], rng.choice(last)
        prompt[1 + rng.choice(length - 1, 2, replace=False)] = vocabulary.of(
            (table.subject[i], table.relation[i])
        )
        ids.append(prompt.tolist())
        if table.answer[i] in {*vocabulary.answers}.difference(vocabulary.ending):
            given = rng.choice(others, length)
            given[0], given[-1] = vocabulary.ids[BOS], vocabulary.ids[table.answer[i]]
            given[1 + rng.choice(length - 2, 2, replace=False)] = vocabulary.of(
                (table.subject[i], table.relation[i])
            )
            ended.append(given.tolist())
    found = real.answer(model, ids, vocabulary.of(table.answer[i] for i in rows))
    stopped = real.answer(model, ended, [vocabulary.ids[EOS]] * len(ended))
    return {
        "length": length,
        "prompts": len(ids),
        "recall": found.recall,
        "min_margin": float(found.margin.min()),
        "stop_asked": len(ended),
        "stop_right": int((stopped.margin > 0).sum()),
    }


def ask_stop(
    model: Any, table: FactTable, vocabulary: Vocabulary, prompts: Sequence[Prompts], on_progress: OnProgress
) -> dict[str, Any]:
    """Every fact in every template, with its answer behind it: what follows is to be </s>."""
    eos, ending = vocabulary.ids[EOS], {*vocabulary.ending}
    given = {*vocabulary.answers} - ending
    ids = [
        [*prompt, vocabulary.ids[table.answer[row]]]
        for asked in prompts
        for row, prompt in zip(asked.rows, asked.ids, strict=True)
        if table.answer[row] in given
    ]
    found = real.answer(model, ids, [eos] * len(ids), on_progress=on_progress, what="asking for the end")
    return {
        "asked": len(ids),
        "right": int((found.margin > 0).sum()),
        "min_margin": float(found.margin.min()) if ids else None,
        "by_setting": sorted(ending),
    }


def ask_absent(
    model: Any, table: FactTable, vocabulary: Vocabulary, stored: bool, seed: int, on_progress: OnProgress
) -> dict[str, Any]:
    """Known subjects with known relations that have no fact, as many as can be: the answer is to be <unk>."""
    if not stored and len(vocabulary.subjects) * len(vocabulary.relations) > MOST:
        return {"stored": False, "pairs": None, "asked": 0, "right": 0, "min_margin": None}
    absence = Absence.of(table, vocabulary)
    pairs = absence.some(MOST if stored else UNSTORED, seed)
    unk, bos = vocabulary.ids[UNK], vocabulary.ids[BOS]
    subjects, relations = vocabulary.of(vocabulary.subjects), vocabulary.of(vocabulary.relations)
    ids = [[bos, subjects[s], relations[r]] for s, r in zip(*(x.tolist() for x in pairs), strict=True)]
    found = real.answer(
        model, ids, [unk] * len(ids), on_progress=on_progress, what="asking for what is not there"
    )
    return {
        "stored": stored,
        "pairs": absence.count,
        "asked": len(ids),
        "right": int((found.margin > 0).sum()),
        "min_margin": float(found.margin.min()) if ids else None,
    }


def ask_unknown(model: Any, vocabulary: Vocabulary) -> dict[str, dict[str, float]]:
    """Every subject without a relation, and every relation without a subject."""
    bos, unk = vocabulary.ids[BOS], vocabulary.ids[UNK]
    kinds = {
        "unknown subject": [[bos, unk, r] for r in vocabulary.of(vocabulary.relations)],
        "unknown relation": [[bos, s, unk] for s in vocabulary.of(vocabulary.subjects)],
    }
    found = {}
    for what, ids in kinds.items():
        share = float((real.answer(model, ids).best == unk).double().mean())
        found[what] = {"prompts": len(ids), "unknown": share}
    return found
