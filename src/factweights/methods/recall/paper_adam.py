"""The paper's recipe for the recall transformer: Adam on prompts drawn anew at every step."""

from dataclasses import dataclass
from typing import ClassVar, final

from factweights.domains import Count, CountOrNone, Dimension, Heads, Rate, Share, WidthOrNone
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.draws import normal, streams
from factweights.methods.recall.base import RecallMethod, drawn_model
from factweights.methods.recall.training import Schedule, Trained, train
from factweights.progress import OnProgress, silent


@final
@dataclass(frozen=True)
class PaperAdamTransformer(RecallMethod):
    """Adam on the cross-entropy, 1,024 fresh prompts for each of at most 2^14 steps, float32.

    Embeddings and unembeddings N(0, 1/d), kept. Weights begin at N(0, 1/fan-in), the dimension that each
    matrix reads: 1/d for K, Q, V and the first layer, 1/(H d_h) for O, 1/m for the second layer; biases at 0.
    The recipe is known from the paper, its initial weights are not, so these are ours. Training goes through
    the transformer's own forward on token counts, which changes nothing but the time it takes.

    Attributes:
        d, heads, head_dim, width: sizes of the model.
        learning_rate: Adam's, constant (the paper tries 1e-3, 3e-3 and 1e-2).
        steps: at most.
        batch: prompts for each step, facts drawn by the task's probabilities.
        recall: stop when this share of facts is right at a look (the paper: 0.99).
        look_every: steps between two looks.
    """

    d: Dimension
    heads: Heads
    head_dim: Dimension
    width: WidthOrNone
    learning_rate: Rate = 3e-3
    steps: CountOrNone = 2**14
    batch: Count = 1024
    recall: Share = 0.99
    look_every: Count = 64

    name: ClassVar[str] = "paper-adam"
    reference: ClassVar[str] = "recipe of arXiv 2412.06538, section 3 and appendix"

    def solve(self, task: RecallTask, *, seed: int = 0, on_progress: OnProgress = silent) -> Trained:
        """Train on ``task``.

        Returns the weights that reached the goal, else the last ones, or the last finite ones of a look.
        """
        plan = Schedule(
            float(self.learning_rate), self.steps, self.batch, self.look_every, float(self.recall), self.name
        )
        return train(self.start(task, seed=seed), task, plan, seed=seed, on_progress=on_progress)

    def start(self, task: RecallTask, *, seed: int) -> RecallTransformer:
        """The model before the first step."""
        model = drawn_model(
            task, d=self.d, heads=self.heads, head_dim=self.head_dim, width=self.width, seed=seed
        )
        inner, names = self.heads * self.head_dim, ("key", "query", "value", "output", "read", "write")
        fan_in = {"output": inner, "write": max(1, self.width)}
        for name, rng in zip(names, streams(seed, self.name, len(names)), strict=True):
            p = getattr(model, name).data
            rows = p.numel() // p.shape[-1]
            p.copy_(normal(rng, rows, p.shape[-1], p).view_as(p) / fan_in.get(name, self.d) ** 0.5)
        return model
