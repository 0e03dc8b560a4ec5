"""``factweights width``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from factweights.cli.options import Json, RandomFacts, Seeds, Setting
from factweights.cli.output import emit, table_lines

if TYPE_CHECKING:
    from factweights.sizing import Width


def width(
    method: str,
    /,
    *,
    of: RandomFacts,
    facts: int,
    recall: float = 1.0,
    seeds: Seeds = "3",
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
        facts: How many.
        recall: Share of the facts that must come out right.
        seeds: How many, or which: `5`, or `0,3,7`, or `7,` for one.
        tied: Keys and values are one table, or (`--no-tied`) drawn apart.
        tolerance: Relative width at which a bracket is narrow enough; 0 asks for neighbours.
    """
    from factweights.cli.converting import seeds_of
    from factweights.cli.progress import shown_progress
    from factweights.cli.settings import method_by_width
    from factweights.sizing import width as search

    of_width = method_by_width(method, setting)
    with shown_progress() as on_progress:
        found = search(
            of_width,
            **vars(of),
            facts=facts,
            recall=recall,
            seeds=seeds_of(seeds),
            tied=tied,
            tolerance=tolerance,
            on_progress=on_progress,
        )
    emit(found, _lines(found), json=json)


def _lines(found: "Width") -> Iterator[object]:
    yield found
    if len(found.runs) == 1:
        return
    yield ""
    rows = [
        [str(r.seed), f"{r.width:,}", str(len(r.probes)), f"{r.build_seconds:.2f}", f"{r.seconds:.2f}"]
        for r in found.runs
    ]
    yield from table_lines(["seed", "width", "probes", "build s", "seconds"], rows)
