"""Heads that see subject and relation at once, so that values hold what a sum p_s + p_r cannot.

Where a transformer has more heads than it takes to copy every subject and every relation, the others need not
idle. Head h looks for some subjects *and* some relations, and for no noise. In a prompt for (s, r) it writes

    [e^{z_h(s)} v_h(s) + e^{z_h(r)} v_h(r) + v_h(EOS)] O_h / (e^{z_h(s)} + e^{z_h(r)} + 1),

which depends on the pair: as sharp as the other heads are, the value of the one of the two that it likes
better. Scores z_h are chosen first and stay; given them, codes v_h and writers O_h are fitted to all facts,
noise-free, together with those of the copying heads and the MLP. So value matrices do the work of an MLP: at
one d, more heads can replace neurons.

Codes are linear in embeddings, v_h(z) = φ(z) V_h; V_h is parametrised in a basis that is orthonormal on what
the head attends to, so that a descent does not feel how the embeddings lie.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall.lookups import NoiseFreeFit
from factweights.methods.recall.polish import write_directions
from factweights.methods.recall.selectors import CLEAN, select
from factweights.progress import OnProgress, silent

OF_EACH = 8  # subjects, and relations, that a head is asked to look for at first
SEEN = -3.0  # tokens that score higher than this against EOS have a say in a head's basis
SMALLEST = 0.02  # singular values below this share of the largest are left out of the basis


def mixed_directions(
    task: RecallTask, embeddings: Float[Tensor, "v d"], heads: int, seed: int
) -> Float[Tensor, "h d"]:
    """Directions ``(heads, d)``, float64, with noise below EOS and some subjects and relations above it.

    Each begins with the tokens that a random direction likes best; a head that cannot look for as many looks
    for fewer. One that cannot look for a single one has direction 0.
    """
    S, z = task.n_subjects, task.n_subjects + task.n_relations
    generator = torch.Generator().manual_seed(seed)
    from_eos = (embeddings - embeddings[-1]).double()
    random = torch.randn(heads, embeddings.shape[1], generator=generator, dtype=torch.float64)
    liked = random @ from_eos.T
    found, todo = torch.zeros_like(random), torch.arange(heads)
    signal = torch.zeros(len(embeddings), dtype=torch.bool)
    signal[:z] = True
    many = min(OF_EACH, S, z - S)
    while many and len(todo):
        own = torch.zeros(len(todo), len(embeddings), dtype=torch.bool)
        own.scatter_(1, liked[todo, :S].topk(many, 1).indices, True)
        own.scatter_(1, S + liked[todo, S:z].topk(many, 1).indices, True)
        u = select(embeddings, own, indifferent=signal.expand_as(own)).directions
        scores = u @ from_eos.T
        low = scores.masked_fill(~own, torch.inf).amin(1)
        high = scores[:, z:-1].amax(1) if task.n_noise else torch.full_like(low, -torch.inf)
        clean = (low > CLEAN) & (high < -CLEAN)
        found[todo[clean]] = u[clean]
        todo, many = todo[~clean], many // 2
    return found


@dataclass(frozen=True)
class MixedWeights:
    """What a fit with given attention found.

    Attributes:
        value, output: V ``(H, d, e)`` and O ``(H, e, d)``.
        mlp: the weights of the MLP by name, empty without one.
        recall: share of the facts whose right answer scores highest, noise-free.
        evaluations: of the loss over all facts.
    """

    value: Float[Tensor, "h d e"]
    output: Float[Tensor, "h e d"]
    mlp: dict[str, Tensor]
    recall: float
    evaluations: int


@final
class MixedFit(NoiseFreeFit):
    """The hinge over all facts for given attention: codes and writers of every head, MLP."""

    def __init__(
        self,
        task: RecallTask,
        model: RecallTransformer,
        directions: Float[Tensor, "h d"],
        *,
        recall: float = 1.0,
    ) -> None:
        """Set up the problem; ``directions`` are sharpened already, one of length 0 switches its head off."""
        z = task.n_subjects + task.n_relations
        rows = torch.cat([model.embeddings[:z], model.embeddings[-1:]])
        scores = (rows - rows[-1]).double() @ directions.T
        self.basis = _bases(rows, scores).to(model.embeddings)
        self.rows = torch.einsum("zd,hdk->hzk", rows, self.basis)
        share = torch.softmax(
            torch.stack(
                [scores[task.subject], scores[task.relation_token], torch.zeros_like(scores[task.subject])]
            ),
            0,
        )
        on = directions.any(1)
        self.of_subject, self.of_relation, self.of_eos = (share * on).to(model.embeddings)[..., None]
        heads, _, k = self.basis.shape
        attention = {"codes": (heads, k, model.head_dim), "writers": (heads, model.head_dim, model.d)}
        super().__init__(
            task, model.unembeddings, attention, model.width, model.mlp, reserve=True, recall=recall
        )

    def sums(self, parts: dict[str, Tensor]) -> Float[Tensor, "n d"]:
        """What all heads write for every fact."""
        v = torch.bmm(self.rows, parts["codes"]).transpose(0, 1)  # (S + R + 1, H, e)
        y = self.of_subject * v[self.task.subject] + self.of_relation * v[self.task.relation_token]
        y = y + self.of_eos * v[-1]
        return y.flatten(1) @ parts["writers"].flatten(0, 1)

    def solve(
        self, rng: np.random.Generator, max_evaluations: int, on_progress: OnProgress = silent
    ) -> MixedWeights:
        """Minimise from a random start until enough facts are right or the evaluations run out."""
        x = self.descend(rng, max_evaluations, on_progress)
        parts = self.blocks.split(x)
        value = torch.bmm(self.basis, parts.pop("codes"))
        return MixedWeights(value, parts.pop("writers"), parts, self.recalled(x), self.loss.evaluations)


@torch.no_grad()
def write_mixed(
    model: RecallTransformer, directions: Float[Tensor, "h d"], weights: MixedWeights
) -> RecallTransformer:
    """Write both into ``model``, whose embeddings are those they were made for; returns it."""
    on = directions.any(1)[:, None, None]
    write_directions(model, directions)
    model.value.copy_(weights.value * on)
    model.output.copy_(weights.output * on)
    for name, weight in weights.mlp.items():
        getattr(model, name).copy_(weight)
    return model


def _bases(rows: Float[Tensor, "z d"], scores: Float[Tensor, "z h"]) -> Float[Tensor, "h d k"]:
    """For each head an orthonormalising basis of the tokens that it sees and EOS, padded with zeros."""
    found = []
    for h in range(scores.shape[1]):
        seen = scores[:, h] > SEEN
        seen[-1] = True
        _, sizes, right = torch.linalg.svd(rows[seen].double(), full_matrices=False)
        kept = sizes > SMALLEST * sizes[0]
        found.append((right[kept].T / sizes[kept]).T)
    padded = torch.nn.utils.rnn.pad_sequence(found, batch_first=True)  # (H, K, d)
    return padded.transpose(1, 2).contiguous()
