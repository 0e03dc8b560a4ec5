"""Results of cells and data of figures have the fields that their types say, and no others."""

import json
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, is_typeddict

import pytest

from factweights.folders import plain
from factweights.studies import STUDIES, CapacitySweep, Cell
from factweights.studies.figures.capacity_lm import Beside, CapacityLM, TrainedSeries
from factweights.studies.figures.mlp import Fig6
from factweights.studies.figures.mlp_series import MLPSeries
from factweights.studies.measuring import FUNCTIONS
from factweights.studies.measuring.results import CapacityResult
from factweights.studies.study import Study

DOCS = sorted((Path(__file__).parents[1] / "docs" / "figures").glob("*.json"))
ADDED = {"spec_hash", "spec", "versions", "seconds", "cell_seconds", "cells"}  # by whoever writes the file
# Fields that are younger than some of the published files.
LATER = (".settings is missing", ".map_bits_per_parameter is missing", ".lines is missing")
TASK = {"subjects": 4, "relations": 2, "answers": 4}
SIZES = {"d": 8, "heads": 2, "head_dim": 4, "width": 8}
FIT = {"recall": 0.9, "max_evaluations": 20, "polish_evaluations": 20}
RECALL = {"method": "fit", "settings": {**FIT, **SIZES}, "seed": 0, "prompts": 50}
MATRIX = {"method": "exact-linear", "d": 4, "recall": 1.0, "seed": 0}
CALLS: dict[str, dict[str, Any]] = {
    "capacity": MATRIX,
    "success": {**MATRIX, "facts": 6},
    "recall": {**RECALL, **TASK},
    "recall-capacity": {**RECALL, "family": "S=R", "low": 2, "high": 3},
    "flow": {**TASK, "init": 1e-3, "noise": 4, "frames": [0.0], "curves": True},
    "descent": {
        **TASK,
        "noise": 4,
        "seed": 0,
        "settings": {"rate": 0.1, "steps": 32, "batch": 16, "init": 1e-3},
    },
    "token-maps": {**TASK, "init": 1e-3, "noise": 4},
    "superposition": {"subjects": 6, "relations": 2, "embedding": "sum", "seed": 0},
    "compiled-lm": {"people": 8, "seed": 0},
    "trained-lm": {
        "architecture": "gpt2",
        "shape": "balanced",
        "parameters": 3000,
        "people": 8,
        "exposures": 1,
        "batch": 8,
        "rate": 0.1,
        "seed": 0,
    },
}


def fields(kind: Any) -> dict[str, tuple[bool, Any]]:
    """Of a TypedDict: whether each must be there, and its type, those of generic bases filled in."""
    filled: dict[Any, Any] = {}
    if get_origin(kind) is not None:
        filled = dict(zip(get_origin(kind).__parameters__, get_args(kind), strict=True))
        kind = get_origin(kind)
    found: dict[str, tuple[bool, Any]] = {}
    for base in getattr(kind, "__orig_bases__", ()):
        if is_typeddict(get_origin(base) or base):
            arguments = tuple(filled.get(a, a) for a in get_args(base))
            found |= fields(get_origin(base)[arguments] if arguments else base)
    for name, hint in typing.get_type_hints(kind).items():
        if name not in found:
            parameters = getattr(hint, "__parameters__", ())
            hint = hint[tuple(filled.get(p, p) for p in parameters)] if parameters else filled.get(hint, hint)
            found[name] = name in kind.__required_keys__, hint
    return found


def misfits(value: Any, kind: Any, where: str = "", ignored: set[str] = frozenset()) -> Iterator[str]:
    """Every place at which a value as JSON has it is not of its type."""
    origin = get_origin(kind) or kind
    assert not isinstance(origin, TypeVar), f"{where} is left open"
    if origin is Any:
        return
    if is_typeddict(origin):
        if not isinstance(value, dict):
            yield f"{where}: no object"
            return
        known = fields(kind)
        yield from (f"{where}.{k} is unknown" for k in value.keys() - known.keys() - ignored)
        for name, (needed, hint) in known.items():
            if name in value:
                yield from misfits(value[name], hint, f"{where}.{name}")
            elif needed:
                yield f"{where}.{name} is missing"
    elif origin in (Union, types.UnionType):
        found = [list(misfits(value, k, where)) for k in get_args(kind)]
        yield from () if [] in found else min(found, key=len)
    elif origin in (list, tuple, Sequence):
        if not isinstance(value, list):
            yield f"{where}: no list"
            return
        parts = get_args(kind)
        each = parts if origin is tuple else (parts[0],) * len(value)
        for i, (x, k) in enumerate(zip(value, each, strict=True)):
            yield from misfits(x, k, f"{where}[{i}]")
    elif origin is dict:
        for k, x in value.items():
            yield from misfits(x, get_args(kind)[1], f"{where}.{k}")
    elif isinstance(kind, type):
        right = (int, float) if kind is float else kind
        if not isinstance(value, right) or (isinstance(value, bool) and kind is not bool):
            yield f"{where}: {value!r} is no {kind.__name__}"


def gathers(kind: type[Study]) -> Any:
    """The type of what a study gathers."""
    return typing.get_type_hints(kind._gather)["return"]


def test_a_misfit_is_seen():
    found = plain(Cell(function="capacity", arguments=CALLS["capacity"]).run())
    assert not list(misfits(found, CapacityResult))
    found["runs"][0]["bracket"], found["more"] = [1.5, 2], 1
    del found["law"], found["runs"][0]["seed"]
    assert set(misfits(found, CapacityResult)) == {
        ".more is unknown",
        ".law is missing",
        ".runs[0].seed is missing",
        ".runs[0].bracket[0]: 1.5 is no int",
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_cells_return_what_their_type_says(name: str):
    if name == "trained-lm":
        pytest.importorskip("transformers")
    found = plain(Cell(function=name, arguments=CALLS[name]).run())
    assert list(misfits(found, typing.get_type_hints(FUNCTIONS[name])["return"])) == []


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.stem)
def test_published_figures_are_what_their_type_says(path: Path):
    data = json.loads(path.read_text(encoding="utf-8"))
    found = misfits(data, gathers(STUDIES[data["figure"]]), ignored=ADDED)
    assert [wrong for wrong in found if not wrong.endswith(LATER)][:5] == []


SMALL = (
    CapacitySweep(methods=("hebbian", "exact-linear"), sizes=(4, 6), seeds=(0,)),  # type: ignore[arg-type]
    Fig6(
        scale="own",
        sizes=(4,),
        ratios=(1, 2),
        seeds=(0, 1),
        series=(MLPSeries(method="gated-hebbian", recall=1.0),),
    ),
    CapacityLM(
        series=(TrainedSeries(architecture="gpt2", exposures=1, sizes=(3000,)),),
        beside=(Beside(kind="gated", sizes=(4,)), Beside(kind="compiled", sizes=(8,))),
    ),
)


@pytest.mark.parametrize("study", SMALL, ids=lambda s: s.name)
def test_figures_gather_what_their_type_says(study: Study):
    if study.name == "capacity-lm":
        pytest.importorskip("transformers")
    data = plain(study.gather([cell.run() for cell in study.expanded]))
    assert list(misfits(data, gathers(type(study)))) == []
