"""The smallest MLP with which a recall transformer holds a task, and the smallest transformer of one kind."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from factweights.certificates import verify_prompts
from factweights.domains import Count, Seed, Share, checked
from factweights.errors import NotStorableError, SettingError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall import AttentionMLP, Built, RecallMethod, RecallSolution, drawn_model
from factweights.methods.recall.assembly import heads_for, selected_groups
from factweights.methods.recall.constructions import smallest
from factweights.progress import OnProgress, Progress, silent
from factweights.searching import Tried, threshold
from factweights.seeds import apart

TOLERANCE = 0.04  # relative width at which a search ends
DRAWS = 8  # prompts of each fact that recall is measured on
HEAD_DIMS = (2, 4, 8)  # narrower heads are told apart in a smaller d, and all cost 4 (S + R) d
WIDER = 1.15  # a d this much larger is tried too: it may save more in the MLP than attention costs
GROUPINGS = 3  # tried for each d; a clean one is found again by the construction
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
        return solution, verify_prompts(
            solution.memory, task, draws=DRAWS, seed=apart(seed, "searched")
        ).recall

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


@checked
def fewest_parameters(
    task: RecallTask,
    method: AttentionMLP | None = None,
    *,
    head_dims: Sequence[int] = HEAD_DIMS,
    seed: Seed = 0,
    on_progress: OnProgress = silent,
) -> Built:
    """An ``attention-mlp`` with as few parameters as are found over d, heads, their size and the width.

    Attention costs 4 H d_h d with H d_h about S + R, and the MLP 2 m d + m for the facts. For every size of a
    head the smallest d is found at which heads tell their groups from all other tokens, there the smallest
    width that recalls every fact in every prompt in exact arithmetic (what float32 leaves of its margin is
    for ``verify_prompts`` to say), and the same for a d a little larger. Widths that could
    not be fewer parameters than the best so far are not tried. A search, no proof that fewer would not do.

    Args:
        task: the facts.
        method: its other settings; ``heads``, where given, stay.
        head_dims: sizes of a head to try.
        seed: of everything drawn.
        on_progress: told of every shape that holds.

    Raises:
        SettingError: no sizes of heads.
        NotStorableError: no shape holds the facts, with what the last search said.
    """
    if not head_dims:
        raise SettingError("give at least one size of a head to try", fields=("head_dims",))
    method = AttentionMLP() if method is None else method
    best: Built | None = None
    failed = ""
    each = sorted(set(head_dims))
    for i, head_dim in enumerate(each):
        of_these = replace(method, head_dim=head_dim)
        least = _least_clean(task, of_these, seed)
        for d in (least, math.ceil(WIDER * least)):
            try:
                found = _narrowest(task, replace(of_these, d=d), best, seed)
            except NotStorableError as why:
                failed = str(why)
                continue
            best = found  # a width is only tried where it has fewer parameters than the best
            size = found.memory.n_parameters
            on_progress(Progress(i, len(each), f"heads of {head_dim}, d = {d}: {size:,} parameters"))
    if best is None:
        raise NotStorableError(f"no shape of attention-mlp holds the task: {failed}")
    return best


def _empty(task: RecallTask, method: AttentionMLP, width: int, seed: int) -> RecallTransformer:
    """The transformer of this shape before anything is written."""
    heads = method.heads or heads_for(task, method.head_dim)
    d, head_dim = method.d or 1, method.head_dim
    return drawn_model(task, d=d, heads=heads, head_dim=head_dim, width=width, seed=seed, mlp=method.mlp)


def _least_clean(task: RecallTask, method: AttentionMLP, seed: int) -> int:
    """The smallest d at which each head can tell its group from all other tokens."""

    def clean(d: int) -> bool:
        model = _empty(task, replace(method, d=d), 0, seed)
        return selected_groups(task, model.embeddings.double(), model.heads, seed, GROUPINGS)[1].clean

    tokens = task.n_subjects + task.n_relations
    guess = max(method.head_dim + 1, round(tokens**0.5 * 2))  # near what 16 to 500 tokens came to
    return threshold(clean, guess, TOLERANCE, least=method.head_dim + 1, most=MOST)[1]


def _narrowest(task: RecallTask, method: AttentionMLP, best: Built | None, seed: int) -> Built:
    """At this d the least width that recalls every fact in every prompt and beats the best so far."""
    none, one = (_empty(task, method, width, seed).n_parameters for width in (0, 1))
    most = MOST if best is None else (best.memory.n_parameters - 1 - none) // (one - none)
    if most < 1:
        raise NotStorableError(f"attention alone has more parameters than the best so far at d = {method.d}")

    def at(width: int) -> Built:
        return replace(method, width=width).solve(task, seed=seed)

    return smallest("width", at, math.ceil(len(task) / (method.d or 1)), 1, min(most, MOST))
