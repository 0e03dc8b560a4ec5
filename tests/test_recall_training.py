"""The stacked count form is the plain model, its gradients are autograd's, and training learns the task."""

import math

import numpy as np
import pytest
import torch

import factweights as fw
from factweights.errors import SettingError, ShapeError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall import (
    PaperAdamTransformer,
    StackedTransformers,
    drawn_model,
    train_stacked,
)
from factweights.methods.recall.batches import Drawing
from factweights.methods.recall.training import Schedule, train

TASKS = [
    RecallTask.random(6, 5, 3, noise=9, length=14),
    RecallTask.random(4, 7, 2, noise=20, length=14, seed=1),
    RecallTask.random(3, 2, 4, length=14, seed=2, alpha=1.0),
]
SIZES = [
    {"d": 10, "heads": 3, "head_dim": 4, "width": 12},
    {"d": 14, "heads": 2, "head_dim": 5, "width": 7},
    {"d": 6, "heads": 1, "head_dim": 2, "width": 0},
]
PLAN = Schedule(steps=20, batch=32, look_every=10, name="test")


def models(dtype=torch.float64, scale: float = 0.7) -> list[RecallTransformer]:
    out = []
    for seed, (task, sizes) in enumerate(zip(TASKS, SIZES, strict=True)):
        model = drawn_model(task, seed=seed, dtype=dtype, **sizes)
        g = torch.Generator().manual_seed(seed)
        for p in model.parameters():
            p.data.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64) * scale)
        out.append(model)
    return out


def drawn(stack: StackedTransformers, n: int = 48):
    """A batch of a stack, and the same prompts in each model's own token ids with their facts."""
    layout = stack.layout
    tokens, facts, own = [], [], []
    for g, task in enumerate(layout.tasks):
        drawing = Drawing(task, layout, np.random.default_rng(g))
        facts.append(drawing.facts(n))
        tokens.append(drawing.prompts(facts[g]))
        place = {int(there): here for here, there in enumerate(layout.place(task))}
        own.append(torch.tensor([[place[int(v)] for v in row] for row in tokens[g]]))
    return layout.batch(np.stack(tokens), np.stack(facts)), own, [torch.from_numpy(f) for f in facts]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_a_stack_computes_what_its_models_do(dtype, tolerance) -> None:
    stack = StackedTransformers(models(dtype), TASKS)
    batch, tokens, facts = drawn(stack)
    outputs, losses = stack.outputs(batch), stack.backward(batch, split=True)
    gradients = stack.padding.unpack(stack.gradient)
    assert losses.relation is not None
    assert losses.right is not None
    for g, (model, task) in enumerate(zip(models(dtype), TASKS, strict=True)):
        for p in model.parameters():
            p.requires_grad_(True)
        for plain in (model.read_tokens(tokens[g]).detach(), model(task.count(tokens[g]).to(dtype)).detach()):
            assert float((plain - outputs[g, :, : model.d]).abs().max()) < tolerance * float(
                plain.abs().max()
            )
        assert float(outputs[g, :, model.d :].abs().sum()) == 0
        logs = model.logits(model.read_tokens(tokens[g])).log_softmax(-1)
        target = task.target[facts[g]]
        loss = -logs[torch.arange(len(target)), target]
        relation = -(logs.exp() * task.answer_sets[task.relation[facts[g]]]).sum(1).log()
        size = 10 * max(1.0, float(loss.detach().abs().max()))
        assert float((loss.detach() - losses.total[g]).abs().max()) < tolerance * size
        assert float((relation.detach() - losses.relation[g]).abs().max()) < tolerance * size
        assert torch.equal(logs.argmax(1) == target, losses.right[g])
        loss.mean().backward()
        for name, p in model.named_parameters():
            if p.numel():
                assert p.grad is not None
                away = float((p.grad - gradients[g][name]).abs().max())
                assert away < 10 * tolerance * max(1.0, float(p.grad.abs().max()))


