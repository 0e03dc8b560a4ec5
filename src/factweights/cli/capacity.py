"""``factweights capacity``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from factweights.cli.options import Flag, Json, RandomFacts, Seeds, Setting
from factweights.cli.output import emit, table_lines

if TYPE_CHECKING:
    from factweights.sizing import Capacity


def capacity(
    method: str,
    /,
    *,
    facts: RandomFacts,
    recall: float = 1.0,
    noise: float = 0.0,
    seeds: Seeds = "5",
    width: int | None = None,
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
        recall: Share of the facts that must come out right.
        noise: Norm of random key noise under which they must; a fit prepares for it by `--setting noise=…`.
        seeds: How many, or which: `5`, or `0,3,7`, or `7,` for one.
        width: Of the hidden layer, for methods that have one.
        tied: Keys and values are one table, the facts a permutation of it.
        tolerance: Relative width at which a bracket is narrow enough.
    """
    from factweights.cli.converting import seeds_of
    from factweights.cli.progress import shown_progress
    from factweights.cli.settings import build_method
    from factweights.sizing import capacity as measure

    chosen = build_method(method, setting, width=width)
    with shown_progress() as on_progress:
        found = measure(
            chosen,
            **vars(facts),
            recall=recall,
            noise=noise,
            seeds=seeds_of(seeds),
            tied=tied,
            tolerance=tolerance,
            on_progress=on_progress,
        )
    emit(found, _lines(found), json=json)


def _lines(found: "Capacity") -> Iterator[object]:
    yield found
    if len(found.runs) == 1:
        return
    yield ""
    rows = [
        [str(r.seed), f"{r.facts:,}", f"{r.bracket[0]:,} – {r.bracket[1]:,}", r.proved, f"{r.seconds:.2f}"]
        for r in found.runs
    ]
    yield from table_lines(["seed", "facts", "bracket", "proved", "seconds"], rows)
