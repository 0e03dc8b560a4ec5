"""Names are data, never markup: in terminals, in HTML, in model cards, in pictures of any script."""

import html
import io
import json
import os
import re
import unicodedata
import warnings
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.text import Text

import factweights as fw
from factweights.cli import run
from factweights.errors import FactsError, NewNameError, UnknownNameError
from factweights.plots import fonts, style
from factweights.plots.explanation import draw_explanation
from factweights.progress import Progress
from factweights.show import Shown, in_code, in_html, shown

os.environ.setdefault("HF_HUB_OFFLINE", "1")

HOSTILE = [
    "[red]rich[/red]",
    "[/]",
    "[link=http://x]y",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b2J",
    "back\x08\x08\x08",
    "one\rtwo",
    "one\ntwo",
    "\u202egnp.exe",
    "a\u2066b\u2069",
    "zero\u200bwidth",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&amp; \"quoted\" 'too'",
    "`code`",
    "```",
    "---",
    "# heading",
    "| cell | cell |",
    "[link](javascript:alert(1))",
    "$x^2$",
    "$\\frac{",
    "\\$",
    "a_b^c",
    "100 $",
    "%s {0} {subject}",
    "{{ 7*7 }}",
    "\u2028separator",
    "\U000e0041tag",
]
ANY_NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


def acts(text: str, allowed: str = "\n") -> list[str]:
    """Characters that a terminal would obey, or that hide others."""
    bad = ("Cc", "Cf", "Cs", "Zl", "Zp")
    joiners = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2"
    return [c for c in text if unicodedata.category(c) in bad and c not in allowed + joiners]


@pytest.fixture(scope="module")
def table() -> fw.FactTable:
    names = [f"{i} {h}" if i % 2 else f"{h} {i}" for i, h in enumerate(HOSTILE)]
    return fw.FactTable.from_rows((n, "is\x1b[5m <b>$said$</b>", f"{n}!") for n in names)


@pytest.fixture(scope="module")
def stored(table, tmp_path_factory) -> Path:
    return fw.store_table(table, d=24).save(tmp_path_factory.mktemp("stored") / "m")


# -- the one place -----------------------------------------------------------------------------------------


@given(ANY_NAME)
def test_nothing_that_is_shown_acts(name):
    assert not acts(shown(name), "")
    assert "\n" in shown("a\nb", lines=True)
    assert shown(shown(name)) == shown(name)
    if not acts(name, ""):
        assert shown(name) == name  # nothing else is touched


@pytest.mark.parametrize(
    "name",
    [
        "Côte d'Ivoire",
        "日本",
        "السعودية",
        "ไทย",
        "می‌خواهم",
        "👩‍👩‍👧",
        "Sri\u00a0Lanka",
        "a\\nb",
        "हिन्दी",
        "क्‍ष",
    ],
)
def test_names_of_people_and_places_stay_as_they_are(name):
    assert shown(name) == name


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))

    def handle_data(self, data):
        self.text += data


@given(ANY_NAME)
def test_html_reads_back_as_the_name(name):
    reader = Reader()
    reader.feed(f"<p title='{in_html(name)}'>{in_html(name)}</p>")
    reader.close()
    assert reader.tags == [("p", [("title", shown(name))])]
    assert reader.text == shown(name)


@given(st.text("`| ab\n\\", min_size=1, max_size=10))
def test_code_spans_cannot_be_left(name):
    span = in_code(name)
    fence = re.match("`+", span)[0]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert all(len(run) != len(fence) for run in re.findall("`+", inside))
    assert "\n" not in span
    assert not inside.startswith("`")
    assert not inside.endswith("`")
    cells = re.split(r"(?<!\\)\|", in_code("x" + name.replace("\\", "") + "x", table=True))
    assert len(cells) == 1


# -- terminals ---------------------------------------------------------------------------------------------


def test_every_command_on_a_stored_memory(stored, table, tmp_path, capsys):
    (tmp_path / "other.csv").write_text("subject,relation,answer\n", encoding="utf-8")
    for s, r, a in table:
        assert run(["recall", str(stored), s, r]) == 0
        out, err = capsys.readouterr()
        assert not acts(out + err), (s, out)
        assert out.splitlines()[0] == shown(a)
        assert run(["recall", str(stored), s, r, "--json"]) == 0
        out = capsys.readouterr().out
        assert not acts(out)
        assert json.loads(out)["answer"] == a  # data is exact
        for tokens in (["recall", s + "x", r], ["recall", s, r + "x"], ["edit", "--set", s + "x", r, "y"]):
            assert run([tokens[0], str(stored), *tokens[1:]]) in (1, 2)
            out, err = capsys.readouterr()
            assert not acts(out + err), (s, err)
    for tokens in (["verify", str(stored)], ["verify", str(stored), "--json"], ["recall", str(stored)]):
        run(tokens)
        out, err = capsys.readouterr()
        assert not acts(out + err)


