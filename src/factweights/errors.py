"""Every error a user can meet: what is wrong, the value, and what to do about it."""

import difflib
from collections.abc import Iterable, Sequence

from factweights.show import shown


class FactweightsError(Exception):
    """Base of all errors that factweights raises on purpose. Names in its text are shown, never obeyed.

    Attributes:
        fields: names of arguments in the message that are meant as such, so that the command line can say the
            options that they are there.
    """

    fields: tuple[str, ...] = ()

    def __init__(self, *args: object, fields: Iterable[str] = ()) -> None:
        super().__init__(*args)
        self.fields = tuple(fields)

    def __str__(self) -> str:
        return shown(super().__str__(), lines=True)


class FactsError(FactweightsError, ValueError):
    """A fact table or a set of associations that cannot be used as given."""


class ConflictError(FactsError):
    """The same subject and relation with two different answers."""


class ShapeError(FactweightsError, ValueError):
    """Tensors whose shapes or dtypes do not fit each other."""


class SettingError(FactweightsError, ValueError):
    """A setting outside the range in which it means anything."""


class WrongTypeError(FactweightsError, TypeError):
    """An argument of another type than it has to be."""

    def __init__(self, name: str, value: object, expected: str, hint: str = "") -> None:
        given = f"{type(value).__name__}" if value is not None else "None"
        super().__init__(f"{name} has to be {expected}, got a {given}{hint and '; '}{hint}", fields=(name,))


class LawError(SettingError):
    """Sizes to which a law does not apply, with the reason."""


class UnknownNameError(FactweightsError, KeyError):
    """A name that is not known, with the nearest one that is."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        self.nearest = nearest(name, known)
        text = f"no {kind} named {name!r}"
        if self.nearest:
            text += "; did you mean " + " or ".join(repr(n) for n in self.nearest) + "?"
        super().__init__(f"{text} {hint}".rstrip())

    def __str__(self) -> str:  # KeyError would print the repr
        return shown(self.args[0], lines=True)


class NewNameError(UnknownNameError):
    """A change that would bring in names that are not known, which has to be asked for."""

    def __init__(self, said: str, asked_by: str = "add=True") -> None:
        self.said = said
        KeyError.__init__(self, f"{said}; new subjects and relations are only taken with {asked_by}")


class RecallWarning(UserWarning):
    """A memory that misses facts, from a method that aims at recalling them.

    Attributes:
        missed, facts: how many, of how many.
        recall, asked: the share that is right, and the share that the method aims at.
    """

    def __init__(self, method: str, missed: int, facts: int, recall: float, asked: float) -> None:
        self.missed, self.facts, self.recall, self.asked = missed, facts, recall, asked
        super().__init__(
            f"{method} misses {missed:,} of {facts:,} facts: recall {recall:.6g}, asked {asked:g}; give a "
            "larger memory or fewer facts, or take solve(), which tells how it went"
        )


class FileFormatError(FactweightsError, ValueError):
    """A file that is not what it should be: foreign, truncated, or in an unreadable encoding."""


class TamperedError(FileFormatError):
    """A saved folder whose contents no longer match the hashes written beside them."""


class OutputError(FactweightsError, OSError):
    """An output that could not be written; nothing of it was left behind."""


class BusyError(FactweightsError):
    """A folder that another run is writing to."""


class NotStorableError(FactweightsError):
    """Facts that the asked-for memory cannot hold, with the proof or the shortfall."""


class MissingExtraError(FactweightsError, ImportError):
    """A feature whose optional dependency is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra [{extra}]: pip install 'factweights[{extra}]'")


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The up to ``n`` known names that look most like ``name``, best first, case ignored."""
    folded: dict[str, str] = {}
    for k in known:
        folded.setdefault(k.casefold(), k)
    hits = difflib.get_close_matches(name.casefold(), folded, n=n, cutoff=0.6)
    return [folded[h] for h in hits]


_SHOWN = 5  # of many names, how many an error lists


def some(items: Sequence[object]) -> str:
    """The first few of them, for an error."""
    more = ", …" if len(items) > _SHOWN else ""
    return ", ".join(map(repr, items[:_SHOWN])) + more
