"""JSON and JSON Lines as records: lists of objects, tables of pandas, results of SPARQL."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from factweights.errors import FileFormatError
from factweights.facts.cells import Number, Repeating
from factweights.facts.guards import is_list, is_object
from factweights.facts.sheet import Sheet, names, records_sheet

Numbered = list[tuple[int, Any]]
_SPACE = " \t\r\n\ufeff"
_TERM_KEYS = {"value", "type", "xml:lang", "datatype"}
_FORM = '{"subject": …, "relation": …, "answer": …}'


def json_sheet(path: Path, decoded: str, header: bool) -> Sheet:
    """The sheet in a .json or .jsonl file, whichever of the two its contents are.

    Args:
        path: what errors name.
        decoded: the contents.
        header: whether the first of a list of lists names the columns.

    Raises:
        FileFormatError: no JSON, or JSON that is no table.
    """
    start = decoded.lstrip(_SPACE)[:1]
    if not start:
        raise FileFormatError(f"{path} is empty; write one JSON object per line")
    if path.suffix.lower() == ".json" or start == "[":
        return _of_document(path, decoded, header)
    return _of_lines(path, decoded, header)


# -- parsing -----------------------------------------------------------------------------------------------


def _parse(source: str) -> Any:
    # Numbers stay as they are written, so that 1.50 is not 1.5 and no digit of an id is lost.
    return json.loads(
        source, parse_int=Number, parse_float=Number, parse_constant=_constant, object_pairs_hook=_object
    )


def _constant(name: str) -> None:
    """NaN is what Python writes for a missing number; infinity is no answer."""
    if name != "NaN":
        raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    return record if len(record) == len(pairs) else Repeating(record)


def _of_lines(path: Path, decoded: str, header: bool) -> Sheet:
    lines = decoded.split("\n")  # not splitlines: JSON may hold U+2028 and its like unescaped
    found: Numbered = []
    for i, line in enumerate(lines, start=1):
        if not line.strip(_SPACE):
            continue
        try:
            found.append((i, _parse(line.strip(_SPACE))))
        except (ValueError, RecursionError) as e:
            if not found and (whole := _whole(decoded)) is not None:
                return _sheet(path, whole, header)  # one document over several lines
            raise FileFormatError(
                f"{path}, line {i} is not one whole JSON object ({e}); is the file cut short?"
            ) from e
    if len(found) == 1 and is_object(found[0][1]):
        return _sheet(path, found[0][1], header)
    return _rows(path, "line", found, header, "JSON Lines")


def _of_document(path: Path, decoded: str, header: bool) -> Sheet:
    try:
        return _sheet(path, _parse(decoded.strip(_SPACE)), header)
    except (ValueError, RecursionError) as e:
        if isinstance(e, FileFormatError):
            raise
        first, _, rest = decoded.strip(_SPACE).partition("\n")
        if rest.strip(_SPACE) and _whole(first) is not None:
            return _of_lines(path, decoded, header)
        raise FileFormatError(f"{path} is not whole JSON ({e}); is the file cut short?") from e


def _whole(source: str) -> Any:
    try:
        return _parse(source.strip(_SPACE))
    except (ValueError, RecursionError):
        return None


# -- documents ---------------------------------------------------------------------------------------------


def _sheet(path: Path, document: Any, header: bool) -> Sheet:
    """One JSON document as a sheet."""
    if is_list(document):
        return _rows(path, "item", list(enumerate(document, start=1)), header, "JSON")
    if not is_object(document):
        raise FileFormatError(f"{path} holds one value and no table; write a list of objects, {_FORM}")
    if isinstance(document, Repeating):
        raise FileFormatError(f"{path}: a key stands there twice; keep one of the two")
    for made in (_sparql, _split, _by_column):
        if (sheet := made(path, document)) is not None:
            return sheet
    return _rows(path, "item", list(enumerate(_inner(document), start=1)), header, "JSON")


def _sparql(path: Path, document: dict[str, Any]) -> Sheet | None:
    """The JSON that SPARQL endpoints give, of Wikidata and others."""
    results = document.get("results")
    if not is_object(results) or not is_list(bindings := results.get("bindings")):
        return None
    head = document.get("head")
    variables = head.get("vars") if is_object(head) else None
    order = variables if is_list(variables) else []
    if bad := [i for i, b in enumerate(bindings, start=1) if not is_object(b)]:
        raise FileFormatError(
            f"{path}: binding {bad[0]} of the query's results is no object; download them again"
        )
    if not bindings:
        raise FileFormatError(f"{path}: the query has no results")
    records = [{v: b.get(v) for v in (*order, *b) if isinstance(v, str)} for b in bindings]
    numbered = [(i, {k: _value(v) for k, v in r.items()}) for i, r in enumerate(records, start=1)]
    return records_sheet(str(path), "binding", numbered, "results of a SPARQL query", wikidata=True)


def _value(cell: Any) -> Any:
    """What a SPARQL result says of a variable."""
    return cell["value"] if is_object(cell) and {"value", "type"} <= cell.keys() <= _TERM_KEYS else cell


def _split(path: Path, document: dict[str, Any]) -> Sheet | None:
    """``orient="split"`` of pandas."""
    columns, data = document.get("columns"), document.get("data")
    if not is_list(columns) or not is_list(data):
        return None
    rows = list(enumerate(data, start=1))
    _must_be_even(path, "row", rows, len(columns))
    return Sheet(
        str(path),
        "row",
        names(str(path), columns),
        [i for i, _ in rows],
        lambda i: [row[i] for row in data],
        "JSON as pandas splits it",
        typed=True,
    )


def _by_column(path: Path, document: dict[str, Any]) -> Sheet | None:
    """``orient="columns"`` of pandas: every column an object of the same row numbers."""
    columns = list(document.values())
    if not columns or not all(is_object(c) and c for c in columns):
        return None
    keys = list(columns[0])
    if not all(k.isdecimal() for k in keys) or any(list(c) != keys for c in columns):
        return None
    return Sheet(
        str(path),
        "row",
        names(str(path), document),
        [int(k) if len(k) < 19 else 0 for k in keys],
        lambda i: list(columns[i].values()),
        "JSON as pandas writes columns",
        typed=True,
    )


def _inner(document: dict[str, Any]) -> list[Any]:
    """The one list of objects that an object holds, or else the object itself as the one record."""
    lists = [v for v in document.values() if is_list(v) and v and all(is_object(r) for r in v)]
    alone = (
        len(lists) == 1
        and len(document) <= 3
        and "triples" not in document
        and "requested_rewrite" not in document
    )
    return lists[0] if alone and not {"obj_label", "output"} & document.keys() else [document]


# -- rows --------------------------------------------------------------------------------------------------


def _rows(path: Path, unit: str, found: Numbered, header: bool, form: str) -> Sheet:
    if not found:
        raise FileFormatError(f"{path} is empty; write a list of objects, {_FORM}")
    if all(is_list(r) for _, r in found):
        return _lists(path, unit, found, header, form)
    for i, r in found:
        if not is_object(r):
            raise FileFormatError(f"{path}, {unit} {i} is not a JSON object; write {_FORM}")
        if isinstance(r, Repeating):
            raise FileFormatError(f"{path}, {unit} {i}: a key stands there twice; keep one of the two")
    if (keyed := _mapping(found)) is not None:
        raise FileFormatError(
            f"{path} holds objects by name ({keyed!r}, …), which may be subjects or relations; write a list "
            f"of objects, {_FORM}"
        )
    return records_sheet(str(path), unit, exploded(found), form)


def _mapping(found: Numbered) -> str | None:
    """The first key of a lone object of objects, such as {"France": {"capital": "Paris"}, …}."""
    record = found[0][1]
    inner = [_value(v) for v in record.values()]
    plain = len(inner) > 1 and all(is_object(v) and not any(_deep(x) for x in v.values()) for v in inner)
    known = {"subject", "requested_rewrite"} & record.keys()
    return next(iter(record)) if len(found) == 1 and plain and not known else None


def _deep(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _lists(path: Path, unit: str, found: Numbered, header: bool, form: str) -> Sheet:
    """Rows that are lists, the first of them the header."""
    width = len(found[0][1])
    _must_be_even(path, unit, found, width)
    if not width:
        raise FileFormatError(f"{path} holds empty lists; write a list of objects, {_FORM}")
    head = found[0][1] if header else [str(i) for i in range(1, width + 1)]
    rows = found[1:] if header else found
    return Sheet(
        str(path),
        unit,
        names(str(path), head),
        [i for i, _ in rows],
        lambda i: [row[i] for _, row in rows],
        f"{form}, lists",
        headed=header,
    )


def _must_be_even(path: Path, unit: str, rows: Numbered, width: int) -> None:
    for i, row in rows:
        if not is_list(row) or len(row) != width:
            has = f"has {len(row)} cells" if is_list(row) else "is no list"
            raise FileFormatError(
                f"{path}, {unit} {i} {has}, but there are {width} columns; write every cell"
            )


def exploded(records: Iterable[tuple[int, Mapping[Any, Any]]]) -> Numbered:
    """Records of several facts as one record for each: MQuAKE's rewrites, T-REx's triples.

    What SPARQL says of a value beside it (its type, its language) is left out.
    """
    out: Numbered = []
    for i, record in records:
        parts = [
            (key, record[key])
            for key in ("requested_rewrite", "triples")
            if isinstance(record.get(key), list) and all(isinstance(p, Mapping) for p in record[key])
        ]
        if not parts or not parts[0][1]:
            out.append((i, {k: _value(v) for k, v in record.items()}))
            continue
        key, found = parts[0]
        out += [(i, dict(p) if key == "triples" else {**record, key: p}) for p in found]
    return out


# -- SPARQL as text ----------------------------------------------------------------------------------------

_TERM = re.compile(r'"((?:[^"\\]|\\.)*)"(?:@[\w-]+|\^\^\S+)?|<([^<>]*)>')
_ESCAPES: dict[str, str] = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}


def term(cell: str) -> str:
    """An RDF term as SPARQL's TSV writes it, without quotes, language and type."""
    m = _TERM.fullmatch(cell.strip())
    if m is None:
        return cell
    unescape: Callable[[re.Match[str]], str] = lambda e: _ESCAPES.get(e[1], e[1])  # noqa: E731
    return re.sub(r"\\(.)", unescape, m[1]) if m[1] is not None else m[2]
