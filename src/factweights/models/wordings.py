"""Ways to ask for a fact: one list of templates for each relation, and how an answer follows a prompt."""

import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from factweights.errors import FactsError, FileFormatError, SettingError, nearest
from factweights.export.names import check_templates, fill

__all__ = ["DEFAULTS", "Continued", "Wordings", "continued", "fill", "separator", "shipped"]

SHIPPED = "wordings.toml"
DEFAULTS = (
    "The {relation} of {subject} is",
    "{subject}'s {relation} is",
    "Q: What is the {relation} of {subject}?\nA:",
    "Question: Which {relation} does {subject} have?\nAnswer:",
    "Name the {relation} of {subject}:",
    "As for the {relation} of {subject}, it is",
)
OPENING = "([{<“‘«„‚/@#$€£="  # after these an answer follows at once
ALIASES = {  # other usual names of relations, as _folded writes them
    "birth city": "birthplace",
    "birth date": "birthday",
    "birth place": "birthplace",
    "city of birth": "birthplace",
    "company": "employer",
    "date of birth": "birthday",
    "home": "residence",
    "job": "profession",
    "language": "main language",
    "major": "field of study",
    "occupation": "profession",
    "place of birth": "birthplace",
    "time zone": "timezone",
    "workplace": "employer",
    "year of birth": "birth year",
}


@dataclass(frozen=True)
class Wordings:
    """Templates of every relation of a table; each holds ``{subject}`` once and ``{relation}`` at most once.

    Attributes:
        templates: relation ↦ its templates, the first being the usual one.
        origin: relation ↦ where they are from: ``given``, the file's name, ``shipped`` or ``default``.
    """

    templates: Mapping[str, tuple[str, ...]]
    origin: Mapping[str, str]

    def of(self, relation: str) -> tuple[str, ...]:
        """The templates of a relation."""
        return self.templates[relation]

    def first(self, n: int) -> "Wordings":
        """At most ``n`` templates of each relation."""
        if n < 1:
            raise SettingError(f"ask in at least one wording, got {n}")
        return Wordings({r: t[:n] for r, t in self.templates.items()}, self.origin)

    @classmethod
    def choose(
        cls,
        relations: Iterable[str],
        *,
        templates: Sequence[str] | None = None,
        file: str | Path | None = None,
        shipped_ones: bool = True,
    ) -> "Wordings":
        """Templates for these relations.

        Given ``templates`` and the lists of a ``file`` come first, both together if both are given. With
        neither, every relation takes the shipped list of its name, or else :data:`DEFAULTS`.

        Args:
            relations: of the table.
            templates: with ``{subject}``; one without ``{relation}`` is for the relation whose name it holds,
                or for the only one.
            file: TOML with one line a relation, ``"capital" = ["The capital of {subject} is", …]``.
            shipped_ones: whether shipped lists may be used.

        Raises:
            SettingError: a template without ``{subject}`` or with other braces, or one for no relation.
            FactsError: templates were given, and there is none for one of the relations.
            FileNotFoundError, FileFormatError: the file is not there, not TOML, or holds something else.
        """
        wanted = tuple(dict.fromkeys(relations))
        found: dict[str, list[str]] = {r: [] for r in wanted}
        origin = dict.fromkeys(wanted, "given")
        for template in check_templates(list(templates)) if templates else ():
            for relation in _suits(template, wanted):
                found[relation].append(template)
        if file is not None:
            for relation, listed in read_wordings(file).items():
                if relation in found:
                    found[relation] += listed
                    origin[relation] = Path(file).name
        if templates or file is not None:
            _must_have_all(found, file)
            return cls({r: tuple(dict.fromkeys(t)) for r, t in found.items()}, origin)
        known = shipped() if shipped_ones else {}
        names = {r: ALIASES.get(_folded(r), _folded(r)) for r in wanted}
        return cls(
            {r: known.get(n, DEFAULTS) for r, n in names.items()},
            {r: "shipped" if n in known else "default" for r, n in names.items()},
        )


@cache
def shipped() -> dict[str, tuple[str, ...]]:
    """The lists that come with the package, by the name of the relation in lower case."""
    text = (importlib.resources.files("factweights.models") / SHIPPED).read_text(encoding="utf-8")
    return {_folded(r): t for r, t in _lists(tomllib.loads(text), SHIPPED).items()}


