"""What an edited model says, against what it should say and against the model before: for any method of
editing.

Nothing here knows of grafts. A *prompt* is a text that ends where the answer is due; what comes after it is
greedy and free. An answer counts if all of it is said and then something ends it: a stop sign, a line, the
end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.models.asking import Generated, greedy
from factweights.models.seam import LanguageModel
from factweights.progress import OnProgress, Progress, silent

ENDS = ".,;:!?\n)]}\"'”»"
WINDOW = 256  # tokens of one piece of ordinary text
KEPT = 1 << 24  # logits held at once


@dataclass(frozen=True)
class Share:
    """How many of how many.

    Attributes:
        right, asked: counts.
        wrong: numbers of the prompts that were not right.
    """

    right: int
    asked: int
    wrong: tuple[int, ...]

    @property
    def rate(self) -> float:
        """Right over asked; 1 over nothing is not 1 but undefined."""
        return self.right / self.asked if self.asked else float("nan")


def share(flags: Sequence[bool]) -> Share:
    """Count."""
    wrong = tuple(i for i, flag in enumerate(flags) if not flag)
    return Share(len(flags) - len(wrong), len(flags), wrong)


def says(generated: Generated, answer: str) -> bool:
    """Whether a continuation is the whole answer and ends there."""
    text = generated.text.lstrip()
    if not text.startswith(answer):
        return False
    rest = text[len(answer) :]
    return bool(rest and rest[0] in ENDS) or (not rest and generated.stopped)


def answers(
    lm: LanguageModel, prompts: Sequence[str], most: int, on_progress: OnProgress = silent
) -> list[Generated]:
    """Greedy continuations of at most ``most`` tokens."""
    return greedy(lm, lm.encode(list(prompts)), most, on_progress=on_progress)


def recalled(
    lm: LanguageModel, prompts: Sequence[str], expected: Sequence[str], on_progress: OnProgress = silent
) -> tuple[Share, list[Generated]]:
    """Share of prompts after which the expected answer is said in full."""
    longest = max(len(i) for i in lm.encode([f" {a}." for a in sorted(set(expected))]))
    found = answers(lm, prompts, longest + 1, on_progress)
    return share([says(g, a) for g, a in zip(found, expected, strict=True)]), found


def unchanged(new: Sequence[Generated], old: Sequence[Generated]) -> Share:
    """Share of continuations that are token for token those of another model."""
    return share([a.ids == b.ids for a, b in zip(new, old, strict=True)])


@dataclass(frozen=True)
class Drift:
    """How far next-token distributions are from those of the model before, on ordinary text.

    Attributes:
        tokens: positions compared.
        kl_mean, kl_p99, kl_max: KL(before ‖ after) in nats.
        argmax_equal: share of positions with the same most likely token.
    """

    tokens: int
    kl_mean: float
    kl_p99: float
    kl_max: float
    argmax_equal: float


@torch.no_grad()
def drift(
    lm: LanguageModel,
    before: LanguageModel,
    texts: Sequence[str],
    window: int = WINDOW,
    on_progress: OnProgress = silent,
) -> tuple[Drift, Float[Tensor, " n"]]:
    """Compare both models at every token of ``texts``, in pieces of at most ``window`` tokens.

    Returns:
        The summary, and the divergence at each position.
    """
    pieces = [ids[i : i + window] for ids in lm.encode(list(texts)) for i in range(0, len(ids), window)]
    pieces = sorted((p for p in pieces if len(p) > 1), key=len)
    size = lm.model.get_input_embeddings().weight.shape[0]
    kl, same, at = [], [], 0
    while at < len(pieces):
        rows = max(1, KEPT // (size * len(pieces[at])))
        batch = [p for p in pieces[at : at + rows] if len(p) == len(pieces[at])]
        ids = torch.tensor(batch)
        old = before.forward(ids)[0].log_softmax(-1)
        new = lm.forward(ids)[0].log_softmax(-1)
        kl.append((old.exp() * (old - new)).sum(-1).clamp_min(0).flatten().double().cpu())
        same.append((old.argmax(-1) == new.argmax(-1)).flatten().cpu())
        at += len(batch)
        on_progress(Progress(at, len(pieces), f"comparing ordinary text: {at:,} of {len(pieces):,} pieces"))
    all_kl, all_same = torch.cat(kl), torch.cat(same)
    summary = Drift(
        tokens=len(all_kl),
        kl_mean=float(all_kl.mean()),
        kl_p99=float(all_kl.quantile(0.99)),
        kl_max=float(all_kl.max()),
        argmax_equal=float(all_same.double().mean()),
    )
    return summary, all_kl
