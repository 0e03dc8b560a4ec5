"""Many questions put to what lies in a folder: a stored memory, or a compiled model."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from factweights.bundle import Bundle, Recalled
from factweights.errors import FactsError
from factweights.export.folder import is_compiled
from factweights.export.opening import open_compiled
from factweights.export.recalling import asked_of
from factweights.facts.questions import Pair, Spelling
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown

EVERY = 100  # questions between two reports


@dataclass(frozen=True)
class Answers(Shown):
    """What many questions were answered with, in their order.

    Attributes:
        answers: one for each.
    """

    answers: tuple[Recalled, ...]

    @property
    def recall(self) -> float:
        """Share of those whose answer is the stored one."""
        return sum(a.correct for a in self.answers) / len(self.answers)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {
            "questions": len(self.answers),
            "recall": self.recall,
            "answers": [a.to_dict() for a in self.answers],
        }

    def to_pandas(self) -> Any:
        """One row for each question (needs the extra [data])."""
        import pandas as pd

        return pd.DataFrame([a.to_dict() for a in self.answers])

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        wrong = [a for a in self.answers if not a.correct]
        told = [("questions", f"{len(self.answers):,}"), ("recall", f"{self.recall:.6g}")]
        return told + [
            ("wrong", f"{a.subject}, {a.relation}: {a.answer}, not {a.expected}") for a in wrong[:10]
        ]


def recall_many(
    path: str | Path,
    questions: Iterable[Pair],
    *,
    top: int = 1,
    ignore_case: bool = False,
    on_progress: OnProgress = silent,
) -> Answers:
    """Ask many questions of a stored memory or a compiled model, one pass for each.

    Args:
        path: what ``store`` or ``compile`` wrote.
        questions: subjects and relations.
        top: how many answers to rank for each.
        ignore_case: take the stored name that differs in upper and lower case alone.
        on_progress: told after every hundred.

    Raises:
        UnknownNameError: no such fact, with the nearest name.
        FactsError: no questions, names that stand for several in another case, or facts without names.
        FileFormatError, TamperedError: as of :meth:`Bundle.load` and :func:`recall_compiled`.
    """
    asked = list(questions)
    if not asked:
        raise FactsError("there is no question; give pairs of subject and relation")
    if is_compiled(path):
        opened = open_compiled(path)
        known, ask = [(s, r) for s, r, _ in opened.table], partial(asked_of, opened)
    else:
        bundle = Bundle.load(path)
        known, ask = list(bundle.facts.key_names or ()), bundle.recall
    spelling = Spelling(known) if ignore_case else None
    found = []
    for i, pair in enumerate(asked):
        found.append(ask(*(pair if spelling is None else spelling.of(*pair)), top))
        if (i + 1) % EVERY == 0:
            on_progress(Progress(i + 1, len(asked), f"{i + 1:,} questions asked"))
    return Answers(tuple(found))
