"""Every reader against every odd file: what is read is what was written, or an error of ours says why not."""

import csv
import io
import json
import math
import string
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from factweights.errors import FactsError, FactweightsError, FileFormatError, SettingError, UnknownNameError
from factweights.facts import FactTable
from factweights.facts.cells import text

PARIS = [("France", "capital", "Paris"), ("Peru", "capital", "Lima")]
EUROPE = [
    ("France", "capital", "Paris"),
    ("France", "continent", "Europe"),
    ("Peru", "capital", "Lima"),
    ("Peru", "continent", "America"),
]


@pytest.fixture
def file(tmp_path):
    def make(contents: object, name: str = "t.csv") -> Path:
        path = tmp_path / name
        if not isinstance(contents, (str, bytes)):
            contents = json.dumps(contents)
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return path

    return make


def notes(table: FactTable) -> str:
    assert table.reading is not None
    return "\n".join(table.reading.lines)


# -- columns that a writer added (10) ----------------------------------------------------------------------

INDEXED = {
    "pandas": ",country,capital\n0,France,Paris\n1,Peru,Lima\n",
    "pandas, quoted": '"","country","capital"\n"0","France","Paris"\n"1","Peru","Lima"\n',
    "pandas, some rows taken": ",country,capital\n17,France,Paris\n3,Peru,Lima\n",
    "pandas, read and written": "Unnamed: 0,country,capital\n0,France,Paris\n1,Peru,Lima\n",
    "pandas, twice": "Unnamed: 0.1,Unnamed: 0,country,capital\n0,0,France,Paris\n1,1,Peru,Lima\n",
    "pandas, both": ",Unnamed: 0,country,capital\n0,0,France,Paris\n1,1,Peru,Lima\n",
    "reset_index": "index,country,capital\n0,France,Paris\n1,Peru,Lima\n",
    "reset_index, twice": "level_0,index,country,capital\n0,0,France,Paris\n1,1,Peru,Lima\n",
    "Parquet to CSV": "country,capital,__index_level_0__\nFrance,Paris,0\nPeru,Lima,1\n",
    "write.csv of R": '"","country","capital"\n"1","France","Paris"\n"2","Peru","Lima"\n',
    "write.table of R": '"country","capital"\n"1","France","Paris"\n"2","Peru","Lima"\n',
    "write.table of R, spaces": '"country" "capital"\n"1" "France" "Paris"\n"2" "Peru" "Lima"\n',
    "read.csv of R": "X,country,capital\n1,France,Paris\n2,Peru,Lima\n",
    "readr": "...1,country,capital\n1,France,Paris\n2,Peru,Lima\n",
    "polars": "row_nr,country,capital\n0,France,Paris\n1,Peru,Lima\n",
    "SQL": "ROWNUM,country,capital\n1,France,Paris\n2,Peru,Lima\n",
    "ArcGIS": "OBJECTID,country,capital\n1,France,Paris\n2,Peru,Lima\n",
    "a list by hand": "#,country,capital\n1,France,Paris\n2,Peru,Lima\n",
    "spreadsheet, delimiter at the end": "country,capital,\nFrance,Paris,\nPeru,Lima,\n",
    "spreadsheet, not in the header": "country,capital\nFrance,Paris,\nPeru,Lima,,\n",
}


@pytest.mark.parametrize("contents", INDEXED.values(), ids=INDEXED.keys())
def test_row_numbers_are_no_facts(file, contents):
    table = FactTable.read(file(contents))
    assert list(table) == PARIS
    assert "row numbers" in notes(table) or contents.endswith(",\n")


@pytest.mark.parametrize(
    ("contents", "subjects"),
    [
        (",capital,continent,iso\nFrance,Paris,Europe,FR\nPeru,Lima,America,PE\n", ("France", "Peru")),
        (",event\n1914,war\n1945,peace\n", ("1914", "1945")),
        ("index,element\n1,hydrogen\n2,helium\n", ("1", "2")),
        ("x,subject,capital\n5,France,Paris\n7,Peru,Lima\n", ("France", "Peru")),
        ("year,subject,y\n1,France,Paris\n2,Peru,Lima\n", ("France", "Peru")),
    ],
)
def test_what_may_be_a_subject_is_kept(file, contents, subjects):
    assert FactTable.read(file(contents)).subjects == subjects


@pytest.mark.parametrize(
    "contents",
    [
        ",population,area\n1990,5,6\n1991,7,8\n",
        ",president,party,term\n1990,Bush,R,1\n1991,Bush,R,1\n",
        "country,capital,Unnamed: 2,iso\nFrance,Paris,x,FR\n",
    ],
)
def test_columns_without_a_name_that_may_mean_two_things_are_refused(file, contents):
    with pytest.raises(FactsError, match="name"):
        FactTable.read(file(contents))


# -- delimiters, quotes, lines (11) ------------------------------------------------------------------------

