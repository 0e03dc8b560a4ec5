"""``factweights edit``."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from factweights.cli.options import Flag, Json
from factweights.cli.output import say
from factweights.cli.tables import TableOptions, read_edits


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
    add: Flag = False,
    changes: Annotated[Path | None, Parameter(name="--from", metavar="FILE")] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    recall: float | None = None,
    prune: Flag = False,
    seed: int = 0,
    reading: TableOptions | None = None,
    json: Json = False,
) -> None:
    """Change facts of a stored memory, a compiled or a grafted model: replace, add, remove, keep the others.

    All facts are verified afterwards. The weights go on from where they are if the method can (`factweights
    methods --json` says which do), else everything is stored again. If the facts no longer fit,
    nothing is written and the exit code is 1.

    Example: `factweights edit countries --set France capital Lyon --remove Peru currency`

    Args:
        folder: What `store --out`, `compile --out` or `graft --out` wrote; replaced, whole or not at all,
            unless
            `--out` is given.
        set: Gives a fact this answer; adds the fact if there is none. May be repeated.
        add: Let --set and --from bring in new subjects and relations; else they are taken for misspelt.
            Answers may always be new.
        remove: Removes a fact. May be repeated.
        changes: Table of changes with the columns subject, relation, answer; no answer removes the fact.
        out: Another folder for the result.
        recall: Share of all facts that must come out right; else as stored.
        prune: Leave out answers that no fact has any more; else they stay among those to choose from.
        seed: Of the method.
    """
    from factweights.errors import NewNameError, SettingError
    from factweights.export.folder import is_compiled

    if not (set or remove or changes):
        raise SettingError("nothing to change; give --set, --remove or --from")
    from factweights.models.graft.folder import is_grafted

    compiled, grafted = is_compiled(folder), is_grafted(folder)
    if (compiled or grafted) and (recall is not None or prune or seed):
        what = "compiled" if compiled else "grafted"
        raise SettingError(f"a {what} model recalls every fact; leave out --recall, --prune and --seed")
    more, fewer = read_edits(changes, reading)
    wanted: dict[str, Any] = {"set": [*(set or ()), *more], "remove": [*(remove or ()), *fewer], "add": add}
    try:
        if grafted:
            edited, saved = _edit_grafted(folder, wanted, out)
        elif compiled:
            edited, saved = _edit_compiled(folder, wanted, out)
        else:
            edited, saved = _edit_stored(
                folder, {**wanted, "recall": recall, "prune": prune, "seed": seed}, out
            )
    except NewNameError as e:
        raise NewNameError(e.said, "--add") from None
    _say(edited, saved, json)


def _edit_stored(folder: Path, wanted: dict[str, Any], out: Path | None) -> tuple[Any, Path | None]:
    """What came of it, and the folder that was written."""
    from factweights.cli.progress import shown_progress
    from factweights.editing import edit_folder

    with shown_progress() as on_progress:
        return edit_folder(folder, **wanted, out=out, on_progress=on_progress)


def _edit_compiled(folder: Path, wanted: dict[str, Any], out: Path | None) -> tuple[Any, Path | None]:
    from factweights.cli.progress import shown_progress
    from factweights.export import edit_compiled

    with shown_progress() as on_progress:
        edited = edit_compiled(folder, **wanted, out=out, on_progress=on_progress)
    return edited, None if edited.certificate is None else edited.path


def _edit_grafted(folder: Path, wanted: dict[str, Any], out: Path | None) -> tuple[Any, Path | None]:
    from factweights.cli.progress import shown_progress
    from factweights.models.graft import edit_grafted

    with shown_progress() as on_progress:
        edited = edit_grafted(folder, **wanted, out=out, on_progress=on_progress)
    return edited, edited.path


def _say(edited: Any, saved: Path | None, json: bool) -> None:
    from factweights.cli.output import print_json

    if json:
        print_json({**edited.to_dict(), "out": None if saved is None else str(saved)})
        return
    say(edited)
    say(f"saved to {saved}" if saved is not None else "nothing written: these are the answers that it has")
