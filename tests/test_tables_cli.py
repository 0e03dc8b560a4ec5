"""Tables on the command line: how they were read, every option everywhere, big cells in every command."""

import json

import pytest

from factweights.cli import run
from factweights.facts import FactTable

LONG = "wer;was;wohin\nFrance;capital;Orléans\nPeru;capital;Lima\n"
OPTIONS = ["--columns", "subject=wer,relation=was,answer=wohin", "--encoding", "cp1252"]


@pytest.fixture
def cli(capsys):
    def call(*tokens: object) -> tuple[int, str, str]:
        code = run([str(t) for t in tokens])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def odd(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_bytes(LONG.encode("cp1252"))
    return path


def test_how_a_table_was_read_is_said_on_standard_error(cli, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",item,P36,Q90,note\n0,Q142,a,b,NaN\n1,Q419,c,d,e\n")
    code, out, err = cli("store", path, "--d", 8, "--json")
    assert code == 0
    assert json.loads(out)["facts"] == 6
    assert (
        f"{path} (text with ',' between cells, utf-8) read as wide: relations P36, Q90, note of 'item'\n"
        in err
    )
    assert "column of row numbers left out" in err
    assert "1 cell that looks like a missing value, kept as text: 'NaN' 1" in err
    code, out, err = cli("store", path, "--d", 8, "--relations", "P37")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "read as wide" in err


def test_names_of_columns_are_data_in_a_terminal(cli, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,\x1b[31mred,[bold]x,d\nb,c,d,e\n")
    code, _, err = cli("store", path, "--d", 6)
    assert code == 0
    assert "\x1b" not in err
    assert "\\x1b[31mred, [bold]x, d of 'a'" in err


def test_three_columns_ask_for_an_option(cli, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Q142,P36,Q90\nQ142,P37,Q150\n")
    code, _, err = cli("store", path, "--d", 4)
    assert code == 1
    assert "--no-header" in err
    assert "--wide" in err
    code, out, err = cli("store", path, "--d", 4, "--no-header", "--json")
    assert (code, json.loads(out)["facts"]) == (0, 2)
    assert "triples without a header" in err
    columns = "subject=3,relation=2,answer=1"
    code, out, _ = cli("store", path, "--d", 4, "--no-header", "--columns", columns, "--json")
    assert (code, json.loads(out)["outputs"]) == (0, 1)


def test_every_command_reads_a_table_with_the_same_options(cli, odd, tmp_path):
    folder = tmp_path / "out"
    assert cli("store", odd, "--d", 4, "--out", folder, *OPTIONS)[0] == 0
    code, out, err = cli("verify", folder, odd, *OPTIONS, "--json")
    assert (code, json.loads(out)["recall"]) == (0, 1.0)
    assert "long: subject 'wer', relation 'was', answer 'wohin'" in err
    code, out, _ = cli("recall", folder, "France", "capital", "--json")
    assert (code, json.loads(out)["answer"]) == (0, "Orléans")
    odd.write_bytes(LONG.replace("Orléans", "Besançon").encode("cp1252"))
    code, _, err = cli("edit", folder, "--from", odd, *OPTIONS)
    assert code == 0, err
    assert cli("recall", folder, "France", "capital")[1].startswith("Besançon")
    assert "three columns" in cli("transformer", "--table", odd, "--encoding", "cp1252")[2]
    code, _, err = cli("transformer", "--table", odd, *OPTIONS, "--json", "--method", "attention-only")
    assert code == 0, err
    code, _, err = cli("dynamics", "--table", odd, *OPTIONS, "--json", "--noise", 1)
    assert code == 0, err
    assert "long: subject 'wer'" in err


@pytest.mark.parametrize(
    "tokens",
    [
        ["verify", "{folder}", "--encoding", "utf-8"],
        ["transformer", "--subjects", "2", "--relations", "2", "--answers", "2", "--no-header"],
        ["dynamics", "--subjects", "2", "--relations", "2", "--answers", "2", "--columns", "answer=a"],
        ["edit", "{folder}", "--remove", "a", "b", "--columns", "answer=a"],
        ["edit", "{folder}", "--from", "{odd}", "--wide"],
        ["store", "{odd}", "--encoding", "rot13"],
        ["store", "{odd}", "--columns", "answer="],
        ["store", "{odd}", "--columns", "answer=wer,answer=wohin"],
        ["store", "{odd}", "--columns", "anser=wohin", "--encoding", "cp1252"],
        ["store", "{odd}", "--no-header", "--wide", "--encoding", "cp1252"],
    ],
)
def test_options_that_mean_nothing_are_refused(cli, odd, tmp_path, tokens):
    code, out, err = cli(*[t.format(folder=tmp_path / "none", odd=odd) for t in tokens])
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_a_column_may_have_a_comma_in_its_name(cli, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('Land;"Einwohner, Mio";relation\nFrankreich;68,1;Zahl\n')
    columns = "subject=Land,answer=Einwohner, Mio"
    code, out, err = cli("store", path, "--d", 2, "--columns", columns, "--json")
    assert (code, json.loads(out)["facts"]) == (0, 1), err


def test_big_answers_go_from_command_to_command(cli, tmp_path):
    """140 kB and more in a cell: stored, verified, asked for, changed, checked against a table again."""
    big, bigger = "p" * 140_000 + ".", 'q "r"\n' * 50_000 + "."
    rows = [("France", "history", big), ("Peru", "history", "short"), ("Mali", "history", "x")]
    path = FactTable.from_rows(rows).write(tmp_path / "t.csv")
    folder = tmp_path / "out"
    assert cli("store", path, "--d", 8, "--out", folder)[0] == 0
    assert json.loads(cli("verify", folder, "--json")[1])["recall"] == 1.0
    assert json.loads(cli("recall", folder, "France", "history", "--json")[1])["answer"] == big
    changes = FactTable.from_rows([("Peru", "history", bigger)]).write(tmp_path / "c.csv")
    code, _, err = cli("edit", folder, "--from", changes)
    assert code == 0, err
    assert json.loads(cli("recall", folder, "Peru", "history", "--json")[1])["answer"] == bigger
    again = FactTable.from_rows([*rows[:1], ("Peru", "history", bigger)])
    for suffix in ("csv", "tsv", "jsonl"):
        code, out, err = cli("verify", folder, again.write(tmp_path / f"u.{suffix}"), "--json")
        assert (code, json.loads(out)["recall"]) == (0, 1.0), err
    stored = FactTable.read(next(folder.glob("*.csv")))
    assert stored.lookup("Peru", "history") == bigger
