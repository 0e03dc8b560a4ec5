"""Bits that trained language models hold at a million parameters and more: one GPU, a few minutes.

    PYTHONPATH=src python scripts/gpu_capacity_lm.py [--budget 330] [--device cuda] [--smoke] > gpu.json

Trains stock models of transformers on random people, as the study capacity-lm does on a laptop, and prints
one JSON document: bits by the bound of arXiv 2404.05405, per parameter, as trained and rounded to 8 bits.
The list is worked through in its order; what would not end within the budget, by the pace measured so far,
is left out and named. Needs torch, transformers and numpy; nothing is downloaded and no other part of the
package is used.
"""

import argparse
import dataclasses
import json
import sys
import time

import torch

from factweights.models.people.population import Population
from factweights.models.people.training import Recipe, learn, sized
from factweights.progress import Progress

# architecture, shape, parameters, exposures, bits of the people per parameter, batch
PLAN = (
    ("llama", "balanced", 1_000_000, 100, 1.5, 512),
    ("llama", "balanced", 300_000, 1000, 3.0, 2048),
    ("llama", "balanced", 3_000_000, 100, 1.5, 1024),
    ("gpt2", "balanced", 1_000_000, 100, 1.5, 512),
    ("llama", "balanced", 1_000_000, 1000, 3.0, 8192),
    ("llama", "mlp", 1_000_000, 100, 1.5, 512),
    ("llama", "attention", 1_000_000, 100, 1.5, 512),
    ("llama", "balanced", 10_000_000, 100, 1.5, 4096),
)
SMOKE = (("llama", "balanced", 5_000, 10, 1.5, 32), ("gpt2", "balanced", 5_000, 10, 1.5, 32))
PERSON = 50.0  # bits: a name of 5 syllables out of 32, and 5 values out of 32


class _LateError(Exception):
    """The budget is used up."""


def main() -> int:
    """Train what the budget allows, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--budget", type=float, default=330.0, help="seconds for everything")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rate", type=float, default=0.2, help="learning rate times hidden size")
    parser.add_argument("--smoke", action="store_true", help="two tiny models, to see that it runs")
    asked = parser.parse_args()
    begun, found, left = time.perf_counter(), [], []
    pace = 1.0 / 60  # seconds a step; measured as soon as one model is trained
    for name, shape, parameters, exposures, load, batch in SMOKE if asked.smoke else PLAN:
        people = max(16, round(load * parameters / PERSON))
        steps = exposures * -(-people // batch)
        label = f"{name}, {shape}, {parameters:,} parameters, {exposures:,} exposures, {people:,} people"
        remains = asked.budget - (time.perf_counter() - begun)
        if pace * steps * max(1.0, (parameters * batch / 1e9) ** 0.5) > remains:
            left.append(label)
            continue
        population = Population(people, syllables=5)
        settings = sized(name, shape, parameters, population.vocabulary, population.length)

        def tell(p: Progress) -> None:
            print(f"  {p.text}", file=sys.stderr, flush=True)
            if time.perf_counter() - begun > asked.budget:
                raise _LateError

        try:
            learnt = learn(
                population,
                settings,
                Recipe(exposures, batch, asked.rate),
                device=asked.device,
                autocast=asked.device.startswith("cuda") and parameters >= 1_000_000,
                on_progress=tell,
            )
        except _LateError:
            left.append(f"{label}: stopped at the end of the budget")
            continue
        pace = learnt.seconds / learnt.steps
        row = {"architecture": name, "shape": shape, "exposures": exposures, "people": people, "batch": batch}
        row |= dataclasses.asdict(learnt) | {"bits_per_parameter": learnt.bits / learnt.parameters}
        row["bits_per_parameter_int8"] = learnt.bits_int8 / learnt.parameters
        found.append(row)
        print(f"{label}: {row['bits_per_parameter']:.3f} bits per parameter in {learnt.seconds:.0f} s",
              file=sys.stderr, flush=True)  # fmt: skip
    where = torch.cuda.get_device_name(0) if asked.device.startswith("cuda") else "cpu"
    seconds = time.perf_counter() - begun
    out = {"device": where, "torch": torch.__version__, "models": found, "left_out": left, "seconds": seconds}
    print(json.dumps(out, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
