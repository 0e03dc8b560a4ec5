"""Specs of studies from TOML files and from tables of fields, strictly checked."""

import dataclasses
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from factweights.domains import checked_settings, refusal
from factweights.errors import FileFormatError, SettingError, UnknownNameError
from factweights.studies.figures import FIGURES, STUDIES
from factweights.studies.figures.mlp_series import MLPSeries
from factweights.studies.figures.recall_series import RecallSeries
from factweights.studies.study import Study


def load_spec(path: str | Path) -> Study:
    """The study that a TOML file declares; see :func:`study_from`.

    Raises:
        FileFormatError: not TOML.
        UnknownNameError, SettingError: as in :func:`study_from`, with the file named.
    """
    path = Path(path)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors put a BOM first
    except (ValueError, RecursionError) as e:  # of the encoding, of TOML, of integers of 5,000 digits
        raise FileFormatError(f"{path} is not TOML: {str(e)[:500]}") from e
    return study_from(given)


def study_from(given: Mapping[str, Any]) -> Study:
    """The study of a table such as ``{"study": "fig1-left", "scale": "smoke", "sizes": [8, 16]}``.

    ``study`` names it. With ``scale`` the shipped spec of that scale is the start and the other keys replace
    its fields; without, the keys are the fields. ``seeds = 3`` stands for ``[0, 1, 2]``.

    Raises:
        UnknownNameError: no such study, scale or field, with the nearest one.
        SettingError: a field is missing or of the wrong kind.
    """
    fields = dict(given)
    name = fields.pop("study", None)
    if not isinstance(name, str):
        raise SettingError(f'a spec needs a line like study = "fig1-left" (there are {", ".join(STUDIES)})')
    if name not in STUDIES:
        raise UnknownNameError("study", name, STUDIES, f"(there are {', '.join(STUDIES)})")
    kind = STUDIES[name]
    scale = fields.get("scale")
    if isinstance(scale, str) and name in FIGURES:
        fields = {**FIGURES[name].at_scale(scale).model_dump(), **fields}
    return validated(kind, fields)


def validated(kind: type[Study], fields: Mapping[str, Any]) -> Study:
    """The spec with these fields.

    Raises:
        UnknownNameError: no such field, with the nearest one.
        SettingError: a field is missing or of the wrong kind.
    """
    try:
        study = kind.model_validate(dict(fields))
    except ValidationError as e:
        first = next((x for x in e.errors() if x["type"] == "extra_forbidden"), e.errors()[0])
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = _fields_at(kind, first["loc"])
            listed = f"(it has {', '.join(known)})" if known else ""
            raise UnknownNameError(f"field of {kind.name}", str(first["loc"][-1]), known, listed) from e
        if first["type"] == "missing":
            raise SettingError(f"{kind.name} needs the field {where}, or a scale to take it from") from e
        raise refusal(e, kind.name) from e
    for entry in _methods_in(study):
        _check_method(entry)
    return study


def _methods_in(model: BaseModel) -> Iterator[Any]:
    """The series of a spec: every model in it that names a method and has settings for it."""
    if hasattr(model, "method") and hasattr(model, "settings"):
        yield model
    for _, value in model:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, BaseModel):
                yield from _methods_in(part)


def _check_method(series: Any) -> None:
    """A method that does not exist or will not take its settings is told before the work begins.

    Raises:
        UnknownNameError: no such method or setting, with the nearest one.
        SettingError: a setting outside its domain, or one that is missing.
    """
    from factweights.methods import METHODS
    from factweights.methods.recall import RECALL_METHODS

    trained = isinstance(series, RecallSeries)
    known: dict[str, Any] = dict(RECALL_METHODS if trained else METHODS)
    if series.method not in known:
        raise UnknownNameError("method", series.method, known, f"(there are {', '.join(sorted(known))})")
    fields = {f.name: f for f in dataclasses.fields(known[series.method])}
    sized = isinstance(series, MLPSeries) or getattr(series, "ratio", None) or getattr(series, "ratios", ())
    if sized and "width" not in fields:
        raise SettingError(f"{series.method} has no width, so it takes no ratio")
    sizes: dict[str, int] = {"width": 1 << 20} if sized else {}
    if trained:
        sizes = {"d": 64, "heads": 8, "head_dim": 8, "width": 64}
    for variant in getattr(series, "variants", ()) or ({},):
        given = {**sizes, **series.settings, **variant}
        for key in given:
            if key not in fields:
                listed = f"(it has {', '.join(fields)})" if fields else "(it has none)"
                raise UnknownNameError(f"setting of {series.method}", key, fields, listed)
        needed = [n for n, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING]
        if missing := [n for n in needed if n not in given]:
            raise SettingError(f"{series.method} needs {missing[0]} among its settings")
        kind = known[series.method]
        kind(**checked_settings(kind, given, series.method))


def _fields_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The fields that the model at ``place`` of a spec has."""
    model: type[BaseModel] = kind
    for part in place[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model inside a type such as ``tuple[Series, ...]``."""
    if isinstance(annotation, type) and not typing.get_args(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in typing.get_args(annotation) if (m := _model_in(a)) is not None), None)
