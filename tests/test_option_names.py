"""The library names arguments, the command line options."""

import ast
import re
from pathlib import Path

import pytest

from factweights.cli.naming import optioned

SOURCE = Path(__file__).resolve().parent.parent / "src" / "factweights"
COMMANDS = ("planning/plan.py", "export/planning.py")  # their results are commands to copy
OPTIONS = {"wide": "--wide", "columns": "--columns", "no_header": "--no-header", "absence": "--absence"}
OPTIONS |= {"encoding": "--encoding", "width": "--width", "file": "FILE"}


def _strings(text: str) -> list[str]:
    """The string literals of a module that are no docstrings."""
    tree = ast.parse(text)
    bare = {n.value for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    constants = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and n not in bare)
    return [n.value for n in constants if isinstance(n.value, str)]


def test_no_text_of_the_library_names_an_option() -> None:
    files = [p for p in sorted(SOURCE.rglob("*.py")) if "cli" not in p.relative_to(SOURCE).parts]
    assert len(files) > 100
    option = re.compile(r"(^|[\s(])--[a-z]")
    found = {
        p.relative_to(SOURCE).as_posix()
        for p in files
        if any(option.search(s) for s in _strings(p.read_text(encoding="utf-8")))
    }
    assert found == set(COMMANDS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("read it with wide=True", "read it with --wide"),
        ("header=False if the first line is a fact", "--no-header if the first line is a fact"),
        ("or absence=False", "or --no-absence"),
        ("give encoding='cp1252' or", "give --encoding cp1252 or"),
        ("columns={'subject': 'a', 'answer': 'b'}", "--columns subject=a,answer=b"),
        ("columns={'subject': 'a b'}", "--columns 'subject=a b'"),
        ("columns={'subject': 'a…", "columns={'subject': 'a…"),
        ("Give width=12 or width='auto'", "Give --width 12 or --width auto"),
        ("--setting width=3", "--setting width=3"),
        ("file='x' and depth=3", "file='x' and depth=3"),
    ],
)
def test_arguments_become_options(text: str, said: str) -> None:
    assert optioned(text, OPTIONS) == said
