"""FactTable: reading what people have, refusing what cannot be meant, and coming back the same."""

import builtins
import errno
import json
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from factweights.errors import (
    ConflictError,
    FactsError,
    FactweightsError,
    FileFormatError,
    MissingExtraError,
    OutputError,
    SettingError,
    UnknownNameError,
)
from factweights.facts import Associations, FactTable
from factweights.facts.cells import text

ROWS = [
    ("France", "capital", "Paris"),
    ("France", "continent", "Europe"),
    ("Peru", "capital", "Lima"),
    ("Côte d'Ivoire", "capital", "Yamoussoukro"),
]
LONG = "subject,relation,answer\n" + "".join(",".join(row) + "\n" for row in ROWS)
WIDE = "subject,capital,continent\nFrance,Paris,Europe\nPeru,Lima,\nCôte d'Ivoire,Yamoussoukro,\n"
FORMATS = ("csv", "tsv", "jsonl", "ndjson", "parquet")


@pytest.fixture
def file(tmp_path):
    def make(contents: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return path

    return make


def table() -> FactTable:
    return FactTable.from_rows(ROWS)


# -- reading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contents", [LONG, WIDE])
def test_long_and_wide_tables_are_told_apart(file, contents):
    assert FactTable.read(file(contents)) == table()


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_and_line_endings(file, ending, delimiter):
    assert FactTable.read(file(LONG.replace(",", delimiter).replace("\n", ending))) == table()


def test_tsv_cells_may_hold_commas(file):
    read = FactTable.read(file("subject\trelation\tanswer\nBonaire, Saba\tcapital\ta,b\n", "t.tsv"))
    assert list(read) == [("Bonaire, Saba", "capital", "a,b")]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_byte_order_marks(file, codec, name):
    contents = LONG if name == "t.csv" else jsonl(ROWS)
    assert FactTable.read(file(contents.encode(codec), name)) == table()


def test_encoding_can_be_given(file):
    path = file(LONG.encode("cp1252"))
    assert FactTable.read(path, encoding="cp1252") == table()
    with pytest.raises(FileFormatError, match=r"line 5 cannot be decoded.*tried utf-8.*encoding="):
        FactTable.read(path)
    with pytest.raises(SettingError, match="'klingon'"):
        FactTable.read(path, encoding="klingon")
    unmarked = file(LONG.encode("utf-16-le"))
    with pytest.raises(FileFormatError, match="utf-16-le"):
        FactTable.read(unmarked)
    assert FactTable.read(unmarked, encoding="utf-16-le") == table()


def test_columns_in_any_case_and_order_and_others_ignored(file):
    contents = "Answer,source,SUBJECT, Relation \nParis,atlas,France,capital\n"
    assert list(FactTable.read(file(contents))) == [ROWS[0]]


def test_columns_under_other_names(file):
    path = file("head,rel,tail\nFrance,capital,Paris\n")
    columns = {"subject": "head", "relation": "REL", "answer": "tail"}
    assert list(FactTable.read(path, columns=columns)) == [ROWS[0]]
    with pytest.raises(UnknownNameError, match=r"column named 'tial'; did you mean 'tail'"):
        FactTable.read(path, columns={**columns, "answer": "tial"})
    with pytest.raises(SettingError, match="'head'"):
        FactTable.read(path, columns={"head": "subject"})


def test_the_subject_of_a_wide_table_may_stand_anywhere(file):
    path = file("capital,subject\nParis,France\n")
    assert list(FactTable.read(path)) == [ROWS[0]]
    path = file("capital,country\nParis,France\n")
    assert list(FactTable.read(path, columns={"subject": "country"})) == [ROWS[0]]


def test_a_long_table_can_be_read_as_wide(file):
    read = FactTable.read(file("subject,relation,answer\nFrance,capital,Paris\n"), wide=True)
    assert list(read) == [("France", "relation", "capital"), ("France", "answer", "Paris")]


def test_cells_are_stripped_and_normalised(file):
    path = file("subject,relation,answer\n  Cafe\u0301 \u00a0,is , a b\n")
    assert list(FactTable.read(path)) == [("Caf\u00e9", "is", "a b")]


def test_blank_rows_are_skipped_and_line_numbers_stay_true(file):
    assert FactTable.read(file("\n" + LONG.replace("\nPeru", "\n\n,,\nPeru"))) == table()
    with pytest.raises(FactsError, match="line 6: 'answer' is empty"):
        FactTable.read(file('subject,relation,answer\n\n"a\nb",r,x\n\nPeru,capital,\n'))


def test_text_that_looks_missing_is_kept(file):
    read = FactTable.read(file("country,iso\nNamibia,NA\nNowhere,null\nElsewhere,nan\n"))
    assert read.answers == ("NA", "null", "nan")


def test_repeats_are_dropped_and_counted(file):
    read = FactTable.read(file(LONG + "France,capital,Paris\n France ,capital,Paris\n"))
    assert read == table()
    assert read.duplicates == 2
    assert "2 repeated rows" in repr(read)


def test_conflicts_are_listed_with_lines_and_answers(file):
    with pytest.raises(ConflictError, match=r"'France', 'capital': 'Paris' \(line 2\), 'Lyon' \(line 6\)"):
        FactTable.read(file(LONG + "France,capital,Lyon\n"))
    many = [(f"s{i}", "r", a) for a in "ab" for i in range(9)]
    with pytest.raises(ConflictError, match=r"(?s)9 facts have.*'s4'.*and 4 more") as e:
        FactTable.from_rows(many)
    assert "'s5'" not in str(e.value)


def test_conflicts_between_columns_of_the_same_subject(file):
    with pytest.raises(ConflictError, match=r"line 2.*line 3"):
        FactTable.read(file("country,capital\nPeru,Lima\nPeru,Cusco\n"))


# -- JSON Lines --------------------------------------------------------------------------------------------


def jsonl(rows) -> str:
    return "".join(
        json.dumps(dict(zip(("subject", "relation", "answer"), r, strict=True))) + "\n" for r in rows
    )


def test_json_numbers_stay_as_written_and_null_is_empty(file):
    contents = (
        '{"country": "France", "iso": 250, "gdp": 1.50, "eu": true, "king": null}\n{"country": "Peru"}\n'
    )
    read = FactTable.read(file(contents, "t.jsonl"))
    assert list(read) == [("France", "iso", "250"), ("France", "gdp", "1.50"), ("France", "eu", "true")]


def test_json_lines_may_hold_unicode_line_separators(file):
    path = file('{"subject": "a", "relation": "r", "answer": "x\u2028y"}\n', "t.jsonl")
    assert FactTable.read(path).answer == ("x\u2028y",)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"subject": "a", "relation": "r", "ans', "line 2 is not one whole JSON object.*cut short"),
        ('["a", "r", "x"]', "line 2 is not a JSON object"),
        ('{"subject": "a", "relation": "r", "answer": ["x"]}', "line 2: a cell holds list.*as in 'answer.0'"),
        ('{"subject": "a", "relation": "r", "answer": NaN}', "line 2: 'answer' is empty"),
        ('{"subject": "a", "relation": "r", "answer": -Infinity}', "line 2.*-Infinity is not JSON"),
        ('{"subject": "a", "relation": "r", "answer": "x", "answer": "y"}', "line 2.*twice"),
        ("[" * 100_000, "line 2 is not one whole"),
        ('{"subject": "a", "relation": "r", "answer": "\\ud800"}', "line 2.*half a UTF-16 pair"),
        ('{"subject": "a", "relation": "r", "answer": "\\u0000"}', "line 2.*NUL"),
        ('{"subject": "a", "relation": "r", "answer": null}', "line 2: 'answer' is empty"),
        ('{"subject": "a", "relation": "r"}', "line 2: 'answer' is empty"),
    ],
)
def test_bad_json_lines(file, bad, message):
    with pytest.raises(FactsError if "empty" in message else FactweightsError, match=message):
        FactTable.read(file(jsonl(ROWS[:1]) + bad, "t.jsonl"))


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contents", "error", "message"),
    [
        ("", FileFormatError, "is empty"),
        (" \n\n", FileFormatError, "is empty"),
        ("\ufeff", FileFormatError, "is empty"),
        (",,\n,,\n", FileFormatError, "is empty"),
        ("subject,relation,answer\n", FactsError, "no facts"),
        ("country,capital\nPeru,\n", FactsError, "no facts"),
        (LONG + "Peru,continent\n", FileFormatError, "line 6: 2 cells but the header has 3"),
        (LONG + "Peru,continent,America,South\n", FileFormatError, "line 6: 4 cells"),
        (LONG + 'Peru,"continent,America\n', FileFormatError, "line 6: unexpected end of data"),
        (LONG + 'Peru,"a"b,c\n', FileFormatError, "line 6"),
        (LONG + "Peru,a\0b,c\n", FileFormatError, "NUL character in line 6"),
        (LONG + "Peru,,c\n", FactsError, "line 6: 'relation' is empty"),
        ("subject,answer\na,b\n", FactsError, "no column 'relation', only 'subject', 'answer'"),
        ("subject,realtion,answer\na,b,c\n", FactsError, "perhaps columns={'relation': 'realtion'}"),
        ("subject,relations,answers\na,b,c\n", FactsError, "'relations'"),
        (
            "country,predicate,object\na,b,c\n",
            FactsError,
            "columns={'relation': 'predicate', 'answer': 'object'}",
        ),
        ("subject\na\n", FactsError, "no column 'relation'"),
        ("country,capital,capital\na,b,c\n", FactsError, "two columns named 'capital'"),
        ("subject,relation,Answer,ANSWER\na,b,c,d\n", FactsError, "2 columns named 'answer'"),
        ("country,capital,\na,b,c\n", FactsError, "column 3 has no name"),
        ("country,capital\n,Lima\n", FactsError, "line 2: no subject"),
        (b"\x89PNG\r\n\x1a\n", FileFormatError, "a picture"),
        (b"PAR1", FileFormatError, r"a Parquet file: name it \.parquet"),
        (b"PK\x03\x04\x00", FileFormatError, "an Excel workbook"),
        (b"\x7fELF\x00\x01\xff", FileFormatError, "tried utf-8"),
    ],
)
def test_bad_files(file, contents, error, message):
    with pytest.raises(error, match=message.replace("{", r"\{").replace("}", r"\}")):
        FactTable.read(file(contents))


