"""``factweights verify``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from factweights.cli.options import Json
from factweights.cli.output import emit
from factweights.cli.tables import TableOptions, read_if

if TYPE_CHECKING:
    from factweights.facts import FactTable


def verify(
    folder: Path,
    file: Path | None = None,
    /,
    *,
    noise: Annotated[list[str] | None, Parameter(metavar="EPS,EPS")] = None,
    top_k: Annotated[list[str] | None, Parameter(metavar="K,K")] = None,
    against: Annotated[str | None, Parameter(metavar="MODEL")] = None,
    seed: int | None = None,
    reading: TableOptions = TableOptions(),
    json: Json = False,
) -> None:
    """Check every fact of a stored memory, a compiled or a grafted model, on the real forward pass.

    The files are compared with the hashes saved beside them first. Of a compiled model the whole certificate
    is made again: every fact in every template, among noise, and what it says where there is no answer.

    Example: `factweights verify countries --noise 0.1,0.2 --top-k 1,5`

    Args:
        folder: What `store --out`, `compile --out` or `graft --out` wrote.
        file: Another table to check it against, of facts that were stored; else what was stored.
        noise: Norms of random key noise at which to measure recall too.
        top_k: Also the recall when the answer may be among the k best.
        against: The model before a graft; else it is taken out of the folder.
        seed: Of the key noise; of a compiled model, of the prompts among noise.
    """
    from factweights.cli.converting import numbers
    from factweights.errors import SettingError
    from factweights.export.folder import is_compiled
    from factweights.models.graft.folder import is_grafted

    norms, ks = numbers("--noise", noise, float), numbers("--top-k", top_k, int)
    grafted = is_grafted(folder)
    if against is not None and not grafted:
        raise SettingError("--against is for grafted models: the model before; leave it out")
    if not grafted and not is_compiled(folder):
        _stored(folder, file, reading, {"noise": norms, "top_k": ks, "seed": seed or 0}, json)
        return
    if norms or ks:
        what = "grafted" if grafted else "compiled"
        raise SettingError(f"a {what} model is asked in words; leave out --noise and --top-k")
    table = read_if(file, reading, "FILE")
    if grafted:
        _grafted(folder, table, against, seed, json)
    else:
        _compiled(folder, table, seed, json)


def _stored(
    folder: Path, file: Path | None, reading: TableOptions, asked: dict[str, Any], json: bool
) -> None:
    from factweights.bundle import Bundle

    bundle = Bundle.load(folder)
    emit(bundle.verify(read_if(file, reading, "FILE"), **asked), json=json)


def _compiled(folder: Path, table: "FactTable | None", seed: int | None, json: bool) -> None:
    from factweights.cli.progress import shown_progress
    from factweights.export import verify_compiled

    with shown_progress() as on_progress:
        found = verify_compiled(folder, table, seed=seed, on_progress=on_progress)
    emit(found, json=json)


def _grafted(
    folder: Path, table: "FactTable | None", against: str | None, seed: int | None, json: bool
) -> None:
    from factweights.cli.progress import shown_progress
    from factweights.models.graft import verify_grafted

    with shown_progress() as on_progress:
        found = verify_grafted(folder, table, against=against, seed=seed, on_progress=on_progress)
    emit(found, json=json)
    if found.n_missed:
        raise SystemExit(1)
