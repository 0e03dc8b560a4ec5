"""Specs of studies from TOML files and from tables of fields, strictly checked."""

import os
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from factweights.errors import FileFormatError, SettingError, UnknownNameError
from factweights.studies.cells import Study


def load_spec(path: str | Path) -> Study:
    """The study that a TOML file declares; see :func:`study_from`.

    Raises:
        FileFormatError: not TOML.
        UnknownNameError, SettingError: as in :func:`study_from`, with the file named.
    """
    path = Path(path)
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise FileFormatError(f"{path} is not TOML: {e}") from e
    return study_from(given)


def study_from(given: Mapping[str, Any]) -> Study:
    """The study of a table such as ``{"study": "fig1-left", "scale": "smoke", "sizes": [8, 16]}``.

    ``study`` names it. With ``scale`` the shipped spec of that scale is the start and the other keys replace
    its fields; without, the keys are the fields. ``seeds = 3`` stands for ``[0, 1, 2]``.

    Raises:
        UnknownNameError: no such study, scale or field, with the nearest one.
        SettingError: a field is missing or of the wrong kind.
    """
    from factweights.studies.reproduce import STUDIES

    fields = dict(given)
    name = fields.pop("study", None)
    if not isinstance(name, str):
        raise SettingError(f'a spec needs a line like study = "fig1-left" (there are {", ".join(STUDIES)})')
    if name not in STUDIES:
        raise UnknownNameError("study", name, STUDIES, f"(there are {', '.join(STUDIES)})")
    kind = STUDIES[name]
    seeds = fields.get("seeds")
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        fields["seeds"] = list(range(seeds))
    scale = fields.get("scale")
    if isinstance(scale, str) and hasattr(kind, "at_scale"):
        fields = {**kind.at_scale(scale).model_dump(), **fields}
    return validated(kind, fields)


def validated(kind: type[Study], fields: Mapping[str, Any]) -> Study:
    """The spec with these fields.

    Raises:
        UnknownNameError: no such field, with the nearest one.
        SettingError: a field is missing or of the wrong kind.
    """
    try:
        return kind.model_validate(dict(fields))
    except ValidationError as e:
        first = next((x for x in e.errors() if x["type"] == "extra_forbidden"), e.errors()[0])
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = _fields_at(kind, first["loc"])
            listed = f"(it has {', '.join(known)})" if known else ""
            raise UnknownNameError(f"field of {kind.name}", str(first["loc"][-1]), known, listed) from e
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "missing":
            raise SettingError(f"{kind.name} needs the field {where}, or a scale to take it from") from e
        raise SettingError(f"{where} of {kind.name} cannot be {first['input']!r}: {said}") from e


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