@pytest.mark.parametrize("name", HOSTILE)
def test_missed_facts_are_listed_as_data(name):
    rows = [(f"{name} {i}", name, f"{name} {i} answer") for i in range(12)]
    facts = fw.FactTable.from_rows(rows).to_associations(3)
    found = fw.verify(fw.Hebbian().store(facts), facts)
    assert found.n_missed
    assert not acts(str(found))
    assert "<script" not in found._repr_html_()


@pytest.mark.parametrize("name", HOSTILE)
def test_errors_show_names(name):
    table = fw.FactTable.from_rows([(name, name + "r", "a"), ("b", name + "r", "c")])
    with pytest.raises(UnknownNameError) as e:
        table.lookup(name, "r")
    assert not acts(str(e.value))
    with pytest.raises(NewNameError) as e:
        fw.edit_table(table, set=[(name + "x", name + "y", "z")])
    assert not acts(str(e.value))
    with pytest.raises(FactsError) as e:
        fw.FactTable.from_rows([(name, "r", "a"), (name, "r", name + "b")])
    assert not acts(str(e.value))


def test_every_print_of_the_commands_goes_through_say():
    for path in (Path(fw.__file__).parent / "cli").glob("*.py"):
        if path.name not in ("output.py", "outcomes.py", "progress.py", "notes.py"):
            assert not re.search(r"\bprint\(", path.read_text(encoding="utf-8")), path.name


def test_progress_takes_no_markup(monkeypatch, capsys):
    import rich.progress
    from rich.console import Console

    from factweights.cli import progress

    with progress._lines() as on_progress:
        for name in HOSTILE:
            on_progress(Progress(1, 2, f"verifying {name}"))
    assert not acts(capsys.readouterr().err)
    seen = io.StringIO()
    console = Console(file=seen, force_terminal=True, width=200, color_system=None)
    bar = rich.progress.Progress
    update = bar.update
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    monkeypatch.setattr(bar, "update", lambda *a, **k: update(*a, **k, refresh=True))
    with progress._bar() as on_progress:
        for name in HOSTILE:
            on_progress(Progress(1, 2, f"verifying {name}"))
    drawn = re.sub("\x1b\\[[?0-9;]*[a-zA-Z]", "", seen.getvalue())  # what rich itself sends
    assert not acts(drawn, "\n\r")
    assert "[red]rich[/red]" in drawn
    assert "\\x1b[31mred" in drawn


# -- HTML --------------------------------------------------------------------------------------------------


class One(Shown):
    def __init__(self, name: str) -> None:
        self.name = name

    def lines(self):
        return [(self.name, self.name)]


@pytest.mark.parametrize("name", HOSTILE)
def test_notebooks(name, stored):
    table = fw.FactTable.from_rows([(name, name + "r", name + "a")])
    bundle = fw.store_table(table, d=2).bundle
    for page in (table._repr_html_(), bundle.recall(name, name + "r")._repr_html_(), One(name)._repr_html_()):
        reader = Reader()
        reader.feed(page)
        reader.close()
        assert {tag for tag, _ in reader.tags} <= {"p", "table", "tr", "td", "th"}
        assert not acts(html.unescape(page))
        assert shown(table.subject[0]) in reader.text or shown(name) in reader.text
    assert not acts(str(One(name)))


def test_the_report_page(tmp_path):
    from factweights.plots.page import render

    name = "<script>\x1b[1m$x$\u202e</script>"
    page = _page(render, name)
    reader = Reader()
    reader.feed(page)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert not acts(page, "\n\t")


def _page(render, name: str) -> str:
    claim = {
        "statement": name,
        "figure": name,
        "scale": name,
        "source": name,
        "quantity": name,
        "expected_text": name,
        "measured_text": name,
        "verdict": name,
    }
    figure = dict.fromkeys(("name", "title", "scale", "trouble", "spec", "spec_hash", "cell_seconds"), name)
    figure |= {"svg": "", "claims": [claim], "fits": [[name]], "columns": [name], "rows": [[name, 1.5]]}
    figure |= {"json": "data:,", "csv": "data:,", "cells": 3, "versions": {name: name}}
    return render(
        {
            "counts": [(name, 1)],
            "claims": [claim],
            "figures": [figure],
            "shown": [name],
            "versions": {name: name},
            "scales": [name],
            "cell_seconds": name,
        }
    )


# -- pictures ----------------------------------------------------------------------------------------------


