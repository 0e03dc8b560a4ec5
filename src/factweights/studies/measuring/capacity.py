"""The functions that cells call. Everything heavy is imported here, in the process that runs the cell."""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import cast

import torch

from factweights.certificates.margins import margins_of
from factweights.errors import SettingError, UnknownNameError
from factweights.facts.associations import Assignment, Associations
from factweights.facts.recall_task import RecallTask
from factweights.folders.jsons import Json
from factweights.memories.transformer import RecallTransformer
from factweights.methods import method_named
from factweights.searching import geometric_mean, threshold
from factweights.seeds import apart
from factweights.sizing import capacity
from factweights.sizing.probing import probe
from factweights.studies.measuring.families import task_sizes
from factweights.studies.measuring.results import (
    CapacityResult,
    RecallCapacityResult,
    RecallProbe,
    RecallResult,
    RecallRun,
    SuccessResult,
    Trained,
)

PROMPTS = 2**14  # fresh ones that recall is measured on at least; every fact as often as the others
BLOCK = 2**24  # scores or token counts held at once
STEP, GROWTH = 1.2, 1.5  # the search for a size steps by this factor, whose exponent grows with each step


def measure_capacity(
    method: str,
    d: int,
    recall: float,
    seed: int,
    settings: Json | None = None,
    tolerance: float = 0.01,
    outputs: int | None = None,
    assignment: Assignment = "uniform",
) -> CapacityResult:
    """The capacity of one method at one size with one seed, as ``Capacity.to_dict`` gives it.

    And the ``parameters`` of a memory of that size, every scalar counted.
    """
    chosen = method_named(method)(**(settings or {}))
    found = capacity(
        chosen,
        d=d,
        recall=recall,
        seeds=[seed],
        tolerance=tolerance,
        outputs=outputs,
        assignment=assignment,
    )
    return cast(CapacityResult, {**found.to_dict(), "parameters": chosen.n_parameters(d, d)})


def measure_success(
    method: str, facts: int, d: int, recall: float, seed: int, settings: Json | None = None
) -> SuccessResult:
    """Whether one method stores ``facts`` random injective facts of dimension ``d`` with one seed."""
    begun = time.perf_counter()
    chosen = method_named(method)(**(settings or {})).for_recall(recall)
    found = probe(chosen, Associations.spherical(facts, d, seed=seed), recall, seed=seed, size=facts)
    return {
        "fits": found.verdict == "fits",
        "verdict": found.verdict,
        "recall": found.recall,
        "facts": facts,
        "seconds": time.perf_counter() - begun,
    }


def measure_recall(
    method: str,
    settings: Json,
    subjects: int,
    relations: int,
    answers: int,
    seed: int,
    recall: float = 0.99,
    variants: Sequence[Json] = (),
    prompts: int = PROMPTS,
) -> RecallResult:
    """One transformer trained on one random recall task, and its recall on fresh prompts.

    Args:
        method: a name in ``RECALL_METHODS``.
        settings: of the method, the sizes of the transformer among them.
        subjects, relations, answers: S, R and D.
        seed: of the task, the training and, apart from those, the fresh prompts.
        recall: the criterion; further variants are tried as long as it is missed.
        variants: further settings, one try each; the best is told.
        prompts: to measure on, at least; a whole number for every fact.
    """
    from factweights.methods.recall import RECALL_METHODS

    if method not in RECALL_METHODS:
        raise UnknownNameError(
            "recall method", method, RECALL_METHODS, f"(there are {', '.join(RECALL_METHODS)})"
        )
    begun = time.perf_counter()
    task = RecallTask.random(subjects, relations, answers, seed=seed)
    tried: list[Trained] = []
    for variant in variants or ({},):
        found = RECALL_METHODS[method](**{**settings, **variant}).solve(task, seed=seed)
        reached = fresh_recall(found.memory, task, prompts=prompts, seed=seed)
        tried.append(_trained(found.memory, reached, variant, found.steps))
        if reached >= recall:
            break
    best = max(tried, key=lambda t: t["recall"])
    return {"facts": len(task), **best, "tries": len(tried), "seconds": time.perf_counter() - begun}