ODD = {
    "comma in a quoted header": 'country;"capital"\n"France";Paris\nPeru;Lima\n',
    "spaces before quotes": '"country", "capital"\n"France", "Paris"\n"Peru", "Lima"\n',
    "spaces behind quotes": '"country" , "capital"\n"France" , "Paris"\n"Peru" , "Lima"\n',
    "spaces everywhere": " country , capital \n France , Paris \n Peru , Lima \n",
    "carriage returns": "country,capital\rFrance,Paris\rPeru,Lima\r",
    "carriage returns, semicolons": "country;capital\rFrance;Paris\rPeru;Lima",
    "lines of DOS": "country,capital\r\nFrance,Paris\r\nPeru,Lima\r\n",
    "mixed lines": "country,capital\r\nFrance,Paris\nPeru,Lima\r",
    "no end": "country,capital\nFrance,Paris\nPeru,Lima",
    "tabs": "country\tcapital\nFrance\tParis\nPeru\tLima\n",
    "pipes": "country|capital\nFrance|Paris\nPeru|Lima\n",
    "single quotes": "'country','capital'\n'France','Paris'\n'Peru','Lima'\n",
    "a remark": "# source: atlas, 2024\ncountry,capital\nFrance,Paris\nPeru,Lima\n",
    "remarks": "# source: atlas, 2024\n#\n\n# x;y\ncountry,capital\nFrance,Paris\n# end\nPeru,Lima\n",
    "sep=": "sep=;\ncountry;capital\nFrance;Paris\nPeru;Lima\n",
    "sep= of Excel": '\ufeff"sep=,"\r\ncountry,capital\r\nFrance,Paris\r\nPeru,Lima\r\n',
    "sep= a tab": "SEP=\t\ncountry\tcapital\nFrance\tParis\nPeru\tLima\n",
    "blank lines": "\n\n country,capital\n\nFrance,Paris\n,\nPeru,Lima\n\n",
    "two files": "\ufeffcountry,capital\nFrance,Paris\n\ufeffcountry,capital\nPeru,Lima\n",
    "two files, quoted": '\ufeff"country","capital"\nFrance,Paris\n\ufeff"country","capital"\nPeru,Lima\n',
    "two files without marks": "country,capital\nFrance,Paris\ncountry,capital\nPeru,Lima\n",
    "two files, one header": "\ufeffcountry,capital\nFrance,Paris\n\ufeffPeru,Lima\n",
    "two marks": "\ufeff\ufeffcountry,capital\nFrance,Paris\nPeru,Lima\n",
    "unseen edges": "country,capital\n\u200bFrance\u00a0,\u2060Paris\nPeru\u200e,\u202aLima\u202c\n",
    "decomposed": "country,capital\nFrance,Paris\nPeru,Lima\n",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("contents", ODD.values(), ids=ODD.keys())
def test_odd_files_of_text(file, contents, encoding):
    assert list(FactTable.read(file(contents.encode(encoding)))) == PARIS


@pytest.mark.parametrize("order", ["le", "be"])
def test_both_orders_of_bytes(file, order):
    assert list(FactTable.read(file(("\ufeff" + ODD["tabs"]).encode(f"utf-16-{order}"), "t.tsv"))) == PARIS


@pytest.mark.parametrize(
    ("contents", "facts"),
    [
        ('Land;"Einwohner, Mio"\nFrankreich;68,1\n', [("Frankreich", "Einwohner, Mio", "68,1")]),
        ("Land;Fläche, km²\nFrankreich;68,1\n", [("Frankreich", "Fläche, km²", "68,1")]),
        ('Land,"a;b"\nFrankreich,"c;d;e"\n', [("Frankreich", "a;b", "c;d;e")]),
        ('a\tb\n"x,y"\t"p\nq"\n', [("x,y", "b", "p\nq")]),
        ('a,b\r\nx,"p\r\nq ""r"", s"\r\n', [("x", "b", 'p\r\nq "r", s')]),
        ('a,b\nx,5" pipe\ny,6" pipe\n', [("x", "b", '5" pipe'), ("y", "b", '6" pipe')]),
        ("name,languages\nA,en;fr\nB,de;it\n", [("A", "languages", "en;fr"), ("B", "languages", "de;it")]),
        ("subject,relation,answer\n#1 hit,by,Abba\n", [("#1 hit", "by", "Abba")]),
        ("a|b\nx|p,q\ny|r,s\n", [("x", "b", "p,q"), ("y", "b", "r,s")]),
    ],
)
def test_delimiters_are_told_by_reading_quotes(file, contents, facts):
    assert list(FactTable.read(file(contents))) == facts


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("#country,capital\nFrance,Paris\n", "remark or the header"),
        ("country,population\nFrance,68,1\nPeru,33,2\n", "line 2: 3 cells but the header has 2"),
        ('a,b\nx,"p"q"\n', "line 2"),
        ('a,b\nx,"p\n', "never closed"),
        ("<!DOCTYPE html><html>", "a web page"),
        ("<?xml version='1.0'?><a/>", "XML"),
        ("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"ARROW1\0\0", "Arrow"),
        (b"\xef\xbb\xbfa,b\nc,d\n\xff\xfe", "cannot be decoded"),
    ],
)
def test_files_that_mean_nothing_are_refused(file, contents, message):
    with pytest.raises(FileFormatError, match=message):
        FactTable.read(file(contents))


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda s: text(s) != "" and text(s) == s
)


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.tuples(names, names), min_size=1, max_size=6, unique_by=lambda r: r[0]),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ending=st.sampled_from(["\n", "\r\n"]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_what_csv_writes_is_what_is_read(tmp_path_factory, rows, delimiter, quoting, ending, codec):
    """Long, so that the delimiter is in no doubt whatever the cells hold."""
    out = io.StringIO(newline="")
    # csv leaves a lone \r unquoted, and then reads it as the end of a line
    quoting = csv.QUOTE_ALL if any("\r" in c for row in rows for c in row) else quoting
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ending)
    writer.writerows([("subject", "relation", "answer"), *((s, "r", a) for s, a in rows)])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(out.getvalue().encode(codec))
    if all(row != ("subject", "answer") for row in rows):
        assert list(FactTable.read(path)) == [(s, "r", a) for s, a in rows]


plain = st.text(string.ascii_letters + " ,;|\t\"'éß日", min_size=1, max_size=12).filter(
    lambda s: text(s) == s != ""
)


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.tuples(plain, plain), min_size=3, max_size=8, unique_by=lambda r: r[0]),
    delimiter=st.sampled_from(",;\t|"),
)
def test_delimiters_of_wide_tables(tmp_path_factory, rows, delimiter):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("Land", "Wert, in Mio"), *rows])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    if ("Land", "Wert, in Mio") not in rows:
        assert list(FactTable.read(path)) == [(s, "Wert, in Mio", a) for s, a in rows]