def test_the_loss_is_its_relation_part_and_the_choice_within_the_set() -> None:
    """−log p(a) = −log p(A_r) − log p(a | A_r), the second by enumerating the set."""
    stack = StackedTransformers(models(), TASKS)
    batch, tokens, facts = drawn(stack)
    losses = stack.losses(batch)
    assert losses.relation is not None
    for g, (model, task) in enumerate(zip(models(), TASKS, strict=True)):
        logits = model.logits(model.read_tokens(tokens[g])).double()
        inside = task.answer_sets[task.relation[facts[g]]]
        within = logits.masked_fill(~inside, -math.inf).log_softmax(1)
        subject = -within[torch.arange(len(inside)), task.target[facts[g]]]
        assert torch.allclose(losses.total[g] - losses.relation[g], subject, atol=1e-10)


@pytest.mark.parametrize("above", [30.0, 100.0])
def test_large_scores_do_not_overflow(above) -> None:
    """Attention up to 140 nats above EOS and answers hundreds of nats apart, in float32."""
    model, task = models(torch.float32)[0], TASKS[0]
    model.write.data *= 1000
    model.key.data *= above / _above_eos(model)
    stack = StackedTransformers([model], [task])
    batch, tokens, facts = drawn(stack)
    losses = stack.backward(batch)
    logs = model.double().logits(model.read_tokens(tokens[0])).log_softmax(1)
    plain = -logs[torch.arange(len(tokens[0])), task.target[facts[0]]]
    assert float(plain.max()) > 100
    assert bool(stack.gradient.isfinite().all())
    assert float((losses.total[0] - plain).abs().max()) < 1e-4 * float(plain.max())


def test_attention_too_sharp_for_the_dtype_is_exact_or_not_finite() -> None:
    model, task = models(torch.float32)[0], TASKS[0]
    model.key.data *= 1000 / _above_eos(model)
    stack = StackedTransformers([model], [task])
    batch, tokens, facts = drawn(stack)
    losses = stack.losses(batch).total[0]
    logs = model.double().logits(model.read_tokens(tokens[0])).log_softmax(1)
    plain = -logs[torch.arange(len(losses)), task.target[facts[0]]]
    finite = losses.isfinite()
    assert 0 < int(finite.sum()) < len(losses)
    assert torch.allclose(losses[finite].double(), plain[finite], rtol=1e-3, atol=1e-3)


def _above_eos(model: RecallTransformer) -> float:
    scores = model.scores()
    return float((scores - scores[-1]).max())


def test_padding_has_no_gradient_and_never_moves() -> None:
    small = drawn_model(TASKS[0], d=4, heads=1, head_dim=2, width=3, seed=0)
    stack = StackedTransformers([small, *models(torch.float32)[1:]], TASKS)
    ones = [{k: torch.ones_like(x) for k, x in own.items()} for own in stack.padding.unpack(stack.flat)]
    padded = stack.padding.pack(ones) == 0
    assert int(padded.sum()) > 500
    batch, _, _ = drawn(stack)
    stack.backward(batch)
    assert float(stack.gradient[padded].abs().max()) == 0
    assert float(stack.flat[padded].abs().max()) == 0


def test_together_is_as_alone() -> None:
    """Models of other sizes, tasks and rates beside a model change it by rounding alone."""
    rates = [1e-2, 3e-3, 1e-2]
    beside = train(models(), TASKS, PLAN, rates=rates, goals=[1.0] * 3, seeds=[0, 1, 2])
    for g, model in enumerate(models()):
        one = slice(g, g + 1)
        alone = train([model], TASKS[one], PLAN, rates=rates[one], goals=[1.0], seeds=[g])[0]
        for a, b in zip(alone.memory.parameters(), beside[g].memory.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-9)
        assert alone.training.recall == beside[g].training.recall
        assert alone.training.loss == pytest.approx(beside[g].training.loss, abs=1e-9)


def test_the_step_is_adams() -> None:
    model, task = models()[0], TASKS[0]
    trained = train([model], [task], PLAN, rates=[1e-2], goals=[1.0], seeds=[0])[0].memory
    stack = StackedTransformers([model], [task])
    plain = stack.unstack()[0]
    weights = [p.requires_grad_(True) for p in plain.parameters() if p.numel()]
    optimiser = torch.optim.Adam(weights, lr=1e-2)
    from factweights.methods.draws import streams

    drawing = Drawing(task, stack.layout, streams(0, "test-prompts", 2)[0])
    for _ in range(PLAN.steps):
        facts = drawing.facts(PLAN.batch)
        tokens = torch.from_numpy(drawing.prompts(facts).astype(np.int64))
        optimiser.zero_grad()
        logits = plain.logits(plain.read_tokens(tokens))
        torch.nn.functional.cross_entropy(logits, task.target[torch.from_numpy(facts)]).backward()
        optimiser.step()
    for a, b in zip(plain.parameters(), trained.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-8)


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


