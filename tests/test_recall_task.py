"""The task draws what arXiv 2412.06538 describes; the transformer's two forwards agree."""

import math

import pytest
import torch

import factweights as fw
from factweights.errors import FactsError, SettingError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer, load_memory


def test_prompts_hold_subject_relation_noise_and_eos() -> None:
    task = RecallTask.random(5, 4, 3, noise=7, length=9)
    prompts = task.draw(4000, seed=1)
    counts = task.count(prompts.tokens)
    assert bool((prompts.tokens[:, -1] == task.eos).all())
    rows = torch.arange(4000)
    assert bool((counts[rows, task.subject[prompts.facts]] == 1).all())
    assert bool((counts[rows, task.relation_token[prompts.facts]] == 1).all())
    assert bool((counts[:, :5].sum(1) == 1).all())
    assert bool((counts[:, 5:9].sum(1) == 1).all())
    assert bool((counts[:, task.noise_tokens].sum(1) == 6).all())


def test_positions_are_uniform_and_distinct() -> None:
    task = RecallTask.random(2, 2, 2, length=6)
    tokens = task.draw(30_000, seed=0).tokens
    subject = (tokens < 2).nonzero()[:, 1]
    relation = ((tokens >= 2) & (tokens < 4)).nonzero()[:, 1]
    pairs = torch.bincount(subject * 5 + relation, minlength=25).view(5, 5) / 30_000
    assert float(pairs.diagonal().max()) == 0
    off = pairs[~torch.eye(5, dtype=torch.bool)]
    assert float((off - 1 / 20).abs().max()) < 6 * math.sqrt(1 / 20 / 30_000)


def test_drawing_counts_is_drawing_prompts() -> None:
    task = RecallTask.random(3, 3, 2, noise=5, length=12)
    facts = torch.arange(9).repeat(3000)
    drawn = task.counts(facts, torch.Generator().manual_seed(3))
    counted = task.count(task.prompts(facts, torch.Generator().manual_seed(4)))
    noise = task.noise_tokens
    for a, b in ((drawn.mean(0), counted.mean(0)), (drawn[:, noise].var(0), counted[:, noise].var(0))):
        assert torch.allclose(a, b, atol=0.08)
    assert torch.allclose(task.counts(facts[:9], None)[:, noise], torch.full((9, 5), 9 / 5))


def test_answers_lie_in_the_set_of_their_relation() -> None:
    task = RecallTask.random(20, 6, 4, seed=2)
    assert bool((task.target // 4 == task.relation).all())
    assert task.disjoint
    structured = RecallTask.structured(16, 4, 8)
    s, r = structured.subject, structured.relation
    assert torch.equal(structured.target, s * 8 // 16 + 8 * r)
    assert structured.relation_entropy == pytest.approx(math.log(8))
    assert structured.bits == 64 * 3


def test_zipf_facts_are_drawn_by_their_probability() -> None:
    task = RecallTask.random(4, 3, 2, alpha=1.0, beta=0.5)
    assert float(task.probability.sum()) == pytest.approx(1)
    assert float(task.probability[0] / task.probability[3]) == pytest.approx(2)
    facts = task.draw_facts(60_000, torch.Generator().manual_seed(0))
    share = torch.bincount(facts, minlength=12).double() / 60_000
    assert torch.allclose(share, task.probability, atol=0.01)


def test_the_same_seed_gives_the_same_task_and_prompts() -> None:
    a, b = (RecallTask.random(8, 4, 3, seed=5) for _ in range(2))
    assert a.hash == b.hash != RecallTask.random(8, 4, 3, seed=6).hash
    assert torch.equal(a.draw(50, seed=2).tokens, b.draw(50, seed=2).tokens)


def test_a_table_becomes_a_task() -> None:
    rows = [("France", "capital", "Paris"), ("France", "currency", "euro"), ("Chile", "capital", "Santiago")]
    task = RecallTask.from_table(fw.FactTable.from_rows(rows))
    assert (len(task), task.n_subjects, task.n_relations, task.n_answers) == (3, 2, 2, 3)
    assert task.answer_names is not None
    assert [task.answer_names[i] for i in task.target.tolist()] == ["Paris", "euro", "Santiago"]
    assert task.disjoint


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: RecallTask.random(0, 1, 1), SettingError),
        (lambda: RecallTask.random(2, 2, 2, length=2), SettingError),
        (lambda: RecallTask.random(2, 2, 2, noise=0), SettingError),
        (lambda: RecallTask.random(2, 2, 2, alpha=float("nan")), SettingError),
        (lambda: RecallTask(*(torch.tensor([0, 0]),) * 3, 1, 1, 1, 1), FactsError),
        (lambda: RecallTask(*(torch.tensor([2]),) * 3, 1, 1, 1, 1), FactsError),
        (lambda: RecallTask.random(2, 2, 2).draw(0, seed=0), SettingError),
        (lambda: RecallTransformer(3, 2, 4, 0, 1, 1), SettingError),
        (lambda: RecallTransformer(3, 2, 4, 1, 1, 1, mlp="tanh"), SettingError),
    ],
)
def test_what_means_nothing_is_refused(make, error) -> None:
    with pytest.raises(error):
        make()


