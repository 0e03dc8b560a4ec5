"""What a user gets: light imports, declared dependencies, a wheel with all of it and nothing else."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import factweights as fw

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "factweights"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[ ;!~]", r, maxsplit=1)[0].replace("-", "_").lower() for r in requirements}


def test_importing_is_light():
    code = (
        "import sys; before = set(sys.modules); import factweights, factweights.cli; "
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['factweights', 'lazy_loader']"


def imports(path: Path) -> dict[str, bool]:
    """The packages that a file imports, and whether it does so as soon as it is imported itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    late = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    found: dict[str, bool] = {}
    for node in ast.walk(tree):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [node.module]
        for module in modules:
            top = module.partition(".")[0]
            found[top] = found.get(top, False) or id(node) not in late
    return {m: now for m, now in found.items() if m not in sys.stdlib_module_names and m != "factweights"}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_only_declared_packages_are_imported(path):
    core = names(PROJECT["dependencies"])
    extras = {n for name, of in PROJECT["optional-dependencies"].items() if name != "dev" for n in names(of)}
    for package, at_once in imports(path).items():
        assert package in (core if at_once else core | extras), f"{package} is not a dependency"


def test_the_package_says_that_it_is_typed():
    assert (SOURCE / "py.typed").exists()


def test_the_data_of_the_package_is_where_it_is_read():
    data = {
        p.relative_to(SOURCE).as_posix()
        for p in SOURCE.rglob("*")
        if p.suffix in (".json", ".jinja", ".toml")
    }
    assert data == {
        "models/graft/phrases.toml",
        "models/graft/statements.toml",
        "models/wordings.toml",
        "planning/constants.json",
        "plots/report.html.jinja",
        "studies/running/paces.json",
    }


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    subprocess.run([*pip, "-w", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.iterdir()
    held = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in held} == {"factweights"}
    shipped = [
        p for p in SOURCE.rglob("*") if p.suffix in (".py", ".pyi", ".json", ".jinja", ".toml", ".typed")
    ]
    sources = {p.relative_to(SOURCE.parent).as_posix() for p in shipped}
    assert sources <= set(held)
    (entry,) = (zipfile.ZipFile(wheel).read(n).decode() for n in held if n.endswith("entry_points.txt"))
    assert "factweights = factweights.cli:main" in entry


def test_the_names_for_type_checkers_are_the_names_there_are():
    tree = ast.parse((SOURCE / "__init__.pyi").read_text(encoding="utf-8"))
    named = [
        (n.module, a.name, a.asname) for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names
    ]
    assert len(named) > 90
    assert all(name == alias for _, name, alias in named)
    assert {name for _, name, _ in named} <= set(vars(fw)["__all__"]) <= set(dir(fw))
    for home, name, _ in named:
        where = f"factweights.{home or name}"
        expected = importlib.import_module(where)
        assert getattr(fw, name) is (getattr(expected, name) if home else expected), where


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(f"docs/{f.name}" for f in (ROOT / "docs").glob("*.md"))]
)
def test_what_the_pages_name_exists(page):
    named = set(re.findall(r"\bfw\.(\w+)", (ROOT / page).read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not hasattr(fw, name)] == []
