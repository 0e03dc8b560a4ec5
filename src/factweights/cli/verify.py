"""``factweights verify``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from factweights.cli.options import Json
from factweights.cli.output import say
from factweights.cli.tables import TableOptions, read_if

if TYPE_CHECKING:
    from factweights.export import ModelCertificate
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
    reading: TableOptions | None = None,
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
    from factweights.bundle import Bundle
    from factweights.cli.options import numbers
    from factweights.cli.output import print_json
    from factweights.errors import SettingError
    from factweights.export.folder import is_compiled

    norms, ks = numbers("--noise", noise, float), numbers("--top-k", top_k, int)
    from factweights.models.graft.folder import is_grafted

    if against is not None and not is_grafted(folder):
        raise SettingError("--against is for grafted models: the model before; leave it out")
    if is_grafted(folder):
        if norms or ks:
            raise SettingError("a grafted model is asked in words; leave out --noise and --top-k")
        _grafted(folder, read_if(file, reading, "FILE"), against, seed, json)
        return
    if is_compiled(folder):
        if norms or ks:
            raise SettingError("a compiled model is asked in words; leave out --noise and --top-k")
        certificate = _compiled(folder, read_if(file, reading, "FILE"), seed)
    else:
        bundle = Bundle.load(folder)
        table = read_if(file, reading, "FILE")
        certificate = bundle.verify(table, noise=norms, top_k=ks, seed=seed or 0)
    if json:
        print_json(certificate.to_dict())
    else:
        say(certificate)


def _compiled(folder: Path, table: "FactTable | None", seed: int | None) -> "ModelCertificate":
    from factweights.cli.progress import shown_progress
    from factweights.export import verify_compiled

    with shown_progress() as on_progress:
        return verify_compiled(folder, table, seed=seed, on_progress=on_progress)


def _grafted(
    folder: Path, table: "FactTable | None", against: str | None, seed: int | None, json: bool
) -> None:
    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.models.graft import verify_grafted

    with shown_progress() as on_progress:
        found = verify_grafted(folder, table, against=against, seed=seed, on_progress=on_progress)
    if json:
        print_json(found.to_dict())
    else:
        say(found)
    if found.n_missed:
        raise SystemExit(1)