def test_a_fact_that_looks_like_the_header_comes_back(tmp_path):
    rows = [("subject", "relation", "answer"), ("Subject", "Relation", "Answer"), ("a", "b", "c")]
    table = FactTable.from_rows(rows)
    for suffix in ("csv", "tsv", "jsonl", "parquet"):
        if suffix == "parquet":
            pytest.importorskip("pyarrow")
        assert list(FactTable.read(table.write(tmp_path / f"t.{suffix}"))) == rows


@pytest.mark.parametrize("size", [131_072, 140_000, 3_000_000])
def test_big_cells_come_back(tmp_path, size):
    big = ("wörd " * size)[: size - 1] + "."
    rows = [("France", "history", big), ("Peru", "history", "line\n" * 30_000 + 'and "more"')]
    table = FactTable.from_rows(rows)
    for suffix in ("csv", "tsv", "jsonl"):
        assert FactTable.read(table.write(tmp_path / f"t.{suffix}")).hash == table.hash


# -- headers (12) ------------------------------------------------------------------------------------------

HEADERS = [
    "subject,relation,answer",
    "Subject,Predicate,Object",
    "sub,pred,obj",
    "SUBJ,PROP,OBJ",
    "s,p,o",
    "S,P,O",
    "h,r,t",
    "head,relation,tail",
    "HEAD,Relation,TAIL",
    "entity,attribute,value",
    "item,property,value",
    "source,edge,target",
    "subjectLabel,predicateLabel,objectLabel",
    "head_entity,rel,tail_entity",
    "\ufeffsubject , relation, answer ",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_long_tables_by_other_names(file, header, delimiter):
    contents = f"{header}\n" + "".join(",".join(row) + "\n" for row in EUROPE)
    table = FactTable.read(file(contents.replace(",", delimiter)))
    assert list(table) == EUROPE
    assert "long" in notes(table)


def test_long_tables_by_other_names_in_every_format(tmp_path, file):
    records = [dict(zip(("Head", "REL", "tail"), row, strict=True)) for row in EUROPE]
    assert list(FactTable.from_records(records)) == EUROPE
    assert list(FactTable.read(file(records, "t.json"))) == EUROPE
    pd = pytest.importorskip("pandas")
    assert list(FactTable.from_pandas(pd.DataFrame(records))) == EUROPE
    pd.DataFrame(records).to_parquet(tmp_path / "t.parquet")
    assert list(FactTable.read(tmp_path / "t.parquet")) == EUROPE


@pytest.mark.parametrize(
    "contents",
    [
        "Q142,P36,Q90\nQ142,P37,Q150\n",
        "France,capital,Paris\n",
        "a,b,c\nd,e,f\n",
        "country,capital,continent\nFrance,Paris,Europe\n",
        "France\tcapital\tParis\nPeru\tcapital\tLima\n",
    ],
)
def test_three_columns_are_asked_about(file, contents):
    with pytest.raises(FactsError, match=r"three columns.*header=False.*columns=.*wide=True"):
        FactTable.read(file(contents))
    rows = [line for line in contents.splitlines() if line]
    table = FactTable.read(file(contents), header=False)
    assert len(table) == len(rows)
    assert notes(table).endswith("read as triples without a header")
    if len(rows) > 1:
        assert len(FactTable.read(file(contents), wide=True)) == 2 * (len(rows) - 1)


@pytest.mark.parametrize(
    "given",
    [
        [{"a": "x", "b": "y", "c": "z"}],
        [{"country": "France", "capital": "Paris", "continent": "Europe"}],
    ],
)
def test_three_columns_of_text_are_asked_about_everywhere(given, file):
    reads = [lambda: FactTable.from_records(given), lambda: FactTable.read(file(given, "t.json"))]
    for read in reads:
        with pytest.raises(FactsError, match="three columns") as e:
            read()
        assert "header=False" not in str(e.value)


@pytest.mark.parametrize(
    "given",
    [
        [{"country": "France", "capital": "Paris", "aliases": ["République"]}],
        [{"country": "France", "population": 68, "capital": "Paris"}],
        [{"country": "France", "capital": "Paris", "iso": "FR"}, {"country": "Peru", "iso": "PE"}],
    ],
)
def test_types_and_gaps_say_that_a_table_is_wide(given, file):
    assert FactTable.from_records(given).reading.layout == "wide"
    assert FactTable.read(file(given, "t.json")).reading.layout == "wide"


def test_how_a_table_was_read_is_said(file):
    table = FactTable.read(file("item,P36,Q90,x\nQ142,a,b,\n"))
    assert "wide: relations P36, Q90, x of 'item'" in str(table.reading)
    assert table.select(relations="P36").reading == table.head(1).reading == table.reading
    assert table.reading.to_dict()["relations"] == ["P36", "Q90", "x"]
    assert FactTable.from_rows(PARIS).reading is None
    many = FactTable.read(file("a," + ",".join(f"r{i}" for i in range(12)) + "\nx" + ",y" * 12 + "\n"))
    assert "r5 and 6 more of 'a'" in str(many.reading)


def test_columns_by_number_without_a_header(file):
    path = file("0.9,France,capital,Paris\n0.8,Peru,capital,Lima\n")
    with pytest.raises(FactsError, match="4 columns and no header"):
        FactTable.read(path, header=False)
    columns = {"subject": "2", "relation": "3", "answer": "4"}
    assert list(FactTable.read(path, header=False, columns=columns)) == PARIS
    with pytest.raises(UnknownNameError):
        FactTable.read(path, header=False, columns={**columns, "answer": "5"})
    for wrong in ({"header": False, "wide": True}, {"wide": True, "columns": {"answer": "Paris"}}):
        with pytest.raises(SettingError):
            FactTable.read(path, **wrong)
    with pytest.raises(SettingError, match="names its columns itself"):
        FactTable.read(file([{"a": 1}], "t.json"), header=False)
    assert list(FactTable.read(file([list(r) for r in PARIS], "t.json"), header=False)) == PARIS


# -- records (13) ------------------------------------------------------------------------------------------

REWRITE = {
    "prompt": "The mother tongue of {} is",
    "relation_id": "P103",
    "target_new": {"str": "English", "id": "Q1860"},
    "target_true": {"str": "French", "id": "Q150"},
    "subject": "Danielle Darrieux",
}
COUNTERFACT = {
    "case_id": 0,
    "requested_rewrite": REWRITE,
    "paraphrase_prompts": ["a"],
    "attribute_prompts": [],
}
ZSRE = {
    "subject": "Watts Humphrey",
    "src": "What university did Watts Humphrey attend?",
    "pred": "Trinity College",
    "alt": "University of Michigan",
    "answers": ["Illinois Institute of Technology"],
    "loc": "nq question: who",
    "loc_ans": "x",
}
LAMA = {"uuid": "u", "obj_uri": "Q90", "obj_label": "Paris", "sub_uri": "Q142", "sub_label": "France"}
EVIDENCE = {
    "evidences": [{"sub_surface": "France", "masked_sentence": "[MASK]"}],
    "templates": [{"t": "[X]"}],
}
FRENCH = ("Danielle Darrieux", "P103", "French")
ASKED = "What university did {} attend?"
URI = "http://www.wikidata.org/entity/"
BINDING = {
    "country": {"type": "uri", "value": URI + "Q142"},
    "countryLabel": {"type": "literal", "xml:lang": "en", "value": "France"},
    "capital": {"type": "uri", "value": URI + "Q90"},
    "capitalLabel": {"type": "literal", "xml:lang": "en", "value": "Paris"},
}
SPARQL = {"head": {"vars": list(BINDING)}, "results": {"bindings": [BINDING]}}
ME = [("France", "capital", "Paris")]
RECORDS = {
    "CounterFact": ([COUNTERFACT], [FRENCH]),
    "CounterFact without relation_id": (
        [{"requested_rewrite": {k: v for k, v in REWRITE.items() if k != "relation_id"}}],
        [("Danielle Darrieux", "The mother tongue of {} is", "French")],
    ),
    "CounterFact, plain targets": (
        [{"requested_rewrite": {**REWRITE, "target_true": "French", "target_new": "English"}}],
        [FRENCH],
    ),
    "CounterFact, flat": (
        [
            {
                "subject": "A",
                "relation": "tongue of",
                "relation_id": "P103",
                "target_true": "French",
                "target_new": "x",
            }
        ],
        [("A", "tongue of", "French")],
    ),
    "MQuAKE": (
        [{"case_id": 1, "requested_rewrite": [REWRITE, {**REWRITE, "subject": "B"}], "questions": ["?"]}],
        [FRENCH, ("B", "P103", "French")],
    ),
    "zsRE": ([ZSRE], [("Watts Humphrey", ASKED, "Illinois Institute of Technology")]),
    "zsRE as ROME has it": (
        [
            {
                "case_id": 1,
                "requested_rewrite": {
                    "prompt": ASKED,
                    "subject": "Watts Humphrey",
                    "target_new": {"str": "Illinois"},
                    "target_true": {"str": "<|endoftext|>"},
                },
            }
        ],
        [("Watts Humphrey", ASKED, "Illinois")],
    ),
    "zsRE for edits": (
        [
            {
                "subject": "E",
                "prompt": "Which family is E of?",
                "target_new": "N",
                "ground_truth": ["A"],
                "p": {},
            }
        ],
        [("E", "Which family is {} of?", "A")],
    ),
    "zsRE of KILT": (
        [
            {
                "id": "1",
                "input": "Watts Humphrey [SEP] educated at",
                "output": [{"answer": "I", "provenance": []}],
            }
        ],
        [("Watts Humphrey", "educated at", "I")],
    ),
    "LAMA": ([{**LAMA, "predicate_id": "P36", **EVIDENCE}], [("France", "P36", "Paris")]),
    "LAMA, Google-RE": (
        [
            {
                "pred": "/place_of_birth",
                "sub": "/m/1",
                "obj": "/m/2",
                "sub_label": "A",
                "obj_label": "B",
                "evidences": [],
            }
        ],
        [("A", "/place_of_birth", "B")],
    ),
    "LAMA, ConceptNet": (
        [{"sub": "alive", "obj": "think", "pred": "HasSub", "masked_sentences": ["x"], "obj_label": "think"}],
        [("alive", "HasSub", "think")],
    ),
    "T-REx": (
        [
            {
                "docid": "d",
                "triples": [
                    {
                        "subject": {"uri": "u", "surfaceform": "Paris"},
                        "predicate": {"uri": "P17", "surfaceform": None},
                        "object": {"uri": "o", "surfaceform": "France"},
                    }
                ],
            }
        ],
        [("Paris", "P17", "France")],
    ),
    "Wikidata, flat": ([{k: v["value"] for k, v in BINDING.items()}], ME),
    "Wikidata, verbose": ([BINDING], ME),
    "Wikidata, labels of one": (
        [{"item": URI + "Q142", "itemLabel": "France", "capitalLabel": "Paris"}],
        ME,
    ),
    "head, relation, tail": ([{"head": "France", "relation": "capital", "tail": "Paris", "text": "x"}], ME),
    "PopQA": ([{"id": 1, "subj": "France", "prop": "capital", "obj": "Paris", "s_pop": 5, "a": ["x"]}], ME),
    "extra keys": (
        [{"subject": "France", "relation": "capital", "answer": "Paris", "aliases": ["x", "y"]}],
        ME,
    ),
}


@pytest.mark.parametrize(
    "form", ["json", "jsonl", "indented", "one object", "records", "from_pandas", "parquet"]
)
@pytest.mark.parametrize(("records", "facts"), RECORDS.values(), ids=RECORDS.keys())
def test_records_of_the_field(file, tmp_path, records, facts, form):
    if form == "json":
        table = FactTable.read(file(records, "t.json"))
    elif form == "jsonl":
        table = FactTable.read(file("\ufeff" + "".join(json.dumps(r) + "\r\n" for r in records), "t.jsonl"))
    elif form == "indented":
        table = FactTable.read(file(json.dumps(records, indent=2), "t.jsonl"))
    elif form == "one object":
        table = FactTable.read(file(json.dumps(records[0], indent=2), "t.json"))
    elif form == "records":
        table = FactTable.from_records(records)
    else:
        pd = pytest.importorskip("pandas")
        exploded = any(isinstance(r.get(k), list) for r in records for k in ("requested_rewrite", "triples"))
        if exploded or "type" in str(records):
            pytest.skip("a list of facts in one cell is read from JSON alone")
        frame = pd.DataFrame(records)
        if form == "parquet":
            pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
            pq.write_table(
                pa.Table.from_pylist([{k: v for k, v in r.items() if v not in ({}, [])} for r in records]),
                tmp_path / "t.parquet",
            )
            table = FactTable.read(tmp_path / "t.parquet")
        else:
            table = FactTable.from_pandas(frame)
    assert list(table) == facts


def test_the_relation_of_a_file_called_after_it(file):
    assert list(FactTable.read(file([LAMA | EVIDENCE], "P36.json"))) == [("France", "P36", "Paris")]
    with pytest.raises(FactsError, match="do not say their relation"):
        FactTable.read(file([LAMA], "facts.json"))


def test_nested_keys_by_path(file):
    path = file([COUNTERFACT], "t.json")
    new = {"answer": "requested_rewrite.target_new.str"}
    assert list(FactTable.read(path, columns=new)) == [(*FRENCH[:2], "English")]
    whole = {"subject": "requested_rewrite.subject", "relation": "requested_rewrite.prompt", **new}
    assert list(FactTable.read(path, columns=whole)) == [("Danielle Darrieux", REWRITE["prompt"], "English")]
    assert list(FactTable.from_records([COUNTERFACT], columns=whole)) == list(
        FactTable.read(path, columns=whole)
    )
    path = file([{"who": {"names": [{"en": "A"}]}, "relation": "r", "a.b": "x", "answer": "y"}], "u.json")
    for name in ("who.names.0.en", "who.names[0].en"):
        read = FactTable.read(path, columns={"subject": name, "answer": "a.b"})
        assert list(read) == [("A", "r", "x")]
    with pytest.raises(UnknownNameError, match=r"who\.nmes"):
        FactTable.read(path, columns={"subject": "who.nmes.0.en"})
    with pytest.raises(FactsError, match=r"holds dict.*path, as in 'who\.names\.0\.en'"):
        FactTable.read(path, columns={"subject": "who.names.0"})


DOCUMENTS = {
    "SPARQL": SPARQL,
    "pandas, columns": {"country": {"0": "France", "1": "Peru"}, "capital": {"0": "Paris", "1": "Lima"}},
    "pandas, some rows": {"country": {"3": "France", "7": "Peru"}, "capital": {"3": "Paris", "7": "Lima"}},
    "pandas, split": {
        "columns": ["country", "capital"],
        "index": [0, 1],
        "data": [["France", "Paris"], ["Peru", "Lima"]],
    },
    "pandas, table": {
        "schema": {"fields": []},
        "data": [{"index": i, "country": s, "capital": a} for i, (s, _, a) in enumerate(PARIS)],
    },
    "a list within": {"version": "1.0", "data": [{"country": s, "capital": a} for s, _, a in PARIS]},
    "lists": [["country", "capital"], ["France", "Paris"], ["Peru", "Lima"]],
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
def test_documents_of_json(file, document, name):
    table = FactTable.read(file(document, name))
    assert list(table) == (ME if document is SPARQL else PARIS)


@pytest.mark.parametrize("name", ["q.csv", "q.tsv"])
def test_query_results_as_text(file, name):
    sep = "," if name == "q.csv" else "\t"
    flat = {k: v["value"] for k, v in BINDING.items()}
    assert list(FactTable.read(file(f"{sep.join(flat)}\n{sep.join(flat.values())}\n", name))) == ME
    terms = f'?item\t?itemLabel\t?name\n<{URI}Q142>\t"Fran\\"ce"@en\t"67"^^<http://w3.org/int>\n'
    assert list(FactTable.read(file(terms, "v.tsv"))) == [('Fran"ce', "name", "67")]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"France": {"capital": "Paris"}, "Peru": {"capital": "Lima"}}, "may be subjects or relations"),
        ({"head": {"vars": ["a"]}, "results": {"bindings": []}}, "no results"),
        ({"head": {}, "results": {"bindings": [1]}}, "binding 1"),
        ("text", "one value and no table"),
        ([], "is empty"),
        ([1, 2], "item 1 is not a JSON object"),
        ([[], []], "empty lists"),
        ([["a", "b"], ["c"]], "item 2 has 1 cells"),
        ({"columns": ["a", "b"], "data": [["x"]]}, "row 1 has 1 cells"),
    ],
)
def test_documents_that_are_no_table(file, document, message):
    with pytest.raises(FileFormatError, match=message):
        FactTable.read(file(document, "t.json") if document != "text" else file('"text"', "t.json"))