def read_wordings(path: str | Path) -> dict[str, tuple[str, ...]]:
    """The lists of a TOML file; errors as in :meth:`Wordings.choose`."""
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as e:
        raise FileFormatError(f"{path} is not TOML: {e}") from e
    return _lists(found, str(path))


def _lists(found: Mapping[str, Any], source: str) -> dict[str, tuple[str, ...]]:
    lists = {}
    for relation, given in found.items():
        listed = [given] if isinstance(given, str) else given
        if not isinstance(listed, list) or not listed or not all(isinstance(t, str) for t in listed):
            raise FileFormatError(
                f'{source}: {relation!r} must be a list of templates, as in "capital" = ["The capital of '
                f'{{subject}} is"]; got {given!r}'
            )
        lists[relation] = check_templates(listed)
    return lists


def _suits(template: str, relations: Sequence[str]) -> list[str]:
    """The relations that a template is for."""
    if "{relation}" in template or len(relations) == 1:
        return list(relations)
    named = [r for r in relations if _folded(r) in _folded(template)]
    # "currency" is in "The currency code of …" as well: the longest name is meant
    named = [
        r for r in named if not any(_folded(r) != _folded(o) and _folded(r) in _folded(o) for o in named)
    ]
    if not named:
        raise SettingError(
            f"the template {template!r} names no relation of the table; write {{relation}} in it, or put it "
            "under its relation in a file of templates"
        )
    return named


def _must_have_all(found: Mapping[str, Sequence[str]], file: str | Path | None) -> None:
    for relation, templates in found.items():
        if templates:
            continue
        text = f"no template for the relation {relation!r}"
        if file is not None and (close := nearest(relation, read_wordings(file))):
            text += f" ({Path(file).name} has {' and '.join(map(repr, close))})"
        raise FactsError(f"{text}; add one, give one with {{relation}}, or leave the relation out")


def _folded(name: str) -> str:
    spelt = name.casefold().replace("_", " ").replace("favourite", "favorite").replace("colour", "color")
    return " ".join(spelt.split())


# -- the seam between a prompt and an answer -----------------------------------------------------------------


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns texts into token ids as a model is asked."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...


def separator(prompt: str) -> str:
    """What stands between a prompt and its answer: a space, but nothing after a space or an opening mark."""
    if not prompt or prompt[-1].isspace() or prompt[-1] in OPENING:
        return ""
    opened = prompt[-1] == '"' and prompt.count('"') % 2 == 1  # a straight quote opens every other time
    apostrophe = prompt[-1] == "'" and (len(prompt) == 1 or prompt[-2].isspace())
    return "" if opened or apostrophe else " "


@dataclass(frozen=True)
class Continued:
    """A prompt and its answers as the tokenizer splits them when they are written together.

    Attributes:
        prompt: ids of the part that all answers share.
        answers: ids of what follows, for each answer.
        healed: tokens at the prompt's end that run into an answer and were moved behind the seam.
    """

    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]
    healed: int


def continued(encoder: Encoder, prompt: str, answers: Sequence[str]) -> Continued:
    """How answers follow a prompt, by the tokenizer's own behaviour.

    Every answer is tokenised behind the prompt, as it would stand in a text; so the rules for leading spaces
    are the tokenizer's and not ours. Where a token spans the seam, the prompt ends before it.

    Raises:
        FactsError: an answer adds no token to the prompt.
    """
    gap = separator(prompt)
    alone, *whole = encoder.encode([prompt, *[prompt + gap + a for a in answers]])
    shared = min([len(alone), *[_common(alone, w) for w in whole]])
    tails = tuple(tuple(w[shared:]) for w in whole)
    if empty := [a for a, w in zip(answers, whole, strict=True) if len(w) <= shared]:
        raise FactsError(
            f"the answer {empty[0]!r} tokenises to nothing behind {prompt!r}; the model's tokenizer cannot "
            "say it: rename it, or leave its facts out"
        )
    return Continued(tuple(alone[:shared]), tails, len(alone) - shared)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