def test_wide_can_be_refused(file):
    with pytest.raises(
        FactsError, match="no column 'subject' and no column 'relation' and no column 'answer'"
    ):
        FactTable.read(file(WIDE.replace("subject", "country")), wide=False)
    with pytest.raises(FactsError, match="one column"):
        FactTable.read(file("country\nPeru\n"), wide=True)


def test_a_missing_header_is_suspected(file):
    path = file(LONG.partition("\n")[2])
    with pytest.raises(FactsError, match=r"three columns.*header=False.*wide=True"):
        FactTable.read(path)
    assert FactTable.read(path, header=False) == table()
    assert FactTable.read(path, wide=True).lookup("Peru", "Paris") == "Lima"
    path = file("France,capital,Paris,0.9\nPeru,capital,Lima,0.8\n")
    with pytest.raises(FactsError, match="line 2: 'capital' is also the name of its column; is the he"):
        FactTable.read(path)
    read = FactTable.read(path, header=False, columns={"subject": "1", "relation": "2", "answer": "3"})
    assert list(read) == [ROWS[0], ROWS[2]]


def test_paths_that_are_no_tables(tmp_path, file):
    with pytest.raises(FileNotFoundError, match="no fact table"):
        FactTable.read(tmp_path / "none.csv")
    with pytest.raises(FileFormatError, match="is a folder"):
        FactTable.read(tmp_path)
    with pytest.raises(FileFormatError, match=r"'\.docx'"):
        FactTable.read(file("x", "t.docx"))
    with pytest.raises(FileFormatError, match=r"write a list of objects"):
        FactTable.read(file("[]", "t.json"))
    with pytest.raises(FileFormatError, match="is empty"):
        FactTable.read(file("\n", "t.jsonl"))


