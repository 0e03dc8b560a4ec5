"""Laws against measurements, success as a curve, claims that can fail, and the page that tells of them."""

import html.parser
import json
import math
import re

import numpy as np
import pytest

from factweights.errors import FileFormatError, OutputError, SettingError, UnknownNameError
from factweights.studies import (
    FIGURES,
    Cell,
    SuccessCurve,
    against_law,
    logistic_fit,
    power_law,
    reproduce,
    write_report,
)
from factweights.studies.report.checks import Claim, judge
from factweights.studies.report.claims import CLAIMS, INF
from factweights.studies.report.comparisons import Finding

# -- fits --------------------------------------------------------------------------------------------------


def test_a_power_law_is_found_with_its_constant():
    x = [10.0, 20.0, 50.0, 80.0]
    found = power_law(x, [[3 * s**0.75] * 3 for s in x])
    assert (found.exponent, found.constant) == pytest.approx((0.75, 3.0))
    assert found.exponent_interval == pytest.approx((0.75, 0.75))
    assert found.constant_interval == pytest.approx((3.0, 3.0))
    assert found.scatter == pytest.approx(0, abs=1e-9)
    assert power_law(x, [[s] for s in x]).exponent_interval is None
    assert "exponent" in str(found)
    with pytest.raises(SettingError, match="two different sizes"):
        power_law([2, 2], [[1], [1]])


def test_intervals_of_exponent_and_constant_cover_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    x = 2.0 ** np.arange(4, 10)
    hits = np.zeros(3)
    for trial in range(100):
        runs = [(2 * s**0.9 * np.exp(rng.normal(0, 0.1, 9))).tolist() for s in x]
        found = power_law(x.tolist(), runs, draws=300, seed=trial)
        beside = against_law(x.tolist(), runs, (1.6 * x**0.9).tolist(), draws=300, seed=trial)
        for i, (value, (low, high)) in enumerate(
            [(0.9, found.exponent_interval), (2.0, found.constant_interval), (1.25, beside.interval)]
        ):
            hits[i] += low <= value <= high
    assert (hits >= 85).all()


def test_residuals_to_a_law():
    x = [4.0, 16.0, 64.0]
    found = against_law(x, [[2 * s] for s in x], x)
    assert found.ratio == pytest.approx(2.0)
    assert found.residuals == pytest.approx([math.log(2)] * 3)
    assert found.rms == pytest.approx(math.log(2))
    assert found.drift == pytest.approx(0, abs=1e-12)
    assert against_law(x, [[s**1.1] for s in x], x).drift == pytest.approx(0.1)
    with pytest.raises(SettingError, match="to compare"):
        against_law(x, [[0.0]] * 3, x)


def test_a_logistic_curve_is_found_again():
    rng, x = np.random.default_rng(0), np.linspace(0.8, 1.25, 10)
    p = 1 / (1 + (x / 1.03) ** 40)
    fits = [
        logistic_fit(x.tolist(), [(rng.random(20) < q).tolist() for q in p], draws=100, seed=trial)
        for trial in range(25)
    ]
    assert sum(f.middle_interval[0] <= 1.03 <= f.middle_interval[1] for f in fits) >= 21
    found = fits[-1]
    assert found.middle == pytest.approx(1.03, abs=0.03)
    assert found.steepness == pytest.approx(40, rel=0.4)
    assert found.probability(found.middle) == pytest.approx(0.5)
    assert found.probability(0.5) > 0.99 > 0.01 > found.probability(2.0)


def test_a_step_has_a_finite_curve():
    found = logistic_fit([0.9, 1.0, 1.1, 1.2], [[True] * 5, [True] * 5, [False] * 5, [False] * 5])
    assert 1.0 < found.middle < 1.1
    assert 0 < found.width < 0.2
    assert json.loads(json.dumps(found.to_dict()))["tries"] == 20
    with pytest.raises(SettingError, match="every try failed"):
        logistic_fit([1, 2], [[False], [False]])
    with pytest.raises(SettingError, match="two different loads"):
        logistic_fit([1], [[True]])


