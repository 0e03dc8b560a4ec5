"""One page for a colleague: every claim with figure, numbers, intervals and verdict, and how it was made."""

import base64
import csv
import dataclasses
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factweights.errors import FactweightsError, FileFormatError
from factweights.folders import Json, must_take_file, whole_file
from factweights.show import Shown, duration
from factweights.studies.figures import STUDIES
from factweights.studies.report.checks import Claim, Judged, judge
from factweights.studies.report.claims import CLAIMS
from factweights.studies.report.figure_files import numbers_of, read_figure
from factweights.studies.study import Data

BAR = r"\|"  # in a cell of a Markdown table
REPORT = "report.html"
Plain = int | float | str | None  # what a cell of a table on the page holds


@dataclass(frozen=True)
class Section:
    """What the page says of one figure.

    Attributes:
        name, title, scale: of the study.
        svg, trouble: the picture, or why there is none.
        claims: about this figure.
        fits: power laws, one row each.
        columns, rows: its points as a table.
        json, csv: downloads, as links that hold them.
        spec, spec_hash, versions, cells, cell_seconds: how it was made.
    """

    name: str
    title: str
    scale: str | None
    svg: str
    trouble: str
    claims: tuple[Judged, ...]
    fits: tuple[tuple[str, ...], ...]
    columns: list[str]
    rows: list[list[Plain]]
    json: str
    csv: str
    spec: str
    spec_hash: str
    versions: dict[str, str]
    cells: int | None
    cell_seconds: str


@dataclass(frozen=True)
class Report(Shown):
    """A report that was written.

    Attributes:
        path: the page.
        claims: every claim with its verdict.
        figures: the studies that it shows.
    """

    path: Path
    claims: tuple[Judged, ...]
    figures: tuple[str, ...]

    def to_dict(self) -> Json:
        """Plain numbers and strings, ready for JSON."""
        claims = [c.to_dict() for c in self.claims]
        return {"report": str(self.path), "claims": claims, "shown": list(self.figures)}

    def to_pandas(self) -> Any:
        """One row per claim (needs the extra [data])."""
        import pandas as pd

        return pd.DataFrame([c.to_dict() for c in self.claims])

    def to_markdown(self) -> str:
        """The claims as a table."""
        rows = [
            "| claim | figure | by | expected, band | measured, 95 % | verdict |",
            "|---|---|---|---|---|---|",
        ]
        for c in self.claims:
            scale = f", {c.scale}" if c.scale else ""
            cells = [f"{c.statement}; {c.quantity}", f"{c.figure}{scale}", c.source, c.expected_text]
            cells += [c.measured_text, f"**{c.verdict}**"]
            rows.append(f"| {' | '.join(text.replace('|', BAR) for text in cells)} |")
        return "\n".join(rows) + "\n"

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        told = [
            (c.name, f"{c.verdict}: {c.quantity} {c.measured_text}; expected {c.expected_text}")
            for c in self.claims
        ]
        return [*told, ("report", str(self.path))]


def write_report(
    folder: str | Path, out: str | Path | None = None, *, claims: Sequence[Claim] = CLAIMS
) -> Report:
    """Write the report of the studies in ``folder``: one HTML file that needs nothing else.

    Args:
        folder: with the ``<study>.json`` files that studies wrote.
        out: the page; ``folder/report.html`` by default.
        claims: to be judged.

    Raises:
        FileNotFoundError: no such folder.
        FileFormatError: no study has left its numbers there, or one of the files is damaged.
        OutputError: the page could not be written.
    """
    from factweights.plots.page import render

    folder = Path(folder)
    found = read_studies(folder)
    path = folder / REPORT if out is None else Path(out)
    must_take_file(path)
    judged = tuple(_judged(folder, claim, found.get(claim.figure)) for claim in claims)
    page = render(_context(folder, found, judged))
    with whole_file(path) as tmp:
        tmp.write_text(page, encoding="utf-8")
    return Report(path, judged, tuple(found))


def _judged(folder: Path, claim: Claim, data: Json | None) -> Judged:
    with numbers_of(folder / f"{claim.figure}.json"):
        return judge(claim, data)


def read_studies(folder: Path) -> dict[str, Json]:
    """The numbers that studies left in ``folder``, by name, in the order of the paper.

    Raises:
        FileNotFoundError, FileFormatError: as in :func:`write_report`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}")
    found = {
        name: read_figure(folder / f"{name}.json", name)
        for name in STUDIES
        if (folder / f"{name}.json").is_file()
    }
    if not found:
        raise FileFormatError(
            f"no study has left its numbers in {folder}; run factweights reproduce all there first"
        )
    return found


def _context(folder: Path, found: Mapping[str, Json], judged: Sequence[Judged]) -> dict[str, object]:
    counts = Counter(c.verdict for c in judged)
    order = ("holds", "open", "fails", "not shown", "not run")
    versions = next(iter(found.values())).get("versions", {})
    return {
        "counts": [(v, counts[v]) for v in order if counts[v]],
        "claims": judged,
        "figures": [_figure(folder, name, data, judged) for name, data in found.items()],
        "shown": list(found),
        "versions": versions,
        "scales": sorted({str(d.get("scale")) for d in found.values()}),
        "cell_seconds": duration(sum(d.get("cell_seconds", 0.0) for d in found.values())),
    }


def _figure(folder: Path, name: str, data: Json, judged: Sequence[Judged]) -> Section:
    with numbers_of(folder / f"{name}.json"):
        return _shown(name, data, judged)


def _shown(name: str, data: Json, judged: Sequence[Judged]) -> Section:
    from factweights.plots.page import inline_svg

    kind = STUDIES[name]
    try:
        svg, trouble = inline_svg(kind.draw(data), name), ""
    except (FactweightsError, LookupError, TypeError, ValueError) as e:  # numbers of another version
        svg, trouble = "", f"could not be drawn: {e}"
    columns, rows = _table(data)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return Section(
        name=name,
        title=data.get("title", name),
        scale=data.get("scale", ""),
        svg=svg,
        trouble=trouble,
        claims=tuple(c for c in judged if c.figure == name),
        fits=tuple(dataclasses.astuple(fit) for fit in kind.fits(data)),
        columns=columns,
        rows=rows,
        json=_download(text, "application/json"),
        csv=_download(_csv(columns, rows), "text/csv"),
        spec=json.dumps(data.get("spec"), indent=1, ensure_ascii=False),
        spec_hash=data.get("spec_hash", ""),
        versions=data.get("versions", {}),
        cells=data.get("cells"),
        cell_seconds=duration(data.get("cell_seconds", 0.0)),
    )


def _table(data: Data) -> tuple[list[str], list[list[Plain]]]:
    """The points (cells, flows, runs) of all series, plain values only, under the names that they share."""
    found = [
        {"series": s["label"], **_plain(p)}
        for s in data["series"]
        for p in next((s[k] for k in ("points", "cells", "flows", "runs") if k in s), ())
    ]
    columns = list(dict.fromkeys(k for p in found for k in p))
    return columns, [[p.get(k) for k in columns] for p in found]


def _plain(point: Data) -> dict[str, Plain]:
    shown = {k: v for k, v in point.items() if v is None or isinstance(v, (int, float, str))}
    if "interval" in point:
        shown |= {"smallest": point["interval"][0], "largest": point["interval"][1]}
    return shown


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Plain]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([columns, *rows])
    return out.getvalue()


def _download(text: str, kind: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"
