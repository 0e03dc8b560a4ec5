"""G recall transformers of one padded shape, forward and backward as batched matrix products.

The count form of :class:`RecallTransformer`: with table rows [e^s_h(z) T_h(z), e^s_h(z)] for all heads, what
a prompt's heads see is the sum of its tokens' rows, and the gradient of a token's row is the sum over the
prompts that hold it. The backward pass is written by hand.

Only softmax attention with learned values and a ReLU MLP. Smaller models are padded with zeros: dimensions,
heads, neurons, tokens that never occur, answers whose score is −∞. The gradients of padded weights are
exactly 0, so a method that starts there and moves along gradients leaves them there.

Exponentials. A head's scores are taken relative to its score of EOS, which stands in every prompt, so no
denominator vanishes; where a token scores more than 60 above EOS the reference moves up with it, so that in
float32 all is well up to 140, and beyond for prompts that hold a token of high score. The answers' scores are
taken relative to the right one's, and anew relative to the largest where that overflows. A loss that is not
finite after that is the weights' doing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall.batches import Batch, Layout
from factweights.methods.recall.padding import Padding

ROOM = 60.0  # nats a score may stand above that of EOS
SCORES = 1 << 18  # answer scores held at once: a MiB in float32 stays in the cache
LOG2E = math.log2(math.e)


@dataclass(frozen=True)
class Losses:
    """Cross-entropy of each prompt in nats, ``(G, B)``.

    Attributes:
        total: −log p(a | prompt).
        relation: −log p(A_r | prompt), the answer lies in the set of the relation; None if not asked for.
        right: whether the right answer scores above every other; None if not asked for.
    """

    total: Float[Tensor, "g b"]
    relation: Float[Tensor, "g b"] | None = None
    right: Bool[Tensor, "g b"] | None = None


@final
class StackedTransformers:
    """Weights of G models side by side, and the gradient of their losses.

    Attributes:
        flat: every weight, group after group and model after model within a group.
        gradient: of the mean loss of each model, laid out as ``flat``.
        padding: the layout of both.
        layout: token and answer ids.
    """

    def __init__(self, models: Sequence[RecallTransformer], tasks: Sequence[RecallTask]) -> None:
        """Copy the weights of ``models``, each of which reads prompts of its task.

        Raises:
            SettingError: no models, a kind that is not supported here, or prompts of different lengths.
            ShapeError: models and tasks that do not belong together, or models of different dtypes.
        """
        self.padding, self.layout = Padding(models, tasks), Layout(tasks)
        self.heads = self.padding.heads, self.padding.head_dim
        self.flat = self.padding.weights()
        self.gradient = torch.zeros_like(self.flat)
        self.weights, self.gradients = self.padding.views(self.flat), self.padding.views(self.gradient)
        scale = [model.head_dim**-0.5 for model in models]
        self.scale = torch.tensor(scale, dtype=self.flat.dtype).view(-1, 1, 1)
        self._rooms: dict[tuple[str, tuple[int, ...]], Tensor] = {}
        self._place_tables()

    def __len__(self) -> int:
        return len(self.padding)

    def unstack(self) -> list[RecallTransformer]:
        """The models with their weights of now."""
        return self.padding.unstack(self.flat)

    def _place_tables(self) -> None:
        """Embeddings at the ids of the layout; unembeddings with the two columns the loss needs."""
        G, layout, d = len(self), self.layout, self.padding.d
        self.embeddings = torch.zeros(G, layout.tokens, d, dtype=self.flat.dtype)
        self.answers = torch.zeros(G, layout.answers, d + 2, dtype=self.flat.dtype)
        self.answers[:, :, d + 1] = -1e30  # times 1: a score of −∞
        width = max(int(task.answer_sets.sum(1).max()) for task in layout.tasks)
        self.members = torch.zeros(G, layout.relations, width, dtype=torch.int64)
        self.member = torch.zeros(G, layout.relations, width, dtype=self.flat.dtype)
        for g, (model, task) in enumerate(zip(self.padding.models, layout.tasks, strict=True)):
            self.embeddings[g, layout.place(task).astype("int64"), : model.d] = model.embeddings
            own = self.answers[g, : task.n_answers]
            own[:, : model.d] = model.unembeddings
            own[:, d], own[:, d + 1] = 1, 0
            for r, row in enumerate(task.answer_sets):
                ids = row.nonzero()[:, 0]
                self.members[g, r, : len(ids)] = ids
                self.member[g, r, : len(ids)] = 1
        self.eos = self.embeddings[:, -1:]
        self.unembeddings = self.answers[..., :d].contiguous()

    # -- forward -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def outputs(self, batch: Batch) -> Float[Tensor, "g b d"]:
        """F of every prompt; dimensions beyond a model's own are 0."""
        return self._forward(batch)["out"].clone()

    @torch.no_grad()
    def losses(self, batch: Batch) -> Losses:
        """Loss, its relation part, and whether the answer is right, without gradients."""
        return self._score(self._forward(batch)["out"], batch, pull=None, split=True)

    @torch.no_grad()
    def backward(self, batch: Batch, *, split: bool = False) -> Losses:
        """The losses, and the gradient of each model's mean loss in ``gradient``.

        Args:
            batch: prompts.
            split: whether the relation part and the right answers are wanted too.
        """
        kept = self._forward(batch)
        pull = self._room("pull", *kept["out"].shape)
        losses = self._score(kept["out"], batch, pull=pull, split=split)
        self._backward(batch, kept, pull)
        self.gradient.div_(batch.relations.shape[1])
        return losses

    def _room(self, name: str, *shape: int) -> Tensor:
        """A buffer of this shape that is reused by the next call: fresh memory costs page faults."""
        kept = self._rooms.get((name, shape))
        if kept is None:
            kept = self._rooms[name, shape] = self.flat.new_empty(shape)
        return kept

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        w, heads, room = self.weights, self.heads, self._room
        (G, B), inner = batch.relations.shape, math.prod(heads)
        query = torch.bmm(self.eos, w["query"]).mul_(self.scale)
        probe = (w["key"] * query).unflatten(2, heads).sum(3)
        scores = torch.bmm(self.embeddings, probe)
        weight = (scores - _reference(scores)).exp_()
        table = room("table", G, self.layout.tokens, inner + heads[0])
        values = torch.bmm(self.embeddings, w["value"]).unflatten(2, heads)
        torch.mul(values, weight[..., None], out=table[..., :inner].unflatten(2, heads))
        table[..., inner:] = weight
        summed = _sum_rows(table.flatten(0, 1), batch.tokens).view(G, B, -1)
        inverse = summed[..., inner:].reciprocal()
        seen = room("seen", G, B, inner)
        torch.mul(summed[..., :inner].unflatten(2, heads), inverse[..., None], out=seen.unflatten(2, heads))
        x = torch.bmm(seen, w["output"], out=room("x", G, B, self.padding.d))
        hidden = torch.baddbmm(w["bias"], x, w["read"], out=room("hidden", G, B, self.padding.width)).relu_()
        out = torch.baddbmm(x, hidden, w["write"], out=room("out", G, B, self.padding.d))
        return {
            "query": query, "weight": weight, "table": table, "inverse": inverse,
            "seen": seen, "x": x, "hidden": hidden, "out": out,
        }  # fmt: skip

    def _score(self, out: Tensor, batch: Batch, *, pull: Tensor | None, split: bool) -> Losses:
        """Losses from F, in blocks of prompts; ∂(summed loss)/∂F goes into ``pull``.

        Scores relative to the right answer's, as one product: [F, −z_right, 1] · [u, 1, 0 or −1e30], in units
        of log 2 since powers of 2 are cheaper.
        """
        G, B, d = out.shape
        own = torch.index_select(
            self.unembeddings.flatten(0, 1), 0, batch.targets, out=self._room("own", G, B, d).flatten(0, 1)
        ).view(G, B, d)
        lifted = self._room("lifted", G, B, d + 2)
        torch.mul(out, LOG2E, out=lifted[..., :d])
        torch.sum(torch.mul(out, own, out=self._room("scratch", G, B, d)), 2, out=lifted[..., d]).mul_(-LOG2E)
        lifted[..., d + 1] = 1
        sums, top = self._room("sums", G, B, d + 2), None
        parts = self._sum_powers(lifted, batch, sums, top, split=split)
        if not math.isfinite(float(sums[..., d].sum())):
            top = out.new_empty(G, B, 1)
            parts = self._sum_powers(lifted, batch, sums, top, split=split)
        whole = sums[..., d]
        total = whole.log() if top is None else whole.log().add_(top[..., 0], alpha=1 / LOG2E)
        if pull is not None:
            torch.div(sums[..., :d], whole[..., None], out=pull).sub_(own)
        if parts is None:
            return Losses(total)
        return Losses(total, (whole / parts[0]).log_(), parts[1])

    def _sum_powers(
        self, lifted: Tensor, batch: Batch, sums: Tensor, top: Tensor | None, *, split: bool
    ) -> tuple[Tensor, Tensor] | None:
        """e^score against [u, 1, ·] into ``sums``, the largest score taken out and put into ``top`` if given.

        Returns with ``split`` each prompt's sum over A_r, and whether its right answer is above the others.
        """
        G, B = lifted.shape[:2]
        inside = lifted.new_empty(G, B)
        right = torch.empty(G, B, dtype=torch.bool)
        target = batch.targets.view(G, B) % self.layout.answers if split else batch.targets
        for models, rows in self._blocks(B):
            part, unembed = lifted[models, rows], self.answers[models]
            powers = self._room("powers", *part.shape[:2], unembed.shape[1])
            torch.bmm(part, unembed.mT, out=powers)
            if top is not None:
                powers -= torch.amax(powers, 2, keepdim=True, out=top[models, rows])
            torch.bmm(powers.exp2_(), unembed, out=sums[models, rows])
            if split:
                of = torch.arange(models.start, models.stop)[:, None], batch.relations[models, rows]
                torch.sum(powers.gather(2, self.members[of]) * self.member[of], 2, out=inside[models, rows])
                right[models, rows] = _is_right(powers, target[models, rows])
        return (inside, right) if split else None

    def _blocks(self, B: int) -> list[tuple[slice, slice]]:
        """Models and prompts whose answer scores are held at once."""
        rows = max(1, SCORES // self.layout.answers)
        if rows >= B:
            g = max(1, rows // B)
            return [(slice(i, min(i + g, len(self))), slice(0, B)) for i in range(0, len(self), g)]
        rows = -(-B // -(-B // rows))
        return [
            (slice(g, g + 1), slice(i, min(i + rows, B))) for g in range(len(self)) for i in range(0, B, rows)
        ]

    # -- backward ----------------------------------------------------------------------------------------

    def _backward(self, batch: Batch, kept: dict[str, Tensor], pull: Tensor) -> None:
        """From ∂/∂F to the gradients of all weights."""
        w, into, heads, room = self.weights, self.gradients, self.heads, self._room
        hidden, x, seen, inverse = (kept[name] for name in ("hidden", "x", "seen", "inverse"))
        G, B, inner = seen.shape
        torch.bmm(hidden.mT, pull, out=into["write"])
        before = torch.bmm(pull, w["write"].mT, out=room("before", G, B, self.padding.width)).mul_(
            hidden.sign_()
        )
        torch.bmm(x.mT, before, out=into["read"])
        torch.sum(before, 1, keepdim=True, out=into["bias"])
        to_x = torch.baddbmm(pull, before, w["read"].mT, out=room("scratch", G, B, self.padding.d))
        torch.bmm(seen.mT, to_x, out=into["output"])
        to_seen = torch.bmm(to_x, w["output"].mT, out=room("to_seen", G, B, inner))
        to_sums = room("to_sums", G, B, inner + heads[0])
        to_seen = to_seen.unflatten(2, heads)
        torch.mul(to_seen, inverse[..., None], out=to_sums[..., :inner].unflatten(2, heads))
        to_seen.mul_(seen.unflatten(2, heads))
        torch.mul(to_seen.sum(3), inverse, out=to_sums[..., inner:]).neg_()
        to_table = _sum_rows(to_sums.flatten(0, 1), batch.prompts, batch.starts)
        self._backward_tables(kept, to_table.view_as(kept["table"]))

    def _backward_tables(self, kept: dict[str, Tensor], to_table: Tensor) -> None:
        w, into, heads = self.weights, self.gradients, self.heads
        query, weight, table = kept["query"], kept["weight"], kept["table"]
        inner = math.prod(heads)
        to_mixed = to_table[..., :inner].unflatten(2, heads)
        to_scores = (table[..., :inner].unflatten(2, heads) * to_mixed).sum(3)
        to_scores.addcmul_(weight, to_table[..., inner:])
        torch.bmm(self.embeddings.mT, (to_mixed * weight[..., None]).flatten(2), out=into["value"])
        to_probe = torch.bmm(self.embeddings.mT, to_scores)[..., None]
        key = w["key"].unflatten(2, heads)
        torch.mul(to_probe, query.unflatten(2, heads), out=into["key"].unflatten(2, heads))
        to_query = (key * to_probe).sum(1).flatten(1)[:, None].mul_(self.scale)
        torch.mul(self.eos.mT, to_query, out=into["query"])


def _reference(scores: Float[Tensor, "g v h"]) -> Float[Tensor, "g 1 h"]:
    """What is subtracted from the scores of each head."""
    return torch.maximum(scores[:, -1:], scores.amax(1, keepdim=True) - ROOM)


def _sum_rows(
    table: Float[Tensor, "rows c"], ids: Int[Tensor, "..."], starts: Int[Tensor, " n"] | None = None
) -> Float[Tensor, "n c"]:
    """Sums of the rows that each of ``ids`` lists."""
    return torch.nn.functional.embedding_bag(ids, table, starts, mode="sum")


def _is_right(powers: Float[Tensor, "g b a"], target: Int[Tensor, "g b"]) -> Bool[Tensor, "g b"]:
    """Whether the target's entry is above all others; a tie is a failure."""
    at = target[..., None]
    own = powers.gather(2, at)
    return (own > powers.scatter(2, at, -1.0).amax(2, keepdim=True))[..., 0]
