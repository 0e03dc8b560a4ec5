"""What a folder says of itself: its format, who wrote it, and the hash of every file in it."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from factweights.errors import FactweightsError, FileFormatError, TamperedError
from factweights.folders.checksums import check_files, sha256
from factweights.folders.jsons import checked, read_json, write_json

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f]{1,255}$")]


class Manifest(BaseModel):
    """What stands in every manifest, whatever the folder holds.

    Attributes:
        format: the name of the format, with its number.
        factweights: the version that wrote it.
        files: every other file of the folder, with its SHA-256 in hexadecimal.
        checksum: SHA-256 of all other fields, see :func:`sealed`; None in folders of earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    factweights: str
    files: dict[FileName, Sha256]
    checksum: Sha256 | None = None


M = TypeVar("M", bound=Manifest)


@dataclass(frozen=True)
class Kind:
    """A kind of folder.

    Attributes:
        what: to call it in errors, such as ``compiled model``.
        name: of the file with its manifest.
        model: what that must be.
        format: likewise; earlier ones that are still read come after the present one.
        writer: what wrote it, for errors.
        needed: files that there must be.
        others: manifests of other kinds, with what to say of a folder that has such a one instead.
    """

    what: str
    name: str
    model: type[Manifest]
    format: tuple[str, ...]
    writer: str
    needed: frozenset[str] = frozenset()
    others: tuple[tuple[str, str], ...] = ()


def sealed(manifest: Manifest) -> dict[str, Any]:
    """The fields of a manifest, ready for JSON, with the checksum of the others."""
    found = manifest.model_dump(mode="json")
    return {**found, "checksum": _checksum(found)}


def list_files(folder: Path, kind: Kind) -> None:
    """Write, last of all, the manifest of what is in ``folder``, for kinds whose manifest says no more."""
    files = {f.name: sha256(f) for f in sorted(folder.iterdir())}
    manifest = kind.model(format=kind.format[0], factweights=version("factweights"), files=files)
    write_json(folder / kind.name, sealed(manifest))


def _checksum(fields: Mapping[str, Any]) -> str:
    others = {k: v for k, v in fields.items() if k != "checksum"}
    text = json.dumps(others, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(path: Path, kind: Kind, model: type[M], *, check: bool = True) -> M:
    """The manifest of the folder ``path``, and that its files are there.

    Args:
        path: the folder.
        kind: what it should be.
        model: of the manifest, that of ``kind``.
        check: compare every file, and the manifest itself, with its hash.

    Raises:
        FileNotFoundError: no such folder.
        FileFormatError: not a folder of that kind, a damaged manifest, or another format.
        TamperedError: a file is missing or is not the one that was saved.
    """
    manifest, found = _read(path, kind, model)
    # the first format of a kind had no checksum at first
    unsealed = manifest.checksum is None and manifest.format == kind.format[-1]
    if check and not unsealed and manifest.checksum != _checksum(found):
        raise TamperedError(
            f"{path}: {kind.name} is not as it was saved; copy it again, or pass check=False to open "
            "it as it is"
        )
    check_files(path, manifest.files, contents=check)
    return manifest


def _read(path: Path, kind: Kind, model: type[M]) -> tuple[M, dict[str, Any]]:
    if path.is_file():
        raise FileFormatError(f"{path} is a file; give the folder that {kind.writer} wrote")
    if not path.exists():
        raise FileNotFoundError(f"no folder at {path}")
    where = path / kind.name
    if not where.is_file():
        for other, said in kind.others:
            if (path / other).is_file():
                raise FileFormatError(f"{path} has no {kind.name}: {said}")
        raise FileFormatError(
            f"{path} has no {kind.name}: not a {kind.what}; give a folder that {kind.writer} wrote"
        )
    found = read_json(where)
    if found.get("format") not in kind.format:
        by = found.get("factweights")
        raise FileFormatError(
            f"{path} has the format {_short(found.get('format'))}, this factweights {version('factweights')} "
            f"reads {' and '.join(map(repr, kind.format))}; open it with factweights "
            f"{by if isinstance(by, str) and len(by) < 40 else 'of another version'}"
        )
    manifest = checked(model, found, where)
    if not kind.needed <= set(manifest.files):
        raise FileFormatError(
            f"{where} is damaged: it lists {_short(sorted(manifest.files))} and not "
            f"{', '.join(sorted(kind.needed - set(manifest.files)))}; write the folder again"
        )
    return manifest, found


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def strangers(folder: Path, kind: Kind, *, contents: bool = True) -> list[str]:
    """The names in ``folder`` that its manifest does not list with the hash that they have.

    All of them, where there is no manifest of that kind.

    Args:
        folder: there is one.
        kind: whose manifest counts.
        contents: compare hashes; without, only the names.
    """
    there = sorted(os.listdir(folder))
    try:
        files = _read(folder, kind, kind.model)[0].files
    except (FactweightsError, OSError):
        return there
    return [n for n in there if n != kind.name and not _ours(folder / n, files.get(n), contents)]


def _ours(path: Path, digest: str | None, contents: bool) -> bool:
    plain = path.is_file() and not path.is_symlink()
    return digest is not None and plain and (not contents or sha256(path) == digest)
