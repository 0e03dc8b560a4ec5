"""The smallest MLP with which a recall transformer holds a task."""

from collections.abc import Callable

from factweights.certificates import verify_prompts
from factweights.domains import Count, Seed, Share, checked
from factweights.errors import NotStorableError
from factweights.facts import RecallTask
from factweights.methods.recall import RecallMethod, RecallSolution
from factweights.progress import OnProgress, Progress, silent
from factweights.searching import Tried, threshold

TOLERANCE = 0.04  # relative width at which a search ends
DRAWS = 8  # prompts of each fact that recall is measured on
MOST = 4096  # neurons: beyond it another shape is the better question


@checked
def smallest_transformer(
    task: RecallTask,
    method_at: Callable[[int], RecallMethod],
    *,
    recall: Share = 0.99,
    seed: Seed = 0,
    guess: Count | None = None,
    on_progress: OnProgress = silent,
) -> RecallSolution:
    """What ``method_at(width)`` finds at the smallest width that reaches ``recall``, to 4 % or neighbours.

    Args:
        task: the facts.
        method_at: a width ↦ the method.
        recall: share of fresh prompts that must be answered right.
        seed: of the method and the prompts.
        guess: width to begin with; by default facts over d of the method, where it has one.
        on_progress: told after every width.

    Raises:
        SettingError: a recall outside (0, 1].
        NotStorableError: no width up to 4,096 gets there, with the best recall seen.
    """

    def attempt(width: int) -> tuple[RecallSolution, float]:
        solution = method_at(width).solve(task, seed=seed)
        return solution, verify_prompts(solution.memory, task, draws=DRAWS, seed=seed + 7).recall

    def tell(width: int, found: tuple[RecallSolution, float]) -> None:
        on_progress(Progress(len(tried.found), None, f"width {width:,}: recall {found[1]:.4f}"))

    tried = Tried(attempt, lambda found: found[1] >= recall, tell)
    first = guess or max(1, len(task) // getattr(method_at(1), "d", len(task)))
    width = threshold(tried, first, TOLERANCE, most=MOST)[1]
    if width > MOST:
        best = max(r for _, r in tried.found.values())
        raise NotStorableError(
            f"no width up to {MOST:,} reaches recall {recall:g}; the best was {best:.4f}. Give more heads or "
            "a larger d"
        )
    return tried.found[width][0]
