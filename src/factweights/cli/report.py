"""``factweights report``."""

from pathlib import Path

from factweights.cli.options import Json, OutOrNot
from factweights.cli.output import emit


def report(
    folder: Path,
    /,
    *,
    out: OutOrNot = None,
    markdown: Path | None = None,
    json: Json = False,
) -> None:
    """Write one HTML page about the studies of a folder: every claim with figure, numbers and verdict.

    The page needs no network and no other file. It can be sent to a colleague, read on a telephone, in the
    light and in the dark, and the data can be downloaded from it.

    Example: `factweights report all --out report.html`

    Args:
        folder: Where `factweights reproduce` or `factweights study run` wrote numbers.
        out: The page; report.html in the folder by default.
        markdown: Write the table of claims to this file as well.
    """
    from factweights.folders import must_take_file, whole_file
    from factweights.studies import write_report

    if markdown is not None:
        must_take_file(markdown)
    found = write_report(folder, out)
    if markdown is not None:
        with whole_file(markdown) as tmp:
            tmp.write_text(found.to_markdown(), encoding="utf-8")
    emit(found, json=json)
