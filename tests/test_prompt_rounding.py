"""The bound over all prompts holds in the dtype in which the transformer answers."""

import math

import pytest
import torch

import factweights as fw
from factweights.certificates import prompt_margins, verify_prompts
from factweights.certificates.prompts import _drawn_margins
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def random_model(task: RecallTask, seed: int) -> RecallTransformer:
    """Weights of very different sizes, float64, of a kind that the seed picks."""
    generator = torch.Generator().manual_seed(seed)

    def pick(*among):
        return among[int(torch.randint(len(among), (1,), generator=generator))]

    model = RecallTransformer(
        task.n_tokens,
        task.n_answers,
        pick(4, 12),
        pick(1, 3),
        pick(2, 5),
        pick(0, 6),
        mlp=pick("relu", "gelu", "gated"),
        values=pick("learned", "identity"),
        residual=pick(True, False),
    ).double()
    for name, x in model.state_dict().items():
        scale = pick(0.3, 1.0, 4.0) if name in ("key", "query") else pick(0.3, 1.0)
        x.copy_(scale * torch.randn(x.shape, generator=generator, dtype=torch.float64))
    return model


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_no_drawn_prompt_falls_below_the_bound(dtype: torch.dtype):
    """In the dtype itself, and with the same weights in float64, which stands for exact arithmetic."""
    close = math.inf
    for seed in range(24):
        task = RecallTask.random(4, 3, 2, noise=3, length=4 + seed % 4, seed=seed)
        model = random_model(task, seed).to(dtype)
        least = prompt_margins(model, task)
        drawn = _drawn_margins(model, task, 24, seed).amin(1)
        exact = _drawn_margins(model.double(), task, 24, seed).amin(1)
        assert not (drawn < least).any(), seed
        assert not (exact < least).any(), seed
        close = min(close, float((exact - least).min()))
    assert close < {torch.float64: 0.05, torch.float32: 0.05, torch.float16: 30, torch.bfloat16: 300}[dtype]


def test_a_proof_is_one_for_the_dtype():
    task = RecallTask.random(16, 16, 8, seed=16)
    model = fw.AttentionOnly().store(task)
    found = {dtype: verify_prompts(model.to(dtype), task, draws=8) for dtype in DTYPES}
    assert all(found[dtype].proved for dtype in DTYPES[:2])
    half = found[torch.float16]
    assert half.recall < 1.0
    assert (half.facts_proved, half.dtype) == (0, "float16")
    assert "as float16 rounds: 0 facts proved" in dict(half.lines())["all prompts"]
    assert found[torch.float64].margin_all_prompts > found[torch.float32].margin_all_prompts > 0
    double, single = found[torch.float64], found[torch.float32]
    assert double.margin_all_prompts_exact == double.margin_all_prompts
    assert single.margin_all_prompts_exact > single.margin_all_prompts
    assert single.facts_proved_exact == single.facts  # the weights are proved, whatever float16 makes of them
    assert half.proved_exact is (half.margin_all_prompts_exact > 0)


@pytest.mark.slow
def test_float32_among_much_noise():
    task = RecallTask.random(32, 16, 8, noise=200, length=64, seed=0)
    model = fw.AttentionOnly().store(task)
    c = verify_prompts(model, task, draws=4)
    assert c.dtype == "float32"
    assert c.min_margin >= c.margin_all_prompts
    assert c.facts_proved > 0.75 * len(task)  # 455 of 512, all in float64
    assert verify_prompts(model.double(), task, draws=1).min_margin >= c.margin_all_prompts


def test_weights_that_are_no_numbers_prove_nothing():
    task = RecallTask.random(4, 3, 2, noise=3, length=6, seed=0)
    model = random_model(task, 0)
    model.unembeddings[:] = math.nan
    c = verify_prompts(model, task)
    assert (c.recall, c.always_right, c.facts_proved, c.proved) == (0.0, 0.0, 0, False)