def test_many_at_once_stop_one_by_one() -> None:
    task = RecallTask.random(4, 3, 2, length=8)
    slow = PaperAdamTransformer(8, 1, 2, 2, learning_rate=1e-4, batch=128, steps=200, look_every=20)
    fast = PaperAdamTransformer(16, 2, 4, 16, learning_rate=1e-2, batch=128, steps=200, look_every=20)
    trained = train_stacked(task, [slow, fast, fast], seeds=[0, 0, 1])
    assert [t.training.outcome for t in trained] == ["steps used up", "recall reached", "recall reached"]
    assert [t.memory.d for t in trained] == [8, 16, 16]
    assert trained[0].training.steps[-1] == 200 > trained[1].training.steps[-1]
    assert not torch.equal(trained[1].memory.embeddings, trained[2].memory.embeddings)


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
    sane = PaperAdamTransformer(8, 1, 4, 8, learning_rate=1e-3, batch=16, steps=20, look_every=4)
    lost, kept = train_stacked(task, [wild, sane], seeds=[0, 0])
    assert lost.training.outcome == "not finite"
    assert kept.training.outcome == "steps used up"
    assert all(bool(p.isfinite().all()) for p in lost.memory.parameters())
    assert torch.equal(lost.memory.read, wild.start(task, seed=0).read)
    alone = sane.store(task, seed=0)
    assert torch.allclose(alone.read, kept.memory.read, atol=1e-4)


def test_zipf_draws_follow_the_tasks_probabilities() -> None:
    task = RecallTask.random(4, 3, 2, alpha=1.0, beta=0.5)
    layout = StackedTransformers(
        [drawn_model(task, d=4, heads=1, head_dim=1, width=1, seed=0)], [task]
    ).layout
    drawing = Drawing(task, layout, np.random.default_rng(0))
    facts = drawing.facts(60_000)
    share = torch.bincount(torch.from_numpy(facts), minlength=12).double() / 60_000
    assert torch.allclose(share, task.probability, atol=0.01)
    counts = task.count(torch.from_numpy(drawing.prompts(facts[:3000]).astype(np.int64)))
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


TASK = TASKS[0]
PLAIN = {"d": 4, "heads": 1, "head_dim": 1, "width": 1, "seed": 0}


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: PaperAdamTransformer(0, 1, 1, 1), SettingError),
        (lambda: PaperAdamTransformer(4, 1, 1, -1), SettingError),
        (lambda: PaperAdamTransformer(4, 1, 1, 1, learning_rate=0), SettingError),
        (lambda: PaperAdamTransformer(4, 1, 1, 1, recall=1.5), SettingError),
        (lambda: RECIPE.store(TASK, seed=-1), SettingError),
        (lambda: train_stacked(TASK, [], seeds=[]), SettingError),
        (lambda: train_stacked(TASK, [RECIPE], seeds=[0, 1]), SettingError),
        (lambda: train_stacked(TASK, [RECIPE, PaperAdamTransformer(4, 1, 1, 1)], seeds=[0, 1]), SettingError),
        (lambda: train_stacked([TASK, RecallTask.random(2, 2, 2)], [RECIPE] * 2, seeds=[0, 1]), SettingError),
        (lambda: train([], [], PLAN, rates=[], goals=[], seeds=[]), SettingError),
        (lambda: StackedTransformers([drawn_model(TASK, mlp="gelu", **PLAIN)], [TASK]), SettingError),
        (lambda: StackedTransformers([drawn_model(TASK, residual=True, **PLAIN)], [TASK]), SettingError),
        (lambda: StackedTransformers([drawn_model(TASK, **PLAIN)], TASKS[1:2]), ShapeError),
        (
            lambda: StackedTransformers(
                [drawn_model(TASK, **PLAIN), drawn_model(TASK, dtype=torch.float64, **PLAIN)], [TASK] * 2
            ),
            ShapeError,
        ),
    ],
)
def test_what_means_nothing_is_refused(make, error) -> None:
    with pytest.raises(error):
        make()
