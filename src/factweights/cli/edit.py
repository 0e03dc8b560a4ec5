"""``factweights edit``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from factweights.cli.options import Flag, Json, OutOrNot
from factweights.cli.output import emit
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
    out: OutOrNot = None,
    recall: float | None = None,
    prune: Flag = False,
    seed: int = 0,
    reading: TableOptions = TableOptions(),
    json: Json = False,
) -> None:
    """Change facts of a stored memory, a compiled or a grafted model: replace, add, remove, keep the others.

    All facts are verified afterwards. The weights go on from where they are if the method can (`factweights
    methods --json` says which do), else everything is stored again. If the facts no longer fit,
    nothing is written and the exit code is 1.

    Example: `factweights edit countries --set France capital Lyon --remove Peru currency`

    Args:
        folder: What `store --out`, `compile --out` or `graft --out` wrote; replaced, whole or not at all,
            unless `--out` is given.
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

    if not (set or remove or changes):
        raise SettingError("nothing to change; give --set, --remove or --from")
    stored_only = {"recall": recall, "prune": prune, "seed": seed}
    change = _editor(folder, stored_only)
    more, fewer = read_edits(changes, reading)
    wanted: dict[str, Any] = {"set": [*(set or ()), *more], "remove": [*(remove or ()), *fewer], "add": add}
    try:
        edited, saved = change(folder, wanted, out)
    except NewNameError as e:
        raise NewNameError(e.said, "--add") from None
    written = f"saved to {saved}" if saved else "nothing written: these are the answers that it has"
    emit(edited, (edited, written), json=json, more={"out": None if saved is None else str(saved)})


Change = Callable[[Path, dict[str, Any], Path | None], tuple[Any, Path | None]]


def _editor(folder: Path, stored_only: dict[str, Any]) -> Change:
    """What changes a folder of that kind; ``stored_only`` means nothing for a model.

    Raises:
        SettingError: one of these is given for a model.
    """
    from factweights.errors import SettingError
    from factweights.export.folder import is_compiled
    from factweights.models.graft.folder import is_grafted

    compiled, grafted = is_compiled(folder), is_grafted(folder)
    if not (compiled or grafted):
        return lambda folder, wanted, out: _edit_stored(folder, {**wanted, **stored_only}, out)
    if stored_only != {"recall": None, "prune": False, "seed": 0}:
        what = "compiled" if compiled else "grafted"
        raise SettingError(f"a {what} model recalls every fact; leave out --recall, --prune and --seed")
    return _edit_grafted if grafted else _edit_compiled


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
