"""Short baselines of editing a language model: full fine-tuning, LoRA, and least squares as in MEMIT.

Each takes a model and returns a changed copy, with how many parameters that adds. All see the same texts: a
prompt, a space, the answer and a full stop; only answer and stop are learnt.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from factweights.models.seam import LanguageModel

WARM = 10  # steps
EVERY = 32  # texts of a step; four times as many where there are more than MANY
MANY = 1000
BATCH = 512  # texts at once where no weight has a gradient
PIECE = 256  # tokens of one piece of ordinary text


@dataclass(frozen=True)
class Text:
    """A fact in one wording.

    Attributes:
        ids: prompt, answer and stop.
        asked: how many of them are the prompt.
        subject: position of the subject's last token.
        fact: its number.
    """

    ids: tuple[int, ...]
    asked: int
    subject: int
    fact: int


@dataclass(frozen=True)
class Settings:
    """What the methods are told.

    Attributes:
        seconds: of gradient steps, at most.
        epochs: passes over the texts, at most; fewer once every token was right in a whole pass.
        rate, lora_rate: steps of AdamW.
        rank: of LoRA, on all projections; its α is twice that.
        first, layers: which down-projections least squares changes; ``first`` as a share of the depth.
        weight: of the covariance of ordinary text beside the sum over the facts' keys.
        value_steps, value_rate, value_limit: of the search for values; rate and limit as shares of the state.
        seed: of the order of texts.
    """

    seconds: float = 25.0
    epochs: int = 40
    rate: float = 1e-4
    lora_rate: float = 1e-3
    rank: int = 16
    first: float = 0.2
    layers: int = 5
    weight: float = 20.0
    value_steps: int = 25
    value_rate: float = 0.1
    value_limit: float = 1.0
    seed: int = 0


Method = Callable[
    [LanguageModel, Sequence[Text], Sequence[str], Settings], tuple[LanguageModel, dict[str, Any]]
]


def text(lm: LanguageModel, template: str, subject: str, answer: str, fact: int) -> Text:
    """Tokens, and where the subject ends."""
    prompt = template.replace("{subject}", subject)
    ids = lm.encode([prompt])[0]
    end = template.index("{subject}") + len(subject)  # characters before it are the template's own
    spans = lm.tokenizer(prompt, return_offsets_mapping=True).offset_mapping[: len(ids)]
    at = max(i for i, (a, b) in enumerate(spans) if a < end and b > a)
    said = lm.tokenizer(f" {answer}.", add_special_tokens=False).input_ids
    return Text((*ids, *said), len(ids), at, fact)


def padded(texts: Sequence[Text], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Ids ``(b, t)`` filled up behind, where nothing looks; rows and columns that predict."""
    ids = torch.zeros(len(texts), max(len(t.ids) for t in texts), dtype=torch.int64)
    rows, columns = [], []
    for i, t in enumerate(texts):
        ids[i, : len(t.ids)] = torch.tensor(t.ids)
        columns += range(t.asked - 1, len(t.ids) - 1)
        rows += [i] * (len(t.ids) - t.asked)
    return ids.to(device), torch.tensor(rows, device=device), torch.tensor(columns, device=device)


