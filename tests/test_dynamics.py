"""Gradient flow of the recall task: what theorems and derivations say is measured."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import factweights as fw
from factweights import theory
from factweights.dynamics import find_plateau, find_stages
from factweights.dynamics.classes import Classes
from factweights.dynamics.descent import counts_of
from factweights.dynamics.population import Population, softmax
from factweights.dynamics.starts import start_weights
from factweights.dynamics.systems import FullSystem, ReducedSystem
from factweights.errors import SettingError, UnknownNameError
from factweights.facts import RecallTask

FIG5 = RecallTask.structured(16, 4, 8, noise=20, length=32)


def halls(flow) -> float:
    """How long the hallucination stage is; 0 without one."""
    return next((s.end - s.start for s in flow.stages if s.name == "hallucination"), 0.0)


@pytest.fixture(scope="module")
def published():
    """The flow of figure 5's run."""
    return fw.gradient_flow(FIG5, start="uniform", end=819.2, goal=1e-4)


@pytest.fixture(scope="module")
def large():
    """S = 64, R = 4, D = 8: balanced and random tables."""
    tables = {"balanced": RecallTask.structured(64, 4, 8), "random": RecallTask.random(64, 4, 8, seed=1)}
    return {name: fw.gradient_flow(task) for name, task in tables.items()}


# -- the equations -------------------------------------------------------------------------------------------


