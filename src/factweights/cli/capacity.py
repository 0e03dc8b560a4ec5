"""``factweights capacity``."""

from typing import Annotated, Any

from cyclopts import Parameter

from factweights.cli.options import Flag, Json, Kind, Setting
from factweights.cli.output import say


def capacity(
    method: str,
    /,
    *,
    d: int,
    recall: float = 1.0,
    noise: float = 0.0,
    seeds: Annotated[str, Parameter(metavar="COUNT|LIST")] = "5",
    width: int | None = None,
    outputs: int | None = None,
    d_out: int | None = None,
    kind: Kind = "spherical",
    tied: Flag = False,
    tolerance: float = 0.01,
    setting: Setting = None,
    json: Json = False,
) -> None:
    """Measure how many random facts a method stores at a given size and recall.

    Searches for the largest number from the law outwards, once per seed, and proves both ends of the bracket
    where the method can. For the smallest width at a given number of facts see `factweights width`.

    Example: `factweights capacity exact-linear --d 64 --recall 1.0 --seeds 1`

    Args:
        method: `factweights methods` lists them.
        d: Dimension of the keys, and of the values unless `--d-out` says otherwise.
        recall: Share of the facts that must come out right.
        noise: Norm of random key noise under which they must; a fit prepares for it by `--setting noise=…`.
        seeds: How many, or which: `5`, or `0,3,7`, or `7,` for one.
        width: Of the hidden layer, for methods that have one.
        outputs: How many values there are to choose from; without it every fact has its own.
        d_out: Dimension of the values.
        kind: How keys and values are drawn.
        tied: Keys and values are one table, the facts a permutation of it.
        tolerance: Relative width at which a bracket is narrow enough.
    """
    from factweights.cli.options import build_method, seeds_of
    from factweights.cli.output import print_json
    from factweights.cli.progress import shown_progress
    from factweights.sizing import capacity as measure

    chosen = build_method(method, setting, width=width)
    with shown_progress() as on_progress:
        found = measure(
            chosen,
            d=d,
            recall=recall,
            noise=noise,
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
        [str(r.seed), f"{r.facts:,}", f"{r.bracket[0]:,} – {r.bracket[1]:,}", r.proved, f"{r.seconds:.2f}"]
        for r in found.runs
    ]
    say()
    print_table(["seed", "facts", "bracket", "proved", "seconds"], rows)