@pytest.mark.parametrize(
    "contents", ["[", '[{"a": 1}', "nul", '{"a": 1}}', "[1e999999, Infinity]", '{"a": 1} {"b": 2']
)
def test_json_that_is_cut_short(file, contents):
    for name in ("t.json", "t.jsonl"):
        with pytest.raises(FileFormatError):
            FactTable.read(file(contents, name))


# -- values (14) -------------------------------------------------------------------------------------------


def missing_values():
    import datetime
    import decimal

    import numpy as np

    values = [
        None,
        float("nan"),
        math.nan,
        np.float16("nan"),
        np.float32("nan"),
        np.float64("nan"),
        np.longdouble("nan"),
        decimal.Decimal("NaN"),
        decimal.Decimal("sNaN"),
        np.datetime64("NaT"),
        np.timedelta64("NaT"),
        complex("nan"),
        np.ma.masked,
        np.array(float("nan")),
    ]
    try:
        import pandas as pd

        values += [pd.NA, pd.NaT]
    except ImportError:
        pass
    try:
        import pyarrow as pa

        values += [pa.scalar(None), pa.scalar(None, pa.float32()), pa.scalar(None, pa.date32())]
    except ImportError:
        pass
    assert datetime
    return values


@pytest.mark.parametrize(
    "value", missing_values(), ids=lambda v: f"{type(v).__module__}.{type(v).__name__} {v}"
)
def test_what_a_library_calls_missing_is_missing(value):
    assert text(value) == ""
    assert list(FactTable.from_records([{"a": "x", "b": "y", "c": value}])) == [("x", "b", "y")]
    with pytest.raises(FactsError, match="row 1 has an empty cell"):
        FactTable.from_rows([("x", "c", value)])
    try:
        import pandas as pd
    except ImportError:
        return
    frame = pd.DataFrame({"a": ["x"], "b": ["y"], "c": pd.Series([value], dtype=object)})
    assert list(FactTable.from_pandas(frame)) == [("x", "b", "y")]