def explanation(name: str) -> dict:
    row = {"token": name, "logit": 3.0, "probability": 0.5, "embedding": 1.0, "attention": 1.0, "mlp": 1.0}
    return {
        "prompt": f"the {name} of",
        "tokens": [name, "x"],
        "heads": [name],
        "attention": [[0.7, 0.3]],
        "answer": name,
        "logits": [row, row],
        "neurons": [(0, 1.0)],
        "neurons_total": 1.0,
    }


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_pictures_of_names(name, kind, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_explanation(explanation(name), tmp_path / f"x.{kind}")
    assert (tmp_path / f"x.{kind}").stat().st_size > 1000


@settings(max_examples=25, deadline=None)
@given(st.text("$\\_^{}%&#~<>`a ", min_size=1, max_size=12))
def test_no_name_is_mathematics(name):
    figure, axes = style.new_figure(4, 3)
    axes.set_title(name)
    axes.plot([1, 10, 100], [1, 10, 100], label=f"_{name}")
    axes.set(xscale="log", yscale="log", xlabel=name)
    axes.legend(handles=axes.lines, title=name)
    fonts.readable(figure)
    named = [t for t in figure.findobj(Text) if t.get_text() in (name, f"_{name}")]
    assert len(named) >= 3
    assert not any(t.get_parse_math() for t in named)
    style.write(figure, io.BytesIO(), "svg")
    powers = [t for t in axes.get_xticklabels() if "mathdefault" in t.get_text()]
    assert powers  # what matplotlib itself writes at the axis stays mathematics
    assert all(t.get_parse_math() for t in powers)


def _font(path: Path, family: str, letters: str) -> None:
    """A font that has these letters and no others, each a rectangle."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    names = [".notdef", "space", *(f"u{ord(c):04X}" for c in letters)]
    pen = TTGlyphPen(None)
    pen.moveTo((50, 0))
    for point in ((50, 700), (450, 700), (450, 0)):
        pen.lineTo(point)
    pen.closePath()
    box = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({32: "space"} | {ord(c): f"u{ord(c):04X}" for c in letters})
    builder.setupGlyf({n: TTGlyphPen(None).glyph() if n == "space" else box for n in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a font for the test alone."""
    listed = list(font_manager.fontManager.ttflist)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)

    def install(family: str, letters: str) -> None:
        path = tmp_path / f"{family}.ttf"
        _font(path, family, letters)
        font_manager.fontManager.addfont(path)
        fonts = vars(font_manager)["_get_font"]  # private, as is the cache below: both keep what is installed
        fonts.cache_clear() if hasattr(fonts, "cache_clear") else None

    yield install
    vars(font_manager.FontManager)["_findfont_cached"].cache_clear()


SCRIPTS = {"日本の首都": "Cjk", "กรุงเทพ": "Thai", "서울": "Hangul", "კი": "Georgian"}


def test_letters_come_from_a_font_that_has_them(installed, tmp_path):
    for text, family in SCRIPTS.items():
        installed(f"Test {family}", text)
    name = " ".join(SCRIPTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_explanation(explanation(name), tmp_path / "x.png")
        figure, axes = style.new_figure(4, 3)
        axes.set_title("日本の首都")
        axes.set_xlabel("plain")
        fonts.readable(figure)
    assert axes.title.get_fontfamily() == [fonts.USUAL, "Test Cjk"]
    assert axes.xaxis.label.get_fontfamily() == [fonts.USUAL]


def test_letters_that_no_font_has_are_one_line(tmp_path, capsys, monkeypatch):
    usual = [e for e in font_manager.fontManager.ttflist if e.name == fonts.USUAL]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", usual)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        draw_explanation(explanation("日本 กรุงเทพ 서울"), tmp_path / "x.png")
    assert len(heard) == 1
    assert heard[0].category is fonts.FontWarning
    assert "no font on this machine has" in str(heard[0].message)
    assert "\n" not in str(heard[0].message)


def test_a_warning_of_ours_is_one_line_of_a_command(monkeypatch, capsys):
    def warn(_tokens):
        warnings.warn("no font", fonts.FontWarning, stacklevel=2)

    monkeypatch.setattr("factweights.cli.app.call", warn)
    assert run(["explain"]) == 0
    assert capsys.readouterr().err == "warning: no font\n"


# -- model cards -------------------------------------------------------------------------------------------


def test_compiled_models(tmp_path, capsys):
    pytest.importorskip("transformers")
    nasty = [h for h in HOSTILE if h.strip() == h]
    rows = [(f"s{i} {h} s", "says", f"{h} {i}") for i, h in enumerate(nasty)]
    table = fw.FactTable.from_rows(rows)
    out = tmp_path / "out"
    template = "| `x` $y$ <b> {relation} \x1b[1m {subject} ```"
    fw.compile_table(table, out, templates=["{subject} {relation}", template])
    card = (out / "README.md").read_text(encoding="utf-8")
    assert not acts(card)
    assert card.count("\n---\n") == 1  # the end of the front matter
    fences = re.findall(r"^(`{3,})", card, re.MULTILINE)
    assert len(fences) == 2
    assert fences[0] == fences[1]
    code = card.split(fences[0])[1].removeprefix("python\n")
    compile(code, "card", "exec")
    assert [line for line in card.splitlines() if line.startswith("# ")] == [
        f"# {len(rows):,} facts, compiled"
    ]
    (row,) = [line for line in card.splitlines() if "template" in line and "[1m" in line]
    assert len(re.split(r"(?<!\\)\|", row)) == 4
    for s, r, a in rows[:6]:
        assert run(["explain", str(out), s, r, "--plot", str(tmp_path / "x.png")]) == 0
        out_, err = capsys.readouterr()
        assert not acts(out_ + err)
        assert fw.explain(out, s, r).answer == a
        assert not acts(html.unescape(fw.explain(out, s, r)._repr_html_()))


def test_the_usual_font_is_there():
    assert mpl.get_data_path()
    assert font_manager.findfont(fonts.USUAL, fallback_to_default=False)
