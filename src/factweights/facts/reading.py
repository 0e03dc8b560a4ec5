"""How a table was read, for the people who have to trust it."""

from dataclasses import dataclass
from typing import Any, Literal

_SHOWN = 6  # relations in a line


@dataclass(frozen=True)
class Reading:
    """How a table was read: nothing about a header is decided in silence.

    Attributes:
        source: the file, or what was given.
        form: what kind of file, with its delimiter and encoding.
        layout: ``long``, one fact a row; ``wide``, one subject a row; ``triples``, facts without a header.
        columns: names of the columns of subject, relation and answer, or of the subject alone.
        relations: what the columns of a wide table say.
        kind: records of the field that were recognised, such as CounterFact.
        notes: what was left out, what was counted, what else there is.
    """

    source: str
    form: str
    layout: Literal["long", "wide", "triples"]
    columns: tuple[str, ...]
    relations: tuple[str, ...] = ()
    kind: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The layout in one line."""
        if self.layout == "wide":
            shown = ", ".join(self.relations[:_SHOWN])
            more = len(self.relations) - _SHOWN
            rest = f" and {more:,} more" if more > 0 else ""
            what = "relation" if len(self.relations) == 1 else "relations"
            subject = repr(self.columns[0]) if self.columns[0] else "the first column"
            return f"wide: {what} {shown}{rest} of {subject}"
        if self.layout == "triples":
            return "triples without a header"
        kind = f"{self.kind}, " if self.kind else ""
        roles = zip(("subject", "relation", "answer"), self.columns, strict=True)
        other = ", ".join(f"{role} {name!r}" for role, name in roles if role != name)
        return f"{kind}long: {other}" if other else f"{kind}long: subject, relation, answer"

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything, a line each."""
        return (f"{self.source} ({self.form}) read as {self.said}", *self.notes)

    def to_dict(self) -> dict[str, Any]:
        """The fields."""
        return {
            "source": self.source,
            "form": self.form,
            "layout": self.layout,
            "columns": list(self.columns),
            "relations": list(self.relations),
            "kind": self.kind,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join(self.lines)