def test_success_over_load_is_measured_and_drawn(tmp_path):
    study = SuccessCurve(sizes=(8,), loads=(0.6, 0.9, 1.1, 1.5), seeds=(0, 1, 2))
    done = reproduce("success-curve", tmp_path, study=study, workers=1)
    (series,) = done.data["series"]
    shares = [p["share"] for p in series["points"]]
    assert shares[0] == 1
    assert shares[-1] == 0
    assert series["points"][-1]["refuted"] == 3  # nothing was merely not found
    assert 0.6 < series["fit"]["middle"] < 1.5
    assert {f.suffix for f in done.files} == {".png", ".svg", ".json"}


# -- claims ------------------------------------------------------------------------------------------------


def claim(low: float, high: float, finding: Finding | None) -> Claim:
    return Claim("x", "fig1-left", "x is so", "us", "x", 1.0, low, high, lambda data: finding)


@pytest.mark.parametrize(
    ("low", "high", "finding", "verdict"),
    [
        (0.9, 1.1, Finding(1.0, None), "holds"),
        (0.9, 1.1, Finding(1.0, (0.95, 1.05)), "holds"),
        (0.9, 1.1, Finding(1.0, (0.8, 1.05)), "open"),
        (0.9, 1.1, Finding(1.2, (1.05, 1.3)), "open"),
        (0.9, 1.1, Finding(1.2, (1.15, 1.3)), "fails"),
        (0.9, 1.1, Finding(0.5, None), "fails"),
        (1.0, INF, Finding(5.0, None), "holds"),
        (5.0, 5.0, Finding(5.0, None), "holds"),
        (0.9, 1.1, None, "not shown"),
    ],
)
def test_a_verdict_can_go_either_way(low, high, finding, verdict):
    assert judge(claim(low, high, finding), {"scale": "tiny"}).verdict == verdict
    assert judge(claim(low, high, finding), None).verdict == "not run"


def point(facts: float, **more) -> dict:
    return {
        "facts": facts,
        "interval": [facts, facts],
        "runs": [{"seed": s, "facts": facts} for s in (0, 1)],
        **more,
    }


