"""From selectors and lookups to the weights of a transformer, head by head.

Head h looks for the tokens of its group (:mod:`selectors`) and turns the one it finds into that token's
lookup (:mod:`lookups`):

    K_h Q_hᵀ φ(EOS) / √d_h = β u_h          rank one: the only query is EOS
    φ(z) V_h = code of z for z in the group, 0 for EOS          exact while the group has fewer than d tokens
    O_h = writer of the group, or the lookups themselves as rows where the code only says which token it is

so that x = p_s + p_r up to attention of order e^{−β} on other tokens.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from factweights.errors import SettingError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall.lookups import Lookups
from factweights.methods.recall.polish import write_directions
from factweights.methods.recall.selectors import Selectors, balanced_groups, select
from factweights.seeds import apart

GROUPINGS = 12  # ways to share out the tokens that are tried until one can be selected cleanly


def heads_for(task: RecallTask, head_dim: int) -> int:
    """How many heads of that size give every subject and every relation a dimension of its own."""
    return math.ceil(task.n_subjects / head_dim) + math.ceil(task.n_relations / head_dim)


def token_groups(
    task: RecallTask, embeddings: Float[Tensor, "v d"], heads: int, seed: int
) -> Int[Tensor, " z"]:
    """The head of each subject and relation ``(S + R,)``; subjects and relations never share one.

    Heads are split in proportion to S and R. A single head takes all of them.
    """
    S, R = task.n_subjects, task.n_relations
    if heads == 1:
        return torch.zeros(S + R, dtype=torch.int64)
    of_subjects = min(heads - 1, max(1, round(heads * S / (S + R))))
    subjects = balanced_groups(embeddings[:S], min(of_subjects, S), seed)
    relations = balanced_groups(embeddings[S : S + R], min(heads - of_subjects, R), seed)
    return torch.cat([subjects, of_subjects + relations])


def selected_groups(
    task: RecallTask, embeddings: Float[Tensor, "v d"], heads: int, seed: int, tries: int = GROUPINGS
) -> tuple[Int[Tensor, " z"], Selectors]:
    """Groups that heads can tell from all other tokens, with directions that do; or the best of the tries.

    Near the limit of separability one grouping fails by a single token where the next one works.
    """
    best: tuple[Int[Tensor, " z"], Selectors] | None = None
    for n in range(tries):
        group = token_groups(task, embeddings, heads, apart(seed, "regrouped", n))
        selectors = select(embeddings, membership(task, group, heads))
        if best is None or selectors.margin > best[1].margin:
            best = group, selectors
        if selectors.clean or heads == 1:
            break
    if best is None:
        raise SettingError(f"tries is {tries}; give at least 1")
    return best


def membership(task: RecallTask, group: Int[Tensor, " z"], heads: int) -> Bool[Tensor, "h v"]:
    """``(H, |V|)``: which tokens are in which head's group."""
    own = torch.zeros(heads, task.n_tokens, dtype=torch.bool)
    own[group, torch.arange(len(group))] = True
    return own


@torch.no_grad()
def assemble(
    model: RecallTransformer, selectors: Selectors, lookups: Lookups, sharpness: float
) -> RecallTransformer:
    """Write both into ``model``, whose embeddings are those they were made for; returns it.

    Raises:
        SettingError: a group with more tokens than the head has dimensions and no writer for their codes, or
            with as many as d.
    """
    double = model.embeddings.double()
    eos = double[-1]
    group, shared = lookups.group, model.heads == 1
    write_directions(model, sharpness * selectors.directions)
    for h in range(model.heads):
        tokens = (group == h).nonzero()[:, 0]
        n = len(tokens)
        if not n:
            continue
        if lookups.writers is None:
            if n > model.head_dim or n >= model.d:
                raise SettingError(
                    f"head {h} has {n} tokens and {model.head_dim} dimensions (d = {model.d}); give more "
                    "heads, larger ones, or a larger d"
                )
            codes, writer = torch.eye(n, model.head_dim), lookups.codes[tokens]
        else:
            codes, writer = lookups.codes[tokens], lookups.writers[h]
        if shared:  # attention is halved between subject and relation
            writer = 2 * writer
        rows = torch.cat([double[tokens], eos[None]])
        targets = torch.cat([codes.double(), codes.new_zeros(1, codes.shape[1]).double()])
        solved = torch.linalg.lstsq(rows, targets, driver="gelsd").solution
        model.value[h, :, : codes.shape[1]] = solved.to(model.value)
        model.output[h, : len(writer)] = writer.to(model.output)
    for name, weight in lookups.mlp.items():
        getattr(model, name).copy_(weight)
    return model
