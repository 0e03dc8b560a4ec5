"""``factweights edit``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from factweights.cli.options import Flag, Json


def edit(
    folder: Path,
    /,
    *,
    set: Annotated[
        list[tuple[str, str, str]] | None,
        Parameter(metavar="SUBJECT RELATION ANSWER", allow_leading_hyphen=True),
    ] = None,
    remove: Annotated[
        list[tuple[str, str]] | None, Parameter(metavar="SUBJECT RELATION", allow_leading_hyphen=True)
    ] = None,
    changes: Annotated[Path | None, Parameter(name="--from", metavar="FILE")] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    recall: float | None = None,
    prune: Flag = False,
    seed: int = 0,
    encoding: str | None = None,
    json: Json = False,
) -> None:
    """Change facts of a stored memory or a compiled model: replace, add, remove some, keep the others.

    All facts are verified afterwards. The weights go on from where they are if the method can (`factweights
    methods --json` says which do), else everything is stored again. If the facts no longer fit,
    nothing is written and the exit code is 1.

    Example: `factweights edit countries --set France capital Lyon --remove Peru currency`

    Args:
        folder: What `factweights store --out` or `compile --out` wrote; replaced, whole or not at all, unless
            `--out` is given.
        set: Gives a fact this answer; adds the fact if there is none. May be repeated.
        remove: Removes a fact. May be repeated.
        changes: Table of changes with the columns subject, relation, answer; no answer removes the fact.
        out: Another folder for the result.
        recall: Share of all facts that must come out right; else as stored.
        prune: Leave out answers that no fact has any more; else they stay among those to choose from.
        seed: Of the method.
        encoding: Of the table of changes, where it is not UTF-8.
    """
    from factweights.bundle import Bundle
    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.editing import edit as change
    from factweights.editing import read_changes
    from factweights.errors import SettingError
    from factweights.export.folder import is_compiled
    from factweights.storing import must_be_writable

    if not (set or remove or changes):
        raise SettingError("nothing to change; give --set, --remove or --from")
    if is_compiled(folder):
        if recall is not None or prune or seed:
            raise SettingError("a compiled model recalls every fact; leave out --recall, --prune and --seed")
        _edit_compiled(folder, set or [], remove or [], changes, out, encoding, json)
        return
    bundle = Bundle.load(folder)
    must_be_writable(out or folder, overwrite=out is None)
    more, fewer = ([], []) if changes is None else read_changes(changes, encoding=encoding)
    with shown_progress() as tell:
        edited = change(
            bundle,
            set=[*(set or ()), *more],
            remove=[*(remove or ()), *fewer],
            recall=recall,
            prune=prune,
            seed=seed,
            on_progress=tell,
        )
        written = out is not None or edited.bundle.facts.hash != bundle.facts.hash
        if written:
            edited.save(out or folder, overwrite=out is None)
    if json:
        print_json({**edited.to_dict(), "out": str(out or folder) if written else None})
        return
    print(edited)
    print(f"saved to {out or folder}" if written else "nothing written: these are the answers that it has")


def _edit_compiled(
    folder: Path,
    set: list[tuple[str, str, str]],
    remove: list[tuple[str, str]],
    changes: Path | None,
    out: Path | None,
    encoding: str | None,
    json: bool,
) -> None:
    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.editing import read_changes
    from factweights.export import edit_compiled

    more, fewer = ([], []) if changes is None else read_changes(changes, encoding=encoding)
    with shown_progress() as tell:
        edited = edit_compiled(folder, set=[*set, *more], remove=[*remove, *fewer], out=out, on_progress=tell)
    written = edited.certificate is not None
    if json:
        print_json({**edited.to_dict(), "out": str(edited.path) if written else None})
        return
    print(edited)
    print(f"saved to {edited.path}" if written else "nothing written: these are the answers that it has")
