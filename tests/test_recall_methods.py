"""Constructions and fits of the recall transformer, each checked on the plain forward over positions."""

import itertools

import numpy as np
import pytest
import torch

import factweights as fw
from factweights.certificates import prompt_margins, verify_prompts
from factweights.errors import NotStorableError, SettingError, ShapeError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer
from factweights.methods.recall import (
    RECALL_METHODS,
    AttentionMLP,
    AttentionOnly,
    FitOrDescend,
    PaperAdamTransformer,
    TransformerFit,
)
from factweights.methods.recall.base import drawn_model
from factweights.methods.recall.constructions import smallest
from factweights.methods.recall.lookups import LookupFit, LookupShape, raw_sums
from factweights.methods.recall.mixed import MixedFit, MixedWeights, mixed_directions, write_mixed
from factweights.methods.recall.polish import PromptLoss
from factweights.methods.recall.selectors import balanced_groups, select

TASK = RecallTask.random(8, 6, 4, length=12)


def filled(task: RecallTask, *, scale: float = 1.0, width: int = 12, **kinds) -> RecallTransformer:
    """Random weights and embeddings, float64."""
    model = RecallTransformer(task.n_tokens, task.n_answers, 10, 3, 4, width, **kinds).double()
    g = torch.Generator().manual_seed(0)
    for p in [*model.parameters(), *model.buffers()]:
        p.data.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64) * scale)
    return model


def every_prompt(task: RecallTask):
    """All multisets of noise, for every fact: (counts, fact)."""
    noise = range(task.n_noise)
    for drawn in itertools.combinations_with_replacement(noise, task.length - 3):
        counts = task.counts(torch.arange(len(task)), None)
        counts[:, task.noise_tokens] = torch.bincount(torch.tensor(drawn), minlength=task.n_noise).float()
        yield counts.double()


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 0},
        {},
        {"mlp": "gated"},
        {"mlp": "gelu", "residual": True},
        {"values": "identity", "width": 0},
    ],
)
def test_the_bound_holds_in_every_prompt(settings) -> None:
    task = RecallTask.random(3, 2, 2, noise=4, length=6)
    model = filled(task, scale=0.8, **settings)
    bound = prompt_margins(model, task)
    least = torch.full((len(task),), torch.inf, dtype=torch.float64)
    for counts in every_prompt(task):
        z = model.logits(model(counts))
        right = z.gather(1, task.target[:, None])[:, 0]
        wrong = z.scatter(1, task.target[:, None], -torch.inf).amax(1)
        least = torch.minimum(least, right - wrong)
    assert bool((bound <= least + 1e-12).all())


def test_without_noise_the_bound_of_attention_alone_is_exact() -> None:
    task = RecallTask.random(3, 2, 2, length=3, noise=0)
    model = filled(task, width=5)
    certificate = verify_prompts(model, task, draws=1)
    assert certificate.margin_all_prompts == pytest.approx(certificate.min_margin)
    assert certificate.noise_attention == 0


def test_selectors_tell_groups_apart() -> None:
    model = drawn_model(TASK, d=24, heads=4, head_dim=4, width=0, seed=0)
    own = torch.zeros(4, TASK.n_tokens, dtype=torch.bool)
    own[torch.arange(14) % 4, torch.arange(14)] = True
    found = select(model.embeddings, own)
    z = (model.embeddings - model.embeddings[-1]).double() @ found.directions.T
    assert found.clean
    assert float(z.T[own].min()) == pytest.approx(found.inside)
    assert found.inside >= 0.89
    assert found.outside <= -0.89


def test_groups_are_balanced() -> None:
    rows = torch.randn(23, 5, generator=torch.Generator().manual_seed(0))
    sizes = torch.bincount(balanced_groups(rows, 4, 0), minlength=4)
    assert sorted(sizes.tolist()) == [5, 6, 6, 6]


def test_raw_sums_intersect_two_sets() -> None:
    values = raw_sums(TASK, torch.eye(TASK.n_answers))
    scores = values[TASK.subject] + values[TASK.relation_token]
    right = scores.gather(1, TASK.target[:, None])[:, 0]
    assert bool((right == 2).all())
    assert float(scores.scatter(1, TASK.target[:, None], 0).max()) == 1