# -- Parquet and pandas ------------------------------------------------------------------------------------


def test_parquet_types_become_text(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns = {
        "country": pa.array(["France", "Peru"]).dictionary_encode(),
        "iso": pa.array([250, None]),
        "eu": pa.array([True, False]),
        "area": pa.array([1.5, float("nan")]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert list(FactTable.read(tmp_path / "t.parquet")) == [
        ("France", "iso", "250"),
        ("France", "eu", "true"),
        ("France", "area", "1.5"),
        ("Peru", "eu", "false"),
    ]
    pq.write_table(pa.table({**columns, "list": pa.array([[1], [2]])}), tmp_path / "t.parquet")
    assert "'list'" in FactTable.read(tmp_path / "t.parquet").reading.notes[0]
    pq.write_table(pa.table({**columns, "answer": pa.array([[1], [2]])}), tmp_path / "t.parquet")
    with pytest.raises(FactsError, match="row 1: a cell holds list"):
        FactTable.read(tmp_path / "t.parquet", columns={"subject": "country", "relation": "eu"})


@pytest.mark.parametrize("keep", [0, 3, 0.5, 0.99])
def test_truncated_parquet(tmp_path, keep):
    pytest.importorskip("pyarrow")
    raw = table().write(tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(raw[: keep if isinstance(keep, int) else int(len(raw) * keep)])
    with pytest.raises(FileFormatError, match="not a whole Parquet file"):
        FactTable.read(tmp_path / "t.parquet")


def test_damaged_parquet_pages(tmp_path):
    pytest.importorskip("pyarrow")
    raw = bytearray(table().write(tmp_path / "t.parquet").read_bytes())
    raw[4:60] = b"\xff" * 56
    (tmp_path / "t.parquet").write_bytes(raw)
    with pytest.raises(FileFormatError, match="not a whole Parquet file"):
        FactTable.read(tmp_path / "t.parquet")


def test_pandas_round_trip():
    pd = pytest.importorskip("pandas")
    assert FactTable.from_pandas(table().to_pandas()) == table()
    frame = pd.DataFrame(
        {"country": ["France", "Peru"], "capital": ["Paris", None], "iso": [250.0, float("nan")]}
    )
    assert list(FactTable.from_pandas(frame)) == [("France", "capital", "Paris"), ("France", "iso", "250")]
    frame["founded"] = pd.array([1, pd.NA], dtype="Int64")
    assert FactTable.from_pandas(frame).lookup("France", "founded") == "1"


@pytest.mark.parametrize("missing", ["pyarrow", "pandas"])
def test_missing_extras_name_the_extra(tmp_path, monkeypatch, missing):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == missing:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    uses = {
        "pyarrow": [
            lambda: FactTable.read(tmp_path / "t.parquet"),
            lambda: table().write(tmp_path / "u.parquet"),
        ],
        "pandas": [lambda: table().to_pandas()],
    }
    for use in uses[missing]:
        with pytest.raises(MissingExtraError, match=r"factweights\[data\]"):
            use()
    assert not (tmp_path / "u.parquet").exists()
    assert FactTable.read(table().write(tmp_path / "t.csv")) == table()


# -- made in memory ----------------------------------------------------------------------------------------


def test_rows_of_other_things():
    read = FactTable.from_rows([("Peru", "iso", 604), ["Peru", "eu", False]])
    assert list(read) == [("Peru", "iso", "604"), ("Peru", "eu", "false")]
    for bad, message in [
        ([("a", "b")], "row 1 has 2 cells"),
        (["abc"], "row 1 has 1 cells"),
        ([ROWS[0], ("a", "b", None)], "row 2 has an empty cell"),
        ([("a", "b", b"c")], "row 1: a cell holds bytes"),
        ([], "no facts"),
    ]:
        with pytest.raises(FactsError, match=message):
            FactTable.from_rows(bad)


def test_records():
    assert FactTable.from_records(
        [{"country": "France", "capital": "Paris"}, {"country": "Peru"}]
    ).answers == ("Paris",)
    with pytest.raises(FactsError, match="row 2: 'subject' is empty"):
        FactTable.from_records([dict(zip(("subject", "relation", "answer"), ROWS[0], strict=True)), {}])


def test_the_constructor_keeps_what_the_readers_promise():
    for fields, message in [
        (((), (), ()), "no facts"),
        ((("a",), ("b",), ()), "columns of 1, 1, 0 cells"),
        ((("a ",), ("b",), ("c",)), "'a '"),
        ((("a",), ("",), ("c",)), "''"),
        ((("a", "a"), ("b", "b"), ("c", "d")), "twice"),
    ]:
        with pytest.raises(FactsError, match=message):
            FactTable(*fields)


# -- looking -----------------------------------------------------------------------------------------------


def test_names_in_first_seen_order():
    t = table()
    assert t.subjects == ("France", "Peru", "Côte d'Ivoire")
    assert t.relations == ("capital", "continent")
    assert t.answers == ("Paris", "Europe", "Lima", "Yamoussoukro")
    assert len(t) == 4
    assert list(t) == ROWS
    assert t.summary() == {"capital": {"facts": 3, "answers": 3}, "continent": {"facts": 1, "answers": 1}}


def test_lookup():
    t = table()
    assert t.lookup(" France", "capital ") == "Paris"
    assert t.lookup("Co\u0302te d'Ivoire", "capital") == "Yamoussoukro"
    with pytest.raises(UnknownNameError, match="no subject named 'Frence'; did you mean 'France'"):
        t.lookup("Frence", "capital")
    with pytest.raises(
        UnknownNameError, match=r"no relation of 'Peru' named 'continent'.*\(it has capital\)"
    ):
        t.lookup("Peru", "continent")


def test_select_and_head():
    t = table()
    assert list(t.select(relations="capital")) == [ROWS[0], ROWS[2], ROWS[3]]
    assert list(t.select(relations=["capital"], subjects=["Peru", "France"])) == [ROWS[0], ROWS[2]]
    assert t.select() == t
    assert t.head(2) == FactTable.from_rows(ROWS[:2])
    assert t.head(99) == t
    with pytest.raises(UnknownNameError, match="did you mean 'capital'"):
        t.select(relations=["Capitol"])
    with pytest.raises(UnknownNameError, match="no subject"):
        t.select(subjects="Atlantis")
    with pytest.raises(FactsError, match="no fact has"):
        t.select(relations="continent", subjects="Peru")
    with pytest.raises(SettingError, match=r"head\(0\)"):
        t.head(0)


def test_shown():
    t = FactTable.from_rows([("<b>", "r", "x"), *ROWS])
    assert repr(table()) == "FactTable(4 facts, 3 subjects, 2 relations, 4 answers)"
    assert "&lt;b&gt;" in t._repr_html_()
    assert t._repr_html_().count("<th>") == 3


def test_hash_is_pinned_and_sees_every_change():
    assert table().hash == "24d3d0e4e4f71a24b3e03e03934493f69105dea3a89716dab793fbbbfca2e1c5"
    others = [ROWS[::-1], ROWS[:-1], [("Franc", "ecapital", "Paris"), *ROWS[1:]]]
    assert len({table().hash, *(FactTable.from_rows(rows).hash for rows in others)}) == 4


# -- writing -----------------------------------------------------------------------------------------------

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(
    lambda s: text(s) != ""
)


@pytest.mark.slow
@given(st.dictionaries(st.tuples(cells, cells), cells, min_size=1, max_size=8))
def test_every_format_comes_back_the_same(tmp_path_factory, facts):
    rows = {tuple(map(text, pair)): answer for pair, answer in facts.items()}
    t = FactTable.from_rows((s, r, a) for (s, r), a in rows.items())
    folder = tmp_path_factory.mktemp("t")
    for suffix in FORMATS:
        read = FactTable.read(t.write(folder / f"t.{suffix}"))
        assert read == t
        assert read.hash == t.hash


@given(st.lists(st.tuples(*[st.sampled_from("ab")] * 3), min_size=1, max_size=6))
def test_conflicts_are_found_exactly_when_they_are_there(rows):
    answers = {}
    for s, r, a in rows:
        answers.setdefault((s, r), set()).add(a)
    if max(map(len, answers.values())) > 1:
        with pytest.raises(ConflictError):
            FactTable.from_rows(rows)
    else:
        t = FactTable.from_rows(rows)
        assert len(t) == len(answers)
        assert t.duplicates == len(rows) - len(answers)
        assert all(t.lookup(*pair) in answers[pair] for pair in answers)


def test_writing_fails_whole(tmp_path, monkeypatch):
    with pytest.raises(SettingError, match=r"'\.xlsx'"):
        table().write(tmp_path / "t.xlsx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        table().write(tmp_path / "file" / "t.csv")

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        table().write(tmp_path / "t.csv")
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_large_tables_take_linear_time(tmp_path):
    t = FactTable.from_rows((f"s{i // 4}", f"r{i % 4}", f"a{i % 1000}") for i in range(30_000))
    started = time.perf_counter()
    assert FactTable.read(t.write(tmp_path / "t.csv")).hash == t.hash
    assert time.perf_counter() - started < 20  # a loop over pairs of rows takes minutes


# -- becoming associations ---------------------------------------------------------------------------------


def test_associations_of_a_table():
    rows = [*ROWS, ("Italy", "continent", "Europe")]
    t = FactTable.from_rows(rows)
    facts = t.to_associations(8, d_out=6, seed=3)
    assert (facts.n_facts, facts.n_outputs, facts.d_in, facts.d_out) == (5, 4, 8, 6)
    assert facts.targets.tolist() == [0, 1, 2, 3, 1]
    assert facts.key_names == tuple(row[:2] for row in rows)
    assert facts.value_names == t.answers
    assert facts.spec["table_hash"] == t.hash
    assert "seed 3" in repr(facts)
    again = t.to_associations(**{k: v for k, v in facts.spec.items() if k not in ("source", "table_hash")})
    assert again.hash == facts.hash
    assert t.to_associations(8, d_out=6, seed=4).hash != facts.hash


def test_associations_use_the_streams_of_random_facts():
    facts, random = table().to_associations(8, seed=5), Associations.spherical(4, 8, seed=5)
    assert torch.equal(facts.keys, random.keys)
    assert torch.equal(facts.values, random.values)


def test_a_table_is_a_prefix_of_a_longer_one():
    short, long = table().head(2).to_associations(8), table().to_associations(8)
    assert torch.equal(short.keys, long.keys[:2])
    assert torch.equal(short.values, long.values[:2])


def test_associations_take_the_settings_of_embeddings():
    assert table().to_associations(8, kind="orthonormal").keys.shape == (4, 8)
    assert table().to_associations(8, kind="spiked", strength=3.0, rank=2).spec["rank"] == 2
    assert table().to_associations(8, dtype=torch.float32).values.dtype == torch.float32
    with pytest.raises(SettingError, match="at most d orthonormal"):
        table().to_associations(3, kind="orthonormal")
    with pytest.raises(SettingError, match="d ≥ 1"):
        table().to_associations(8, d_out=0)
    with pytest.raises(SettingError, match="seed"):
        table().to_associations(8, seed=-1)


# -- sizes that no file of facts has -----------------------------------------------------------------------


@pytest.mark.slow
def test_small_files_that_speak_of_millions_are_refused_at_once(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    same = pa.DictionaryArray.from_arrays(pa.array([0] * 6_000_000, pa.int8()), ["x"])
    pq.write_table(pa.table(dict.fromkeys("abc", same)), tmp_path / "rows.parquet")
    wide = pa.table({f"c{i}": ["x"] for i in range(100_001)})
    pq.write_table(wide, tmp_path / "wide.parquet")
    (tmp_path / "wide.csv").write_text(",".join(f"c{i}" for i in range(1_000_000)) + "\n")
    for name, said in (
        ("rows.parquet", "6,000,000 rows; at most"),
        ("wide.parquet", "100,001 columns; at most"),
        ("wide.csv", "1,000,000 columns; at most"),
    ):
        with pytest.raises(FactsError, match=said):
            FactTable.read(tmp_path / name)


@pytest.mark.slow
def test_a_parquet_file_of_thousands_of_columns_is_read_in_few_goes(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    names = [f"c{i}" for i in range(3_000)]
    pq.write_table(pa.table({name: [f"{name}a", f"{name}b"] for name in names}), tmp_path / "w.parquet")
    opened, whole = [], pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda *a, **k: opened.append(a) or whole(*a, **k))
    table = FactTable.read(tmp_path / "w.parquet")
    assert len(table) == 2 * 2_999
    assert table.lookup("c0b", "c2999") == "c2999b"
    assert len(opened) <= 3
