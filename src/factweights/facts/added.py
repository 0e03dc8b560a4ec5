"""Columns that a writer added: row numbers of pandas, R and databases, links beside Wikidata's labels."""

import re
from collections.abc import Collection

from factweights.errors import FactsError
from factweights.facts.cells import text
from factweights.facts.sheet import Sheet

# A name that only a program gives: pandas to CSV, pandas of such a CSV, pandas to Parquet, readr, MongoDB.
_CERTAIN = re.compile(r"|#|Unnamed: \d+(?:\.\d+)*(?:_level_\d+)?|__index_level_\d+__|\.\.\.\d+|_id")
# One that a person may give too, so only where the cells count from 0 or 1: pandas, polars, R, SQL, Spark.
_PERHAPS = re.compile(
    r"index|level_\d+|x(?:\.\d+)?|v1|_c0|column0|rn|row[_ ]?(?:nr|num|number|id|names?|index)|"
    r"(?:ogc_)?fid|objectid",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"\d+")
_ITEM = re.compile(r"https?://\S+|[QPL]\d+")
LABEL = "Label"


def without_added(sheet: Sheet, keep: Collection[str] = ()) -> Sheet:
    """The sheet without columns of row numbers but those in ``keep``, as long as two columns are left."""
    gone: list[int] = []
    for i, name in enumerate(sheet.header):
        if len(sheet.header) - len(gone) <= 2:
            break
        if name.casefold() in keep:
            continue
        first = i == len(gone)
        certain = _CERTAIN.fullmatch(name) is not None and (first or name not in ("", "#"))
        if certain or (first and _PERHAPS.fullmatch(name)) or (first and not sheet.headed):
            cells = _texts(sheet, i)
            if cells is not None and (_counts(cells) or (certain and _is_index(sheet, i, cells))):
                gone.append(i)
    if not gone:
        return sheet
    said = ", ".join(repr(sheet.header[i]) if sheet.header[i] else "the first, without a name" for i in gone)
    many = "column of row numbers" if len(gone) == 1 else "columns of row numbers"
    left = set(gone)
    return sheet.select(
        [i for i in range(len(sheet.header)) if i not in left], note=f"{many} left out: {said}"
    )


def by_a_program(name: str) -> bool:
    """Whether only a program gives a column this name, for want of one."""
    return _CERTAIN.fullmatch(name) is not None


def whole(cells: list[str]) -> bool:
    """Whether these are whole numbers."""
    return bool(cells) and all(_WHOLE.fullmatch(c) for c in cells)


def _texts(sheet: Sheet, i: int) -> list[str] | None:
    try:
        return [text(c) for c in sheet.cells(i)]
    except FactsError:
        return None


def _counts(cells: list[str]) -> bool:
    return (
        whole(cells)
        and cells[0] in ("0", "1")
        and all(c == str(k) for k, c in enumerate(cells, start=int(cells[0])))
    )


def _is_index(sheet: Sheet, i: int, cells: list[str]) -> bool:
    """Whether these are the row numbers of a table of which some rows were taken, or nothing at all.

    They are where the next column names every row once, in words; years beside numbers are not.
    """
    if not any(cells):
        return True
    if not whole(cells) or len(set(cells)) < len(cells):
        return False
    beside = _texts(sheet, i + 1 if i + 1 < len(sheet.header) else 0)
    if beside is None:
        return False
    return len(set(beside)) == len(beside) and not any(re.fullmatch(r"[-+\d.,eE\s]*", c) for c in beside)


def labelled(sheet: Sheet) -> Sheet:
    """The results of a Wikidata query with the label of every item in the place of its link."""
    names = sheet.header
    at = {name: i for i, name in reversed(list(enumerate(names)))}
    pairs = {
        i: at[name + LABEL]
        for i, name in enumerate(names)
        if name and name + LABEL in at and (sheet.wikidata or _links(sheet, i))
    }
    if not pairs and not sheet.wikidata:
        return sheet
    labels = set(pairs.values())
    order = [pairs.get(i, i) for i in range(len(names)) if i not in labels]
    short = [names[i].removesuffix(LABEL) or names[i] for i in order]
    header = short if len(set(short)) == len(short) else [names[i] for i in order]
    note = f"labels for links in {', '.join(names[i] for i in pairs)}" if pairs else ""
    return sheet.select(order, header, note)


def _links(sheet: Sheet, i: int) -> bool:
    cells = _texts(sheet, i)
    return cells is not None and any(cells) and all(not c or _ITEM.fullmatch(c) for c in cells)
