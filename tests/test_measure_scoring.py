"""The tree of answers and its scores, against one full pass for every answer."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import small_models
from factweights.models import asking
from factweights.models.measure.scoring import score
from factweights.models.measure.trie import Trie
from factweights.models.seam import LanguageModel
from factweights.models.wordings import continued

TOKENS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=12)


@given(TOKENS)
def test_the_tree_holds_every_answer_once(answers: list[list[int]]):
    trie = Trie.of(answers)
    seen: dict[int, tuple[int, ...]] = {}

    def walk(place: int, path: tuple[int, ...]) -> set[int]:
        node = trie.nodes[place]
        path += node.tokens
        assert (not node.tokens) == (place == 0)
        for a in node.answers:
            seen[a] = path
        found = set(node.answers).union(*[walk(c, path) for c in node.children])
        assert found == set(node.below)
        firsts = [trie.nodes[c].tokens[0] for c in node.children]
        assert len(set(firsts)) == len(firsts)
        assert place == 0 or node.answers or len(node.children) != 1, "a run goes on to the next branch"
        chains = [
            sum(tuple(answers[b]) == tuple(answers[a])[: len(answers[b])] for b in found) for a in found
        ]
        assert node.chain == max(chains)
        return found

    assert walk(0, ()) == set(range(len(answers)))
    assert seen == {i: tuple(a) for i, a in enumerate(answers)}
    assert trie.tokens_fed <= sum(len(a) - 1 for a in answers)


def lm_of(architecture: Any, kind: Any, **how: Any) -> LanguageModel:
    words = small_models.tokenizer(kind, small_models.TEXT)
    return LanguageModel(small_models.model(architecture, len(words), **how), words, "made")


@pytest.fixture(scope="module", params=[("llama", "bytes"), ("qwen2", "sentencepiece"), ("gpt2", "words")])
def lm(request: pytest.FixtureRequest) -> LanguageModel:
    return lm_of(*request.param, scale=12.0)


def asked(lm: LanguageModel) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    prompts = [f"The capital of {s} is" for s in small_models.NAMES]
    found = [continued(lm, p, small_models.CAPITALS) for p in prompts]
    assert len({f.answers for f in found}) == 1
    return [list(f.prompt) for f in found], list(found[0].answers)


def plain(lm: LanguageModel, prompts: list[list[int]], answers: list[tuple[int, ...]]) -> np.ndarray:
    pairs = [(p, a) for p in prompts for a in answers]
    found = asking.log_probabilities(lm, [p for p, _ in pairs], [a for _, a in pairs])
    return found.reshape(len(prompts), len(answers)).numpy()


@pytest.mark.parametrize("cached", [True, False])
def test_all_answers_score_as_in_full_passes(lm: LanguageModel, cached: bool):
    assert lm.caches
    lm.__dict__["caches"] = cached
    prompts, answers = asked(lm)
    found = score(lm, prompts, answers, [[i] for i in range(len(prompts))], tolerance=0)
    lm.__dict__["caches"] = True
    assert found.finished.all()
    assert found.error == 0
    assert np.abs(found.log_probability - plain(lm, prompts, answers)).max() < 1e-4


def test_what_is_left_out_is_bounded(lm: LanguageModel):
    prompts, answers = asked(lm)
    expected = plain(lm, prompts, answers)
    own = [[(3 * i + 1) % len(answers)] for i in range(len(prompts))]
    found = score(lm, prompts, answers, own, tolerance=0.05)
    assert not found.finished.all()
    assert all(found.finished[i, o[0]] for i, o in enumerate(own))
    assert np.abs((found.log_probability - expected)[found.finished]).max() < 1e-4
    assert ((found.log_probability - expected)[~found.finished] > -1e-4).all(), "an upper bound"
    truth, mass = np.logaddexp.reduce(expected, 1), found.log_mass
    assert (mass <= truth + 1e-6).all()
    assert (np.exp(truth) <= np.exp(mass) + found.left + 1e-9).all()
    for row in range(len(prompts)):  # nobody who is left has more than the tolerance
        worst = expected[row][~found.finished[row]]
        assert not len(worst) or worst.max() <= mass[row] + math.log(0.05) + 1e-6
    few = score(lm, prompts, answers, own, only_needed=True)
    assert few.finished.sum() == len(prompts)
    assert few.tokens < found.tokens < score(lm, prompts, answers, own, tolerance=0).tokens


def test_answers_that_begin_others_have_their_own_mass():
    lm = lm_of("llama", "words", scale=5.0)
    prompts = [[1, 5, 6], [1, 7]]
    answers = [(4,), (4, 9), (4, 9, 8), (5, 4), (4, 9), (5,)]
    found = score(lm, prompts, answers, [[], []], tolerance=0)
    assert np.abs(found.log_probability - plain(lm, prompts, answers)).max() < 1e-4
    loose = score(lm, prompts, answers, [[], []], tolerance=0.9)
    truth = np.exp(np.logaddexp.reduce(plain(lm, prompts, answers), 1))
    assert (truth <= np.exp(loose.log_mass) + loose.left + 1e-12).all()
