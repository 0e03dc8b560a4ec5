"""Every way of writing facts into an MLP, on tiny cases against plain loops and dense solvers."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from jaxtyping import TypeCheckError

from factweights import theory
from factweights.certificates import margin_bound, margins, verify
from factweights.errors import SettingError
from factweights.facts import Associations
from factweights.methods import decodability as decodability_module
from factweights.methods import hermite_ntk as hermite_ntk_module
from factweights.methods import readout as readout_module
from factweights.methods.conjugate import conjugate_gradients
from factweights.methods.decodability import decodability
from factweights.methods.draws import normal
from factweights.methods.encoder_decoder import EncoderDecoder
from factweights.methods.gated_hebbian import GatedHebbian
from factweights.methods.hermite_ntk import HermiteNTK
from factweights.methods.paper_adam_mlp import PaperAdamMLP
from factweights.methods.random_features import RandomFeatures
from factweights.methods.readout import raw_readout, ridge_readout
from factweights.seeds import streams

EVERY = [
    HermiteNTK(64),
    HermiteNTK(64, degree=2),
    HermiteNTK(64, activation="relu"),
    GatedHebbian(24, "raw"),
    GatedHebbian(24),
    GatedHebbian(24, "data-dependent"),
    EncoderDecoder(24),
    EncoderDecoder(24, code_dim=5, activation="relu"),
    RandomFeatures(24),
    RandomFeatures(24, "bilinear"),
    PaperAdamMLP(24, max_steps=20),
]
REFUSED = (SettingError, TypeCheckError)  # the type checker of the tests may come first
NAMES = [f"{m.name}-{i}" for i, m in enumerate(EVERY)]
every = pytest.mark.parametrize("method", EVERY, ids=NAMES)


def tiny(n=6, d=4, **settings):
    return Associations.spherical(n, d, **settings)


def dense(hidden, facts):
    """Features, values of the facts and N of a memory with hidden features ``hidden``."""
    return hidden(facts.keys), facts.values[facts.targets], len(facts)


class TestEveryMethod:
    @every
    @pytest.mark.parametrize("shape", [{}, {"d_out": 7}, {"outputs": 3}, {"tied": True}])
    def test_stores_any_facts_in_a_memory_of_the_size_it_says(self, method, shape):
        facts = Associations.spherical(12, 5, seed=1, **shape)
        memory = method.store(facts, seed=1)
        assert memory.n_parameters == method.n_parameters(facts.d_in, facts.d_out)
        assert (memory.d_in, memory.d_out) == (facts.d_in, facts.d_out)
        c = verify(memory, facts)
        assert math.isfinite(c.min_margin)
        assert c.recall > 1 / facts.n_outputs

    @every
    def test_the_seed_alone_decides(self, method):
        facts = Associations.spherical(12, 5, seed=2)
        before = facts.hash
        one, again, other = (method.store(facts, seed=s).hash for s in (3, 3, 4))
        assert one == again
        assert one != other
        assert facts.hash == before
        assert replace(facts).hash == before

    @every
    def test_the_dtype_of_the_facts_is_kept(self, method):
        facts = Associations.spherical(8, 5, dtype=torch.float32)
        assert method.store(facts).dtype == torch.float32
        assert method.store(facts.to(dtype=torch.float64)).dtype == torch.float64

    @pytest.mark.parametrize("method", EVERY[:-1], ids=NAMES[:-1])
    def test_key_length_changes_nothing(self, method):
        facts = Associations.spherical(12, 5, seed=2)
        longer = replace(facts, keys=100 * facts.keys)
        one, other = (margins(method.store(f), f) for f in (facts, longer))
        scale = float(other.abs().mean() / one.abs().mean())
        torch.testing.assert_close(other, scale * one, rtol=1e-3, atol=1e-3 * scale * float(one.abs().max()))

    @every
    def test_settings_are_plain(self, method):
        assert json.loads(json.dumps(method.settings()))["method"] == method.name

    @pytest.mark.parametrize("kind", [HermiteNTK, GatedHebbian, EncoderDecoder, RandomFeatures, PaperAdamMLP])
    def test_a_width_is_at_least_one(self, kind):
        with pytest.raises(SettingError, match="width"):
            kind(0)


class TestDraws:
    def test_same_seed_as_the_facts_but_other_numbers(self):
        facts = Associations.gaussian(50, 8, seed=5)
        for name in ("hermite-ntk", "gated-hebbian"):
            G = normal(streams(5, name, 1)[0], 50, 8, facts.keys)
            overlap = torch.nn.functional.cosine_similarity(G, facts.keys).abs()
            assert float(overlap.max()) < 0.999

    def test_a_narrow_layer_is_part_of_a_wide_one(self):
        like = torch.zeros(1, dtype=torch.float64)
        narrow, wide = (normal(streams(0, "x", 1)[0], rows, 3, like) for rows in (4, 9))
        assert torch.equal(narrow, wide[:4])

    def test_negative_seeds_are_refused(self):
        with pytest.raises(SettingError, match="-1"):
            HermiteNTK(4).store(tiny(), seed=-1)


class TestHermiteNTK:
    @pytest.mark.parametrize("q", [1, 2, 3])
    def test_is_the_double_sum(self, q):
        facts = tiny()
        memory = HermiteNTK(5, degree=q).store(facts)
        h = {1: lambda x: x, 2: lambda x: (x**2 - 1) / 2**0.5, 3: lambda x: (x**3 - 3 * x) / 6**0.5}[q]
        G, b = memory.gate, memory.write.T
        k = torch.tensor([0.3, -0.2, 0.9, 0.1], dtype=torch.float64)
        expected = torch.zeros(4, dtype=torch.float64)
        for r in range(5):
            for i in range(len(facts)):
                v = facts.values[facts.targets[i]]
                weight = h(G[r] @ facts.keys[i]) * h(G[r] @ k) * (b[r] @ v) * (facts.keys[i] @ k)
                expected += weight * b[r] / 5
        torch.testing.assert_close(memory(k), expected, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(b.norm(dim=1), torch.ones(5, dtype=torch.float64))

    @pytest.mark.parametrize(("q", "activation"), [(1, "hermite"), (2, "hermite"), (1, "relu"), (2, "gelu")])
    def test_a_wide_memory_is_the_sum_over_powers_of_overlaps(self, q, activation):
        facts = tiny(3, 4)
        memory = HermiteNTK(400_000, degree=q, activation=activation).store(facts)
        overlaps = facts.keys @ facts.keys.T
        expected = overlaps ** (q + 1) @ facts.values[facts.targets] / facts.d_out
        torch.testing.assert_close(memory(facts.keys), expected, rtol=0, atol=0.02)

    def test_blocks_of_facts_change_nothing(self, monkeypatch):
        facts = tiny(11)
        whole = HermiteNTK(5).store(facts)
        monkeypatch.setattr(hermite_ntk_module, "BLOCK_ELEMENTS", 15)
        torch.testing.assert_close(HermiteNTK(5).store(facts).read, whole.read, rtol=1e-12, atol=1e-14)

    def test_degree_two_stores_what_degree_one_cannot(self):
        facts = Associations.spherical(256, 16)  # N ≫ d³/16: beyond the first degree at any width
        one, two = (verify(HermiteNTK(8192, degree=q).store(facts), facts).recall for q in (1, 2))
        assert two > one

    def test_errors(self):
        with pytest.raises(SettingError, match="degree"):
            HermiteNTK(4, degree=0)
        with pytest.raises(SettingError, match="no Hermite component of degree 3"):
            HermiteNTK(4, degree=3, activation="relu")
        with pytest.raises(SettingError, match="unknown activation"):
            HermiteNTK(4, activation="tanh")


class TestReadouts:
    def test_raw_is_the_sum_of_outer_products(self):
        facts = tiny()
        memory = GatedHebbian(5, "raw").store(facts)
        expected = torch.zeros(4, 5, dtype=torch.float64)
        for i in range(len(facts)):
            phi = (memory.read @ facts.keys[i]) * (memory.gate @ facts.keys[i])
            expected += torch.outer(facts.values[facts.targets[i]], phi) / len(facts)
        torch.testing.assert_close(memory.write.data, expected, rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize("width", [3, 9, 10, 11, 40])
    def test_both_forms_are_one_matrix(self, width):
        """The form used for m ≤ N and the one for m > N, each written out for every m."""
        facts, ridge = tiny(10), 0.01
        memory = GatedHebbian(width, ridge=ridge).store(facts)
        phi, V, n = dense(memory.features, facts)
        shift = ridge * float(phi.square().sum(1).mean())
        eye = torch.eye(width, dtype=torch.float64)
        primal = torch.linalg.solve(phi.T @ phi / n + shift * eye, phi.T @ V / n).T
        dual = (phi.T @ torch.linalg.solve(phi @ phi.T / n + shift * torch.eye(n).double(), V) / n).T
        torch.testing.assert_close(memory.write.data, primal, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(memory.write.data, dual, rtol=1e-8, atol=1e-10)

    def test_the_ridge_is_continuous_at_m_equal_n(self):
        """Training error over nested features: no step at m = N, where a ridge scaled on one side jumps."""
        facts = Associations.spherical(40, 16)

        def error(width):
            memory = GatedHebbian(width, ridge=1e-3).store(facts)
            return float((memory(facts.keys) - facts.values).square().sum())

        errors = [error(width) for width in range(34, 48)]
        steps = [a - b for a, b in pairwise(errors)]
        at_the_border = steps[6]  # from m = 40 = N, the last of one form, to m = 41
        others = [s for i, s in enumerate(steps) if i != 6]
        assert all(s > 0 for s in steps)
        assert min(others) / 2 < at_the_border < 2 * max(others)

    def test_without_ridge_it_interpolates_from_m_equal_n_on(self):
        facts = Associations.spherical(20, 16)
        for width in (20, 30):
            memory = GatedHebbian(width, ridge=0).store(facts)
            torch.testing.assert_close(memory(facts.keys), facts.values, rtol=0, atol=1e-7)

    def test_dependent_features_need_no_ridge(self):
        facts = Associations.spherical(20, 3)  # bilinear features of R³ span six dimensions
        for width in (12, 40):
            memory = GatedHebbian(width, ridge=0).store(facts)
            phi, V, _ = dense(memory.features, facts)
            best = phi @ torch.linalg.pinv(phi, rtol=1e-10) @ V
            torch.testing.assert_close(memory(facts.keys), best, rtol=0, atol=1e-7)

    def test_blocks_of_facts_change_nothing(self, monkeypatch):
        facts = tiny(11)
        hidden = GatedHebbian(5).store(facts).features
        whole = raw_readout(hidden, facts, 5), ridge_readout(hidden, facts, 5, 0.1)
        monkeypatch.setattr(readout_module, "BLOCK_ELEMENTS", 15)
        parts = raw_readout(hidden, facts, 5), ridge_readout(hidden, facts, 5, 0.1)
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-14)

    def test_a_ridge_holds_the_readout_at_m_equal_n_under_key_noise(self):
        facts = Associations.spherical(256, 32, tied=True)
        bare, held = (
            verify(GatedHebbian(256, ridge=ridge).store(facts), facts, noise=(0.2,)) for ridge in (0, 1e-3)
        )
        assert bare.recall == held.recall == 1.0
        assert bare.noise_recall[0.2] < 0.3
        assert held.noise_recall[0.2] > 0.95

    def test_smaller_widths_for_better_readouts(self):
        facts = Associations.spherical(64, 32, tied=True)
        for readout, width in (("raw", 200), ("whitened", 50), ("data-dependent", 25)):
            assert verify(GatedHebbian(width, readout).store(facts), facts).recall == 1.0
        assert verify(GatedHebbian(50, "raw").store(facts), facts).recall < 1.0
        assert verify(GatedHebbian(25, "whitened").store(facts), facts).recall < 1.0

    def test_errors(self):
        with pytest.raises(REFUSED):
            GatedHebbian(4, "best")  # type: ignore[arg-type]
        with pytest.raises(SettingError, match="ridge of gated-hebbian cannot be"):
            GatedHebbian(4, ridge=-1.0)


class TestDataDependent:
    def objective(self, facts, W, P, X, ridge):
        phi = (facts.keys @ P.T) * (facts.keys @ X.T)
        wanted = torch.nn.functional.one_hot(facts.targets, facts.n_outputs).double()
        return float((phi @ W.T @ facts.values.T - wanted).square().sum() + ridge * X.square().sum())

    def test_each_fit_is_the_regularised_least_squares_solution(self):
        """Against a dense solve of the problem written out entry by entry."""
        facts, method = tiny(7, 3, outputs=5, seed=3), GatedHebbian(4, "data-dependent", ridge=1e-3)
        rng = streams(0, "x", 2)
        P, W = normal(rng[0], 4, 3, facts.keys), normal(rng[1], 3, 4, facts.keys)
        scores = facts.values @ W
        design = torch.zeros(7 * 5, 4 * 3, dtype=torch.float64)
        wanted = torch.zeros(7 * 5, dtype=torch.float64)
        for i in range(7):
            for y in range(5):
                row = scores[y] * (P @ facts.keys[i])
                design[5 * i + y] = torch.outer(row, facts.keys[i]).flatten()
                wanted[5 * i + y] = float(facts.targets[i] == y)
        normal_matrix = design.T @ design
        shift = 1e-3 * float(normal_matrix.diagonal().mean())
        expected = torch.linalg.solve(normal_matrix + shift * torch.eye(12).double(), design.T @ wanted)
        torch.testing.assert_close(method._fit(facts, W, P).flatten(), expected, rtol=1e-6, atol=1e-9)

    def test_more_rounds_fit_better(self):
        facts = Associations.spherical(48, 16, tied=True)
        methods = [GatedHebbian(12, "data-dependent", rounds=r) for r in (1, 4)]
        one, four = (verify(m.store(facts), facts).recall for m in methods)
        assert four >= one

    def test_conjugate_gradients_solve(self):
        A = torch.diag(torch.arange(1.0, 9.0).double()) + 0.1
        b = torch.arange(8).double()
        x = conjugate_gradients(lambda v: A @ v, b, A.diagonal(), tolerance=1e-13, max_iterations=50)
        torch.testing.assert_close(A @ x, b, rtol=1e-11, atol=1e-11)
        zero = conjugate_gradients(lambda v: A @ v, 0 * b, A.diagonal(), tolerance=1e-13, max_iterations=5)
        assert not zero.any()


class TestDecodability:
    @pytest.mark.parametrize("m", [3, 5, 12])
    def test_regular_polygon(self, m):
        angle = 2 * math.pi * torch.arange(m, dtype=torch.float64) / m
        lower, upper = decodability(torch.stack([angle.cos(), angle.sin()], 1)).rho
        assert lower <= math.sin(math.pi / m) + 1e-12
        assert upper >= math.sin(math.pi / m) - 1e-12
        assert upper - lower < 0.02 * upper

    def test_simplex(self):
        lower, upper = decodability(torch.eye(6, dtype=torch.float64)).rho
        rho = math.sqrt(6 / 5 / 2)
        assert rho - 0.01 < lower <= rho + 1e-12
        assert rho - 1e-12 <= upper < rho + 0.01

    def test_bounds_hold_row_by_row(self):
        values = Associations.spherical(40, 8).values[:, :5]
        found = decodability(values)
        differences = values[:, None] - values[None]
        unit = torch.nn.functional.normalize(differences, dim=2)
        seen = torch.einsum("ijc,ic->ij", unit, found.directions)
        seen.fill_diagonal_(math.inf)
        torch.testing.assert_close(found.lower, seen.amin(1), rtol=1e-9, atol=1e-12)
        assert bool((found.lower <= found.upper + 1e-12).all())
        decodable = found.upper > 0.05
        gap = (found.upper - found.lower)[decodable] / found.upper[decodable]
        assert float(gap.max()) < 0.05

    def test_inner_and_equal_vectors_have_none(self):
        line = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
        assert [round(x, 2) for x in decodability(line).upper.tolist()] == [1.0, 0.0, 1.0]
        twins = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
        assert decodability(twins).upper.tolist()[:2] == [0.0, 0.0]
        assert decodability(twins).lower[2] > 0.9

    def test_a_single_vector_is_decodable(self):
        found = decodability(torch.ones(1, 3, dtype=torch.float64))
        assert found.rho == (1.0, 1.0)
        assert float(found.directions.norm()) == pytest.approx(1.0)

    def test_blocks_and_chosen_rows_change_nothing(self, monkeypatch):
        values = Associations.spherical(20, 6).values
        whole = decodability(values)
        monkeypatch.setattr(decodability_module, "BLOCK_ELEMENTS", 60)
        some = decodability(values, torch.tensor([3, 11, 4, 19]))
        torch.testing.assert_close(some.lower, whole.lower[[3, 11, 4, 19]], rtol=1e-6, atol=1e-9)


class TestEncoderDecoder:
    def test_the_code_written_is_the_code_wanted(self):
        facts = Associations.spherical(30, 8, seed=2)
        solution = EncoderDecoder(26).solve(facts)  # blocks of 4 neurons, 6 dimensions, 2 silent neurons
        memory = solution.memory
        assert (solution.block, solution.code_dim) == (4, 6)
        assert solution.residual < 1e-9
        D = memory.write[:, :24:4]
        torch.testing.assert_close(D.T @ D, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-12)
        for i in range(len(facts)):
            code = []
            for j in range(6):
                neurons = range(4 * j, 4 * j + 4)
                read = [float(memory.read[r] @ facts.keys[i]) for r in neurons]
                gate = [float(memory.gate[r] @ facts.keys[i]) for r in neurons]
                code.append(sum(a * g / (1 + math.exp(-g)) for a, g in zip(read, gate, strict=True)))
            wanted = solution.decodability.directions[i]
            torch.testing.assert_close(torch.tensor(code).double(), wanted, rtol=0, atol=1e-6)
            torch.testing.assert_close(memory(facts.keys[i]), D @ wanted, rtol=0, atol=1e-8)

    def test_silent_neurons_say_nothing(self):
        memory = EncoderDecoder(26).store(Associations.spherical(30, 8))
        assert not memory.write[:, 24:].any()
        assert not memory.read[24:].any()

    def test_recalls_everything_once_the_code_is_decodable(self):
        facts = Associations.spherical(64, 32, tied=True)
        solution = EncoderDecoder(24).solve(facts)
        assert solution.decodability.rho[0] > 0
        assert verify(solution.memory, facts).recall == 1.0
        short = EncoderDecoder(6).solve(facts)  # three dimensions for 64 values
        assert short.decodability.rho[1] < 0.02
        assert verify(short.memory, facts).recall < 1.0

    def test_exact_up_to_the_law_and_least_squares_beyond(self):
        method = EncoderDecoder(40, code_dim=10)
        assert method.predicted_capacity(8, 8) is not None
        law = method.predicted_capacity(16, 16)
        assert law == 64
        assert method.solve(Associations.spherical(64, 16)).residual < 1e-8
        assert method.solve(Associations.spherical(70, 16)).residual > 1e-2
        assert EncoderDecoder(40).predicted_capacity(16, 16) is None

    def test_shared_answers_share_a_code(self):
        facts = Associations.spherical(40, 8, outputs=3)
        solution = EncoderDecoder(15).solve(facts)
        assert solution.decodability.directions.shape == (3, 3)
        assert verify(solution.memory, facts).recall == 1.0

    def test_errors(self):
        with pytest.raises(SettingError, match="code_dim ≤ width"):
            EncoderDecoder(4, code_dim=5)
        with pytest.raises(SettingError, match="d_out = 4"):
            EncoderDecoder(20, code_dim=5).store(tiny())
        with pytest.raises(SettingError, match="unknown activation"):
            EncoderDecoder(20, activation="tanh")


class TestRandomFeatures:
    @pytest.mark.parametrize("activation", ["relu", "bilinear"])
    def test_the_law_and_a_refutation_beyond_it(self, activation):
        method = RandomFeatures(8, activation, stop="first")
        law = method.predicted_capacity(16, 16)
        assert law == theory.feature_capacity(16, 8)
        below = Associations.spherical(round(0.8 * law), 16, seed=1)
        assert verify(method.store(below), below).recall == 1.0
        above = Associations.spherical(round(1.3 * law), 16, seed=1)
        solution = method.solve(above)
        assert solution.readout.storable is False
        assert margin_bound(solution.features, solution.readout.witness) < 1e-4

    def test_the_readout_reads_the_features_of_the_memory(self):
        facts = tiny()
        solution = RandomFeatures(5).solve(facts)
        W = torch.relu(facts.keys @ solution.memory.read.T)
        assert torch.equal(solution.features.keys, W)
        assert solution.features.targets is facts.targets
        torch.testing.assert_close(solution.memory(facts.keys), solution.readout.memory(W))

    def test_recall_below_one_holds_more(self):
        method = RandomFeatures(8, stop="first")
        facts = Associations.spherical(round(1.15 * theory.feature_capacity(16, 8)), 16, seed=1)
        assert verify(method.store(facts), facts).recall < 1.0
        assert verify(method.for_recall(0.9).store(facts), facts).recall >= 0.9

    def test_bilinear_features_span_a_limited_space(self):
        wide = RandomFeatures(1000, "bilinear").predicted_capacity(4, 4)
        assert wide == RandomFeatures(10, "bilinear").predicted_capacity(4, 4)

    def test_errors(self):
        with pytest.raises(REFUSED):
            RandomFeatures(4, "silu")  # type: ignore[arg-type]
        with pytest.raises(SettingError, match="recall"):
            RandomFeatures(4, recall=0.0)


class TestPaperAdamMLP:
    def test_reaches_its_goal_and_no_more(self):
        facts = Associations.spherical(40, 8)
        recall = verify(PaperAdamMLP(16).store(facts), facts).recall
        assert recall >= 0.99
        some = verify(PaperAdamMLP(16, recall=0.5, check_every=1).store(facts), facts).recall
        assert 0.5 <= some < 0.9

    def test_the_memory_is_relu_with_a_bias_on_the_first_layer(self):
        facts = tiny()
        memory = PaperAdamMLP(5, max_steps=30, recall=1.0).store(facts)
        assert memory.config()["activation"] == "relu"
        assert memory.bias is not None
        assert memory.bias.abs().max() > 0
        for k in facts.keys:
            expected = memory.write @ torch.relu(memory.read @ k + memory.bias)
            torch.testing.assert_close(memory(k), expected)

    def test_zero_recall_goals_and_steps_are_refused(self):
        for settings in ({"recall": 0.0}, {"learning_rate": 0.0}):
            with pytest.raises(SettingError, match=f"{next(iter(settings))} of paper-adam-mlp cannot be 0"):
                PaperAdamMLP(4, **settings)
        for settings in ({"max_steps": 0}, {"check_every": 0}):
            with pytest.raises(SettingError, match="cannot be 0: give a whole number from 1 to"):
                PaperAdamMLP(4, **settings)

    def test_the_guides_of_the_paper(self):
        method = PaperAdamMLP(64)
        assert method.predicted_capacity(32, 32, recall=0.99) == theory.mlp_guide_capacity(2048)
        assert method.predicted_capacity(32, 32, outputs=32, recall=0.99) == theory.mlp_guide_capacity(
            2048, 32
        )
        assert method.predicted_capacity(32, 32, recall=1.0) is None
        assert method.for_recall(0.9).recall == 0.9
