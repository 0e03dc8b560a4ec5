"""Train a stock transformer on invented people, and count the bits it has learnt."""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from factweights.errors import MissingExtraError, SettingError
from factweights.models.people.population import Population
from factweights.progress import OnProgress, Progress, silent
from factweights.seeds import numbered

# MLP width over hidden size, and layers over the usual number.
SHAPES = {"balanced": (None, 1), "attention": (0.25, 2), "mlp": (12.0, 1)}
USUAL = {"llama": 8 / 3, "gpt2": 4.0}
HEAD = 8  # dimensions of a head
WARM = 0.05  # of all steps


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        exposures: how often every person is told.
        batch: people in a step.
        rate: learning rate times hidden size; at width d the rate is ``rate`` / d.
        decay: of AdamW.
    """

    exposures: int
    batch: int = 32
    rate: float = 0.2
    decay: float = 0.0


def config(architecture: str, shape: str, d: int, layers: int, vocabulary: int, length: int) -> Any:
    """The configuration of a stock model with tied embeddings and no dropout.

    Raises:
        MissingExtraError: transformers is not installed.
        SettingError: a shape that there is not.
    """
    try:
        import transformers
    except ImportError as e:
        raise MissingExtraError("training a language model", "hf") from e
    if shape not in SHAPES or architecture not in USUAL:
        raise SettingError(f"shapes are {', '.join(SHAPES)}, architectures {', '.join(USUAL)}")
    ratio, times = SHAPES[shape]
    inner = max(HEAD, HEAD * round((USUAL[architecture] if ratio is None else ratio) * d / HEAD))
    shared: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": None}
    if architecture == "gpt2":
        return transformers.GPT2Config(
            n_embd=d, n_layer=layers * times, n_head=max(1, d // HEAD), n_inner=inner, n_positions=length,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **shared,
        )  # fmt: skip
    return transformers.LlamaConfig(
        hidden_size=d, intermediate_size=inner, num_hidden_layers=layers * times,
        num_attention_heads=max(1, d // HEAD), num_key_value_heads=max(1, d // HEAD),
        max_position_embeddings=length, tie_word_embeddings=True, **shared,
    )  # fmt: skip


def build(settings: Any) -> Any:
    """The model of a configuration, with random weights from torch's own generator."""
    import transformers

    kind = transformers.GPT2LMHeadModel if settings.model_type == "gpt2" else transformers.LlamaForCausalLM
    return kind(settings)


def count(model: Any) -> int:
    """Scalars of all weights, tied ones once."""
    return sum({id(p): p.numel() for p in model.parameters()}.values())


def sized(architecture: str, shape: str, parameters: int, vocabulary: int, length: int) -> Any:
    """The configuration whose model has nearly so many parameters: 2 layers, 4 from half a million on."""
    layers = 2 if parameters < 500_000 else 4
    best, off = None, math.inf
    for d in range(HEAD, 4096, HEAD):
        settings = config(architecture, shape, d, layers, vocabulary, length)
        with torch.device("meta"):
            found = count(build(settings))
        if abs(math.log(found / parameters)) < off:
            best, off = settings, abs(math.log(found / parameters))
        elif found > parameters:
            break
    return best


@dataclass(frozen=True)
class Learnt:
    """What a trained model knows.

    Attributes:
        parameters: of the model.
        hidden, layers: its sizes.
        name_nats, attribute_nats: mean summed losses of a name and of a person's values.
        bits, bits_int8: by the bound, as trained and after rounding every matrix to 8 bits by rows.
        attribute_bits: the part of ``bits`` that is in attributes.
        table_bits: what there was to know.
        right: share of values that are the most likely token.
        steps, seconds: of training.
    """

    parameters: int
    hidden: int
    layers: int
    name_nats: float
    attribute_nats: float
    bits: float
    attribute_bits: float
    bits_int8: float
    table_bits: float
    right: float
    steps: int
    seconds: float


def learn(
    population: Population,
    settings: Any,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "cpu",
    autocast: bool = False,
    on_progress: OnProgress = silent,
) -> Learnt:
    """Train a fresh model on a population, every person told ``exposures`` times, and count what it knows.

    Args:
        population: the people.
        settings: a configuration of transformers.
        recipe: exposures, batch and rate.
        seed: of weights and orders.
        device: where it is trained.
        autocast: products in bfloat16; weights and losses stay in float32.
        on_progress: told now and then.
    """
    begun = time.perf_counter()
    torch.manual_seed(seed)
    model = build(settings).to(device).train()
    hidden = int(settings.hidden_size)
    adam = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.rate / hidden,
        betas=(0.9, 0.98),
        weight_decay=recipe.decay,
        fused=torch.device(device).type == "cuda",
    )
    n = population.people
    each = math.ceil(n / min(n, recipe.batch))
    steps = recipe.exposures * each
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _share(step, steps))
    rng = numbered(seed, 3)
    done, loss = 0, torch.zeros(())
    for _ in range(recipe.exposures):
        for rows in np.array_split(rng.permutation(n), each):
            ids = torch.from_numpy(population.lines(rows, rng)).to(device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=autocast):
                logits = model(input_ids=ids, use_cache=False).logits
            loss = cross_entropy(logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten())
            adam.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            schedule.step()
            done += 1
        if done % (max(1, recipe.exposures // 20) * each) == 0:
            on_progress(Progress(done, steps, f"loss {float(loss.detach()):.3f} after {done:,} steps"))
    seconds = time.perf_counter() - begun
    names, told, right = losses(model, population, device)
    bits = population.knowledge(names, told)
    round_to_int8(model)
    rounded = losses(model, population, device)
    return Learnt(
        parameters=count(model),
        hidden=hidden,
        layers=int(settings.num_hidden_layers),
        name_nats=names,
        attribute_nats=told,
        bits=sum(bits),
        attribute_bits=bits[1],
        bits_int8=sum(population.knowledge(*rounded[:2])),
        table_bits=population.bits,
        right=right,
        steps=steps,
        seconds=seconds,
    )


def _share(step: int, steps: int) -> float:
    """Of the learning rate: up in a line, down along a cosine."""
    warm = max(1, round(WARM * steps))
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))


@torch.no_grad()
def losses(model: Any, population: Population, device: str, batch: int = 2048) -> tuple[float, float, float]:
    """Mean summed loss in nats of a name and of a person's values, and the share of values ranked first."""
    model.eval()
    rng = numbered(population.seed, 2)
    first, names, told, right = population.syllables, 0.0, 0.0, 0
    for start in range(0, population.people, batch):
        rows = np.arange(start, min(population.people, start + batch))
        ids = torch.from_numpy(population.lines(rows, rng)).to(device)
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        loss = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = loss.view(len(rows), -1).double()  # (n, length - 1)
        names += float(loss[:, :first].sum())
        told += float(loss[:, first + 1 :: 2].sum())  # a phrase, then a value
        right += int((logits.argmax(-1) == ids[:, 1:])[:, first + 1 :: 2].sum())
    n = population.people
    return names / n, told / n, right / (n * population.attributes)


@torch.no_grad()
def round_to_int8(model: Any) -> None:
    """Round every row of every matrix to 255 levels, symmetrically about 0, in place."""
    for weight in {id(p): p for p in model.parameters()}.values():
        if weight.ndim == 2:
            step = weight.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
            weight.copy_((weight / step).round() * step)
