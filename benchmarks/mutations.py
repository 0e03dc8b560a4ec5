"""One change at a time in hinge, cone and verify: which of the nearest tests notice?

    python benchmarks/mutations.py [--each 10] [--only certificates/rounding.py] [--seed 0]

Works on a copy of the repository in a temporary folder; an hour and more for everything.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEAREST = {
    "methods/hinge.py": ("test_exact_linear", "test_fits"),
    "methods/cone.py": ("test_exact_linear", "test_fits"),
    "certificates/recall.py": ("test_verify", "test_vacuous"),
    "certificates/margins.py": ("test_verify", "test_vacuous", "test_fits"),
    "certificates/rounding.py": (
        "test_rounding_rules",
        "test_rounding",
        "test_prompt_rounding",
        "test_verify",
    ),
}
SWAPPED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.USub: ast.UAdd,
}


def places(tree: ast.AST) -> list[ast.AST]:
    """What can be changed: operators, comparisons, numbers other than 0 and 1, and True."""
    found = []
    for n in ast.walk(tree):
        operator = isinstance(n, ast.BinOp | ast.UnaryOp | ast.BoolOp) and type(n.op) in SWAPPED
        comparison = isinstance(n, ast.Compare) and type(n.ops[0]) in SWAPPED
        number = isinstance(n, ast.Constant) and type(n.value) in (int, float) and n.value not in (0, 1)
        if operator or comparison or number or (isinstance(n, ast.Constant) and n.value is True):
            found.append(n)
    return found


def change(node: ast.AST) -> None:
    """Another operator or comparison, twice the number, False."""
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.BoolOp):
        node.op = SWAPPED[type(node.op)]()
    elif isinstance(node, ast.Compare):
        node.ops[0] = SWAPPED[type(node.ops[0])]()
    elif isinstance(node, ast.Constant):
        node.value = False if node.value is True else node.value * 2


def noticed(copy: Path, tests: tuple[str, ...]) -> bool:
    """Whether a test fails, or takes longer than five minutes."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", *(f"tests/{t}.py" for t in tests)]
    env = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(command, cwd=copy, env=env, capture_output=True, timeout=300).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def main() -> None:
    """A line for each change, and how many were noticed in each file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--only", nargs="*", default=list(NEAREST), choices=list(NEAREST))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", "site", ".cache"))
        for name in given.only:
            path, rng = copy / "src" / "factweights" / name, random.Random(given.seed)
            source = path.read_text(encoding="utf-8")
            count = len(places(ast.parse(source)))
            drawn = sorted(rng.sample(range(count), min(count, given.each)))
            seen = 0
            for i in drawn:
                tree = ast.parse(source)
                node = places(tree)[i]
                said = f"{name}:{getattr(node, 'lineno', 0)} {ast.unparse(node)[:70]}"
                change(node)
                path.write_text(ast.unparse(tree), encoding="utf-8")
                found = noticed(copy, NEAREST[name])
                path.write_text(source, encoding="utf-8")
                seen += found
                print(f"{'noticed ' if found else 'SURVIVED'} {said}", flush=True)
            print(f"{name}: {seen} of {len(drawn)} noticed", flush=True)


if __name__ == "__main__":
    main()
