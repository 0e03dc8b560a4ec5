"""Is it there, in every prompt? Recall over drawn prompts, and a margin that no prompt falls below.

Recall is measured on drawn prompts, in the model's own dtype. What no prompt can break is proved in
:mod:`factweights.certificates.prompt_bounds`, for that same arithmetic.
"""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.certificates.margins import margins_of
from factweights.certificates.prompt_bounds import prompt_bounds
from factweights.domains import Count, Seed, checked
from factweights.errors import SettingError, ShapeError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.show import Shown

BLOCK = 1 << 22  # numbers held at once


@dataclass(frozen=True)
class PromptCertificate(Shown):
    """What :func:`verify_prompts` found.

    Attributes:
        facts: N.
        prompts: drawn in all, each fact equally often.
        recall: share of drawn prompts answered right; ties are wrong.
        always_right: share of facts right in every prompt drawn for them.
        min_margin: smallest margin over the drawn prompts.
        margin_all_prompts: lower bound of the margin over all prompts of this length, the worst fact's, in
            exact arithmetic and as the plain forward rounds in ``dtype``; None for linear attention, where
            none is given.
        margin_all_prompts_exact: the same for these weights in exact arithmetic and in float64 alone: what a
            coarser dtype rounds is left out, so it may be positive where the other is not.
        facts_proved: facts whose bound is positive: no prompt of this length is answered wrong in ``dtype``.
        facts_proved_exact: likewise by the bound in exact arithmetic.
        noise_attention: largest share of any head's attention that noise can take, over all prompts.
        parameters, parameter_groups: scalars that hold facts, and all scalars by group.
        bits: Σ over facts of log2 |A_r|, as if answers were independent.
        map_bits: log2 of the number of tables that give every answer as often as this one does.
        bits_per_parameter, map_bits_per_parameter: these over ``parameters``, biases counted. All four speak
            of the whole table, whatever is recalled of it.
        dtype, task_hash, weights_hash, seed, seconds: how and on what this was measured.
    """

    facts: int
    prompts: int
    recall: float
    always_right: float
    min_margin: float
    margin_all_prompts: float | None
    margin_all_prompts_exact: float | None
    facts_proved: int
    facts_proved_exact: int
    noise_attention: float | None
    parameters: int
    parameter_groups: dict[str, int]
    bits: float
    bits_per_parameter: float
    map_bits: float
    map_bits_per_parameter: float
    dtype: str
    task_hash: str
    weights_hash: str
    seed: int
    seconds: float = field(compare=False)

    @property
    def proved(self) -> bool:
        """Whether every fact is recalled in every prompt of this length, as ``dtype`` rounds."""
        return self.facts_proved == self.facts

    @property
    def proved_exact(self) -> bool:
        """Whether every fact is recalled in every prompt of this length in exact arithmetic and float64."""
        return self.facts_proved_exact == self.facts

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        groups = ", ".join(f"{k} {v:,}" for k, v in self.parameter_groups.items())
        lines = [
            ("facts", f"{self.facts:,}, each in {self.prompts // self.facts} drawn prompts"),
            ("recall", f"{self.recall:.6g} of prompts; {self.always_right:.6g} of facts always"),
            ("min margin", f"{self.min_margin:.4g} over the drawn prompts"),
        ]
        if self.margin_all_prompts is not None:
            proof = (
                "so every prompt is answered right" if self.proved else f"{self.facts_proved:,} facts proved"
            )
            least = f"margin at least {self.margin_all_prompts:.4g} as {self.dtype} rounds"
            lines.append(("all prompts", f"{least}: {proof}"))
            if self.dtype != "float64":
                exact = f"margin at least {self.margin_all_prompts_exact:.4g}"
                lines.append(("in float64", f"{exact}: {self.facts_proved_exact:,} facts proved"))
            lines.append(("noise", f"takes at most {self.noise_attention:.3g} of any head's attention"))
        lines.append(("parameters", f"{self.parameters:,} ({groups})"))
        free = f"{self.bits_per_parameter:.4g} if answers were independent"
        lines.append(("bits per parameter", f"{self.map_bits_per_parameter:.4g} of the table; {free}"))
        return [*lines, ("measured", f"{self.dtype} in {self.seconds:.3g} s")]


@checked
def verify_prompts(
    model: RecallTransformer, task: RecallTask, *, draws: Count = 16, seed: Seed = 0
) -> PromptCertificate:
    """Check drawn prompts on the plain forward over positions, and bound all prompts at once.

    Args:
        model: any recall transformer of the task's vocabulary.
        task: says which prompts there are.
        draws: prompts for each fact.
        seed: of the prompts.

    Raises:
        ShapeError: the model's vocabulary or answers are not the task's.
        SettingError: draws below 1 or a negative seed.
    """
    begun = time.perf_counter()
    if (model.n_tokens, model.n_answers) != (task.n_tokens, task.n_answers):
        raise ShapeError(
            f"the model has {model.n_tokens} tokens and {model.n_answers} answers, the task {task.n_tokens} "
            f"and {task.n_answers}"
        )
    margins = _drawn_margins(model, task, draws, seed)
    bound, exact, noise = (None, None, None) if model.attention == "linear" else prompt_bounds(model, task)
    parameters = model.n_parameters
    return PromptCertificate(
        facts=len(task),
        prompts=margins.numel(),
        recall=float((margins > 0).double().mean()),
        always_right=float((margins > 0).all(1).double().mean()),
        min_margin=float(margins.min()),
        margin_all_prompts=None if bound is None else float(bound.min()),
        margin_all_prompts_exact=None if exact is None else float(exact.min()),
        facts_proved=0 if bound is None else int((bound > 0).sum()),
        facts_proved_exact=0 if exact is None else int((exact > 0).sum()),
        noise_attention=noise,
        parameters=parameters,
        parameter_groups=model.count_parameters(),
        bits=task.bits,
        bits_per_parameter=task.bits / parameters,
        map_bits=task.map_bits,
        map_bits_per_parameter=task.map_bits / parameters,
        dtype=str(model.dtype).removeprefix("torch."),
        task_hash=task.hash,
        weights_hash=model.hash,
        seed=seed,
        seconds=time.perf_counter() - begun,
    )


def prompt_margins(model: RecallTransformer, task: RecallTask) -> Float[Tensor, " n"]:
    """For every fact a margin that none of its prompts of length T falls below in the model's dtype, float64.

    Raises:
        SettingError: the model has linear attention, for which there is no such bound.
    """
    if model.attention == "linear":
        raise SettingError("no bound over all prompts is known for linear attention")
    return prompt_bounds(model, task)[0]


@torch.no_grad()
def _drawn_margins(model: RecallTransformer, task: RecallTask, draws: int, seed: int) -> Float[Tensor, "n k"]:
    generator = torch.Generator().manual_seed(seed)
    n = len(task)
    rows = max(1, BLOCK // (task.length * model.d + model.n_answers))
    margins = torch.empty(n, draws, dtype=torch.float64)
    for k in range(draws):
        for facts in torch.split(torch.arange(n), rows):
            tokens = task.prompts(facts, generator).to(model.device)
            z = model.logits(model.read_tokens(tokens))
            margins[facts, k] = margins_of(z, task.target[facts].to(model.device)).cpu()
    return margins
