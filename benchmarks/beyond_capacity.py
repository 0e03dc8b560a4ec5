"""Transformers far beyond what their sizes hold: the fit, the paper's recipe, and ways to better either.

    python benchmarks/beyond_capacity.py [--tokens 18] [--steps 4096]

d = 16, 8 heads of 8, 4 neurons, S = R = --tokens, D = 8, 32 noise tokens, T = 32, seed 0. Prints recall of
fresh prompts for each way; some minutes on one thread.
"""

import argparse
import math
import time
from collections.abc import Callable

import torch

import factweights as fw
from factweights.certificates import verify_prompts
from factweights.certificates.margins import margins_of
from factweights.memories import RecallTransformer
from factweights.methods.flat import FlatLoss, OutputLoss
from factweights.methods.lbfgs import Descent
from factweights.methods.recall import PaperAdamTransformer, lookups
from factweights.methods.recall.polish import PromptLoss, polish
from factweights.methods.recall.training import Drawing
from factweights.seeds import streams

SIZES = {"d": 16, "heads": 8, "head_dim": 8, "width": 4}
DRAWS, PER_DRAW = 8, 100  # prompts of each fact, and evaluations on them before they are drawn anew


def entropy(targets: torch.Tensor, U: torch.Tensor) -> OutputLoss:
    """Mean cross-entropy of outputs, as the fits' hinge is told."""

    def loss(out: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
        z = out @ U.T
        logs = z.log_softmax(1)
        pull = logs.exp()
        pull[torch.arange(len(z)), targets] -= 1
        value = -float(logs.gather(1, targets[:, None]).mean())
        return value, pull @ U / len(z), 1 - margins_of(z, targets)

    return loss


def by_entropy(task: fw.RecallTask, model: RecallTransformer, evaluations: int) -> RecallTransformer:
    """All weights by L-BFGS on the cross-entropy of drawn prompts."""
    prompts, generator = PromptLoss(model), torch.Generator().manual_seed(0)
    x, spent, rows = prompts.flat(), 0, torch.arange(len(task)).repeat(DRAWS)
    while spent < evaluations:
        prompts.counts = task.counts(rows, generator).to(model.embeddings)
        loss = FlatLoss(prompts.outputs, entropy(task.target[rows], model.unembeddings), need=None)
        x = Descent(loss, x, first_step=0.01, memory=30).run(PER_DRAW).x
        spent += loss.evaluations
    return prompts.written(x)


def falling(task: fw.RecallTask, rate: float, steps: int) -> RecallTransformer:
    """The recipe with its rate falling to 0 along half a cosine."""
    recipe = PaperAdamTransformer(**SIZES)
    model = recipe.start(task, seed=0)
    drawing = Drawing(task, streams(0, "paper-adam-prompts", 2)[0])
    weights = [p.requires_grad_(True) for p in model.parameters() if p.numel()]
    adam = torch.optim.Adam(weights, lr=rate)
    cosine = torch.optim.lr_scheduler.LambdaLR(adam, lambda k: 0.5 * (1 + math.cos(math.pi * k / steps)))
    for _ in range(steps):
        facts = torch.from_numpy(drawing.facts(recipe.batch))
        prompts = drawing.prompts(facts)
        logs = model.logits(model(task.count(prompts).to(model.dtype))).log_softmax(-1)
        adam.zero_grad()
        (-logs.gather(1, task.target[facts][:, None]).mean()).backward()
        adam.step()
        cosine.step()
    for p in weights:
        p.requires_grad_(False)
    return model


def main() -> None:
    """A line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=18)
    parser.add_argument("--steps", type=int, default=4096)
    given = parser.parse_args()
    task = fw.RecallTask.structured(given.tokens, given.tokens, 8, noise=32)

    def told(name: str, made: Callable[[], RecallTransformer]) -> RecallTransformer:
        begun = time.perf_counter()
        model = made()
        recall = verify_prompts(model, task, draws=4, seed=5).recall
        print(f"{name}: recall {recall:.3f} ({time.perf_counter() - begun:.0f} s)", flush=True)
        return model

    def fit() -> RecallTransformer:
        return fw.TransformerFit(**SIZES, recall=0.99, polish_evaluations=0).solve(task).memory

    def recipe(rate: float) -> RecallTransformer:
        method = PaperAdamTransformer(**SIZES, learning_rate=rate, steps=given.steps)
        return method.solve(task).memory

    told("fit", fit)
    usual = lookups.hinged
    lookups.hinged = lambda _, U: entropy(task.target, U)
    told("fit, lookups by cross-entropy", fit)
    lookups.hinged = usual
    for rate in (3e-3, 1e-2):
        trained = told(f"recipe at {rate:g}", lambda rate=rate: recipe(rate))
        told(
            "  then the hinge on drawn prompts",
            lambda m=trained: polish(m, task, recall=0.99, max_evaluations=1500, seed=1)[0],
        )
        told("  then cross-entropy on drawn prompts", lambda m=trained: by_entropy(task, m, 1000))
    told("recipe at 0.01 falling to 0, twice the steps", lambda: falling(task, 1e-2, 2 * given.steps))
    start = PaperAdamTransformer(**SIZES).start(task, seed=0)
    told("cross-entropy on drawn prompts from the recipe's start", lambda: by_entropy(task, start, 2000))


if __name__ == "__main__":
    main()
