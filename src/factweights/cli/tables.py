"""Tables of facts, as the options of a command describe them."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from factweights.cli.converting import split
from factweights.cli.notes import note
from factweights.cli.options import Flag

if TYPE_CHECKING:
    from factweights.facts import FactTable
    from factweights.facts.reading import Reading


@Parameter(name="*")
@dataclass(frozen=True)
class TableOptions:
    """How a table is read.

    Attributes:
        wide: One column per relation, or (`--no-wide`) subject, relation, answer; else the header tells.
        columns: What the file calls subject, relation and answer, as in `answer=city` or, for what is nested,
            `answer=requested_rewrite.target_new.str`.
        encoding: Of a text file, such as cp1252, where it is not UTF-8.
        no_header: The first line is a fact; `--columns` takes numbers then, as in `answer=3`.
    """

    wide: Annotated[bool | None, Parameter(negative="--no-wide")] = None
    columns: Annotated[list[str] | None, Parameter(metavar="ROLE=NAME")] = None
    encoding: str | None = None
    no_header: Flag = False


@Parameter(name="*")
@dataclass(frozen=True)
class TablePart(TableOptions):
    """How a table is read, and which of its facts are taken.

    Attributes:
        relations: Only the facts with these relations.
        limit: Only the first so many facts.
    """

    relations: Annotated[list[str] | None, Parameter(metavar="A,B")] = None
    limit: int | None = None

    def read(self, file: Path) -> "FactTable":
        """That part of the table in a file; errors as in :func:`read`."""
        return self.of(read(file, self))

    def of(self, table: "FactTable") -> "FactTable":
        """The part of a table that is asked for."""
        if self.relations is not None:
            # A name with a comma in it is known as a whole.
            known = table.relations
            table = table.select([r for w in self.relations for r in ([w] if w in known else split([w]))])
        return table if self.limit is None else table.head(self.limit)


def read(file: Path, options: TableOptions) -> "FactTable":
    """The table in a file; how it was read goes to standard error.

    Raises:
        SettingError: ``columns`` that are no ROLE=NAME; others as ``FactTable.read``.
    """
    from factweights.facts import FactTable

    table = FactTable.read(
        file,
        wide=options.wide,
        columns=_roles(options.columns),
        encoding=options.encoding,
        header=not options.no_header,
    )
    say(table.reading)
    return table


def read_if(file: Path | None, options: TableOptions, name: str) -> "FactTable | None":
    """The table in the file that ``name`` gives, if it does; errors as in :func:`read`."""
    if file is not None:
        return read(file, options)
    must_be_unused(options, name)
    return None


def read_edits(
    file: Path | None, options: TableOptions
) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """The facts to set and to remove in a table of changes; errors as in :func:`read`."""
    from factweights.editing import read_changes
    from factweights.errors import SettingError

    if file is None:
        must_be_unused(options, "--from FILE")
        return [], []
    if options.wide:
        raise SettingError(
            "a table of changes has the columns subject, relation and answer; leave out --wide"
        )
    return read_changes(
        file,
        encoding=options.encoding,
        columns=_roles(options.columns),
        header=not options.no_header,
        on_reading=say,
    )


def must_be_unused(options: TableOptions, table: str) -> None:
    """Refuse options of a table where there is none.

    Raises:
        SettingError: an option is given.
    """
    from factweights.errors import SettingError

    if options != TableOptions():
        raise SettingError(f"--wide, --columns, --encoding and --no-header say how {table} is read; give it")


def say(reading: "Reading | None") -> None:
    """How a table was read, for people: on standard error."""
    from factweights.cli.naming import optioned

    options = {f.name: "--" + f.name.replace("_", "-") for f in fields(TableOptions)}
    note(optioned(line, options) for line in (() if reading is None else reading.lines))


def _roles(columns: list[str] | None) -> dict[str, str]:
    from factweights.errors import SettingError

    named: dict[str, str] = {}
    for given in columns or ():
        # A comma may be part of a name: only before another role does it begin the next one.
        for entry in re.split(r",(?=\s*(?:subject|relation|answer)\s*=)", given):
            role, equals, name = entry.partition("=")
            if not equals or not name.strip():
                raise SettingError(f"--columns takes ROLE=NAME, as in answer=city; got {entry!r}")
            if role.strip() in named:
                raise SettingError(f"--columns names the {role.strip()} twice; give one column")
            named[role.strip()] = name.strip()
    return named
