"""Invented people as a table of facts."""

from factweights.facts import FactTable
from factweights.models.people.population import PHRASES, Population

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


def syllable(k: int) -> str:
    """A syllable of two letters for every k below 70."""
    return CONSONANTS[k % len(CONSONANTS)] + VOWELS[k // len(CONSONANTS) % len(VOWELS)]


def people_table(people: int, *, seed: int = 0) -> FactTable:
    """Every attribute of every person as a fact; names and values of a population spelt in syllables."""
    population = Population(people, seed=seed)
    first = 1 + population.alphabet + population.attributes
    rows = []
    for name, told in zip(population.names.tolist(), population.told.tolist(), strict=True):
        person = "".join(syllable(t - 1) for t in name).capitalize()
        for k, value in enumerate(told):
            rows.append((person, PHRASES[k], f"{syllable(value - first)}n{syllable(k)}".capitalize()))
    return FactTable.from_rows(rows)
