"""``factweights verify``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from factweights.cli.options import Json
from factweights.cli.output import say
from factweights.cli.tables import TableOptions, read_if


def verify(
    folder: Path,
    file: Path | None = None,
    /,
    *,
    noise: Annotated[list[str] | None, Parameter(metavar="EPS,EPS")] = None,
    top_k: Annotated[list[str] | None, Parameter(metavar="K,K")] = None,
    seed: int = 0,
    reading: TableOptions | None = None,
    json: Json = False,
) -> None:
    """Check every fact of a stored memory against every answer, on the real forward pass.

    The files are compared with the hashes saved beside them first.

    Example: `factweights verify countries --noise 0.1,0.2 --top-k 1,5`

    Args:
        folder: What `factweights store --out` wrote.
        file: Another table to check it against, of facts that were stored; else what was stored.
        noise: Norms of random key noise at which to measure recall too.
        top_k: Also the recall when the answer may be among the k best.
        seed: Of the key noise.
    """
    from factweights.bundle import Bundle
    from factweights.cli.options import numbers
    from factweights.cli.output import print_json

    norms, ks = numbers("--noise", noise, float), numbers("--top-k", top_k, int)
    bundle = Bundle.load(folder)
    table = read_if(file, reading, "FILE")
    certificate = bundle.verify(table, noise=norms, top_k=ks, seed=seed)
    if json:
        print_json(certificate.to_dict())
    else:
        say(certificate)