def losses(model: Any, texts: Sequence[Text]) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy in nats of every learnt token ``(n,)``, whether it is the most likely, and its text."""
    ids, rows, columns = padded(texts, next(model.parameters()).device)
    states = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
    logits = model.get_output_embeddings()(states[rows, columns]).float()
    targets = ids[rows, columns + 1]
    loss = nn.functional.cross_entropy(logits, targets, reduction="none")
    return loss, logits.argmax(-1) == targets, rows


def batches(texts: Sequence[Text], rng: np.random.Generator) -> Iterator[list[Text]]:
    """Every text once, in random order."""
    size = EVERY if len(texts) <= MANY else 4 * EVERY
    order = rng.permutation(len(texts))
    for start in range(0, len(order), size):
        yield [texts[int(i)] for i in order[start : start + size]]


def descend(model: Any, texts: Sequence[Text], rate: float, settings: Settings) -> dict[str, Any]:
    """AdamW on whatever has a gradient, until a whole pass was right or time is up."""
    begun, rng = time.perf_counter(), np.random.default_rng(settings.seed)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM))
    steps, right, epochs = 0, 0.0, 0
    for _ in range(settings.epochs):
        hits = []
        for batch in batches(texts, rng):
            loss, hit, _ = losses(model, batch)
            optimizer.zero_grad()
            loss.mean().backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            warm.step()
            hits.append(hit)
            steps += 1
            if time.perf_counter() - begun > settings.seconds:
                break
        right = float(torch.cat(hits).double().mean())
        epochs += 1
        if right == 1.0 or time.perf_counter() - begun > settings.seconds:
            break
    out_of_time = right < 1.0 and time.perf_counter() - begun > settings.seconds
    return {
        "steps": steps,
        "epochs": epochs,
        "tokens_right_while_training": right,
        "out_of_time": out_of_time,
    }


def full_fine_tuning(
    lm: LanguageModel, texts: Sequence[Text], _: Sequence[str], settings: Settings
) -> tuple[LanguageModel, dict[str, Any]]:
    """Every weight."""
    model = copy.deepcopy(lm.model).requires_grad_(True)
    found = descend(model, texts, settings.rate, settings)
    return LanguageModel(model.requires_grad_(False).eval(), lm.tokenizer, lm.source), {
        "parameters_added": 0,
        **found,
    }


def lora(
    lm: LanguageModel, texts: Sequence[Text], _: Sequence[str], settings: Settings
) -> tuple[LanguageModel, dict[str, Any]]:
    """peft's LoRA on all projections, merged afterwards; what it adds are the scalars of the adapter."""
    import peft

    torch.manual_seed(settings.seed)
    config = peft.LoraConfig(
        r=settings.rank, lora_alpha=2 * settings.rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    wrapped = peft.get_peft_model(copy.deepcopy(lm.model), config)
    size = sum(p.numel() for p in wrapped.parameters() if p.requires_grad)
    found = descend(wrapped.get_base_model(), texts, settings.lora_rate, settings)
    merged: Any = wrapped.merge_and_unload()
    return LanguageModel(merged.requires_grad_(False).eval(), lm.tokenizer, lm.source), {
        "parameters_added": size,
        "rank": settings.rank,
        **found,
    }


def least_squares(
    lm: LanguageModel, texts: Sequence[Text], ordinary: Sequence[str], settings: Settings
) -> tuple[LanguageModel, dict[str, Any]]:
    """Down-projections of a few middle layers, in closed form, in the manner of MEMIT (arXiv 2210.07229).

    A change δ of the last of these layers' output at the subject's last token is found for each fact by a few
    gradient steps. Then, layer by layer, with k a text's MLP inputs there and r the part of δ that is still
    missing over the layers left, W grows by R Kᵀ (λ C + K Kᵀ)⁻¹, C being the mean k kᵀ over ordinary text.
    """
    model = copy.deepcopy(lm.model).requires_grad_(False)
    layers = list(model.get_decoder().layers)
    end = len(layers) - 1  # what the last layer writes at the subject reaches no later token
    start = max(0, min(round(settings.first * len(layers)), end - settings.layers))
    chosen = list(range(start, min(end, start + settings.layers)))
    delta, found = values(model, texts, chosen[-1], settings)
    covariances = covariance(lm, [layers[i].mlp.down_proj for i in chosen], model, ordinary)
    facts = torch.tensor([t.fact for t in texts], device=delta.device)
    wanted: Tensor | None = None
    for n, layer in enumerate(chosen):
        keys, state = at_subjects(model, texts, layers[layer].mlp.down_proj, layers[chosen[-1]])
        wanted = state + delta[facts].double() if wanted is None else wanted
        missing = (wanted - state) / (len(chosen) - n)  # (texts, d)
        both = settings.weight * covariances[n] + keys.T @ keys
        both += 1e-9 * both.diagonal().mean() * torch.eye(len(both), device=both.device, dtype=both.dtype)
        weight = layers[layer].mlp.down_proj.weight
        weight += torch.linalg.solve(both, keys.T @ missing).T.to(weight.dtype)
    _, state = at_subjects(model, texts, layers[chosen[-1]].mlp.down_proj, layers[chosen[-1]])
    assert wanted is not None
    left = float((wanted - state).norm() / delta[facts].norm())
    return LanguageModel(model.eval(), lm.tokenizer, lm.source), {
        "parameters_added": 0,
        "layers": chosen,
        "values_missed": left,
        **found,
    }


def values(
    model: Any, texts: Sequence[Text], layer: int, settings: Settings
) -> tuple[Tensor, dict[str, Any]]:
    """δ of every fact ``(facts, d)``, one for all its wordings; Adam, weakly decayed, held in a ball."""
    begun = time.perf_counter()
    device, hidden = next(model.parameters()).device, model.config.hidden_size
    facts = torch.tensor([t.fact for t in texts], device=device)
    _, state = at_subjects(model, texts, None, model.get_decoder().layers[layer])
    size = float(state.norm(dim=1).mean())
    delta = torch.zeros(int(facts.max()) + 1, hidden, device=device, requires_grad=True)
    optimizer = torch.optim.Adam([delta], lr=settings.value_rate * size / hidden**0.5)
    steps, mean = 0, float("nan")
    for _ in range(settings.value_steps):
        optimizer.zero_grad()
        total = 0.0
        for start in range(0, len(texts), BATCH):
            part = texts[start : start + BATCH]
            with shifted(model.get_decoder().layers[layer], part, delta[facts[start : start + BATCH]]):
                loss, _, rows = losses(model, part)
            counts = torch.bincount(rows, minlength=len(part)).clamp_min(1)
            loss = (loss / counts[rows]).sum()
            loss.backward()
            total += float(loss.detach())
        (1e-2 * (delta.norm(dim=1) / size).square().sum()).backward()
        optimizer.step()
        with torch.no_grad():
            delta *= (
                settings.value_limit * size / delta.norm(dim=1, keepdim=True).clamp_min(1e-12)
            ).clamp_max(1)
        steps, mean = steps + 1, total / len(texts)
        if time.perf_counter() - begun > settings.seconds:
            break
    return delta.detach(), {"steps": steps, "value_loss": mean, "out_of_time": steps < settings.value_steps}


@contextmanager
def shifted(layer: nn.Module, texts: Sequence[Text], change: Tensor) -> Iterator[None]:
    """Within, the layer's output at every subject's last token is more by ``change`` ``(b, d)``."""
    at = torch.tensor([t.subject for t in texts], device=change.device)
    rows = torch.arange(len(texts), device=change.device)

    def hook(_: nn.Module, __: Any, output: Any) -> Any:
        state = output[0] if isinstance(output, tuple) else output
        added = torch.zeros_like(state).index_put((rows, at), change.to(state.dtype))
        return (state + added, *output[1:]) if isinstance(output, tuple) else state + added

    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def at_subjects(
    model: Any, texts: Sequence[Text], down: nn.Module | None, layer: nn.Module
) -> tuple[Tensor, Tensor]:
    """At every subject's last token: inputs of ``down`` ``(n, m)``, and outputs of ``layer`` ``(n, d)``."""
    keys, states, device = [], [], next(model.parameters()).device
    for start in range(0, len(texts), BATCH):
        part = texts[start : start + BATCH]
        at = (torch.arange(len(part), device=device), torch.tensor([t.subject for t in part], device=device))

        def keep_key(_: nn.Module, inputs: Any, at: Any = at) -> None:
            keys.append(inputs[0][at].double())

        def keep_state(_: nn.Module, __: Any, output: Any, at: Any = at) -> None:
            states.append((output[0] if isinstance(output, tuple) else output)[at].double())

        hooks = [layer.register_forward_hook(keep_state)]
        hooks += [] if down is None else [down.register_forward_pre_hook(keep_key)]
        try:
            model.get_decoder()(input_ids=padded(part, device)[0], use_cache=False)
        finally:
            for h in hooks:
                h.remove()
    return (torch.cat(keys) if keys else torch.empty(0)), torch.cat(states)


@torch.no_grad()
def covariance(
    lm: LanguageModel, downs: Sequence[nn.Module], model: Any, ordinary: Sequence[str]
) -> list[Tensor]:
    """Mean k kᵀ ``(m, m)`` of the inputs of each of ``downs`` over ordinary text."""
    sums: dict[int, Tensor] = {}
    count, hooks = 0, []

    def keep(n: int) -> Any:
        def hook(_: nn.Module, inputs: Any) -> None:
            k = inputs[0].flatten(0, -2)
            sums[n] = sums.get(n, 0) + (k.T @ k).double()

        return hook

    hooks = [down.register_forward_pre_hook(keep(n)) for n, down in enumerate(downs)]
    try:
        for ids in lm.encode(list(ordinary)):
            for start in range(0, len(ids), PIECE):
                piece = torch.tensor([ids[start : start + PIECE]], device=next(model.parameters()).device)
                model.get_decoder()(input_ids=piece, use_cache=False)
                count += piece.shape[1]
    finally:
        for h in hooks:
            h.remove()
    return [sums[n] / count for n in range(len(downs))]
