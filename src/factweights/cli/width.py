"""``factweights width``."""

from typing import Annotated, Any

from cyclopts import Parameter

from factweights.cli.options import Json, Kind, Setting
from factweights.cli.output import say


def width(
    method: str,
    /,
    *,
    d: int,
    facts: int,
    recall: float = 1.0,
    seeds: Annotated[str, Parameter(metavar="COUNT|LIST")] = "3",
    outputs: int | None = None,
    d_out: int | None = None,
    kind: Kind = "spherical",
    tied: Annotated[bool | None, Parameter(negative="--no-tied")] = None,
    tolerance: float = 0.0,
    setting: Setting = None,
    json: Json = False,
) -> None:
    """Find the smallest hidden layer with which a method stores a given number of random facts.

    Searches from the predicted width outwards, once per seed, until a width that fits and the one below it,
    which does not, are neighbours. Facts are a random permutation of one table of keys and values unless
    `--no-tied`, `--outputs` or `--d-out` say otherwise.

    Example: `factweights width gated-hebbian --d 32 --facts 64 --recall 1.0 --seeds 3`

    Args:
        method: One with a width; `factweights methods` lists them.
        d: Dimension of the keys, and of the values unless `--d-out` says otherwise.
        facts: How many.
        recall: Share of the facts that must come out right.
        seeds: How many, or which: `5`, or `0,3,7`, or `7,` for one.
        outputs: How many values there are to choose from; without it every fact has its own.
        d_out: Dimension of the values.
        kind: How keys and values are drawn.
        tied: Keys and values are one table, or (`--no-tied`) drawn apart.
        tolerance: Relative width at which a bracket is narrow enough; 0 asks for neighbours.
    """
    from factweights.cli.options import method_by_width, seeds_of
    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.sizing import width as search

    of_width = method_by_width(method, setting)
    with shown_progress() as on_progress:
        found = search(
            of_width,
            d=d,
            facts=facts,
            recall=recall,
            seeds=seeds_of(seeds),
            d_out=d_out,
            outputs=outputs,
            kind=kind,
            tied=tied,
            tolerance=tolerance,
            on_progress=on_progress,
        )
    if json:
        print_json(found.to_dict())
        return
    say(found)
    if len(found.runs) > 1:
        _print_runs(found)


def _print_runs(found: Any) -> None:
    from factweights.cli.output import print_table

    rows = [
        [str(r.seed), f"{r.width:,}", str(len(r.probes)), f"{r.build_seconds:.2f}", f"{r.seconds:.2f}"]
        for r in found.runs
    ]
    say()
    print_table(["seed", "width", "probes", "build s", "seconds"], rows)
