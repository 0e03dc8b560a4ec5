"""Errors of the library in the words of the command line: options for the arguments they name."""

import re
from collections.abc import Callable, Sequence
from inspect import Parameter as Argument
from inspect import signature
from typing import Any, get_args

from cyclopts import Parameter

from factweights.errors import FactweightsError

SHORT = {"templates": "template", "method_at": "method", "n": "facts", "path": "folder"}  # renamed on the way


def told(error: Exception, tokens: Sequence[str]) -> str:
    """The error's text with options in the place of the arguments that it marks as such."""
    text, command = str(error), _command(tokens)
    if not isinstance(error, FactweightsError) or command is None:
        return text
    options = _options(command)
    for field in error.fields:
        name = options.get(field) or options.get(SHORT.get(field, ""))
        of_method = "--setting" in options.values() and re.search(rf"\b{field} of [\w-]+ cannot be", text)
        if of_method and field not in OWN:
            name = f"--setting {field}"
        if name is not None:
            text = re.sub(rf"(?<![\w-]){re.escape(field)}(?![\w-])", name, text)
    return text


OWN = ("recall", "width", "rank", "d", "heads", "head_dim")  # settings of methods that have their own options


def _command(tokens: Sequence[str]) -> Callable[..., Any] | None:
    from factweights.cli.app import COMMANDS, GROUPS

    words = [t for t in tokens if not t.startswith("-")][:2]
    if len(words) == 2 and words[0] in GROUPS:
        return next((c for c in GROUPS[words[0]] if c.__name__ == words[1]), None)
    return next((c for c in COMMANDS if words and c.__name__ == words[0]), None)


def _options(command: Callable[..., Any]) -> dict[str, str]:
    """Argument ↦ what it is called on the command line."""
    return {name: _option(name, argument) for name, argument in signature(command).parameters.items()}


def _option(name: str, argument: Argument) -> str:
    if argument.kind is Argument.POSITIONAL_ONLY:
        return name.upper()
    for mark in get_args(argument.annotation)[1:]:
        if isinstance(mark, Parameter) and mark.name:
            return mark.name if isinstance(mark.name, str) else next(iter(mark.name))
    return "--" + name.replace("_", "-")
