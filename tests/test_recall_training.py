"""Training is plain Adam on the plain model's loss, its prompts are the task's, and it learns the task."""

import math

import numpy as np
import pytest
import torch

import factweights as fw
from factweights.errors import SettingError
from factweights.facts import RecallTask
from factweights.methods.recall import PaperAdamTransformer, drawn_model
from factweights.methods.recall.training import Drawing
from factweights.seeds import streams

TASK = RecallTask.random(6, 5, 3, noise=9, length=14)


@pytest.mark.parametrize("sizes", [(10, 3, 4, 12), (14, 2, 5, 7), (6, 1, 2, 0)])
def test_training_is_adam_on_attention_over_positions(sizes) -> None:
    """A reference of its own: positions instead of counts, cross-entropy, and Adam's update written out."""
    recipe = PaperAdamTransformer(*sizes, learning_rate=1e-2, recall=1.0, batch=32, steps=20, look_every=10)
    trained = recipe.solve(TASK, seed=0).memory
    plain = recipe.start(TASK, seed=0)
    weights = [p.requires_grad_(True) for p in plain.parameters() if p.numel()]
    mean, square = ([torch.zeros_like(p) for p in weights] for _ in range(2))
    drawing = Drawing(TASK, streams(0, "paper-adam-prompts", 2)[0])
    for step in range(1, 21):
        facts = drawing.facts(32)
        logs = plain.logits(plain.read_tokens(drawing.prompts(torch.from_numpy(facts)))).log_softmax(-1)
        loss = -logs[torch.arange(32), TASK.target[torch.from_numpy(facts)]].mean()
        for p, m, v, g in zip(weights, mean, square, torch.autograd.grad(loss, weights), strict=True):
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g * g)
            p.data -= 1e-2 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    for a, b in zip(plain.parameters(), trained.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-4)
        assert not b.requires_grad


def test_the_record_is_that_of_the_stack_before() -> None:
    """Numbers of the code that trained stacks of models with a backward pass by hand, same task and seed."""
    recipe = PaperAdamTransformer(32, 4, 8, 32, steps=100, look_every=100, batch=256, learning_rate=3e-3)
    training = recipe.solve(RecallTask.random(40, 40, 4), seed=1).training
    assert training.loss == pytest.approx((5.080484954640269, 5.042890397831798), abs=2e-6)
    assert training.relation_loss == pytest.approx((3.6885082825215716, 3.6634463810036992), abs=2e-6)
    assert training.recall[0] == 7 / 1600
    assert training.recall[1] == pytest.approx(15 / 1600, abs=1 / 1600)


def test_the_loss_is_its_relation_part_and_the_choice_within_the_set() -> None:
    """−log p(a) = −log p(A_r) − log p(a | A_r), the second by enumerating the set."""
    recipe = PaperAdamTransformer(8, 2, 3, 5, batch=48, steps=0)
    training = recipe.solve(TASK, seed=1).training
    model, drawing = recipe.start(TASK, seed=1), Drawing(TASK, streams(1, "paper-adam-prompts", 2)[0])
    facts = drawing.facts(48)
    logits = model.logits(model.read_tokens(drawing.prompts(torch.from_numpy(facts)))).double()
    asked = torch.from_numpy(facts)
    within = logits.masked_fill(~TASK.answer_sets[TASK.relation[asked]], -math.inf).log_softmax(1)
    assert training.subject_loss[0] == pytest.approx(
        -float(within[torch.arange(48), TASK.target[asked]].mean()), abs=1e-6
    )


RECIPE = PaperAdamTransformer(
    d=16, heads=2, head_dim=4, width=16, learning_rate=1e-2, recall=1.0, batch=128, steps=1000, look_every=20
)


def test_a_tiny_task_is_learnt() -> None:
    task = RecallTask.random(4, 3, 2, length=8)
    heard = []
    trained = RECIPE.solve(task, on_progress=heard.append)
    training = trained.training
    certificate = fw.verify(trained.memory, task.associations(trained.memory.unembeddings, draws=20, seed=3))
    assert training.outcome == "recall reached"
    assert training.recall[-1] == 1.0
    assert certificate.recall > 0.95
    assert training.loss[0] > 1 > training.loss[-1]
    for total, *parts in zip(training.loss, training.relation_loss, training.subject_loss, strict=True):
        assert total == pytest.approx(sum(parts))
        assert min(parts) > -1e-6
    assert len(heard) == len(training.steps) == len(training.to_dict()["recall"])
    assert "recall reached" in str(training)
    assert RECIPE.settings()["method"] == "paper-adam"


def test_a_seed_fixes_everything() -> None:
    task = RecallTask.random(4, 3, 2, length=8, alpha=0.5)
    a, b, other = (RECIPE.store(task, seed=seed).hash for seed in (5, 5, 6))
    assert a == b != other
    first = RECIPE.start(task, seed=0)
    assert bool((first.bias == 0).all())
    assert float(first.key.std()) == pytest.approx(1 / 4, rel=0.2)


def test_weights_that_blow_up_are_given_back_as_they_last_were() -> None:
    wild = PaperAdamTransformer(8, 1, 4, 8, learning_rate=1e30, batch=16, steps=20, look_every=4)
    task = RecallTask.random(4, 3, 2, length=8)
    lost = wild.solve(task, seed=0)
    assert lost.training.outcome == "not finite"
    assert all(bool(p.isfinite().all()) for p in lost.memory.parameters())
    assert torch.equal(lost.memory.read, wild.start(task, seed=0).read)


def test_zipf_draws_follow_the_tasks_probabilities() -> None:
    task = RecallTask.random(4, 3, 2, alpha=1.0, beta=0.5)
    drawing = Drawing(task, np.random.default_rng(0))
    facts = drawing.facts(60_000)
    share = torch.bincount(torch.from_numpy(facts), minlength=12).double() / 60_000
    assert torch.allclose(share, task.probability, atol=0.01)
    counts = task.count(drawing.prompts(torch.from_numpy(facts[:3000])))
    assert float(counts[:, task.noise_tokens].sum(1).min()) == 29
    mean = counts[:, task.noise_tokens].mean(0)
    assert torch.allclose(mean, torch.full_like(mean, 29 / task.n_noise), atol=0.25)


def test_embeddings_are_gaussian_and_not_the_answers_draw() -> None:
    model = drawn_model(RecallTask.random(50, 50, 4), d=64, heads=1, head_dim=1, width=0, seed=0, mlp="gelu")
    assert float(model.embeddings.square().sum(1).mean()) == pytest.approx(1, rel=0.05)
    assert float(model.unembeddings.square().sum(1).mean()) == pytest.approx(1, rel=0.05)
    assert not torch.equal(model.embeddings[:10], model.unembeddings[:10])
    assert model.mlp == "gelu"
    assert all(float(p.abs().sum()) == 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: PaperAdamTransformer(0, 1, 1, 1), SettingError),
        (lambda: PaperAdamTransformer(4, 1, 1, -1), SettingError),
        (lambda: PaperAdamTransformer(4, 1, 1, 1, learning_rate=0), SettingError),
        (lambda: PaperAdamTransformer(4, 1, 1, 1, recall=1.5), SettingError),
        (lambda: RECIPE.store(TASK, seed=-1), SettingError),
    ],
)
def test_what_means_nothing_is_refused(make, error) -> None:
    with pytest.raises(error):
        make()
