"""Fits of all layers when facts × outputs are too many to score at every step.

Three kinds of pass over the outputs F(k_i) ∈ R^{d_out}, from coarse to exact:

1. *Sampled.* Every fact against its own answer and one fixed random subset of the outputs: an eighth of them,
   then a quarter, a half, and all, each from where the last one ended, until most facts beat the subset.
2. *Streamed.* Every fact against every output, in blocks: exact recall, and each fact's hardest competitors.
3. *Listed.* Every fact against its list of hardest competitors (this pass's and earlier ones'), until all
   facts beat their lists.

2 and 3 alternate until a streamed pass finds every fact right. The streamed pass is the only judge.

Why samples grow. Facts that beat an eighth of the outputs are mostly wrong among all of them, the more so the
fuller the memory, and lists of competitors made there are stale after a few steps: near two bits per
parameter they gained a per cent of the facts a round (lab log). So lists take over only where a good part of
the facts is right already, and as long as rounds gain.
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.methods.flat import FlatLoss
from factweights.methods.layers import Layers
from factweights.methods.lbfgs import Descent
from factweights.progress import OnProgress, Progress

BLOCK_ELEMENTS = 1 << 22  # scores held at once: 16 MiB in float32
LISTED = 16  # competitors taken from each streamed pass
GROUP, TILE = 128, 2048  # outputs of which one may be listed; rows and columns scored at once
GATHERED = 1 << 24  # numbers gathered at once in a listed pass
SHARES = (8, 4, 2, 1)  # one output in so many is sampled
SAMPLED_RECALL = 0.95  # of a part of the facts, before all of them are asked
MANY = 1 << 14  # answers from which an evaluation with lists costs a small part of one with all of them
LISTABLE = (0.9, 0.5)  # exact recall at which lists take over: below that many answers, from there on
FIRST, GAIN, MOST = 60, 0.9, 2000  # evaluations of a stage at least, then on while the last half of them cut
LISTED_EVALUATIONS = 60  # the loss by GAIN; of a round of lists
LISTED_GAIN, IDLE = 1e-4, 3  # what counts as a gain of a round; rounds without one at the end
RESERVE = 0.5  # half the hinge's margin on the lists, so that unlisted competitors find less to overtake
MEMORY = 20  # pairs of L-BFGS, each twice as large as the memory itself


def outputs_of(layers: Layers, keys: Float[Tensor, "n d_in"], x: Float[Tensor, " p"]) -> Tensor:
    """F(k) for ``keys``, ``(N, d_out)``, in white coordinates."""
    parts = layers.split(x)
    return layers.hidden(parts, keys) @ parts[-1]


class Sampled:
    """The hinge against a fixed subset of the outputs."""

    def __init__(self, values: Tensor, targets: Int[Tensor, " n"], subset: Int[Tensor, " s"]) -> None:
        self.values, self.targets, self.subset = values, targets, values[subset]
        place = torch.full((len(values),), -1, dtype=torch.int64, device=values.device)
        place[subset] = torch.arange(len(subset), device=values.device)
        self.place = place[targets]
        self.rows = max(1, BLOCK_ELEMENTS // len(subset))

    def __call__(self, out: Float[Tensor, "n d"]) -> tuple[float, Tensor, Tensor]:
        """(loss, gradient in the outputs, worst violation of each fact)."""
        gradient, worst, loss = torch.empty_like(out), out.new_empty(len(out)), 0.0
        for start in range(0, len(out), self.rows):
            rows = slice(start, start + self.rows)
            own = self.values[self.targets[rows]]
            z = out[rows] @ self.subset.T
            z += 1 - (out[rows] * own).sum(1, keepdim=True)
            z.clamp_(min=0)
            inside = (self.place[rows] >= 0).nonzero()[:, 0]
            z[inside, self.place[rows][inside]] = 0
            worst[rows] = z.amax(1)
            loss += float(z.view(-1) @ z.view(-1))
            gradient[rows] = z @ self.subset - z.sum(1, keepdim=True) * own
        return loss / 2, gradient, worst


class Listed:
    """The hinge against each fact's own list of competitors."""

    def __init__(self, values: Tensor, targets: Int[Tensor, " n"], lists: Int[Tensor, "n c"]) -> None:
        self.values, self.targets, self.lists = values, targets, lists
        self.rows = max(1, GATHERED // (lists.shape[1] * values.shape[1]))

    def __call__(self, out: Float[Tensor, "n d"]) -> tuple[float, Tensor, Tensor]:
        """(loss, gradient in the outputs, worst violation of each fact)."""
        gradient, worst, loss = torch.empty_like(out), out.new_empty(len(out)), 0.0
        for start in range(0, len(out), self.rows):
            rows = slice(start, start + self.rows)
            own, theirs = self.values[self.targets[rows]], self.values[self.lists[rows]]
            z = torch.bmm(theirs, out[rows, :, None])[:, :, 0]
            z += 1 - (out[rows] * own).sum(1, keepdim=True)
            z.clamp_(min=0)
            worst[rows] = z.amax(1)
            loss += float(z.view(-1) @ z.view(-1))
            gradient[rows] = torch.bmm(z[:, None, :], theirs)[:, 0] - z.sum(1, keepdim=True) * own
        return loss / 2, gradient, worst


def hardest(
    out: Float[Tensor, "n d"], values: Float[Tensor, "m d"], targets: Int[Tensor, " n"], count: int
) -> tuple[Int[Tensor, "n c"], float]:
    """Up to ``count`` hard competitors of each fact, the hardest always among them, and the exact recall.

    Outputs are taken in groups of neighbours, and of every group only its best enters the choice, so that one
    pass of maxima does instead of a sort. There is always one group more than is listed, so that an answer
    alone in its group is not listed as its own competitor.
    """
    count = min(count, len(values) - 1)
    group = max(1, min(GROUP, (len(values) - 1) // count))
    n_groups = -(-len(values) // group)
    lists = torch.empty(len(out), count, dtype=torch.int64, device=out.device)
    right = 0
    for start in range(0, len(out), TILE):
        rows = slice(start, start + TILE)
        best = out.new_empty(len(out[rows]), n_groups)
        place = torch.empty_like(best, dtype=torch.int64)
        own = _best_of_groups(out[rows], values, targets[rows], group, best, place)
        top = best.topk(lists.shape[1], 1)
        lists[rows] = place.gather(1, top.indices)
        right += int((own > top.values[:, 0]).sum())
    return lists, right / len(out)


def _best_of_groups(
    out: Tensor, values: Tensor, targets: Tensor, group: int, best: Tensor, place: Tensor
) -> Tensor:
    """Fill in each group's best wrong output, score and index; returns the scores of the right ones."""
    own = out.new_empty(len(out))
    tile = max(1, TILE // group) * group
    for first in range(0, len(values), tile):
        z = out @ values[first : first + tile].T
        width = z.shape[1]
        here = ((targets >= first) & (targets < first + width)).nonzero()[:, 0]
        own[here] = z[here, targets[here] - first]
        z[here, targets[here] - first] = -math.inf
        if width % group:
            z = torch.nn.functional.pad(z, (0, group - width % group), value=-math.inf)
        top = z.view(len(z), -1, group).max(2)
        columns = slice(first // group, first // group + top.values.shape[1])
        best[:, columns] = top.values
        starts = torch.arange(first, first + z.shape[1], group, device=z.device)
        place[:, columns] = (top.indices + starts).clamp_max_(len(values) - 1)
    return own


def fit_by_candidates(
    layers: Layers,
    keys: Float[Tensor, "n d_in"],
    values: Float[Tensor, "m d_out"],
    targets: Int[Tensor, " n"],
    x: Float[Tensor, " p"],
    *,
    rng: np.random.Generator,
    recall: float,
    on_progress: OnProgress,
) -> tuple[Float[Tensor, " p"], int]:
    """Fit from weights ``x``; returns the weights and the passes over all facts that were spent."""
    return _Staged(layers, keys, values, targets, x, recall, on_progress).run(rng)


class _Staged:
    """One fit: where it is, and the stages it goes through."""

    def __init__(
        self,
        layers: Layers,
        keys: Tensor,
        values: Tensor,
        targets: Tensor,
        x: Tensor,
        recall: float,
        on_progress: OnProgress,
    ) -> None:
        self.layers, self.keys, self.values, self.targets = layers, keys, values, targets
        self.x, self.recall, self.on_progress = x, recall, on_progress
        self.spent = 0
        self.exact = 0.0
        self.lists = targets.new_empty(len(targets), 0)  # (N, C) hard competitors, newest first

    def run(self, rng: np.random.Generator) -> tuple[Tensor, int]:
        """Samples that grow, then lists; all outputs once more where lists no longer gain."""
        order = torch.from_numpy(rng.permutation(len(self.values))).to(self.values.device)
        listable = min(self.recall, LISTABLE[len(order) >= MANY])
        for share in SHARES:
            self._sampled(order[: max(2, len(order) // share)], SAMPLED_RECALL if share > 1 else listable)
            if self.exact >= listable:
                break
        if self._listed() < self.recall:
            self._sampled(order, self.recall)
            self._listed()
        return self.x, self.spent

    def _sampled(self, subset: Int[Tensor, " s"], goal: float) -> None:
        """Go on until a share ``goal`` of the facts beats the subset, or the loss hardly falls any more."""
        need = math.ceil(goal * len(self.keys) - 1e-9)
        problem = FlatLoss(self._write, Sampled(self.values, self.targets, subset), need)
        descent, losses = Descent(problem, self.x, first_step=0.05, memory=MEMORY), []
        while not (descent.decided or descent.stalled) and descent.evaluations < MOST:
            descent.run(descent.evaluations + FIRST // 6)
            losses.append(descent.loss)
            said = f"{len(subset):,} of {len(self.values):,} answers: recall {problem.recall:.4f} among them"
            self.on_progress(
                Progress(self.spent + descent.evaluations, None, f"{said}, loss {descent.loss:.4g}")
            )
            if descent.evaluations >= FIRST and descent.loss > GAIN * losses[len(losses) // 2 - 1]:
                break
        self.x, self.spent = descent.x, self.spent + descent.evaluations
        self.lists = self.lists[:, :0]  # made at other weights
        self._look()

    def _listed(self) -> float:
        """Rounds of lists until every fact is right or a few rounds have gained nothing; the exact recall."""
        idle, best, best_x = 0, self.exact, self.x
        while self.exact < self.recall and idle < IDLE:
            loss = Listed(self.values, self.targets, self.lists)
            problem = FlatLoss(self._write, loss, len(self.keys), RESERVE)
            found = Descent(problem, self.x, first_step=0.01, memory=MEMORY).run(LISTED_EVALUATIONS)
            self.x, self.spent = found.x, self.spent + found.evaluations
            said = f"lists of {self.lists.shape[1]}: recall {problem.counted:.4f} among them"
            self.on_progress(Progress(self.spent, None, f"{said}, {found.evaluations} evaluations"))
            self._look()
            if self.exact > best + LISTED_GAIN:
                idle, best, best_x = 0, self.exact, self.x
            else:
                idle += 1
        if self.exact < best:
            self.x, self.exact = best_x, best
        return self.exact

    def _write(self, x: Float[Tensor, " p"]) -> Float[Tensor, "n d_out"]:
        return outputs_of(self.layers, self.keys, x)

    def _look(self) -> None:
        """A streamed pass: the exact recall, and new lists before the last two."""
        with torch.no_grad():
            out = self._write(self.x)
            new, self.exact = hardest(out, self.values, self.targets, LISTED)
        self.spent += 1
        self.on_progress(Progress(self.spent, None, f"exact recall {self.exact:.6f}"))
        self.lists = torch.cat([new, self.lists[:, : 2 * LISTED]], 1)