@pytest.mark.parametrize(("code", "width", "mlp"), [(None, 0, "relu"), (3, 5, "relu"), (2, 4, "gated")])
def test_the_gradient_of_lookups_is_right(code, width, mlp) -> None:
    U = torch.randn(TASK.n_answers, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    group = torch.arange(14) % 5
    fit = LookupFit(TASK, U, group, LookupShape(code, width, mlp))
    x = fit.start(np.random.default_rng(0))
    step = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    t = 1e-6
    loss = fit.loss
    numeric = (loss(x + t * step)[0] - loss(x - t * step)[0]) / (2 * t)
    assert float(loss(x)[1] @ step) == pytest.approx(numeric, rel=1e-5)


@pytest.mark.parametrize(
    "method",
    [
        AttentionOnly(),
        AttentionOnly("raw", d=512),
        AttentionOnly(d=20, head_dim=1),
        AttentionMLP(d=24),
        AttentionMLP("raw", d=32),
        AttentionMLP(d=None, width=20),
        AttentionMLP(d=24, width=8, mlp="gated"),
    ],
)
def test_constructions_answer_every_prompt(method) -> None:
    found = method.solve(TASK, seed=1)
    certificate = verify_prompts(found.memory, TASK, draws=8, seed=3)
    assert found.holds
    assert certificate.recall == 1.0
    assert certificate.proved
    assert certificate.min_margin >= (certificate.margin_all_prompts or 0) - 1e-4
    assert found.memory.width == 0 or method.name == "attention-mlp"


def test_a_construction_is_the_same_for_the_same_seed() -> None:
    a, b = (AttentionMLP(d=24, width=10).store(TASK, seed=4) for _ in range(2))
    assert a.hash == b.hash != AttentionMLP(d=24, width=10).store(TASK, seed=5).hash


def test_too_few_heads_are_refused() -> None:
    with pytest.raises(NotStorableError, match="need 4"):
        AttentionOnly(d=32, heads=2).solve(TASK)
    with pytest.raises(NotStorableError, match="recalls every fact"):
        smallest("d", lambda d: AttentionOnly(d=d, max_evaluations=3).solve(TASK), 5, 5, most=6)


def test_the_fit_reaches_recall_one_and_proves_it() -> None:
    found = TransformerFit(d=24, heads=4, head_dim=4, width=16).solve(TASK, seed=0)
    certificate = verify_prompts(found.memory, TASK)
    assert (found.recall, found.storable, found.clean) == (1.0, True, True)
    assert certificate.proved


def test_the_fit_lives_with_noise_it_cannot_shut_out() -> None:
    task = RecallTask.random(12, 8, 2, length=10)
    method = TransformerFit(d=10, heads=2, head_dim=5, width=40, recall=0.95, max_evaluations=300)
    unpolished = TransformerFit(10, 2, 5, 40, recall=0.95, max_evaluations=300, polish_evaluations=0)
    found, before = method.solve(task, seed=0), unpolished.solve(task, seed=0)
    assert not found.clean
    assert found.recall > before.recall
    assert found.polished > 0 == before.polished


def test_the_loss_over_prompts_is_that_of_the_model() -> None:
    model = drawn_model(TASK, d=10, heads=3, head_dim=4, width=6, seed=0, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    for p in model.parameters():
        p.data.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64))
    prompts = PromptLoss(model)
    loss = prompts.on(TASK.counts(torch.arange(len(TASK)), g).double(), TASK.target)
    x = prompts.flat()
    assert torch.allclose(prompts.outputs(x), model(prompts.counts), rtol=1e-9)
    assert torch.allclose(prompts.outputs(x), prompts.written(x)(prompts.counts), rtol=1e-9)
    step, t = torch.randn(x.shape, generator=g, dtype=torch.float64), 1e-7
    numeric = (loss(x + t * step)[0] - loss(x - t * step)[0]) / (2 * t)
    assert float(loss(x)[1] @ step) == pytest.approx(numeric, rel=1e-4)


def test_a_table_of_facts_is_stored_and_proved() -> None:
    pairs = [(i, j) for i in range(9) for j in range(5) if (i + j) % 4]
    rows = [(f"s{i}", f"r{j}", f"a{i * i % 4} of {j}") for i, j in pairs]
    task = RecallTask.from_table(fw.FactTable.from_rows(rows))
    assert task.disjoint
    assert verify_prompts(AttentionOnly().store(task), task).proved


def test_answers_of_several_relations_need_an_mlp() -> None:
    rows = [(f"s{i}", f"r{j}", f"a{(3 * i + j) % 7}") for i in range(9) for j in range(5)]
    task = RecallTask.from_table(fw.FactTable.from_rows(rows))
    assert not task.disjoint
    with pytest.raises(NotStorableError, match="attention-mlp can"):
        AttentionOnly(max_evaluations=200).store(task)
    assert verify_prompts(AttentionMLP(d=24).store(task), task).proved


@pytest.mark.parametrize("name", sorted(RECALL_METHODS))
def test_every_method_has_a_name_and_a_reference(name) -> None:
    assert RECALL_METHODS[name].name == name
    assert RECALL_METHODS[name].reference


@pytest.mark.parametrize(
    "make",
    [
        lambda: AttentionOnly(d=0),
        lambda: AttentionMLP(width=-1),
        lambda: AttentionMLP(d=None),
        lambda: AttentionOnly(sharpness=0.0),
        lambda: TransformerFit(8, 0, 1, 1),
        lambda: TransformerFit(8, 1, 1, 1, recall=1.5),
        lambda: FitOrDescend(8, 1, 1, 1, rates=()),
        lambda: FitOrDescend(8, 1, 1, 1, rates=(0.0,)),
        lambda: verify_prompts(filled(TASK), TASK, draws=0),
    ],
)
def test_settings_that_mean_nothing_are_refused(make) -> None:
    with pytest.raises(SettingError):
        make()


def test_a_model_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(ShapeError, match="task"):
        verify_prompts(RecallTransformer(4, 2, 3, 1, 1, 1), TASK)


