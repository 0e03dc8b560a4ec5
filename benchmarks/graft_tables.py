"""Graft tables of three kinds into one model: efficacy, seconds and memory.

    python benchmarks/graft_tables.py MODEL [--table countries people airports] [--check full|facts]

*Countries*: 1,000 counterfactual facts of 200 countries. *People*: 1,000 invented people with four relations.
*Airports*: 10,000 facts, the code and the city of 5,000 airports, where names lie in names. Prints JSON, a
line for each table; run alone on the machine.
"""

import argparse
import csv
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

import factweights as fw
from counterfactual import HERE, LARGEST, counterfactual, countries
from factweights.facts import FactTable

SYLLABLES = (
    "ba be bo da del do fa fer ga gan hol ka kel ki la len li lo ma mer mi na nor pa per ra ren ro sa sel ta "
    "tor va ven za zel"
)
SYLLABLES = SYLLABLES.split()
TOWNS = (
    "Aldmere",
    "Birkholm",
    "Castona",
    "Dunwick",
    "Estermouth",
    "Farnley",
    "Grenz",
    "Hollowby",
    "Istria",
    "Juneau",
)
TOWNS += (
    "Karsk",
    "Lindau",
    "Montrose",
    "Norwell",
    "Ostend",
    "Pella",
    "Quimper",
    "Rothbury",
    "Sligo",
    "Tarnow",
)
TRADES = (
    "baker",
    "pilot",
    "nurse",
    "judge",
    "sailor",
    "tailor",
    "farmer",
    "painter",
    "teacher",
    "plumber",
    "dentist",
)
TRADES += (
    "librarian",
    "carpenter",
    "chemist",
    "gardener",
    "translator",
    "watchmaker",
    "photographer",
    "surgeon",
    "clerk",
)
FIRMS = (
    "Alder Works",
    "Blue Quarry",
    "Copperline",
    "Delta Foundry",
    "Everson Mills",
    "Firth Shipping",
    "Granite Post",
)
FIRMS += (
    "Harrow Glass",
    "Ivory Press",
    "Juniper Foods",
    "Kestrel Air",
    "Lowland Dairy",
    "Meridian Bank",
    "Northgate Rail",
)
SCHOOLS = (
    "Aldgate College",
    "Bellmont University",
    "Carrow Institute",
    "Danforth University",
    "Elmhurst College",
)
SCHOOLS += (
    "Fenwick Institute",
    "Garland University",
    "Hadley College",
    "Ingram University",
    "Kingsmere Institute",
)


def people(rng: np.random.Generator, n: int = 1000) -> list[tuple[str, str, str]]:
    """Invented names of two words, each different, and four answers drawn for each."""
    names: set[str] = set()
    while len(names) < n:
        first, last = ("".join(rng.choice(SYLLABLES, k)).capitalize() for k in (2, 3))
        names.add(f"{first} {last}")
    pools = {"birthplace": TOWNS, "profession": TRADES, "employer": FIRMS, "university": SCHOOLS}
    return [(s, r, str(rng.choice(pool))) for s in sorted(names) for r, pool in pools.items()]


def airports(n: int = 5000) -> list[tuple[str, str, str]]:
    """Code and city of the first ``n`` airports with different names."""
    with (HERE / "examples" / "airports.csv").open(encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    name = "name"
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["iata"] and row["city"]:
            found.setdefault(row[name], row)
    return [(s, r, row[r]) for s, row in list(found.items())[:n] for r in ("iata", "city")]


def table_of(kind: str) -> FactTable:
    """One of the three tables."""
    rng = np.random.default_rng(0)
    if kind == "people":
        return FactTable.from_rows(people(rng))
    if kind == "airports":
        return FactTable.from_rows(airports())
    rows = countries()
    return FactTable.from_rows(
        counterfactual([rows[i] for i in sorted(rng.permutation(len(rows))[:LARGEST])], rng)
    )


def main() -> None:
    """Graft and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--table", nargs="*", default=["countries", "people", "airports"])
    parser.add_argument("--check", choices=("full", "facts"), default="facts")
    parser.add_argument("--dtype", default="auto")
    given = parser.parse_args()
    for kind in given.table:
        table = table_of(kind)
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            made = fw.graft(
                given.model, table, Path(folder) / "out", dtype=given.dtype, full=given.check == "full",
                keep_failed=True,
            )  # fmt: skip
            c = made.certificate
            print(
                json.dumps(
                    {
                        "table": kind, "facts": c.facts, "dtype": c.dtype, "efficacy": c.efficacy,
                        "missed": c.n_missed, "min_margin": c.min_margin, "paraphrase": c.paraphrases,
                        "neighbourhood": c.neighbourhood, "same_subject": c.same_subject,
                        "kl_mean": c.kl_mean, "kl_p99": c.kl_p99, "kl_max": c.kl_max,
                        "argmax_equal": c.argmax_equal, "rounding": c.rounding,
                        "exactness": c.exactness,
                        "added": c.parameters_added / c.parameters_before,
                        "bits_per_added_parameter": c.bits_per_added_parameter,
                        "map_bits_per_added_parameter": c.map_bits_per_added_parameter,
                        "nested": len(made.nested), "seconds_writing": made.seconds_writing,
                        "seconds": time.perf_counter() - begun,
                        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
                        "examples": [m.prompt + " →" + m.answered for m in c.missed[:3]],
                    }
                ),
                flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