def measured(figure: str, good: bool) -> dict:
    """What a figure's file would hold if its claims were all right, or all wrong."""
    from factweights import theory

    k = 1.0 if good else 3.0
    grow = (lambda x: 1.0) if good else (lambda x: (x / 64) ** 0.5)
    fit = {"middle_interval": [1.0, 1.02] if good else [1.3, 1.4], "tries": 40}
    if figure == "success-curve":
        widths = (0.2, 0.1) if good else (0.1, 0.2)
        series = [
            {
                "method": "exact-linear",
                "label": "",
                "d": d,
                "points": [],
                "fit": {**fit, "middle": 1.01 if good else 1.35, "width": w},
            }
            for d, w in zip((16, 32), widths, strict=True)
        ]
        return {"scale": "tiny", "series": series}
    if figure == "fig4-right":
        paper = {"cells": 100, "same": 97 if good else 60, "ours_only": 1, "paper_only": 2}
        line = {
            "rate": 0.5 if good else 1.2,
            "rate_interval": [0.45, 0.55] if good else [1.1, 1.3],
            "points": 9,
        }
        heads = 5 if good else 2
        return {"scale": "tiny", "series": [{"against_paper": paper, "line": line, "smallest_heads": heads}]}
    if figure in ("fig4-left", "fig7", "fig8", "fig9"):
        each = 0.15 * k
        shape = {"head_dim": 1, "width": 8, "capped": False}
        points = [point(each * p, parameters=p, d=p, **shape) for p in (1000, 2000, 4000)]
        series = [
            {"method": "fit", "recall": 0.99, "label": "", "points": points, "per_parameter": q * each}
            for q in (1.0, 1.2 * k)
        ]
        slope = 1.0 if good else 1.5
        line = {"slope": slope, "slope_interval": [slope - 0.02, slope + 0.02], "points": 9}
        return {"scale": "tiny", "series": series, "overall": [{"line": line}]}
    if figure == "fig5":
        off = {"largest": 0.02 * k, "largest_with_lag": 0.01}
        stages = [
            {"name": "initial", "start": 0.0, "end": 200.0 * k},
            {"name": "hallucination", "start": 200.0 * k, "end": 450.0 * k},
        ]
        runs = [
            {"stages": stages, "plateau_loss": 2.08 + (0 if good else 0.2) + e, "off_flow": off}
            for e in (0, 1e-3)
        ]
        series = [{"kind": "descent", "runs": runs}, {"kind": "flow", "runs": []}]
        return {"scale": "tiny", "rate": 0.1, "relation_entropy": 2.08, "series": series}
    if figure == "capacity-lm":
        sizes = (10_000, 20_000, 40_000)

        def learnt(bits: float, share: float = 1.0) -> list[dict]:
            found = []
            for p in sizes:
                total = bits * p * (1.0 if good else (p / 10_000) ** 0.3)
                runs = [{"bits": total * (1 + e)} for e in (0, 0.01)]
                found.append(
                    {
                        "parameters": p,
                        "bits": total,
                        "bits_per_parameter": total / p,
                        "int8_share": share,
                        "runs": runs,
                    }
                )
            return found

        kinds = [
            ("balanced", 1000, 2.0 if good else 8.0),
            ("balanced", 100, 1.0 if good else 4.0),
            ("mlp", 1000, 2.0),
            ("attention", 1000, 1.1 if good else 2.0),
        ]
        series = [
            {"architecture": "llama", "shape": s, "exposures": e, "points": learnt(b, 1.0 if good else 0.8)}
            for s, e, b in kinds
        ]
        beside = [{"kind": "gated", "points": [{"bits_per_parameter": 3.0 if good else 0.1}]}]
        return {"scale": "tiny", "series": series, "beside": beside}
    if figure == "superposition":
        series = []
        for embedding in ("sum", "fit"):
            points = []
            for subjects, relations in ((16, 4), (64, 8), (256, 16)):
                law = 7 * (relations * math.log(subjects)) ** (1.0 if good else 1.3)
                runs = [{"d": k * law * (1 + e)} for e in (0, 0.01)]
                sizes = {"subjects": subjects, "relations": relations}
                points.append({**sizes, "d": k * law, "law": law, "runs": runs})
            series.append({"embedding": embedding, "points": points})
        return {"scale": "tiny", "series": series}
    if figure == "random-embeddings":
        growth = -1.0 if good else -0.2
        series = [{"ratio": None, "d": None, "runs": []}]
        for ratio in (1.0, 2.0, 4.0):
            run = {"smallest_kl": 0.04 * ratio**growth, "shown": good, "relation_time": 100.0}
            runs = [run | {"subject_time": t} for t in ((150.0, None) if good else (90.0, None))]
            series.append({"ratio": ratio, "d": round(41 * ratio), "runs": runs})
        return {"scale": "tiny", "series": series}
    if figure == "phase-diagram":
        against = {"promised": 9, "promised_and_shown": 9 if good else 7}
        against |= {"not_promised": 20, "not_promised_but_shown": 10}
        flows = [{"shown": True, "rate_ratio": 5.0, "length": 1.1 * k, "law": 1.0}]
        return {"scale": "tiny", "series": [{"against_paper": against, "flows": flows}]}
    if figure == "fig1-left":
        sizes = (8, 16, 32)
        one = [point(k * grow(d) * 100 * d, d=d, parameters=d * d, law=100.0 * d) for d in sizes]
        guide = [point(k * theory.paper_guide(d), d=d, parameters=d * d, law=None) for d in sizes]
        adam = [
            point(p["facts"] * (0.97 if good else 0.5), d=p["d"], parameters=p["parameters"]) for p in guide
        ]
        named = [
            ("exact-linear", 1.0, one),
            ("hebbian", 1.0, one),
            ("exact-linear", 0.99, guide),
            ("paper-adam", 0.99, adam),
        ]
    else:
        counts = (64, 128, 256)
        share = 1.05 if good else 0.3
        made = [
            point(
                facts := share * grow(c) * c,
                d=8,
                count=c,
                guide=float(c),
                parameters=theory.map_bits([1] * round(facts)) / (2.0 if good else 0.5),
            )
            for c in counts
        ]
        named = [("gated-fit", 1.0, made), ("mlp-fit", 1.0, made)]
    series = [{"method": m, "recall": r, "label": f"{m} (ReLU)", "points": p} for m, r, p in named]
    return {"scale": "tiny", "series": series}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.name)
