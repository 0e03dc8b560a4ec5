"""All weights of a transformer at once, on prompts with their noise.

Where attention cannot be made clean, because too many tokens share too few dimensions, the noise has to be
lived with. L-BFGS on the pairwise squared hinge over every fact in a few drawn prompts each, drawn anew
every few dozen evaluations so that nothing is learnt of single draws. What a head attends to is one direction
u_h (the only query is EOS), so K and Q are fitted as that.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.memories.transformer import mlp_of
from factweights.methods.flat import Blocks, FlatLoss, hinged, mlp_shapes
from factweights.methods.hinge import Hinge
from factweights.methods.lbfgs import Descent
from factweights.progress import OnProgress, Progress, silent

DRAWS = (2, 2, 4)  # prompts of each fact, from redraw to redraw; the last one stays
PER_DRAW = 60  # evaluations on one draw
PAIRS = 30  # that L-BFGS remembers
PATIENCE = 4  # rounds before the pace of as many is trusted
HIGHEST = 60.0  # scores this far above EOS are cut off


class PromptLoss:
    """The hinge over drawn prompts as a function of flat weights.

    ReLU, GELU or gated MLP, learned values, softmax attention.
    """

    def __init__(self, model: RecallTransformer) -> None:
        self.model = model
        attention: dict[str, tuple[int, ...]] = {
            "directions": (model.heads, model.d),
            "value": tuple(model.value.shape),
            "output": tuple(model.output.shape),
        }
        self.blocks = Blocks(attention | mlp_shapes(model.mlp, model.width, model.d))
        self.counts = model.embeddings.new_zeros(0, model.n_tokens)

    def flat(self) -> Float[Tensor, " p"]:
        """The weights of the model as they stand."""
        direction = self.model._probe(self.model.embeddings[-1])
        own = dict(self.model.named_parameters())
        return self.blocks.join(own | {"directions": direction})

    def on(self, counts: Float[Tensor, "n v"], targets: Tensor) -> FlatLoss:
        """The loss on these prompts, all of which have to reach the hinge's full margin."""
        self.counts = counts
        loss = hinged(Hinge(targets, self.model.n_answers), self.model.unembeddings)
        return FlatLoss(self.outputs, loss, need=None)

    def outputs(self, x: Tensor) -> Float[Tensor, "n d"]:
        """F for every prompt."""
        p, E, H = self.blocks.split(x), self.model.embeddings, self.model.heads
        scores = E @ p["directions"].T
        weight = (scores - scores[-1]).clamp_max(HIGHEST).exp()
        values = torch.einsum("vd,hde->vhe", E, p["value"])
        mixed = self.counts @ torch.cat([(weight[:, :, None] * values).flatten(1), weight], 1)
        seen = mixed[:, :-H].unflatten(1, (H, -1)) / mixed[:, -H:, None]
        y = seen.flatten(1) @ p["output"].flatten(0, 1)
        if self.model.residual:
            y = y + E[-1]
        return y + mlp_of(self.model.mlp, p, y) if self.model.width else y

    @torch.no_grad()
    def written(self, x: Tensor) -> RecallTransformer:
        """The model with these weights; K and Q of rank one."""
        model = RecallTransformer(**self.model.config()).to(self.model.dtype)
        model.set_embeddings(self.model.embeddings, self.model.unembeddings)
        parts = self.blocks.split(x)
        write_directions(model, parts.pop("directions"))
        for name, part in parts.items():
            getattr(model, name).copy_(part)
        return model


@torch.no_grad()
def write_directions(model: RecallTransformer, directions: Float[Tensor, "h d"]) -> None:
    """K and Q of rank one with K_h Q_hᵀ φ(EOS) / √d_h = ``directions``, of equal norms."""
    eos = model.embeddings[-1].double()
    u = directions.double()
    norm = u.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    scale = (norm * math.sqrt(model.head_dim) / eos.norm()).sqrt()
    model.key.zero_()
    model.query.zero_()
    model.key[:, :, 0] = (scale * u / norm).to(model.key)
    model.query[:, :, 0] = (scale * eos / eos.norm()).to(model.query)


def polish(
    model: RecallTransformer,
    task: RecallTask,
    *,
    recall: float,
    max_evaluations: int,
    seed: int,
    on_progress: OnProgress = silent,
) -> tuple[RecallTransformer, float, int]:
    """Fit all weights from where ``model`` stands; returns the best model seen, its recall, evaluations.

    Every new draw is first a test: the recall told is that of prompts not yet fitted. It gives up once the
    pace of the later half of its rounds, kept up to the last evaluation, would not reach ``recall``.
    """
    prompts, generator = PromptLoss(model), torch.Generator().manual_seed(seed)
    facts = torch.arange(len(task))
    x, best, reached, spent = prompts.flat(), model, -1.0, 0
    seen: list[float] = []  # the best recall so far, round by round
    while True:
        draws = DRAWS[min(len(seen), len(DRAWS) - 1)]
        rows = facts.repeat(draws)
        loss = prompts.on(task.counts(rows, generator).to(model.embeddings), task.target[rows])
        descent = Descent(loss, x, first_step=0.01, memory=PAIRS)
        if loss.recall > reached:
            best, reached = prompts.written(x), loss.recall
        seen.append(reached)
        on_progress(Progress(spent + 1, max_evaluations, f"on new prompts: recall {loss.recall:.4f}"))
        left = max_evaluations - spent - 1
        if reached >= recall or left <= 0 or descent.stalled or _hopeless(seen, left / PER_DRAW, recall):
            return best, reached, spent + 1
        x = descent.run(min(PER_DRAW, left + 1)).x
        spent += loss.evaluations


def _hopeless(seen: list[float], rounds_left: float, recall: float) -> bool:
    half = len(seen) // 2
    if half < PATIENCE:
        return False
    pace = (seen[-1] - seen[half - 1]) / (len(seen) - half)
    return seen[-1] + pace * rounds_left < recall
