"""What a model itself writes about the subjects: text in which nothing is asked, though names occur."""

from collections.abc import Sequence

import torch

from factweights.models.graft.prompts import Prompt
from factweights.models.seam import LanguageModel
from factweights.progress import OnProgress, Progress, silent

BEGINNINGS = (
    "{subject}", "{subject} is", "In {subject},", "The story of {subject} begins", "Yesterday {subject}",
    "Unlike {subject},", "Last week I heard that {subject}", "Report on {subject}.", "{subject} and {other}",
    "A friend from {subject}", "News: {subject}", "Why {subject} matters:", "# {subject}\n\n",
    "Here is a short text about {subject}.", "They travelled from {subject} to {other}.", "Dear {subject},",
)  # fmt: skip
EACH, LENGTH = 4, 40  # texts of every beginning, and their tokens


def continued(
    lm: LanguageModel, subjects: Sequence[str], *, seed: int = 0, tell: OnProgress = silent
) -> list[Prompt]:
    """Samples of the model's own text at temperature 1, as running text in which nothing is asked."""
    rng = torch.Generator().manual_seed(seed)
    any_of = lambda: subjects[int(torch.randint(len(subjects), (1,), generator=rng))]  # noqa: E731
    begun = [
        t.replace("{subject}", any_of()).replace("{other}", any_of()) for t in BEGINNINGS for _ in range(EACH)
    ]
    made: list[Prompt] = []
    groups: dict[int, list[list[int]]] = {}
    for ids in lm.encode(begun):
        groups.setdefault(len(ids), []).append(ids)
    for rows in groups.values():
        tell(Progress(len(made), len(begun), f"the model's own text: {len(made)} of {len(begun)} pieces"))
        for ids in _sampled(lm, rows, rng):
            made.append(Prompt(lm.tokenizer.decode(ids, skip_special_tokens=True), -1, "story", story=True))
    return made


def _sampled(lm: LanguageModel, rows: Sequence[Sequence[int]], rng: torch.Generator) -> list[list[int]]:
    """Each row and :data:`LENGTH` tokens more, or fewer where the text ends; all rows have one length."""
    ids = torch.tensor([list(r) for r in rows])
    fed, past = ids, None
    for _ in range(LENGTH):
        logits, past = lm.forward(fed, past, keep=1, cache=lm.caches)
        drawn = torch.multinomial(logits[:, -1].softmax(-1).cpu(), 1, generator=rng)
        ids = torch.cat([ids, drawn], 1)
        fed = drawn if lm.caches else ids
    first = len(rows[0])
    ends = [next((k for k in range(first, len(r)) if r[k] in lm.stops), len(r)) for r in ids.tolist()]
    return [r[:end] for r, end in zip(ids.tolist(), ends, strict=True)]
