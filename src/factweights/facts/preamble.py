"""What stands before the header of a text file: Excel's sep=, remarks, blank lines."""

import re
from dataclasses import dataclass

_SEP = re.compile(r"\ufeff?\"?sep=([^\w\s\"']|[ \t])\"? *(?:\r\n|\r|\n|$)", re.IGNORECASE)
_BLANK = re.compile(r"[\ufeff \t]*(?:\r\n|\r|\n)")
# A first column called # is one of numbers.
_REMARK = re.compile(r"\ufeff?[ \t]*(#(?! *[,;|\t])[^\r\n]*)(?:\r\n|\r|\n|$)")


@dataclass(frozen=True)
class Preamble:
    """Lines that are no part of the table.

    Attributes:
        end: characters in them.
        line: the number of the first line behind them.
        delimiter: what ``sep=`` says, if it is there.
        remarks: lines that begin with #.
    """

    end: int
    line: int
    delimiter: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What was skipped, or nothing."""
        if not self.remarks:
            return ""
        many = "a line" if len(self.remarks) == 1 else f"{len(self.remarks)} lines"
        return f"{many} with # before the table skipped, {self.remarks[0][:60]!r}"


def preamble(decoded: str) -> Preamble:
    """The lines before the first one of the table."""
    at, line, delimiter = 0, 1, None
    remarks: list[str] = []
    while True:
        if delimiter is None and (m := _SEP.match(decoded, at)):
            delimiter = m[1]
        elif m := _REMARK.match(decoded, at):
            remarks.append(m[1])
        elif not (m := _BLANK.match(decoded, at)):
            return Preamble(at, line, delimiter, tuple(remarks))
        if m.end() == len(decoded):  # nothing but remarks: then one of them is the table, whatever it says
            return Preamble(at, line, delimiter, tuple(remarks)) if not remarks else Preamble(0, 1)
        at, line = m.end(), line + 1
