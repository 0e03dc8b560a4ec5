"""What is left of a model in bfloat16 when its norms divide by more coordinates, as in every graft; no facts.

    python benchmarks/rescaled_norms.py MODEL [--hidden 693]

The norms divide by √(Σ x² / D) with weights times √(d/D), as in a widened model of which the private
coordinates are 0; once with weights rounded to bfloat16, once with exact ones, once with D = 4 d, where the
factor is ½. Each is compared with the model in bfloat16 and with it in float32: share of prompts continued
with the same 8 tokens, and mean KL on 4,096 tokens of Python's help texts. Prints a line for each; some
minutes on one thread.
"""

import argparse
import copy
import math
import pydoc_data.topics
from types import MethodType

import torch
from torch import Tensor

from counterfactual import countries
from factweights.models import seam
from factweights.models.graft.scoring import answers, drift, unchanged
from factweights.models.seam import LanguageModel

TEMPLATES = (
    "The capital of {} is", "The national dish of {} is", "My friend lives in {} and",
    "The president of {} is named",
)  # fmt: skip
TOKENS, WINDOW, LONGEST = 4096, 256, 8


def rescaled(lm: LanguageModel, hidden: int, *, exact: bool) -> LanguageModel:
    """The model with norms over ``hidden`` coordinates, of which all but its own are 0."""
    model = copy.deepcopy(lm.model)
    for norm in (m for m in model.modules() if type(m).__name__.endswith("RMSNorm")):
        d = norm.weight.numel()
        weight = norm.weight.double() * math.sqrt(d / hidden)
        norm.rescaled = weight.float() if exact else weight.to(norm.weight.dtype)
        norm.eps_rescaled = norm.variance_epsilon * d / hidden

        def forward(self: torch.nn.Module, x: Tensor) -> Tensor:
            wide = x.float()
            size = torch.rsqrt(wide.square().sum(-1, keepdim=True) / hidden + self.eps_rescaled)
            return (self.rescaled * (wide * size).to(x.dtype)).to(x.dtype)

        norm.forward = MethodType(forward, norm)
    return LanguageModel(model, lm.tokenizer, lm.source)


def main() -> None:
    """A line for each pair of models."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--hidden", type=int, default=693)
    given = parser.parse_args()
    exact, lm = (seam.load(given.model, dtype=dtype) for dtype in ("float32", "bfloat16"))
    names = sorted({row["country"] for row in countries()})[::8][:24]
    prompts = [t.format(name) for name in names for t in TEMPLATES]
    prose = "\n\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))
    ids = lm.encode([prose[: 8 * TOKENS]])[0][:TOKENS]
    texts = [lm.decode(ids[i : i + WINDOW]) for i in range(0, len(ids), WINDOW)]
    said = {"float32": answers(exact, prompts, LONGEST), "bfloat16": answers(lm, prompts, LONGEST)}
    d = lm.model.config.hidden_size
    models = {
        "untouched": lm,
        f"D = {given.hidden}": rescaled(lm, given.hidden, exact=False),
        f"D = {given.hidden}, exact weights": rescaled(lm, given.hidden, exact=True),
        f"D = {4 * d}": rescaled(lm, 4 * d, exact=False),
    }
    for name, model in models.items():
        ours = answers(model, prompts, LONGEST)
        for against, other in (("float32", exact), ("bfloat16", lm)):
            same = unchanged(ours, said[against])
            kl = drift(model, other, texts)[0].kl_mean
            print(f"{name} against {against}: {same.rate:.1%} of {same.asked} equal, KL {kl:.5f}", flush=True)


if __name__ == "__main__":
    main()