def test_words_for_nothing_are_kept_and_counted(file):
    words = ["NA", "nan", "NaN", "null", "NULL", "None", "n/a", "N/A", "#N/A", "<NA>", "NaT", "\\N"]
    rows = [(f"s{i}", "r", w) for i, w in enumerate(words)] + [("Nancy", "r", "nano")]
    table = FactTable.read(file("name,r\n" + "".join(f"{s},{a}\n" for s, _, a in rows)))
    assert list(table) == rows
    assert f"{len(words)} cells that look like a missing value, kept as text: 'NA' 1" in notes(table)
    one = FactTable.read(file("a,b\nx,NaN\ny,z\n"))
    assert "1 cell that looks like a missing value, kept as text: 'NaN' 1" in notes(one)


def test_values_of_pandas_are_written_as_they_were():
    pd = pytest.importorskip("pandas")
    import decimal

    import numpy as np

    frame = pd.DataFrame(
        {
            "subject": ["a", "b"],
            "half": np.array([0.1, 2.5], dtype="float16"),
            "single": np.array([0.1, 16777216.0], dtype="float32"),
            "double": [0.1, 1e22],
            "gap": [2100000, None],
            "single gap": np.array([7, np.nan], dtype="float32"),
            "no gap": [2100000.0, 1.0],
            "half a gap": [2.5, None],
            "huge": [1e300, None],
            "Int64": pd.array([2100000, None], dtype="Int64"),
            "Float32": pd.array([0.1, None], dtype="Float32"),
            "boolean": pd.array([True, None], dtype="boolean"),
            "category": pd.Categorical(["x", None]),
            "numbers": pd.Categorical([7, None]),
            "decimal": [decimal.Decimal("1.50"), decimal.Decimal("NaN")],
            "day": pd.to_datetime(["2020-01-01", None]),
            "time": pd.to_datetime(["2020-01-01 00:00", "2020-01-01 12:30"]),
            "zone": pd.to_datetime(["2020-01-01", "2020-01-02"], utc=True),
            "span": pd.to_timedelta(["1 day", None]),
            "period": pd.PeriodIndex(["2020", "2021"], freq="Y"),
            "word": ["NaN", "x"],
        }
    )
    table = FactTable.from_pandas(frame)
    a = {r: v for s, r, v in table if s == "a"}
    b = {r: v for s, r, v in table if s == "b"}
    assert a == {
        "half": "0.1", "single": "0.1", "double": "0.1", "gap": "2100000", "single gap": "7",
        "no gap": "2100000.0", "half a gap": "2.5", "huge": "1e+300", "Int64": "2100000", "Float32": "0.1",
        "boolean": "true", "category": "x", "numbers": "7", "decimal": "1.50", "day": "2020-01-01",
        "time": "2020-01-01 00:00:00", "zone": "2020-01-01 00:00:00+00:00", "span": "1 day, 0:00:00",
        "period": "2020", "word": "NaN",
    }  # fmt: skip
    assert b["single"] == "16777216.0"
    assert b["double"] == "1e+22"
    assert b["time"] == "2020-01-01 12:30:00"
    assert set(a) - set(b) == {
        "gap", "single gap", "half a gap", "huge", "Int64", "Float32", "boolean", "category", "numbers",
        "decimal", "day", "span",
    }  # fmt: skip


