"""Bytes of a text file as text: which encoding it is in, and what is no text at all."""

import codecs
import re
from pathlib import Path

from factweights.errors import FileFormatError, SettingError

# UTF-32 goes first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = {
    b"PAR1": "a Parquet file: name it .parquet",
    b"ARROW1": "an Arrow or Feather file: save it as Parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"\x1f\x8b": "gzip-compressed: unpack it first",
    b"BZh": "bzip2-compressed: unpack it first",
    b"\xfd7zXZ": "xz-compressed: unpack it first",
    b"\x28\xb5\x2f\xfd": "zstd-compressed: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV",
    b"SQLite format 3": "an SQLite database: export one table as CSV",
    b"%PDF": "a PDF document: export the table as CSV",
    b"\x89PNG": "a picture",
    b"\x89HDF": "an HDF5 file: export the table as CSV",
    b"{\\rtf": "a rich text document: save it as plain text",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: run git lfs pull",
}
_PAGES = ("<!doctype", "<html", "<?xml")
# They decode bytes, but no file of text is written in them.
_NO_FILES = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"}
)
_ENCODINGS = "Give the file's encoding, for example encoding='cp1252' or encoding='latin-1'"
_BINARY = (
    "This is no text, or UTF-16 without a byte order mark: then give encoding='utf-16-le' or "
    "encoding='utf-16-be'"
)


def decode(path: Path, encoding: str | None) -> tuple[str, str]:
    """The text of a file without its byte order mark, and the name of its encoding.

    Args:
        path: a file.
        encoding: what it is in; None takes UTF-8, or what its byte order mark says.

    Raises:
        FileFormatError: empty, foreign or undecodable contents, or another mark than ``encoding`` has.
        SettingError: no such encoding, or one that is none of text.
    """
    codec = None if encoding is None else _known(encoding)
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise FileFormatError(f"cannot read {path}: {e.strerror or e}") from e
    if not raw.strip():
        raise FileFormatError(f"{path} is empty; a table has a header and at least one row")
    for magic, what in _FOREIGN.items():
        if raw.startswith(magic):
            raise FileFormatError(f"{path} is {what}")
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), None)
    if codec and marked and not codec.replace("_", "-").startswith(marked):
        raise FileFormatError(
            f"{path} begins with the byte order mark of {marked} and cannot be {encoding}; leave the "
            "encoding out"
        )
    decoded = _decoded(path, raw, codec or marked or "utf-8", bool(codec or marked))
    _must_be_text(path, decoded)
    return decoded, codec or marked or "utf-8"


def _known(encoding: object) -> str:
    """The canonical name of an encoding of text files."""
    said = f"{encoding!r}; use for example 'utf-8', 'cp1252' or 'latin-1'"
    if not isinstance(encoding, str):
        raise SettingError(f"an encoding is named by text, got {said}")
    try:
        info = codecs.lookup(encoding)
    except (LookupError, ValueError, ImportError) as e:  # ValueError: a NUL in the name
        raise SettingError(f"no encoding named {said}") from e
    # Python has rot13, hex, base64, zlib and more of that kind under the same roof.
    if not getattr(info, "_is_text_encoding", True) or info.name.replace("-", "_") in _NO_FILES:
        raise SettingError(f"no text file is written in {said}")
    return info.name


def _decoded(path: Path, raw: bytes, codec: str, told: bool) -> str:
    try:
        return raw.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as e:
        tried = codec if told else "utf-8 (and utf-16 and utf-32, which need a byte order mark)"
        line = raw.count(b"\n", 0, e.start) + 1
        raise FileFormatError(
            f"{path}: line {line} cannot be decoded ({e.reason} at byte {e.start}); tried {tried}. "
            + (_BINARY if b"\0" in raw else _ENCODINGS)
        ) from e
    except ValueError as e:  # UnicodeError without a place, and whatever a codec of another package raises
        raise FileFormatError(f"{path} cannot be decoded as {codec} ({e}). {_ENCODINGS}") from e


def _must_be_text(path: Path, decoded: str) -> None:
    if (at := decoded.find("\0")) >= 0:
        line = decoded.count("\n", 0, at) + 1
        raise FileFormatError(f"{path}: NUL character in line {line}. {_BINARY}")
    head = re.sub(r"^[\s\ufeff]+", "", decoded[:1000])
    if not head and not decoded.strip("\ufeff \t\r\n"):
        raise FileFormatError(f"{path} is empty; a table has a header and at least one row")
    if head.lower().startswith(_PAGES):
        raise FileFormatError(f"{path} is a web page or an XML document; export the table as CSV")
