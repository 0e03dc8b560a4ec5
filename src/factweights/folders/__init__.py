"""Folders and files that appear whole, are locked while they change, say what they hold, and mend themselves.

Nothing here knows what a memory, a model or a study is.
"""

from factweights.folders.checksums import check_files, sha256
from factweights.folders.files import whole_file
from factweights.folders.jsons import Json, plain, read_json, write_json
from factweights.folders.locks import locked
from factweights.folders.manifests import Kind, Manifest, list_files, read_manifest, sealed
from factweights.folders.reading import one_version
from factweights.folders.targets import must_be_writable, must_take_file
from factweights.folders.writing import whole_folder
from factweights.interrupts import noting, uninterrupted

__all__ = [
    "Json",
    "Kind",
    "Manifest",
    "check_files",
    "list_files",
    "locked",
    "must_be_writable",
    "must_take_file",
    "noting",
    "one_version",
    "plain",
    "read_json",
    "read_manifest",
    "sealed",
    "sha256",
    "uninterrupted",
    "whole_file",
    "whole_folder",
    "write_json",
]
