"""Ask a language model in batches: next tokens, greedy continuations, log-probabilities of given ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.models.seam import LanguageModel, fork, in_batches
from factweights.progress import OnProgress, Progress, silent

TOKENS = 4096  # of one batch
LOGITS = 1 << 24  # held at once: 64 MB in float32


@dataclass(frozen=True)
class Generated:
    """What a model wrote after a prompt.

    Attributes:
        ids: tokens, the stop left out.
        text: of the tokens.
        stopped: whether it stopped by itself; else it was cut at the most tokens allowed.
    """

    ids: tuple[int, ...]
    text: str
    stopped: bool


def by_length(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Rows of equal length together, the shortest first."""
    lengths: dict[int, list[int]] = {}
    for i, row in enumerate(ids):
        lengths.setdefault(len(row), []).append(i)
    for length in sorted(lengths):
        yield lengths[length]


def batch_rows(lm: LanguageModel, length: int, kept: int = 1) -> int:
    """How many rows of ``length`` tokens go through at once when logits of ``kept`` of them are needed."""
    size = lm.model.get_input_embeddings().weight.shape[0]
    return max(1, min(TOKENS // max(1, length), LOGITS // (size * max(1, kept))))


def next_log_probabilities(
    lm: LanguageModel, prompts: Sequence[Sequence[int]], *, on_progress: OnProgress = silent
) -> Iterator[tuple[list[int], Float[Tensor, "b v"]]]:
    """For batches of prompts: their rows, and the log-probability (nats) of every next token."""
    done = 0
    for rows in by_length(prompts):
        found: list[tuple[list[int], Tensor]] = []

        def work(start: int, stop: int, rows: list[int] = rows, found: list = found) -> None:
            chosen = rows[start:stop]
            logits, _ = lm.forward(torch.tensor([list(prompts[i]) for i in chosen]), keep=1)
            found.append((chosen, logits[:, -1].log_softmax(-1).cpu()))

        in_batches(
            len(rows), batch_rows(lm, len(prompts[rows[0]])), work, on_progress=on_progress, what="prompts"
        )
        for chosen, logs in found:
            done += len(chosen)
            on_progress(Progress(done, len(prompts), f"prompts: {done:,} of {len(prompts):,}"))
            yield chosen, logs


def log_probabilities(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    on_progress: OnProgress = silent,
) -> Float[Tensor, " n"]:
    """Log-probability in nats of every continuation after its prompt, each pair one full pass.

    The plain reference: no cache, nothing shared. ``(n,)`` in float64.
    """
    whole = [[*p, *c] for p, c in zip(prompts, continuations, strict=True)]
    result = torch.zeros(len(whole), dtype=torch.float64)
    done = 0
    for rows in by_length(whole):
        kept = max(len(continuations[i]) for i in rows) + 1

        def work(start: int, stop: int, rows: list[int] = rows, kept: int = kept) -> None:
            chosen = rows[start:stop]
            ids = torch.tensor([whole[i] for i in chosen])
            keep = min(kept, ids.shape[1])
            logs = lm.forward(ids, keep=keep)[0][:, :-1].log_softmax(-1).cpu()  # (b, keep - 1, v)
            own = logs.gather(2, ids[:, ids.shape[1] - keep + 1 :, None])[..., 0].double()
            for at, i in enumerate(chosen):
                result[i] = own[at, own.shape[1] - len(continuations[i]) :].sum()

        in_batches(
            len(rows), batch_rows(lm, len(whole[rows[0]]), kept), work, on_progress=on_progress, what="texts"
        )
        done += len(rows)
        on_progress(Progress(done, len(whole), f"scored {done:,} of {len(whole):,} texts"))
    return result


def greedy(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    most: int,
    *,
    stop_text: Sequence[str] = (),
    on_progress: OnProgress = silent,
) -> list[Generated]:
    """The most likely next token, again and again, for every prompt; rows that have stopped are dropped.

    Args:
        lm: the model.
        prompts: token ids.
        most: tokens at most.
        stop_text: besides the model's own stops, a row ends when its text holds one of these; the text is
            cut there.
        on_progress: told of finished prompts.
    """
    result: list[Generated | None] = [None] * len(prompts)
    done = 0
    for rows in by_length(prompts):

        def work(start: int, stop: int, rows: list[int] = rows) -> None:
            for i, g in zip(
                rows[start:stop],
                _greedy(lm, [prompts[i] for i in rows[start:stop]], most, stop_text),
                strict=True,
            ):
                result[i] = g

        in_batches(
            len(rows), batch_rows(lm, len(prompts[rows[0]])), work, on_progress=on_progress, what="prompts"
        )
        done += len(rows)
        on_progress(Progress(done, len(prompts), f"answered {done:,} of {len(prompts):,} prompts"))
    return [g for g in result if g is not None]


def _greedy(
    lm: LanguageModel, prompts: Sequence[Sequence[int]], most: int, stop_text: Sequence[str]
) -> list[Generated]:
    """One batch of prompts of equal length."""
    ids: list[list[int]] = [[] for _ in prompts]
    stopped = [False] * len(prompts)
    alive = list(range(len(prompts)))
    fed, past = torch.tensor([list(p) for p in prompts]), None
    room = most if lm.context is None else min(most, lm.context - fed.shape[1])
    for step in range(room):
        logits, past = lm.forward(fed, past, keep=1, cache=lm.caches)
        best = logits[:, -1].argmax(-1).tolist()
        left = []
        for at, (row, token) in enumerate(zip(alive, best, strict=True)):
            if token in lm.stops:
                stopped[row] = True
                continue
            ids[row].append(token)
            if stop_text and any(s in lm.decode(ids[row]) for s in stop_text):
                stopped[row] = True
                continue
            left.append(at)
        if not left or step == room - 1:
            break
        whole = [[*prompts[alive[at]], *ids[alive[at]]] for at in left]
        alive = [alive[at] for at in left]
        if lm.caches:
            past = fork(past, torch.tensor(left, device=lm.device)) if len(left) < len(best) else past
            fed = torch.tensor([[row[-1]] for row in whole])
        else:
            fed = torch.tensor(whole)
    return [
        Generated(tuple(row), _cut(lm.decode(row), stop_text), end)
        for row, end in zip(ids, stopped, strict=True)
    ]


def _cut(text: str, stops: Sequence[str]) -> str:
    ends = [at for s in stops if (at := text.find(s)) >= 0]
    return text[: min(ends)] if ends else text
