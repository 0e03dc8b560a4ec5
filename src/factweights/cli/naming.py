"""Errors of the library in the words of the command line: options for the arguments they name."""

import ast
import re
import shlex
from collections.abc import Mapping, Sequence

from factweights.errors import FactweightsError

SHORT = {"templates": "template", "method_at": "method", "n": "facts", "path": "folder"}  # renamed on the way


def told(error: Exception, tokens: Sequence[str]) -> str:
    """The error's text with options in the place of the arguments that it marks as such."""
    text, command = str(error), _command(tokens)
    if not isinstance(error, FactweightsError) or command is None:
        return text
    options = _options(command)
    text = optioned(text, options)
    for field in error.fields:
        name = options.get(field) or options.get(SHORT.get(field, ""))
        of_method = "--setting" in options.values() and re.search(rf"\b{field} of [\w-]+ cannot be", text)
        if of_method and field not in OWN:
            name = f"--setting {field}"
        if name is not None:
            text = re.sub(rf"(?<![\w-]){re.escape(field)}(?![\w-])", name, text)
    return text


_LITERAL = re.compile(r"(?<![\w-])(?<!--setting )(\w+)=(\{[^{}]*\}|'[^']*'|True|False|\d[\d.]*\b)")


def optioned(text: str, options: Mapping[str, str]) -> str:
    """``text`` with ``--wide`` in the place of ``wide=True`` and so on, for arguments that have an option."""

    def option(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if value == "False" and f"no_{name}" in options:
            return options[f"no_{name}"]
        if not options.get(name, "").startswith("--"):
            return match[0]
        if value in ("True", "False"):
            return options[name] if value == "True" else f"--no-{options[name][2:]}"
        try:
            given = ast.literal_eval(value)
        except (SyntaxError, ValueError):  # a name in it, cut short, has quotes of its own
            return match[0]
        words = ",".join(f"{k}={v}" for k, v in given.items()) if isinstance(given, dict) else str(given)
        return f"{options[name]} {shlex.quote(words)}"

    return _LITERAL.sub(option, text)


OWN = ("recall", "width", "rank", "d", "heads", "head_dim")  # settings of methods that have their own options


def _command(tokens: Sequence[str]) -> list[str] | None:
    """The words of the command line that name a command."""
    from factweights.cli.app import COMMANDS, GROUPS

    words = [t for t in tokens if not t.startswith("-")][:2]
    if len(words) == 2 and words[0] in GROUPS:
        return words if words[1] in {c.__name__ for c in GROUPS[words[0]]} else None
    return words[:1] if words and words[0] in {c.__name__ for c in COMMANDS} else None


def _options(command: Sequence[str]) -> dict[str, str]:
    """Argument ↦ what it is called on the command line."""
    from factweights.cli.app import app

    found = app
    for word in command:
        found = found[word]
    return {a.field_info.name: a.name for a in found.assemble_argument_collection() if a.name != "*"}
