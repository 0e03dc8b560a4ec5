"""Records that the field passes around, read as they are: CounterFact, zsRE, LAMA, T-REx."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from factweights.errors import FactsError
from factweights.facts.cells import missing, nested, text
from factweights.facts.sheet import Path_, Sheet

Column = tuple[int, Path_]  # of a sheet, and what is inside its cells
_NO_ANSWER = "<|endoftext|>"  # what ROME's zsRE has where it knows no old answer
_SEP = " [SEP] "


@dataclass(frozen=True)
class Kind:
    """Where records of one kind keep their facts; of several places the first that every record has.

    Attributes:
        name: for people.
        subject, relation, answer: names and paths of columns.
        asks: whether the relation is a prompt with the subject in it.
        more: what else such a record says, for people.
    """

    name: str
    subject: tuple[str, ...]
    relation: tuple[str, ...]
    answer: tuple[str, ...]
    asks: bool = False
    more: str = ""


@dataclass(frozen=True)
class Known:
    """Facts of a known kind: three columns of text and what was read for them."""

    kind: Kind
    subject: list[str]
    relation: list[str]
    answer: list[str]
    columns: tuple[str, str, str]


_NEW = "the new answers are columns={'answer': '%s'}"
KINDS = (
    Kind(
        "CounterFact",
        ("requested_rewrite.subject",),
        ("requested_rewrite.relation_id", "requested_rewrite.prompt", "requested_rewrite.question"),
        tuple(
            f"requested_rewrite.{a}"
            for a in ("target_true.str", "target_true", "target_new.str", "target_new")
        ),
        asks=True,
        more=_NEW % "requested_rewrite.target_new.str",
    ),
    Kind("zsRE", ("subject",), ("src",), ("answers.0", "answers"), asks=True, more=_NEW % "alt"),
    Kind(
        "zsRE, for edits",
        ("subject",),
        ("prompt",),
        ("ground_truth.0", "ground_truth", "target_true.str", "target_true", "target_new.str", "target_new"),
        asks=True,
        more=_NEW % "target_new",
    ),
    Kind("zsRE, of KILT", ("input",), ("input",), ("output.0.answer",)),
    Kind(
        "LAMA",
        ("sub_label", "sub"),
        ("predicate_id", "pred", "relation", "relation.predicate_id", "predicate.id", "relation.id"),
        ("obj_label",),
    ),
    Kind(
        "T-REx",
        ("subject.surfaceform", "subject.uri"),
        ("predicate.surfaceform", "predicate.uri"),
        ("object.surfaceform", "object.uri"),
    ),
)


def known(sheet: Sheet, given: Mapping[str, Column] | None = None) -> Known | None:
    """The facts of a sheet of a known kind, or None.

    Args:
        sheet: records.
        given: columns of roles that are already known.

    Raises:
        FactsError: a cell that cannot be text; records of LAMA that do not say their relation.
    """
    given = given or {}
    for kind in KINDS:
        places = {"subject": kind.subject, "relation": kind.relation, "answer": kind.answer}
        found = {role: given.get(role) or _first(sheet, paths) for role, paths in places.items()}
        subject, relation, answer = found.values()
        if subject is None or answer is None or (relation is None and kind.name != "LAMA"):
            continue
        if len(given) >= 2 and kind.subject == kind.relation:
            continue
        subjects, answers = sheet.texts(*subject), sheet.texts(*answer)
        if relation is None:
            name = _by_file(sheet)
            return Known(
                kind, subjects, [name] * len(subjects), answers, _names(sheet, subject, name, answer)
            )
        relations = sheet.texts(*relation)
        if kind.subject == kind.relation and "relation" not in given and "subject" not in given:
            if not all(_SEP in s for s in subjects):
                continue
            subjects, relations = _parted(subjects)
        if kind.asks and "relation" not in given:
            relations = [_template(r, s) for r, s in zip(relations, subjects, strict=True)]
        return Known(kind, subjects, relations, answers, _names(sheet, subject, relation, answer))
    return None


def _parted(inputs: list[str]) -> tuple[list[str], list[str]]:
    """Subjects and relations of KILT's inputs."""
    parts = [s.split(_SEP, 1) for s in inputs]
    return [text(p[0]) for p in parts], [text(p[1]) for p in parts]


def place(sheet: Sheet, name: str) -> Column | None:
    """The column called ``name``, or the place inside the cells of one: ``column.key.0``."""
    if (hits := _like(sheet.header, name)) is not None:
        return hits, ()
    steps = [s for s in re.split(r"[.\[\]]+", name) if s]
    for n in range(len(steps) - 1, 0, -1):
        if (at := _like(sheet.header, ".".join(steps[:n]))) is not None:
            return at, tuple(steps[n:])
    return None


def _like(header: Sequence[str], name: str) -> int | None:
    """The column of this name, in any case if there is none in this one."""
    folded = name.casefold()
    exact = [i for i, h in enumerate(header) if h == name]
    return next(iter(exact or [i for i, h in enumerate(header) if h.casefold() == folded]), None)


def _first(sheet: Sheet, paths: Sequence[str]) -> Column | None:
    """The first of these places that every record has, or else that the first record has."""
    partly: Column | None = None
    for path in paths:
        column = place(sheet, path)
        if column is None or (column[1] and not sheet.typed):
            continue
        cells = sheet.inside(*column)
        if all(_says(c) for c in cells) and any(c != _NO_ANSWER for c in cells):
            return column
        if partly is None and cells and _says(cells[0]) and cells[0] != _NO_ANSWER:
            partly = column
    return partly


def _says(cell: Any) -> bool:
    return not nested(cell) and not missing(cell)


def _by_file(sheet: Sheet) -> str:
    """The relation of a file that is called after it, as P19.jsonl in LAMA's relatives."""
    stem = PurePath(sheet.source).stem
    if not re.fullmatch(r"P\d+", stem):
        raise FactsError(
            f"{sheet.source} has records of LAMA that do not say their relation; call the file after it, as "
            "in P19.jsonl, or name a column: columns={'relation': 'NAME'}"
        )
    return stem


def _names(sheet: Sheet, subject: Column, relation: Column | str, answer: Column) -> tuple[str, str, str]:
    def name(column: Column | str) -> str:
        return column if isinstance(column, str) else ".".join((sheet.header[column[0]], *column[1]))

    return name(subject), name(relation), name(answer)


def _template(prompt: str, subject: str) -> str:
    """A prompt with the subject left open, as CounterFact writes it."""
    if "{}" in prompt or not subject:
        return prompt
    at = re.search(re.escape(subject), prompt) or re.search(re.escape(subject), prompt, re.IGNORECASE)
    return prompt if at is None else text(prompt[: at.start()] + "{}" + prompt[at.end() :])
