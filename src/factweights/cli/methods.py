"""``factweights methods``."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from factweights.cli.options import Json
from factweights.cli.output import emit


def methods(*, json: Json = False) -> None:
    """List the ways of writing facts into weights, with their references and settings.

    Example: `factweights methods`
    """
    from factweights.methods import METHODS

    listed = [_describe(name, METHODS[name]) for name in sorted(METHODS)]
    emit({"methods": listed}, _lines(listed), json=json)


def _lines(listed: Sequence[dict[str, Any]]) -> Iterator[str]:
    for entry in listed:
        yield f"{entry['name']}: {entry['summary']}"
        yield f"  source: {entry['reference']}"
        for s in entry["settings"]:
            given = "required" if s["required"] else f"default {s['default']}"
            kind = "|".join(SAID.get(part, part) for part in str(s["type"]).split("|"))
            yield f"  --setting {s['name']}={kind} ({given})"
        yield ""


def _describe(name: str, method: Any) -> dict[str, Any]:
    hints = get_type_hints(method)
    settings = [
        {
            "name": f.name,
            "type": _type_name(hints[f.name]),
            "default": None if f.default is dataclasses.MISSING else f.default,
            "required": f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
        }
        for f in dataclasses.fields(method)
        if f.name != "recall"  # every command has --recall for that
    ]
    summary = (method.__doc__ or "").strip().partition("\n\n")[0]
    return {
        "name": name,
        "summary": _plain(summary),
        "reference": method.reference,
        "warm_starts": method.warm_starts,
        "settings": settings,
    }


def _plain(text: str) -> str:
    """A docstring's words without what only a documentation tool reads."""
    return re.sub(r":\w+:`~?([^`]+)`", r"\1", " ".join(text.split())).replace("``", "")


SAID = {"int": "whole number", "float": "number", "str": "word", "bool": "true|false"}  # for people


def _type_name(hint: Any) -> str:
    """What may be given: the choices of a Literal, or names of kinds."""
    if get_origin(hint) is Annotated:
        return _type_name(get_args(hint)[0])
    if given := get_args(hint):  # Literal["margin", "first"], int | None
        return "|".join(_type_name(a) if isinstance(a, type) or get_args(a) else str(a) for a in given)
    return "none" if hint is type(None) else getattr(hint, "__name__", str(hint))
