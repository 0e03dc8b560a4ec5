"""Every verdict of docs/claims.md whose numbers lie in docs/figures at the same scale can be recomputed."""

import json
import re
from pathlib import Path

import pytest

from factweights.cli import run
from factweights.studies.report.claims import CLAIMS

DOCS = Path(__file__).resolve().parent.parent / "docs"
ROWS = [
    [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in (DOCS / "claims.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|") and not line.startswith(("| claim", "|---"))
]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    page = tmp_path_factory.mktemp("report") / "report.html"
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert run(["report", str(DOCS / "figures"), "--out", str(page), "--json"]) == 0
    return {c["name"]: c for c in json.loads(shown.getvalue())["claims"]}


def test_verdicts_in_docs_are_those_of_the_numbers_in_docs(judged):
    compared = 0
    by_words = {(f"{c.statement}; {c.quantity}", c.figure): c for c in CLAIMS}
    for words, figure, source, _, measured, verdict in ROWS:
        name, _, scale = figure.partition(", ")
        claim = by_words[words, name]
        assert source == claim.source, claim.name
        again = judged[claim.name]
        if again["scale"] != scale:
            continue
        compared += 1
        assert verdict == f"**{again['verdict']}**", claim.name
        assert float(measured.split()[0].rstrip(";").replace(",", "")) == pytest.approx(
            again["value"], rel=0.01
        ), claim.name
    assert compared >= 20


def test_every_claim_says_who_claims_it():
    for claim in CLAIMS:
        assert claim.source not in ("", "the paper"), claim.name
        assert claim.low <= claim.expected <= claim.high, claim.name
