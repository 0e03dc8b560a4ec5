"""What the two constructions share: selectors, lookups, assembly, and the search for the smallest size."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.certificates import prompt_margins
from factweights.certificates.margins import margins_of
from factweights.errors import NotStorableError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall.assembly import assemble, selected_groups
from factweights.methods.recall.base import RecallSolution, drawn_model
from factweights.methods.recall.lookups import LookupFit, Lookups, LookupShape, raw_sums
from factweights.methods.recall.selectors import Selectors
from factweights.progress import OnProgress, silent
from factweights.searching import Tried, threshold
from factweights.seeds import streams

SHARPNESS = 25.0  # β: e^{−0.9 β} times 29 noise tokens is 5e-9
SIZE_TOLERANCE = 0.04  # relative width at which a search ends
MOST = 4096  # of any size that is searched


@dataclass(frozen=True)
class Built(RecallSolution):
    """A construction and how far it goes; its steps are evaluations of the lookups' loss.

    Attributes:
        margin: lower bound of its margin over all prompts, the worst fact's.
        recall: of the lookups, noise-free.
        clean: whether the heads can tell their groups from all other tokens.
    """

    margin: float
    recall: float
    clean: bool

    @property
    def holds(self) -> bool:
        """Whether every fact is recalled in every prompt."""
        return self.margin > 0


@dataclass(frozen=True)
class Plan:
    """What is built: which lookups, by how much work, how sharp.

    Attributes:
        name: of the method, part of the seed.
        lookup: ``raw`` or ``optimised``.
        mlp: kind of the MLP.
        sharpness: β.
        max_evaluations: of the lookups' loss.
    """

    name: str
    lookup: str
    mlp: str
    sharpness: float
    max_evaluations: int


def build(
    task: RecallTask,
    plan: Plan,
    *,
    d: int,
    heads: int,
    head_dim: int,
    width: int,
    seed: int,
    on_progress: OnProgress = silent,
) -> Built:
    """Selectors, lookups, assembly, and the bound over all prompts."""
    model = drawn_model(
        task, d=d, heads=heads, head_dim=head_dim, width=width, seed=seed, mlp=plan.mlp, dtype=torch.float64
    )
    group, selectors = selected_groups(task, model.embeddings, heads, seed)
    lookups = _lookups(task, plan, model, group, seed, on_progress)
    if not _fits_heads(group, head_dim, d):
        raise NotStorableError(
            f"{int(group.bincount().max())} tokens in one head of {head_dim} dimensions at d = {d}; "
            "give more heads, larger ones, or a larger d"
        )
    return _built(task, model, selectors, lookups, plan.sharpness)


def _built(
    task: RecallTask, model: RecallTransformer, selectors: Selectors, lookups: Lookups, sharpness: float
) -> Built:
    assemble(model, selectors, lookups, sharpness)
    margin = float(prompt_margins(model, task).min())
    return Built(model.float(), lookups.evaluations, margin, lookups.recall, selectors.clean)


def _fits_heads(group: Int[Tensor, " z"], head_dim: int, d: int) -> bool:
    return int(group.bincount().max()) <= min(head_dim, d - 1)


def _lookups(
    task: RecallTask,
    plan: Plan,
    model: RecallTransformer,
    group: Int[Tensor, " z"],
    seed: int,
    on_progress: OnProgress,
) -> Lookups:
    U = model.unembeddings
    raw = plan.lookup == "raw"
    if raw and not model.width:
        values = raw_sums(task, U)
        return Lookups(values, None, group, {}, _recall(task, U, values), 0)
    codes = copied(task, model.embeddings) if raw else None
    shape = LookupShape(code=None, width=model.width, mlp=plan.mlp, fixed=raw)
    fit = LookupFit(
        task, U.float(), group, shape, codes=None if codes is None else codes.float(), reserve=True
    )
    return fit.solve(streams(seed, plan.name, 1)[0], plan.max_evaluations, on_progress)


def copied(task: RecallTask, embeddings: Float[Tensor, "v d"]) -> Float[Tensor, "z d"]:
    """φ(s) in the first half of the residual stream's dimensions, φ(r) in the second: two named subspaces.

    Each is the token's own embedding, projected and scaled back to its typical norm, so that the MLP can read
    subject and relation apart.
    """
    d, S = embeddings.shape[1], task.n_subjects
    half = max(1, d // 2)
    values = embeddings[: S + task.n_relations].clone()
    values[:S, half:] = 0
    values[S:, :half] = 0
    return values * 2**0.5


def _recall(task: RecallTask, U: Tensor, values: Tensor) -> float:
    z = (values[task.subject] + values[task.relation_token]) @ U.T
    return float((margins_of(z, task.target) > 0).double().mean())


def smallest(what: str, attempt: Callable[[int], Built], guess: int, least: int, most: int = MOST) -> Built:
    """The construction at the smallest size at which it holds, to within SIZE_TOLERANCE.

    Raises:
        NotStorableError: none up to ``most`` holds, with the best margin seen.
    """
    tried = Tried(attempt, lambda built: built.holds)
    # sizes below `least` count as `least`
    holds = threshold(lambda n: tried(max(n, least)), max(guess, least), SIZE_TOLERANCE, most=most)[1]
    found = max(least, holds)
    if found > most:
        best = max(tried.found.values(), key=lambda b: b.margin)
        raise NotStorableError(
            f"no {what} up to {most:,} recalls every fact in every prompt; the best came to a margin of "
            f"{best.margin:.3g} with {best.recall:.4f} of the facts right without noise"
        )
    return tried.found[found]