def whole_loss(task: RecallTask, w: torch.Tensor, O: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over given prompts, position by position: shares no code with the population."""
    weights = torch.as_tensor(task.probability).repeat_interleave(len(tokens) // len(task))
    logits = torch.stack([sum(w[z] * O[z] for z in row.tolist()) for row in tokens])
    target = task.target.repeat_interleave(len(tokens) // len(task))
    own = logits.log_softmax(1).gather(1, target[:, None])[:, 0]
    return -(weights @ own) / (len(tokens) / len(task))


@pytest.mark.parametrize("exponents", [(0.0, 0.0), (1.0, 0.5)])
def test_the_field_is_minus_the_gradient_of_the_loss_over_all_prompts(exponents):
    alpha, beta = exponents
    task = RecallTask.random(3, 2, 2, noise=2, length=5, alpha=alpha, beta=beta, seed=3)
    p = Population.of(task)
    rng = np.random.default_rng(0)
    w, O = rng.normal(size=p.n_tokens), rng.normal(size=(p.n_tokens, p.n_answers))
    # every prompt there is, order aside: two noise positions and two noise tokens
    noise = list(range(task.noise_tokens.start, task.eos))
    rows = [
        [int(s), int(r), a, b, task.eos]
        for s, r in zip(task.subject, task.relation_token, strict=True)
        for a in noise
        for b in noise
    ]
    places = [*range(p.n_subjects + p.n_relations), *[p.eos + 1] * len(noise), p.eos]
    weights = torch.tensor(w[places], requires_grad=True), torch.tensor(O[places], requires_grad=True)
    loss = whole_loss(task, *weights, torch.tensor(rows))
    loss.backward()
    assert weights[0].grad is not None
    assert weights[1].grad is not None
    system = FullSystem(p)
    dw, dO = system.unpack(system.field(system.pack(w, O)))
    assert system.loss(system.pack(w, O)) == pytest.approx(loss.item(), abs=1e-12)
    np.testing.assert_allclose(dw[places], -weights[0].grad, atol=1e-12)
    np.testing.assert_allclose(dO[places], -weights[1].grad, atol=1e-12)


@pytest.mark.parametrize(
    "task",
    [
        FIG5,
        RecallTask.structured(20, 4, 8),  # D does not divide S
        RecallTask.structured(12, 3, 4, beta=1.0),
        RecallTask.structured(24, 2, 3, length=3),
        RecallTask.random(10, 3, 3, seed=2),
    ],
    ids=str,
)
def test_the_reduced_system_is_the_full_one_on_its_subspace(task):
    p = Population.of(task)
    w, O = start_weights(p, "balanced", 1e-3)
    reduced, full = ReducedSystem(p, Classes.of(p, w, O)), FullSystem(p)
    assert reduced.size <= full.size
    for seed in range(3):
        y = np.random.default_rng(seed).normal(size=reduced.size)
        Y = full.pack(*reduced.unpack(y))
        np.testing.assert_allclose(full.pack(*reduced.unpack(reduced.field(y))), full.field(Y), atol=1e-13)
        assert reduced.loss(y) == pytest.approx(full.loss(Y), abs=1e-12)
        assert reduced.copies @ reduced.field(y) ** 2 == pytest.approx(full.copies @ full.field(Y) ** 2)


def test_eight_variables_stand_for_any_balanced_table():
    for task in (FIG5, RecallTask.structured(128, 8, 16)):
        assert fw.gradient_flow(task, end=1.0).variables == 8
    assert fw.gradient_flow(FIG5, start="random", end=1.0).variables == 22 * 33


def test_reduced_and_full_flows_agree():
    one, other = fw.gradient_flow(FIG5), fw.gradient_flow(FIG5, reduce=False)
    assert (one.variables, other.variables) == (8, 726)
    times = np.linspace(0, 700, 36).tolist()
    np.testing.assert_allclose(one.loss_at(times), other.loss_at(times), rtol=1e-5)
    assert [s.start for s in one.stages] == pytest.approx([s.start for s in other.stages], rel=1e-3)
    # Away from the plateau's flat middle: there the steps of an explicit solver are as long as stability lets
    # them be, and what is read between them is worth less than what it reaches at their ends.
    for t in (100.0, 200.0, 500.0, 700.0):
        for a, b in zip(one.weights(t), other.weights(t), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6 * abs(b).max(), rtol=0)


def test_rounding_does_not_move_what_is_read(published):
    """Other kernels of a linear algebra library round otherwise: so does a drive off by a few units."""
    from factweights.dynamics.systems import FullSystem as Full

    class Rounded(Full):
        def field(self, y: np.ndarray) -> np.ndarray:
            return super().field(y) * (1 + 4e-16 * np.sign(np.sin(1e9 * y)))

    p = Population.of(FIG5)
    y = Full(p).pack(*start_weights(p, "uniform", 1e-5))
    for system in (Full(p), Rounded(p)):
        found = solve_ivp(
            lambda _, y, s=system: s.field(y), (0, 600), y, method="DOP853", rtol=1e-8, atol=1e-15,
            t_eval=[100.0, 200.0, 500.0, 600.0],
        )  # fmt: skip
        losses = [system.loss(y) for y in found.y.T]
        assert losses == pytest.approx(published.loss_at([100.0, 200.0, 500.0, 600.0]).tolist(), rel=1e-5)


def test_an_independent_integration_at_high_precision_agrees(published):
    """All 41 tokens by themselves, dense arrays, another solver at a relative tolerance of 1e-12."""
    task, S, R, A = FIG5, 16, 4, 32
    target = task.target.reshape(S, R).numpy()
    right = np.eye(A)[target]

    def field(_: float, y: np.ndarray) -> np.ndarray:
        X = y.reshape(S + R + 21, A + 1)
        G = X[:, :1] * X[:, 1:]
        spare = 29 / 20 * G[S + R : -1].sum(0) + G[-1]
        rho = (right - softmax(G[:S, None] + G[None, S : S + R] + spare)) / (S * R)
        g = np.concatenate(
            [rho.sum(1), rho.sum(0), *[29 / 20 * rho.sum((0, 1))[None]] * 20, rho.sum((0, 1))[None]]
        )
        return np.concatenate([(X[:, 1:] * g).sum(1, keepdims=True), X[:, :1] * g], 1).ravel()

    times = np.array([100.0, 180.0, 300.0, 420.0, 450.0, 600.0, 800.0])
    found = solve_ivp(
        field, (0, 800), np.full(41 * 33, 1e-5), method="DOP853", rtol=1e-12, atol=1e-18, t_eval=times
    )
    for t, y in zip(times, found.y.T, strict=True):
        X = y.reshape(41, 33)
        G = X[:, :1] * X[:, 1:]
        logits = G[:S, None] + G[None, S : S + R] + 29 / 20 * G[S + R : -1].sum(0) + G[-1]
        own = np.take_along_axis(softmax(logits), target[..., None], 2)
        assert published.loss_at([t])[0] == pytest.approx(float(-np.log(own).mean()), rel=1e-5)
        np.testing.assert_allclose(published.weights(t)[0][: S + R], X[: S + R, 0], rtol=1e-5)


def test_stiff_solvers_agree(published):
    for solver in ("Radau", "BDF"):
        other = fw.gradient_flow(FIG5, start="uniform", end=260.0, solver=solver)
        assert other.loss_at([170.0, 250.0]) == pytest.approx(published.loss_at([170.0, 250.0]), rel=1e-4)


@pytest.mark.parametrize("start", ["balanced", "uniform", "random"])
def test_what_the_flow_conserves(start):
    how = {"start": start, "init": 1e-3, "end": 240.0}
    assert fw.gradient_flow(FIG5, **how).conservation_error < 1e-6
    assert fw.gradient_flow(FIG5, **how, rtol=1e-3).conservation_error > 1e-9  # it measures


def test_time_at_which_the_loss_falls_is_the_squared_gradient(published):
    """dL/dt = −‖∇L‖², over all weights of the model, noise tokens counted one by one."""
    t, loss, grad = (
        np.array(x) for x in (published.trace.times, published.trace.loss, published.trace.grad_norm)
    )
    for at in (150.0, 170.0, 300.0, 420.0, 500.0):
        slope = np.diff(published.loss_at([at - 0.01, at + 0.01]))[0] / 0.02
        assert np.interp(at, t, grad**2) == pytest.approx(-slope, rel=0.02)
    assert (np.diff(loss) <= 1e-12).all()


# -- theorems ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task",
    [
        FIG5,
        RecallTask.random(6, 3, 2, seed=4),
        RecallTask.random(5, 2, 2, seed=4, alpha=1.0),
        RecallTask.random(3, 4, 2),
    ],
    ids=str,
)
def test_the_loss_goes_to_zero_from_the_balanced_start(task):
    goal = 1e-2 if task.alpha else 1e-3  # a rare fact takes its time
    flow = fw.gradient_flow(task, init=1e-3, goal=goal)
    assert flow.converged
    assert flow.trace.loss[-1] <= goal * 1.001
    assert flow.trace.accuracy[-1] == pytest.approx(1)


@pytest.mark.parametrize("name", ["balanced", "random"])
def test_the_plateau_is_the_relation_only_predictor(large, name):
    flow = large[name]
    entropy = flow.task.relation_entropy
    assert flow.relation_entropy == pytest.approx(entropy)
    assert entropy == pytest.approx(math.log(8) if name == "balanced" else 2.041, abs=1e-3)
    assert abs(flow.plateau.loss - entropy) <= 0.003
    assert flow.plateau.kl <= 0.003
    p = flow.probabilities(flow.plateau.time)
    np.testing.assert_allclose(p, Population.of(flow.task).of_relation[flow.task.relation.numpy()], atol=0.01)


@pytest.mark.parametrize("name", ["balanced", "random"])
def test_growth_rates_are_the_norms_of_the_drive(large, name):
    for kind, tokens in (("relation", 4), ("subject", 64)):
        rate = large[name].rates[kind]
        assert rate.tokens == tokens
        assert rate.measured == pytest.approx(rate.theory, rel=0.002)
        assert rate.worst < 0.01
    if name == "balanced":
        assert large[name].rates["relation"].theory == pytest.approx(theory.relation_rate(4, 8))
        assert large[name].rates["subject"].theory == pytest.approx(theory.subject_rate(64, 4, 8))


def test_the_gradient_is_small_all_through_the_hallucination_stage(large):
    flow = large["balanced"]
    t, grad, loss, kl = (np.array(getattr(flow.trace, k)) for k in ("times", "grad_norm", "loss", "kl"))
    (stage,) = [s for s in flow.stages if s.name == "hallucination"]
    before = grad[t < stage.start].max()
    middle = (t > stage.start + 0.1 * (stage.end - stage.start)) & (
        t < stage.start + 0.6 * (stage.end - stage.start)
    )
    assert grad[middle].max() < 0.05 * before
    assert abs(loss[middle] - flow.relation_entropy).max() < 0.02
    assert kl[(t > stage.start) & (t < stage.end)].max() <= 0.05
    assert stage.end - stage.start == pytest.approx(theory.plateau_time(64, 4, 8, 1e-5), rel=0.15)


def test_without_enough_subjects_there_is_no_such_stage():
    """λ_rel = λ_sub at S = √(RD): subjects and relations are learnt at once, whatever the start."""
    for init in (1e-2, 1e-5, 1e-10):
        flow = fw.gradient_flow(RecallTask.structured(8, 8, 8, noise=20), init=init)
        assert [s.name for s in flow.stages] == ["initial", "convergence"]
        assert min(flow.trace.kl) > 0.5
        assert flow.converged


def test_the_stage_needs_far_fewer_subjects_than_the_theorem_asks():
    S, R, D = 32, 16, 16
    assert theory.paper_condition(R, D) > 20 * S
    flow = fw.gradient_flow(RecallTask.structured(S, R, D, noise=20), init=1e-5)
    assert halls(flow) > 0
    assert halls(fw.gradient_flow(RecallTask.structured(16, R, D, noise=20), init=1e-5)) == 0


def test_a_smaller_start_makes_the_plateau_longer_by_the_law():
    S, R, D = 64, 4, 8
    lengths = [
        halls(fw.gradient_flow(RecallTask.structured(S, R, D, noise=20), init=i)) for i in (1e-5, 1e-10)
    ]
    laws = [theory.plateau_time(S, R, D, i) for i in (1e-5, 1e-10)]
    assert lengths[1] - lengths[0] == pytest.approx(laws[1] - laws[0], rel=0.01)


def test_the_trap_accuracy_is_one_before_anything_is_learnt(published):
    """Without noise the argmax is right from the first moment on: it tells no stage."""
    t, accuracy, loss = (np.array(getattr(published.trace, k)) for k in ("times", "accuracy", "loss"))
    early = (t > 30) & (t < 100)
    assert accuracy[early] == pytest.approx(1)
    assert (loss[early] > 3.4).all()
    (stage,) = [s for s in published.stages if s.name == "hallucination"]
    assert accuracy[(t > stage.start) & (t < stage.end)] == pytest.approx(1)


def test_figure_5_as_published(published):
    initial, plateau, _ = published.stages
    assert initial.end == pytest.approx(
        205, abs=2
    )  # loss at half its fall at 168; shaded to 180 in the paper
    assert plateau.end == pytest.approx(427, abs=2)
    assert published.loss_at([500.0])[0] < 0.1  # where the paper's shading of the plateau ends
    t, attention = np.array(published.trace.times), published.trace.attention
    assert np.interp(250, t, attention["relation"]) > 20 * np.interp(250, t, attention["subject"])
    assert np.interp(819, t, attention["subject"]) > 3
    assert max(abs(x) for x in attention["noise"]) < 0.01
    assert max(abs(x) for x in attention["eos"]) < 0.001


# -- steps ---------------------------------------------------------------------------------------------------


def test_the_flow_predicts_the_stochastic_run(published):
    """Euler steps grow as (1 + ηλ)^n and not e^{ηλn}: with that lag counted the curves are one."""
    found = fw.descend(FIG5, batch=128, steps=5120, look_every=64)
    times, loss = np.array(found.trace.times), np.array(found.trace.loss)
    off = abs(loss / published.loss_at(times.tolist()) - 1)
    assert off.max() < 0.05
    assert np.median(off) < 0.005
    accuracy = np.array(found.trace.accuracy)[(times > 220) & (times < 300)]
    assert accuracy == pytest.approx(1 / 8, abs=0.1)  # the exact flow has 1.0 there: no way to tell a stage
    grown = 0.1 * theory.subject_rate(16, 4, 8)
    lag = math.log1p(grown) / grown
    assert abs(loss / published.loss_at((times * lag).tolist()) - 1).max() < 0.03
    assert find_plateau(found.trace).loss == pytest.approx(published.plateau.loss, abs=0.02)


def test_halving_the_steps_halves_the_difference():
    """Plain descent is Euler's method: its error is of first order."""
    flow = fw.gradient_flow(FIG5, start="uniform", init=1e-2, end=240.0, goal=1e-6)
    off = []
    for rate, steps in ((0.4, 600), (0.2, 1200)):
        found = fw.descend(FIG5, rate=rate, steps=steps, batch=None, init=1e-2, look_every=steps // 60)
        off.append(abs(np.array(found.trace.loss) / flow.loss_at(found.trace.times) - 1).max())
    assert off[0] / off[1] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("attention", ["linear", "softmax"])
@pytest.mark.parametrize("embeddings", ["one-hot", "random"])
def test_steps_follow_the_gradient_of_the_transformer(attention, embeddings):
    """One step of descent against autograd through a RecallTransformer with the same weights."""
    from factweights.dynamics.descent import _Model

    task = RecallTask.random(4, 3, 2, noise=5, length=8, seed=1)
    model = _Model(task, attention, embeddings, 20, "random", 0.5, 0)
    counts = counts_of(task, np.arange(len(task)), np.random.default_rng(1))
    weight = task.probability.numpy()
    by_v, by_W = model.gradient(counts, np.arange(len(task)), weight)
    v, W = (torch.tensor(x, requires_grad=True) for x in (model.v, model.W))
    phi, u, C = (torch.tensor(x) for x in (model.phi, model.u, counts))
    a = phi @ v
    e = C * (a.exp() if attention == "softmax" else a)
    share = e / e.sum(1, keepdim=True) if attention == "softmax" else e
    logits = (share @ phi) @ W.T @ u.T
    loss = -(torch.tensor(weight) @ logits.log_softmax(1)[range(len(task)), task.target])
    loss.backward()
    assert v.grad is not None
    assert W.grad is not None
    np.testing.assert_allclose(by_v, -v.grad, atol=1e-12)
    np.testing.assert_allclose(by_W, -W.grad, atol=1e-12)


def test_softmax_attention_passes_through_the_same_stages():
    found = fw.descend(
        FIG5, attention="softmax", batch=None, rate=5.0, steps=4096, start="balanced", look_every=32
    )
    assert [s.name for s in found.stages] == ["initial", "hallucination", "convergence"]
    assert find_plateau(found.trace).loss == pytest.approx(math.log(8), abs=0.01)
    shares = np.array([found.trace.attention[k] for k in ("subject", "relation", "noise", "eos")])
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-9)
    assert shares[0, -1] > 10 * shares[0, 0]


def test_counts_are_those_of_prompts():
    task = RecallTask.random(4, 3, 2, noise=5, length=12)
    facts = np.repeat(np.arange(12), 400)
    counts = counts_of(task, facts, np.random.default_rng(0))
    assert (counts.sum(1) == 12).all()
    assert (counts[np.arange(len(facts)), facts // 3] == 1).all()
    mean = counts_of(task, np.arange(12), None)
    np.testing.assert_allclose(counts.reshape(12, 400, -1).mean(1), mean, atol=0.35)
    np.testing.assert_allclose(mean, task.counts(torch.arange(12), None).numpy(), atol=1e-6)


def test_the_transformers_own_training_through_the_same_lens():
    task = RecallTask.random(32, 4, 4, noise=8, length=8)
    model = fw.PaperAdamTransformer(d=16, heads=4, head_dim=8, width=16).start(task, seed=0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = fw.watch_training(model, task, rate=3e-3, steps=120, batch=256, look_every=10)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    trace = found.trace
    assert trace.loss[0] == pytest.approx(math.log(16), abs=0.5)
    assert trace.relation_loss[-1] < 0.2 < trace.relation_loss[0]
    assert min(trace.kl) < 0.4
    np.testing.assert_allclose(sum(np.array(x) for x in trace.attention.values()), 1, atol=1e-9)
    assert trace.attention["relation"][-1] > 2 * trace.attention["relation"][0]
    assert "plateau" in str(found)
    again = fw.watch_training(model, task, rate=3e-3, steps=20, batch=256, look_every=10)
    assert again.trace.loss == trace.loss[:3]


# -- results and refusals ------------------------------------------------------------------------------------


def test_a_flow_prints_well_and_is_plain_json(published):
    told = json.loads(json.dumps(published.to_dict()))
    wanted = {
        "stages",
        "loss",
        "plateau_loss",
        "relation_entropy",
        "kl_at_plateau",
        "rates",
        "conservation_error",
    }
    assert wanted | {"seconds"} <= set(told)
    assert [s["name"] for s in told["stages"]] == ["initial", "hallucination", "convergence"]
    assert "hallucination" in str(published)
    assert "<table>" in published._repr_html_()
    frames = published.frames(published.telling_times())
    assert len(frames["times"]) == len(frames["probabilities"]) >= 4
    assert published.spread_times(5)[-1] == pytest.approx(published.end)


def test_stages_at_other_tolerances(published):
    (strict,) = [s for s in find_stages(published.trace, tolerance=0.02) if s.name == "hallucination"]
    (loose,) = [s for s in find_stages(published.trace, tolerance=0.2) if s.name == "hallucination"]
    assert loose.start < strict.start < strict.end < loose.end
    assert [s.name for s in find_stages(published.trace, tolerance=1e-6)] == ["initial", "convergence"]


def test_one_relation_begins_on_the_plateau():
    flow = fw.gradient_flow(RecallTask.structured(16, 1, 4, noise=3), init=1e-4)
    assert flow.stages[0].end == 0
    assert flow.stages[1].name == "hallucination"
    assert flow.converged


def test_what_cannot_be_is_told():
    with pytest.raises(UnknownNameError, match="start"):
        fw.gradient_flow(FIG5, start="balancd")
    with pytest.raises(UnknownNameError, match="solver"):
        fw.gradient_flow(FIG5, solver="RK9")
    for wrong in ({"init": 0.0}, {"goal": 0.0}, {"end": -1.0}, {"rtol": 2.0}, {"tolerance": 0.0}):
        with pytest.raises(SettingError):
            fw.gradient_flow(FIG5, **wrong)
    with pytest.raises(SettingError, match="nothing to learn"):
        fw.gradient_flow(RecallTask.structured(3, 1, 1))
    with pytest.raises(SettingError, match="solved from 0"):
        fw.gradient_flow(FIG5, end=1.0).weights(2.0)
    for wrong in ({"rate": 0.0}, {"steps": 0}, {"batch": 0}, {"d": 0}, {"init": -1.0}):
        with pytest.raises(SettingError):
            fw.descend(FIG5, **wrong)
    with pytest.raises(UnknownNameError, match="attention"):
        fw.descend(FIG5, attention="quadratic")


def test_laws_of_balanced_tables():
    for S, R, D in ((16, 4, 8), (64, 4, 8), (48, 16, 16)):
        flow = fw.gradient_flow(RecallTask.structured(S, R, D), end=1.0)
        assert flow.rates["relation"].theory == pytest.approx(theory.relation_rate(R, D))
        assert flow.rates["subject"].theory == pytest.approx(theory.subject_rate(S, R, D))
        ratio = theory.relation_rate(R, D) / theory.subject_rate(S, R, D)
        assert theory.rate_ratio(S, R, D) == pytest.approx(ratio)
        assert ratio == pytest.approx(S / math.sqrt(R * D) * math.sqrt((1 - 1 / R) / (1 - 1 / D)))
    assert theory.growth_time(0.1, math.e**-5, 1) == pytest.approx(50)
    assert theory.paper_condition(4, 8) == pytest.approx(128)
    assert theory.plateau_time(4, 16, 16, 1e-5) == 0
    assert theory.rate_ratio(4, 2, 1) == math.inf
    with pytest.raises(SettingError):
        theory.relation_rate(0, 4)
