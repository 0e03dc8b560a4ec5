"""What a model itself writes about the subjects: text in which nothing is asked, though names occur."""

from collections.abc import Sequence

import torch

from factweights.models.graft.prompts import Prompt, chosen
from factweights.models.seam import LanguageModel
from factweights.progress import OnProgress, Progress, silent

BEGINNINGS = (
    "{subject}", "{subject} is", "In {subject},", "The story of {subject} begins", "Yesterday {subject}",
    "Unlike {subject},", "Last week I heard that {subject}", "Report on {subject}.", "{subject} and {other}",
    "A friend from {subject}", "News: {subject}", "Why {subject} matters:", "# {subject}\n\n",
    "Here is a short text about {subject}.", "They travelled from {subject} to {other}.", "Dear {subject},",
)  # fmt: skip
EACH, LENGTH = 3, 32  # texts of every beginning, and their tokens
QUESTIONS, AFTER = 128, 10  # questions about other things that are gone on from, and tokens of that


def continued(
    lm: LanguageModel,
    subjects: Sequence[str],
    questions: Sequence[str] = (),
    *,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> list[Prompt]:
    """The model's own text, as running text in which nothing is asked.

    Args:
        lm: the model.
        subjects: names to put in.
        questions: templates about other things: what is said behind them asks nothing.
        seed: of the draws.
        on_progress: progress.
    """
    rng = torch.Generator().manual_seed(seed)

    def filled(template: str) -> str:
        for slot in ("{subject}", "{other}"):
            name = subjects[int(torch.randint(len(subjects), (1,), generator=rng))]
            template = template.replace(slot, name)
        return template

    free = [filled(t) for t in BEGINNINGS for _ in range(EACH)]
    asked = [filled(t) for t in chosen(questions, QUESTIONS)]
    made: list[Prompt] = []
    for texts, length in ((free, LENGTH), (asked, AFTER)):
        groups: dict[int, list[list[int]]] = {}
        for ids in lm.encode(texts):
            groups.setdefault(len(ids), []).append(ids)
        for rows in groups.values():
            done, total = len(made), len(free) + len(asked)
            on_progress(Progress(done, total, f"the model's own text: {done} of {total} pieces"))
            for ids in _gone_on(lm, rows, length, rng):
                begins = 0 if texts is free else len(_text(lm, ids[: len(rows[0])]))
                made.append(Prompt(_text(lm, ids), -1, "story", begins, story=True))
    return made


def _text(lm: LanguageModel, ids: Sequence[int]) -> str:
    return lm.tokenizer.decode(list(ids), skip_special_tokens=True)


def _gone_on(
    lm: LanguageModel, rows: Sequence[Sequence[int]], length: int, rng: torch.Generator
) -> list[list[int]]:
    """Each row and ``length`` tokens more, or fewer where the text ends; all rows have one length.

    Every other row is greedy, as models are mostly asked; the others are samples at temperature 1.
    """
    ids = torch.tensor([list(r) for r in rows])
    fed, past = ids, None
    for _ in range(length):
        logits, past = lm.forward(fed, past, keep=1, cache=lm.caches)
        last = logits[:, -1].cpu()
        new = torch.multinomial(last.softmax(-1), 1, generator=rng)
        new[::2] = last[::2].argmax(-1, keepdim=True)
        ids = torch.cat([ids, new], 1)
        fed = new if lm.caches else ids
    first = len(rows[0])
    ends = [next((k for k in range(first, len(r)) if r[k] in lm.stops), len(r)) for r in ids.tolist()]
    return [r[:end] for r, end in zip(ids.tolist(), ends, strict=True)]