def measure_recall_capacity(
    method: str,
    settings: Json,
    family: str,
    seed: int,
    recall: float = 0.99,
    low: int = 8,
    high: int = 512,
    tolerance: float = 0.05,
    guess: int | None = None,
    variants: Sequence[Json] = (),
    prompts: int = PROMPTS,
) -> RecallCapacityResult:
    """The most facts that one transformer is trained to recall: the size S of its task searched.

    Args:
        method, settings, seed, recall, variants, prompts: as in :func:`measure_recall`.
        family: how R and D follow from S, a name in ``FAMILIES``.
        low, high: smallest and largest S.
        tolerance: relative width at which a bracket of S is narrow enough; neighbours always are.
        guess: S to begin with; ``low`` by default.

    Returns:
        Of the search ``runs`` with one entry and its probes: facts at the largest S found to work, 0 where
        ``low`` failed; the bracket in facts, its upper end None where ``high`` worked.
    """
    begun = time.perf_counter()
    probes: list[RecallProbe] = []

    def works(size: int) -> bool:
        S, R, D = task_sizes(family, size)
        found = measure_recall(method, settings, S, R, D, seed, recall, variants, prompts)
        verdict = "fits" if found["recall"] >= recall else "not found"
        probes.append({"size": size, "relations": R, "answers": D, "verdict": verdict, **found})
        return verdict == "fits"

    below, above = largest_size(works, guess or low, low, high, tolerance)
    facts = 0 if below is None else math.prod(task_sizes(family, below)[:2])
    run: RecallRun = {
        "seed": seed,
        "size": below or 0,
        "facts": facts,
        "bracket": (facts, None if above is None else math.prod(task_sizes(family, above)[:2])),
        "proved": "lower side",
        "probes": probes,
        "seconds": time.perf_counter() - begun,
    }
    return {
        "method": {"method": method, **settings},
        "family": family,
        "recall": recall,
        "facts": facts,
        "law": None,
        "runs": [run],
        "seconds": run["seconds"],
    }


def largest_size(
    works: Callable[[int], bool], guess: int, low: int, high: int, tolerance: float
) -> tuple[int | None, int | None]:
    """(Largest size seen to work, smallest seen to fail) in ``low … high``; None for one that was not seen.

    From ``guess`` outwards by growing factors until one size works and one fails, then bisection of the
    logarithm, as a probe costs a training run whose time grows with the size.

    Raises:
        SettingError: no sizes to search, or a tolerance that means nothing.
    """
    if not 1 <= low <= high or not tolerance > 0:
        raise SettingError(f"a search needs 1 ≤ low ≤ high and tolerance > 0, got {low}, {high}, {tolerance}")
    below, above = threshold(
        lambda size: not works(size),
        guess,
        tolerance,
        least=low,
        most=high,
        factors=itertools.accumulate(itertools.repeat(STEP), lambda factor, _: factor**GROWTH),
        middle=geometric_mean,
    )
    return below if below >= low else None, above if above <= high else None


@torch.no_grad()
def fresh_recall(
    memory: RecallTransformer, task: RecallTask, *, prompts: int = PROMPTS, seed: int = 0
) -> float:
    """Share of fresh prompts whose answer scores above every other one; each fact is asked equally often."""
    generator = torch.Generator().manual_seed(apart(seed, "asked"))
    draws = math.ceil(prompts / len(task))
    block = max(1, BLOCK // max(task.n_tokens, task.n_answers))
    right = 0
    for _ in range(draws):
        for facts in torch.arange(len(task)).split(block):
            counts = task.counts(facts, generator).to(device=memory.device, dtype=memory.dtype)
            scores = memory.logits(memory(counts))
            right += int((margins_of(scores, task.target[facts].to(memory.device)) > 0).sum())
    return right / (draws * len(task))


def _trained(memory: RecallTransformer, recall: float, variant: Json, evaluations: int) -> Trained:
    return {
        "recall": recall,
        "variant": variant,
        "evaluations": evaluations,
        "parameters": memory.count_parameters(),
        "paper_count": memory.paper_count,
    }
