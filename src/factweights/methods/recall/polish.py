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
from factweights.memories.activations import activate
from factweights.methods.hinge import Hinge
from factweights.methods.lbfgs import Descent
from factweights.progress import OnProgress, Progress, silent

DRAWS = (2, 2, 4)  # prompts of each fact, from redraw to redraw; the last one stays
PER_DRAW = 60  # evaluations on one draw
PAIRS = 30
PATIENCE = 4  # rounds before the pace of as many is trusted
HIGHEST = 60.0  # scores this far above EOS are cut off


class PromptLoss:
    """The hinge over drawn prompts as a function of flat weights.

    ReLU, GELU or gated MLP, learned values, softmax attention.
    """

    def __init__(self, model: RecallTransformer) -> None:
        self.model = model
        m, d = model.width, model.d
        self.names: dict[str, tuple[int, ...]] = {
            "directions": (model.heads, d),
            "value": tuple(model.value.shape),
            "output": tuple(model.output.shape),
        }
        if m:
            self.names |= {"read": (m, d), "write": (m, d)}
            self.names |= {"gate": (m, d)} if model.mlp == "gated" else {"bias": (m,)}
        self.counts = model.embeddings.new_zeros(0, model.n_tokens)
        self.hinge: Hinge | None = None
        self.goal, self.recall, self.evaluations = 1.0, 0.0, 0

    def flat(self) -> Float[Tensor, " p"]:
        """The weights of the model as they stand."""
        direction = self.model._probe(self.model.embeddings[-1])
        parts = [direction if k == "directions" else getattr(self.model, k) for k in self.names]
        return torch.cat([p.detach().reshape(-1) for p in parts])

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """The blocks of flat weights by name."""
        sizes = [math.prod(s) for s in self.names.values()]
        parts = zip(self.names.items(), x.split(sizes), strict=True)
        return {name: part.view(shape) for (name, shape), part in parts}

    def on(self, counts: Float[Tensor, "n v"], targets: Tensor) -> "PromptLoss":
        """Take these prompts from now on."""
        self.counts, self.hinge = counts, Hinge(targets, self.model.n_answers)
        return self

    def outputs(self, x: Tensor) -> Float[Tensor, "n d"]:
        """F for every prompt."""
        p, E, H = self.split(x), self.model.embeddings, self.model.heads
        scores = E @ p["directions"].T
        weight = (scores - scores[-1]).clamp_max(HIGHEST).exp()
        values = torch.einsum("vd,hde->vhe", E, p["value"])
        mixed = self.counts @ torch.cat([(weight[:, :, None] * values).flatten(1), weight], 1)
        seen = mixed[:, :-H].unflatten(1, (H, -1)) / mixed[:, -H:, None]
        y = seen.flatten(1) @ p["output"].flatten(0, 1)
        if self.model.residual:
            y = y + E[-1]
        if not self.model.width:
            return y
        before = y @ p["read"].T
        if self.model.mlp == "gated":
            return y + (before * activate("silu", y @ p["gate"].T)) @ p["write"]
        return y + activate(self.model.mlp, before + p["bias"]) @ p["write"]

    def __call__(self, x: Tensor) -> tuple[float, Tensor, bool]:
        """(loss, gradient, every margin reached)."""
        self.evaluations += 1
        with torch.enable_grad():
            leaf = x.detach().requires_grad_(True)
            out = self.outputs(leaf)
        if self.hinge is None:
            raise AssertionError("give the loss its prompts first")
        e = self.hinge(out.detach(), self.model.unembeddings)
        (gradient,) = torch.autograd.grad([out], [leaf], [e.features])
        self.recall = float((e.worst < 1).double().mean())
        return e.loss, gradient, e.loss == 0.0

    @torch.no_grad()
    def written(self, x: Tensor) -> RecallTransformer:
        """The model with these weights; K and Q of rank one."""
        model = RecallTransformer(**self.model.config()).to(self.model.dtype)
        model.set_embeddings(self.model.embeddings, self.model.unembeddings)
        parts = self.split(x)
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
    loss, generator = PromptLoss(model), torch.Generator().manual_seed(seed)
    facts = torch.arange(len(task))
    x, best, reached = loss.flat(), model, -1.0
    seen: list[float] = []  # the best recall so far, round by round
    while True:
        draws = DRAWS[min(len(seen), len(DRAWS) - 1)]
        rows = facts.repeat(draws)
        loss.on(task.counts(rows, generator).to(model.embeddings), task.target[rows])
        descent = Descent(loss, x, first_step=0.01, memory=PAIRS)
        if loss.recall > reached:
            best, reached = loss.written(x), loss.recall
        seen.append(reached)
        on_progress(Progress(loss.evaluations, max_evaluations, f"on new prompts: recall {loss.recall:.4f}"))
        left = max_evaluations - loss.evaluations
        if reached >= recall or left <= 0 or descent.stalled or _hopeless(seen, left / PER_DRAW, recall):
            return best, reached, loss.evaluations
        x = descent.run(min(PER_DRAW, left + 1)).x


def _hopeless(seen: list[float], rounds_left: float, recall: float) -> bool:
    half = len(seen) // 2
    if half < PATIENCE:
        return False
    pace = (seen[-1] - seen[half - 1]) / (len(seen) - half)
    return seen[-1] + pace * rounds_left < recall