def test_smallest_transformer_finds_a_width() -> None:
    found = fw.smallest_transformer(
        TASK, lambda m: TransformerFit(24, 4, 4, m, max_evaluations=400), recall=1.0, guess=4
    )
    assert verify_prompts(found.memory, TASK, draws=8, seed=7).recall == 1.0


def test_the_gradient_of_mixed_heads_is_right() -> None:
    model = drawn_model(TASK, d=16, heads=5, head_dim=3, width=4, seed=0, dtype=torch.float64)
    fit = MixedFit(TASK, model, 3 * mixed_directions(TASK, model.embeddings, 5, 0))
    x = fit.start(np.random.default_rng(0))
    step = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    t = 1e-6
    loss = fit.loss
    numeric = (loss(x + t * step)[0] - loss(x - t * step)[0]) / (2 * t)
    assert float(loss(x)[1] @ step) == pytest.approx(numeric, rel=1e-5)


def test_what_mixed_heads_are_fitted_to_is_what_the_model_does() -> None:
    model = drawn_model(TASK, d=24, heads=6, head_dim=3, width=4, seed=0, dtype=torch.float64)
    directions = 25 * mixed_directions(TASK, model.embeddings, 6, 0)
    assert bool(directions[:-1].any(1).all())
    directions[-1] = 0  # a head that is off
    fit = MixedFit(TASK, model, directions)
    x = fit.start(np.random.default_rng(0))
    parts = fit.blocks.split(x)
    value, writers = torch.bmm(fit.basis, parts.pop("codes")), parts.pop("writers")
    write_mixed(model, directions, MixedWeights(value, writers, parts, 0.0, 0))
    counts = TASK.counts(torch.arange(len(TASK)), torch.Generator().manual_seed(0))
    assert torch.allclose(model(counts.double()), fit.outputs(x), atol=1e-3)
    tokens = TASK.prompts(torch.arange(len(TASK)), torch.Generator().manual_seed(1))
    assert torch.allclose(model.read_tokens(tokens), fit.outputs(x), atol=1e-3)


def test_heads_left_over_do_the_work_of_an_mlp() -> None:
    task = RecallTask.random(16, 16, 8, seed=0)  # attention alone that only copies needs d = 27
    few, many = (TransformerFit(20, heads, 4, 0, max_evaluations=300).solve(task) for heads in (8, 24))
    assert few.recall < 0.9
    assert many.storable
    assert verify_prompts(many.memory, task, draws=8).proved_exact  # as float32 rounds, not every fact is


# Far more facts than these sizes hold: the fit collapses there, descent degrades.
CROWDED = RecallTask.structured(14, 14, 8, noise=16, length=16)


def test_descent_takes_over_where_the_fit_collapses_and_is_the_recipe_itself() -> None:
    sizes = (8, 4, 8, 4)
    method = FitOrDescend(*sizes, rates=(1e-2, 3e-3), steps=384, max_evaluations=300)
    found = method.solve(CROWDED, seed=3)
    fit, *descents = found.candidates
    assert [c.learning_rate for c in descents] == [1e-2, 3e-3]
    assert found.recall == max(c.recall for c in found.candidates) > fit.recall
    assert not found.recall >= method.recall
    assert found.steps == sum(c.steps for c in found.candidates)
    best = max(descents, key=lambda c: c.recall)
    alone = PaperAdamTransformer(*sizes, learning_rate=best.learning_rate, steps=384).solve(CROWDED, seed=3)
    ours = dict(found.memory.named_parameters())
    assert all(torch.equal(p, ours[name]) for name, p in alone.memory.named_parameters())


def test_the_fit_is_enough_where_it_holds_the_facts() -> None:
    found = FitOrDescend(24, 4, 4, 16).solve(TASK, seed=0)
    assert [c.method for c in found.candidates] == ["fit"]
    assert found.recall >= 0.99
    assert verify_prompts(found.memory, TASK, draws=4, seed=99).recall >= 0.99


def test_missed_facts_are_told(recwarn) -> None:
    FitOrDescend(8, 4, 8, 4, rates=(1e-2,), steps=8, max_evaluations=20).store(CROWDED)
    assert any("fit-or-descend" in str(w.message) for w in recwarn)


def test_the_fewest_parameters_over_shapes_hold_every_prompt_and_beat_the_default() -> None:
    told: list[str] = []
    found = fw.fewest_parameters(TASK, head_dims=(2, 4), on_progress=lambda p: told.append(str(p)))
    size = sum(p.numel() for p in found.memory.parameters())
    assert verify_prompts(found.memory, TASK).proved
    assert found.memory.head_dim in (2, 4)
    assert told
    usual = AttentionMLP().solve(TASK)
    assert size < 0.7 * sum(p.numel() for p in usual.memory.parameters())


def test_no_head_sizes_or_too_few_heads_are_refused() -> None:
    with pytest.raises(SettingError, match="size of a head"):
        fw.fewest_parameters(TASK, head_dims=())
    with pytest.raises(NotStorableError, match="heads"):
        fw.fewest_parameters(TASK, AttentionMLP(heads=1), head_dims=(2,))