def test_the_same_frame_by_every_way(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "country": ["France", "Peru", "Mali"],
            "capital": ["Paris", "Lima", None],
            "population": [68000000, None, 22000000],
            "founded": pd.to_datetime([None, None, "1960-09-22"]).astype("M8[s]"),
        }
    )
    expected = FactTable.from_pandas(frame)
    assert expected.lookup("Mali", "population") == "22000000"
    assert expected.lookup("Mali", "founded") == "1960-09-22"
    frame.to_parquet(tmp_path / "t.parquet")
    assert FactTable.read(tmp_path / "t.parquet") == expected
    taken = frame.iloc[[0, 2]]
    taken.to_parquet(tmp_path / "u.parquet")
    assert FactTable.read(tmp_path / "u.parquet") == FactTable.from_pandas(taken)
    assert FactTable.from_pandas(frame.set_index("country")) == expected
    frame.set_index("country").to_parquet(tmp_path / "v.parquet")
    assert FactTable.read(tmp_path / "v.parquet") == expected
    assert FactTable.from_records(frame.to_dict("records")) == expected
    assert FactTable.from_pandas(frame.convert_dtypes()) == expected
    import pyarrow as pa

    assert FactTable.from_pandas(pa.Table.from_pandas(frame)) == expected
    words = frame[["country", "capital"]]
    for orient in ("records", "columns", "split", "table"):
        words.to_json(tmp_path / "t.json", orient=orient)
        assert FactTable.read(tmp_path / "t.json") == FactTable.from_pandas(words), orient
    words.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    assert FactTable.read(tmp_path / "t.jsonl") == FactTable.from_pandas(words)
    for more in ({}, {"index": False}, {"sep": ";"}, {"quoting": csv.QUOTE_ALL}, {"encoding": "utf-16"}):
        words.to_csv(tmp_path / "t.csv", **more)
        assert FactTable.read(tmp_path / "t.csv") == FactTable.from_pandas(words), more


