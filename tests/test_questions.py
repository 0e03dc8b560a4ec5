"""Many questions at once, names in any case, plans of tables, tables from Excel."""

import datetime
import json
import sys
import zipfile

import pytest

import factweights as fw
from factweights.cli import run
from factweights.errors import FactsError, FileFormatError, MissingExtraError, UnknownNameError
from factweights.export import plan_compiled, recall_many
from factweights.facts import spreadsheets
from factweights.facts.questions import Spelling, read_questions

openpyxl = pytest.importorskip("openpyxl")

ROWS = [(f"City {i}", r, f"{r} {i * k % 5}") for i in range(12) for k, r in ((1, "river"), (3, "region"))]
TABLE = fw.FactTable.from_rows(ROWS)


@pytest.fixture(scope="module", params=["memory", "mlp", "attention"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / request.param
    if request.param == "memory":
        fw.store_table(TABLE, "exact-linear", d="auto").bundle.save(path)
    else:
        fw.compile_table(TABLE, path, store=request.param)
    return path


def test_every_fact_of_a_table_is_asked_in_one_go(folder):
    found = recall_many(folder, [(s, r) for s, r, _ in ROWS])
    assert [a.answer for a in found.answers] == [a for _, _, a in ROWS]
    assert found.recall == 1.0
    assert len(found.to_pandas()) == len(ROWS)


def test_names_are_found_in_any_case_if_asked(folder):
    with pytest.raises(UnknownNameError, match="city 3"):
        recall_many(folder, [("city 3", "RIVER")])
    (answer,) = recall_many(folder, [("city 3", "RIVER")], ignore_case=True).answers
    assert (answer.subject, answer.relation, answer.answer) == ("City 3", "river", "river 3")


def test_a_spelling_that_stands_for_two_is_said():
    known = Spelling([("Polish", "verb"), ("polish", "verb"), ("STRASSE", "verb")])
    assert known.of("polish", "verb") == ("polish", "verb")
    assert known.of("Straße", "VERB") == ("STRASSE", "verb")
    with pytest.raises(FactsError, match="Polish, verb, polish, verb"):
        known.of("POLISH", "verb")


def test_the_command_reads_questions_and_says_what_is_missing(folder, tmp_path, capsys):
    asked = tmp_path / "asked.csv"
    asked.write_text("relation,subject,note\nriver,City 1,x\nregion,City 2,y\n")
    assert run(["recall", str(folder), "--from", str(asked), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["questions"], found["recall"]) == (2, 1.0)
    assert [a["answer"] for a in found["answers"]] == ["river 1", "region 1"]
    assert run(["recall", str(folder), "--from", str(asked)]) == 0
    assert "river 1" in capsys.readouterr().out
    for bad in (["recall", str(folder)], ["recall", str(folder), "a", "b", "--from", str(asked)]):
        assert run(bad) == 1
        assert "--from" in capsys.readouterr().err


def test_questions_without_their_columns_are_refused(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text("subjekt,relation\na,b\n")
    with pytest.raises(UnknownNameError, match="subject"):
        read_questions(path)
    path.write_text("subject,relation\n")
    with pytest.raises(FactsError):
        read_questions(path)
    path.write_text("subject,relation\na,\n")
    with pytest.raises(FactsError, match="empty cell"):
        read_questions(path)
    with pytest.raises(FactsError, match="no question"):
        recall_many(tmp_path, [])


@pytest.mark.parametrize(("store", "absence"), [("mlp", True), ("attention", False)])
def test_a_planned_checkpoint_has_the_parameters_that_it_gets(store, absence, tmp_path):
    planned = plan_compiled(TABLE, store=store, absence=absence)
    made = fw.compile_table(TABLE, tmp_path / "m", store=store, absence=absence)
    assert (planned.d, planned.heads, planned.width) == (made.layout.hidden, made.layout.heads, made.width)
    assert planned.parameters == made.certificate.parameters


def test_the_command_plans_a_table(tmp_path, capsys):
    TABLE.write(tmp_path / "t.csv")
    assert run(["plan", str(tmp_path / "t.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["facts"], found["compiled"]["facts"]) == (len(ROWS), len(ROWS))
    for bad in (["plan"], ["plan", str(tmp_path / "t.csv"), "--facts", "9"]):
        assert run(bad) == 1
        assert "--facts" in capsys.readouterr().err


# -- Excel -------------------------------------------------------------------------------------------------


def workbook(path, *sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_as_the_table_that_it_shows(tmp_path):
    rows = [("subject", "capital", "people", "founded", None), ("France", "Paris", 68_000_000, None, None)]
    rows += [(None,) * 5, ("Peru", "Lima", 34.5, datetime.date(1821, 7, 28), None)]
    path = workbook(tmp_path / "t.xlsx", ("facts", rows), ("empty", []))
    assert list(fw.FactTable.read(path)) == [
        ("France", "capital", "Paris"),
        ("France", "people", "68000000"),
        ("Peru", "capital", "Lima"),
        ("Peru", "people", "34.5"),
        ("Peru", "founded", "1821-07-28"),
    ]
    long = workbook(tmp_path / "l.xlsx", ("x", [("a", "r", "b"), ("c", "r", "d")]))
    assert list(fw.FactTable.read(long, header=False)) == [("a", "r", "b"), ("c", "r", "d")]


def test_what_is_no_workbook_with_one_table_is_refused(tmp_path, monkeypatch):
    rows = [("subject", "r"), ("a", "b")]
    with pytest.raises(FactsError, match="one, two"):
        fw.FactTable.read(workbook(tmp_path / "two.xlsx", ("one", rows), ("two", rows)))
    with pytest.raises(FileFormatError, match="no cells"):
        fw.FactTable.read(workbook(tmp_path / "none.xlsx", ("one", [])))
    whole = (tmp_path / "two.xlsx").read_bytes()
    for name, made in (("text.xlsx", b"subject,r\n"), ("cut.xlsx", whole[:900])):
        (tmp_path / name).write_bytes(made)
        with pytest.raises(FileFormatError, match="workbook"):
            fw.FactTable.read(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as packed:
        packed.writestr("a", "b")
    with pytest.raises(FileFormatError, match="workbook"):
        fw.FactTable.read(tmp_path / "other.xlsx")
    good = workbook(tmp_path / "good.xlsx", ("one", rows))
    monkeypatch.setattr(spreadsheets, "UNPACKED", 100)
    with pytest.raises(FactsError, match="unpacks"):
        fw.FactTable.read(good)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError):
        fw.FactTable.read(good)


# -- results draw themselves -------------------------------------------------------------------------------


def test_results_are_tables_and_pictures(tmp_path):
    facts = fw.Associations.spherical(n=20, d=8, seed=0)
    found = [
        fw.capacity(fw.Hebbian(), d=8, seeds=2),
        fw.smallest_d(TABLE.to_associations, recall=0.5),
        fw.verify(fw.Hebbian().store(facts), facts, top_k=[2], noise=[0.1]),
        fw.gradient_flow(fw.RecallTask.structured(4, 2, 2, noise=2), init=1e-2),
    ]
    for i, result in enumerate(found):
        figure = result.plot(tmp_path / f"{i}.png")
        assert (tmp_path / f"{i}.png").stat().st_size > 1000
        assert figure._repr_png_().startswith(b"\x89PNG")
        assert len(result.to_pandas()) > 0
