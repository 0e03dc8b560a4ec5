"""Cells of the study on trained language models; what is heavy is imported in the process that runs them."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import cast

from factweights.studies.measuring.results import CompiledResult, LearntResult


def measure_trained(
    architecture: str,
    shape: str,
    parameters: int,
    people: int,
    exposures: int,
    batch: int,
    rate: float,
    seed: int,
) -> LearntResult:
    """Train a stock model of about so many parameters on so many invented people; the bits it has learnt."""
    from factweights.models.people.population import Population
    from factweights.models.people.training import Recipe, learn, sized

    population = Population(people, seed=seed)
    settings = sized(architecture, shape, parameters, population.vocabulary, population.length)
    found = learn(population, settings, Recipe(exposures, batch, rate), seed=seed)
    return cast(LearntResult, {**dataclasses.asdict(found), "people": people, "seed": seed})


def measure_compiled(people: int, seed: int) -> CompiledResult:
    """Compile the attributes of so many people into a model, and read their bits back."""
    from factweights.export import compile_table
    from factweights.models.measure import measure
    from factweights.models.people.table import people_table

    begun = time.perf_counter()
    table = people_table(people, seed=seed)
    with tempfile.TemporaryDirectory() as tmp:
        compile_table(table, Path(tmp) / "model", seed=seed)
        found = measure(Path(tmp) / "model", table, mode="closed", prior="uniform")
    return {
        "bits": found.bits,
        "parameters": found.parameters,
        "facts": found.facts,
        "recall": found.recall["closed"]["value"],
        "people": people,
        "seed": seed,
        "seconds": time.perf_counter() - begun,
    }