def test_types_of_arrow(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import decimal

    import numpy as np
    import pyarrow.parquet as pq

    def ints(values, kind, as_type):
        return pa.array(values, kind).cast(as_type)

    columns = {
        "subject": pa.array(["a", "b"], pa.large_string()),
        "far day": ints([10**7, None], pa.int32(), pa.date32()),
        "far time": ints([10**17, 0], pa.int64(), pa.timestamp("ms")),
        "zone": ints([0, None], pa.int64(), pa.timestamp("us", "Europe/Paris")),
        "far zone": ints([10**17, None], pa.int64(), pa.timestamp("ms", "Asia/Tokyo")),
        "no zone": ints([0, None], pa.int64(), pa.timestamp("us", "Nowhere/Else")),
        "nanos": ints([1, None], pa.int64(), pa.timestamp("ns")),
        "day": ints([0, 86_400_000], pa.int64(), pa.timestamp("ms")),
        "date64": ints([0, None], pa.int64(), pa.date64()),
        "clock": ints([1_500_000_000, None], pa.int64(), pa.time64("ns")),
        "span": ints([5, None], pa.int64(), pa.duration("s")),
        "far span": ints([10**18, None], pa.int64(), pa.duration("s")),
        "decimal": pa.array([decimal.Decimal("1.50"), None]),
        "small": pa.array([decimal.Decimal("0.0000000001"), None]),
        "single": pa.array([0.1, None], pa.float32()),
        "half": pa.array(np.array([0.1, 0.2], dtype="float16")),
        "gap": pa.array([2100000.0, None]),
        "words": pa.array(["x", None]).dictionary_encode(),
        "big": pa.array([2**63 - 1, None]),
        "truth": pa.array([True, None]),
        "nothing": pa.array([None, None]),
        "bytes": pa.array([b"x", None]),
        "list": pa.array([[1], None]),
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    for table in (FactTable.read(tmp_path / "t.parquet"), FactTable.from_pandas(pa.table(columns))):
        assert {r: v for s, r, v in table if s == "a"} == {
            "far day": "29349-01-26", "far time": "3170843-11-07 09:46:40",
            "zone": "1970-01-01 01:00:00+01:00",
            "far zone": "3170843-11-07 09:46:40+00:00", "no zone": "1970-01-01 00:00:00+00:00",
            "nanos": "1970-01-01 00:00:00.000000001", "day": "1970-01-01", "date64": "1970-01-01",
            "clock": "00:00:01.500000", "span": "0:00:05", "far span": "1000000000000000000 seconds",
            "decimal": "1.50", "small": "0.0000000001", "single": "0.1", "half": "0.1", "gap": "2100000",
            "words": "x", "big": "9223372036854775807", "truth": "true",
        }  # fmt: skip
        assert "'bytes', 'list'" in notes(table)


def test_columns_that_are_ignored_are_not_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    odd = {"when": pa.array([10**7], pa.int32()).cast(pa.date32()), "raw": pa.array([b"\xff"])}
    pq.write_table(
        pa.table({"subject": ["a"], "relation": ["r"], "answer": ["x"], **odd}), tmp_path / "t.parquet"
    )
    assert list(FactTable.read(tmp_path / "t.parquet")) == [("a", "r", "x")]


def test_row_numbers_in_parquet(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    rows = {"country": ["France", "Peru"], "capital": ["Paris", "Lima"]}
    for index in (None, [3, 7], [0, 1], pd.Index([5, 4], name=None)):
        pd.DataFrame(rows, index=index).to_parquet(tmp_path / "t.parquet", index=True)
        assert list(FactTable.read(tmp_path / "t.parquet")) == PARIS
    named = pd.DataFrame({"capital": ["Paris", "Lima"]}, index=pd.Index(["France", "Peru"]))
    named.to_parquet(tmp_path / "t.parquet")
    assert list(FactTable.read(tmp_path / "t.parquet")) == PARIS == list(FactTable.from_pandas(named))


def test_values_given_one_by_one():
    import datetime
    import decimal
    import fractions
    import uuid

    import numpy as np

    for value, shown in [
        (np.float32(0.1), "0.1"),
        (np.int64(3), "3"),
        (np.str_("x"), "x"),
        (np.bool_(True), "true"),
        (decimal.Decimal("1.50"), "1.50"),
        (fractions.Fraction(1, 3), "1/3"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (datetime.datetime(2020, 1, 2), "2020-01-02 00:00:00"),
        (np.datetime64("2020-01-02"), "2020-01-02"),
        (np.datetime64("2020-01-02T00:00:00.000000000"), "2020-01-02"),
        (np.datetime64("99999-01-02T10:00"), "99999-01-02 10:00"),
        (np.timedelta64(5, "s"), "0:00:05"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (np.array("x"), "x"),
    ]:
        assert FactTable.from_rows([("a", "r", value)]).answer == (shown,)
    torch = pytest.importorskip("torch")
    assert text(torch.tensor(0.1)) == "0.1"
    for bad in ([1], {"a": 1}, b"x", {1}, np.array([1, 2]), object()):
        with pytest.raises(FactsError, match="row 1: a cell holds"):
            FactTable.from_rows([("a", "r", bad)])
    pa = pytest.importorskip("pyarrow")
    assert text(pa.scalar(0.1, pa.float32())) == "0.1"


@pytest.mark.parametrize("rows", ["abc", {"a": "b"}, [[1]], ["abc"], [("a", "b", "c", "d")]])
def test_rows_that_are_none(rows):
    with pytest.raises(FactsError, match="give"):
        FactTable.from_rows(rows)


@pytest.mark.parametrize("frame", [5, None, "abc", [5], {"a": [1]}, object()])
def test_frames_that_are_none(frame):
    with pytest.raises(FactsError, match="takes a DataFrame"):
        FactTable.from_pandas(frame)


# -- encodings (16) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding",
    ["rot13", "hex", "base64", "zlib", "bz2", "uu", "quopri", "idna", "punycode", "undefined", "mbcs",
     "unicode_escape", "raw_unicode_escape", "klingon", "", "a\0b", "utf-8\n8", "ü"],
)  # fmt: skip
def test_encodings_of_no_text(file, encoding):
    with pytest.raises(SettingError, match=r"encoding|written in"):
        FactTable.read(file("a,b\nc,d\n"), encoding=encoding)


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [("utf-8-sig", "cp1252"), ("utf-16", "utf-8"), ("utf-16", "latin-1"), ("utf-32", "utf-16")],
)
def test_an_encoding_that_the_mark_contradicts(file, mark, encoding):
    with pytest.raises(FileFormatError, match="byte order mark"):
        FactTable.read(file("a,b\nc,d\n".encode(mark)), encoding=encoding)


def test_every_encoding_of_python_reads_or_is_refused(file):
    import encodings.aliases

    for name in sorted({*encodings.aliases.aliases.values()}):
        for raw in (b"a,b\nc,d\n", bytes(range(1, 256)), "a,b\nc,\u00e9\u4e2d\n".encode()):
            try:
                FactTable.read(file(raw), encoding=name)
            except FactweightsError:
                continue


# -- any bytes at all --------------------------------------------------------------------------------------

NAMES = ["t.csv", "t.tsv", "t.txt", "t.json", "t.jsonl", "t.parquet"]
WORDS = (
    '" , ; \t | \r \n \r\n a # sep= subject relation answer { } [ ] : 1 0 NaN null \' \\ ?x PAR1 "results": '
    '"subject": "bindings": "requested_rewrite": Unnamed: \0 \ufeff'
)
PIECES = [*(w.encode() for w in WORDS.split(" ")), b" ", b"\xff\xfe", b"\xe9", b"Unnamed: 0"]
pieces = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


@settings(deadline=None, max_examples=200)
@given(raw=st.one_of(st.binary(max_size=200), pieces), name=st.sampled_from(NAMES), header=st.booleans())
@example(raw=b'"', name="t.csv", header=True)
@example(raw=b"\xef\xbb\xbf\n", name="t.jsonl", header=True)
@example(raw=b"#\n#", name="t.csv", header=True)
@example(raw=b"PAR1PAR1", name="t.parquet", header=True)
def test_no_bytes_end_in_a_traceback(tmp_path_factory, raw, name, header):
    path = tmp_path_factory.mktemp("t") / name
    path.write_bytes(raw)
    for wide in (None, True, False):
        try:
            table = FactTable.read(path, header=header, wide=wide)
        except (FactweightsError, FileNotFoundError):
            continue
        assert len(table) > 0
        assert table.reading is not None


KEYS = [
    "subject", "relation", "answer", "requested_rewrite", "str", "target_true", "prompt", "src",
    "answers", "input", "output", "sub_label", "obj_label", "pred", "triples", "results", "bindings",
    "head", "vars", "0", "columns", "data", "index", "x", "xLabel", "type", "value",
]  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(document=json_values, name=st.sampled_from(["t.json", "t.jsonl"]))
def test_no_json_ends_in_a_traceback(tmp_path_factory, document, name):
    path = tmp_path_factory.mktemp("t") / name
    path.write_text(json.dumps(document))
    for settings_ in ({}, {"wide": True}, {"columns": {"answer": "answer.str.0"}}, {"header": False}):
        try:
            FactTable.read(path, **settings_)
        except FactweightsError:
            continue


def test_edges_are_taken_off_in_linear_time():
    from factweights.facts import cells

    assert set(cells._SPACE) == {chr(c) for c in range(0x110000) if chr(c).isspace()}
    assert text(" \ufeff" * 200_000 + "é" + "\u200b\xa0" * 200_000) == "é"


@pytest.mark.slow
def test_very_many_columns_end_soon(file):
    wide = ",".join(f"c{i}" for i in range(20_000))
    read = FactTable.read(file(f"{wide}\n{wide.replace('c', 'd')}\n"))
    assert len(read) == 19_999
    with pytest.raises(FactsError):
        FactTable.read(file(f"{wide}\n{wide}\n"), wide=False)


def test_a_key_that_stands_twice(file):
    twice = '[{"subject": "a", "relation": "r", "answer": {"str": "x", "str": "y"}, "z": {"a": 1, "a": 2}}]'
    with pytest.raises(FactsError, match="twice"):
        FactTable.read(file(twice, "t.json"), columns={"answer": "answer.str"})
    for contents in (
        '{"a": "b", "a": "c"}',
        '[{"a": "b", "a": "c"}]',
        '{"head": {}, "results": {}, "head": {}}',
    ):
        with pytest.raises(FileFormatError, match="twice"):
            FactTable.read(file(contents, "t.json"))
    ignored = twice.replace('{"str": "x", "str": "y"}', '"x"')
    assert list(FactTable.read(file(ignored, "t.json"))) == [("a", "r", "x")]


def test_records_made_flat(file):
    header = (
        "case_id,requested_rewrite.subject,requested_rewrite.relation_id,requested_rewrite.target_true.str"
    )
    assert list(FactTable.read(file(f"{header}\n1,A,P1,B\n"))) == [("A", "P1", "B")]
    assert list(FactTable.read(file("u,sub_label,predicate_id,obj_label\nu,A,P1,B\n"))) == [("A", "P1", "B")]


@given(st.text(max_size=20))
def test_text_is_the_same_twice(s):
    try:
        once = text(s)
    except FactsError:
        return
    assert text(once) == once
