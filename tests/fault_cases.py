"""The commands that are killed on purpose, and how their outputs are read."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from factweights.bundle import Bundle
from factweights.export.folder import is_compiled, read_settings
from factweights.folders import sha256
from factweights.folders.locks import tidy
from faults import Tally, run, sweep

TABLE = "subject,relation,answer\nFrance,capital,Paris\nPeru,capital,Lima\nPeru,continent,America\n"
OTHER = TABLE.replace("Lima", "Cusco")
FIT = {"middle": 1.0, "middle_interval": [0.9, 1.1], "width": 0.1, "tries": 10}
SERIES = {"d": 8, "method": "exact-linear", "recall": 1.0, "label": "l", "law": 9, "points": [], "fit": FIT}
REPORT = {"figure": "success-curve", "title": "t", "series": [SERIES], "scale": "smoke"}


def of_bundle(path: Path) -> str | None:
    """What the memory answers, if there is one."""
    tidy(path)
    return Bundle.load(path).recall("Peru", "capital").answer if path.exists() else None


def of_model(path: Path) -> str | None:
    """What the table of a compiled model says; every file is checked."""
    tidy(path)
    if not path.exists():
        return None
    assert is_compiled(path)
    settings = read_settings(path)
    return f"{settings.table_hash[:8]} of width {settings.width}"


def of_file(path: Path) -> str | None:
    """Its hash and whether there is anything in it."""
    return f"{sha256(path)[:8]} {path.stat().st_size > 0}" if path.exists() else None


def _begin(home: Path) -> Path:
    given = home / "given"
    given.mkdir(parents=True)
    (given / "a.csv").write_text(TABLE)
    (given / "b.csv").write_text(OTHER)
    return given


def _done(tokens: Sequence[object], home: Path) -> None:
    found = run(list(map(str, tokens)), home)
    assert found.code == 0, found.said[-2000:]


def store(home: Path) -> Iterator[tuple[list[str], Path, Path, Callable]]:
    """A new memory, and one that is replaced."""
    given, out = _begin(home), home / "work" / "out"
    new = ["store", str(home / "work" / "b.csv"), "--d", "4", "--out", str(out)]
    yield new, out, given, of_bundle
    _done(["store", given / "a.csv", "--d", 4, "--out", given / "out"], home)
    yield [*new, "--overwrite"], out, given, of_bundle


def edit(home: Path) -> Iterator[tuple[list[str], Path, Path, Callable]]:
    """A memory, and a compiled model."""
    given, out = _begin(home), home / "work" / "out"
    _done(["store", given / "a.csv", "--d", 4, "--out", given / "out"], home)
    change = ["edit", str(out), "--set", "Peru", "capital", "Paris"]
    yield change, out, given, of_bundle
    shutil.rmtree(given / "out")
    _done(["compile", given / "a.csv", "--width", 8, "--out", given / "out"], home)
    yield change, out, given, of_model


def compile(home: Path) -> Iterator[tuple[list[str], Path, Path, Callable]]:
    """A new model, and one that is replaced."""
    given, out = _begin(home), home / "work" / "out"
    new = ["compile", str(home / "work" / "b.csv"), "--width", "8", "--out", str(out)]
    yield new, out, given, of_model
    _done(["compile", given / "a.csv", "--width", 8, "--out", given / "out"], home)
    yield [*new, "--overwrite"], out, given, of_model


def report(home: Path) -> Iterator[tuple[list[str], Path, Path, Callable]]:
    """A new page, and one that is replaced."""
    given, out, studies = _begin(home), home / "work" / "page.html", home / "studies"
    studies.mkdir()
    (studies / "success-curve.json").write_text(json.dumps(REPORT))
    yield ["report", str(studies), "--out", str(out)], out, given, of_file
    (given / "page.html").write_text("<p>the one before</p>")
    yield ["report", str(studies), "--out", str(out)], out, given, of_file


def onnx(home: Path) -> Iterator[tuple[list[str], Path, Path, Callable]]:
    """A new file, and one that is replaced."""
    given, out, model = _begin(home), home / "work" / "a.onnx", home / "model"
    _done(["compile", given / "a.csv", "--width", 8, "--out", model], home)
    new = ["onnx", str(model), "--out", str(out)]
    yield new, out, given, of_file
    (given / "a.onnx").write_bytes(b"the one before")
    yield [*new, "--overwrite"], out, given, of_file


CASES = {f.__name__: f for f in (store, edit, compile, report, onnx)}


def sweeps(name: str, home: Path, **settings: object) -> Iterator[Tally]:
    """Every case of one command, swept."""
    for tokens, target, template, states in CASES[name](home):
        yield sweep(tokens, target, template, states, **settings)