SETTINGS = [
    {},
    {"width": 0},
    {"mlp": "gated"},
    {"mlp": "gelu", "residual": True},
    {"values": "identity"},
    {"values": "identity", "attention": "linear", "width": 0},
    {"attention": "linear"},
]


def random_transformer(task: RecallTask, *, scale: float = 1.0, dtype=torch.float64, **settings):
    width = settings.pop("width", 12)
    model = RecallTransformer(task.n_tokens, task.n_answers, 10, 3, 4, width, **settings).to(dtype)
    g = torch.Generator().manual_seed(0)
    for p in [*model.parameters(), *model.buffers()]:
        p.data.copy_(torch.randn(p.shape, generator=g, dtype=dtype) * scale)
    return model


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_both_forwards_and_their_gradients_agree(settings, dtype, tolerance) -> None:
    task = RecallTask.random(6, 5, 3, noise=9, length=14)
    model = random_transformer(task, scale=0.7, dtype=dtype, **settings)
    tokens = task.draw(64, seed=0).tokens
    grads = []
    for out in (lambda: model.read_tokens(tokens), lambda: model(task.count(tokens).to(dtype))):
        for p in model.parameters():
            p.requires_grad_(True)
            p.grad = None
        logits = model.logits(out())
        logits.log_softmax(-1)[:, 0].mean().backward()
        grads.append(
            (logits.detach(), [torch.zeros(0) if p.grad is None else p.grad for p in model.parameters()])
        )
    (plain, plain_grads), (counted, counted_grads) = grads
    assert float((plain - counted).abs().max() / plain.abs().max()) < tolerance
    for a, b in zip(plain_grads, counted_grads, strict=True):
        if a.numel():
            assert float((a - b).abs().max()) < tolerance * max(1.0, float(a.abs().max()))


def test_very_sharp_attention_is_still_exact() -> None:
    task = RecallTask.random(6, 5, 3, noise=9, length=14)
    model = random_transformer(task, scale=6.0, dtype=torch.float32, width=0)
    tokens = task.draw(256, seed=0).tokens
    plain, counted = model.read_tokens(tokens), model(task.count(tokens))
    assert bool(torch.isfinite(counted).all())
    assert float((plain - counted).abs().max() / plain.abs().max()) < 1e-4


def test_parameters_are_counted_by_group() -> None:
    task = RecallTask.random(32, 32, 8)
    model = RecallTransformer(task.n_tokens, task.n_answers, 32, 8, 4, 32)
    assert model.count_parameters() == {
        "key-query": 2048,
        "output-value": 2048,
        "mlp": 2080,
        "embeddings": (129 + 256) * 32,
    }
    assert (model.n_parameters, model.paper_count) == (6176, 6144)


def test_it_saves_and_loads(tmp_path) -> None:
    task = RecallTask.random(6, 5, 3)
    model = random_transformer(task, mlp="gated")
    back = load_memory(model.save(tmp_path / "t.safetensors"))
    assert isinstance(back, RecallTransformer)
    assert back.hash == model.hash
    counts = task.counts(torch.arange(len(task)), None).double()
    assert torch.equal(back(counts), model(counts))


def test_verify_reads_prompts_as_facts() -> None:
    task = RecallTask.random(6, 5, 3)
    model = random_transformer(task)
    c = fw.verify(model, task.associations(model.unembeddings, draws=3))
    logits = model.logits(model(task.associations(model.unembeddings, draws=3).keys))
    assert c.facts == 3 * len(task)
    assert c.recall == pytest.approx(float((logits.argmax(1) == task.target.repeat(3)).double().mean()))