def test_every_claim_holds_where_it_should_and_fails_where_it_should(claim):
    good, bad = (judge(claim, measured(claim.figure, g)) for g in (True, False))
    assert good.verdict == "holds", good
    assert bad.verdict == "fails", bad
    assert json.loads(json.dumps(good.to_dict(), allow_nan=True))["name"] == claim.name


def test_claims_are_about_figures_there_are():
    assert {c.figure for c in CLAIMS} <= set(FIGURES)
    assert len({c.name for c in CLAIMS}) == len(CLAIMS)
    assert all(c.low <= c.expected <= c.high for c in CLAIMS)


# -- the page ----------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """Checks that tags are balanced, ids unique, and nothing is fetched."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("href", "xlink:href"):
                self.links.append(value)
            if key == "src" or tag in ("script", "link"):
                self.fetched.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from factweights.studies.figures.linear import Fig1Left, Series

    out = tmp_path_factory.mktemp("studies")
    series = (Series(method="exact-linear", recall=1.0), Series(method="hebbian", recall=0.99))
    reproduce(
        "fig1-left",
        out,
        study=Fig1Left(scale="<tiny>", sizes=(4, 6, 8), seeds=(0, 1), series=series),
        workers=1,
    )
    study = SuccessCurve(sizes=(6, 8), loads=(0.5, 1.0, 1.6), seeds=(0, 1))
    reproduce("success-curve", out, study=study, workers=1)
    return out


def test_a_report_is_one_whole_page(folder):
    found = write_report(folder)
    text = found.path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert page.fetched == []
    assert len(set(page.ids)) == len(page.ids)
    anchors = {link[1:] for link in page.links if link.startswith("#")}
    assert anchors <= set(page.ids)
    assert all(link.startswith(("#", "data:", "https://arxiv.org/")) for link in page.links)
    assert text.count("<svg ") == 2
    assert re.search(r"<td>exact-linear, recall 1.0</td><td>[\d.]+ \([\d.]+ to [\d.]+\)</td>", text)
    assert "<tiny>" not in text
    assert "&lt;tiny&gt;" in text
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    for figure in ("fig1-left", "success-curve"):
        (encoded,) = re.findall(rf'download="{figure}.json" href="data:[^,]+,([^"]+)"', text)
        import base64

        assert json.loads(base64.b64decode(encoded)) == json.loads((folder / f"{figure}.json").read_text())


def test_a_report_prints_and_tabulates(folder, tmp_path):
    found = write_report(folder, tmp_path / "page.html")
    assert found.path == tmp_path / "page.html"
    assert found.figures == ("fig1-left", "success-curve")
    verdicts = {c.name: c.verdict for c in found.claims}
    assert verdicts["mlp-guide"] == "not run"
    assert verdicts["linear-training"] == "not shown"
    assert verdicts["linear-law"] in ("holds", "open", "fails")
    assert len(found.to_markdown().splitlines()) == len(CLAIMS) + 2
    assert "linear-law" in str(found)
    assert len(found.to_pandas()) == len(CLAIMS)


def test_a_report_of_nothing_or_of_damage(folder, tmp_path):
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "none")
    with pytest.raises(FileFormatError, match="no study has left its numbers"):
        write_report(tmp_path)
    (tmp_path / "fig6.json").write_text("{}")
    with pytest.raises(FileFormatError, match="does not hold the numbers of fig6"):
        write_report(tmp_path)
    with pytest.raises(OutputError):
        write_report(folder, folder / "fig1-left.json" / "page.html")


# -- live logs ---------------------------------------------------------------------------------------------


def test_numbers_are_logged_live(tmp_path, monkeypatch):
    import sys
    import types

    from factweights.studies.running.live import live_log

    told: list = []
    fake = types.SimpleNamespace(
        init=lambda **k: told.append(k),
        log=lambda numbers, step: told.append((numbers, step)),
        finish=lambda: told.append("end"),
    )
    monkeypatch.setitem(sys.modules, "trackio", fake)
    with live_log("trackio", tmp_path) as listen:
        listen(Cell(function="capacity", arguments={}), {"facts": 3, "proved": "no", "ok": True})
    assert told == [{"project": "factweights", "name": tmp_path.name}, ({"capacity/facts": 3.0}, 1), "end"]
    with pytest.raises(UnknownNameError, match="did you mean 'trackio'"), live_log("trakio", tmp_path):
        pass
