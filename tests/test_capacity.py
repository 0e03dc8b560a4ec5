"""Searches: the bracket is right, reproducible, and an error is an error."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import factweights as fw
from factweights import theory
from factweights.errors import NotStorableError, SettingError
from factweights.searching import Tried, halve, threshold
from factweights.sizing import probe


@given(st.integers(0, 5000), st.integers(1, 5000), st.sampled_from([0.0, 0.01, 0.1]))
def test_threshold_brackets_any_threshold(where: int, guess: int, tolerance: float):
    asked = []

    def beyond(n: int) -> bool:
        asked.append(n)
        return n > where

    low, high = threshold(beyond, guess, tolerance)
    assert low <= where < high
    assert high - low <= max(1, tolerance * low)
    assert min(asked) >= 1
    assert len(asked) == len(set(asked)) < 40


@given(st.integers(0, 60), st.integers(1, 100), st.integers(1, 50))
def test_threshold_respects_a_ceiling(where: int, guess: int, most: int):
    asked = []

    def beyond(n: int) -> bool:
        asked.append(n)
        return n > where

    low, high = threshold(beyond, guess, 0.0, most=most)
    assert max(asked) <= most
    assert (low, high) == (min(where, most), min(where, most) + 1)


@given(st.integers(2, 500), st.integers(0, 100), st.sampled_from([0.01, 0.1, 0.5]))
def test_an_end_counts_only_once_it_was_asked(most: int, above: int, tolerance: float):
    asked = []

    def beyond(n: int) -> bool:
        asked.append(n)
        return n > most + above

    guess = max(1, round(most / (1 + tolerance)))  # so near that the tolerance reaches over the end
    assert threshold(beyond, guess, tolerance, most=most) == (most, most + 1)
    assert most in asked


@given(st.integers(1, 300), st.integers(0, 300), st.integers(0, 300))
def test_halving_asks_neither_end(least: int, more: int, where: int):
    low, high, asked = least, least + 1 + more, []
    change = min(max(where, low), high - 1)

    def beyond(n: int) -> bool:
        asked.append(n)
        return n > change

    assert halve(beyond, low, high, 0.0) == (change, change + 1)
    assert not {low, high}.intersection(asked)


def test_every_size_is_tried_once():
    told: list[tuple[int, int]] = []
    tried = Tried(lambda n: n * n, lambda square: square < 10, lambda n, square: told.append((n, square)))
    assert [tried(3), tried(4), tried(3)] == [True, False, True]
    assert told == list(tried.found.items()) == [(3, 9), (4, 16)]


def test_capacity_proves_both_sides_and_repeats():
    c = fw.capacity(fw.ExactLinear(), d=16, seeds=3)
    assert c.proved == "both sides"
    assert c.interval[0] <= c.facts <= c.interval[1]
    assert c.coverage == 0.75
    for run in c.runs:
        low, high = run.bracket
        assert high - low <= max(1, 0.01 * low)
        verdicts = {p.facts: p.verdict for p in run.probes}
        assert (verdicts[low], verdicts[high]) == ("fits", "refuted")
    assert fw.capacity(fw.ExactLinear(), d=16, seeds=3) == c
    assert fw.capacity(fw.ExactLinear(), d=16, seeds=[2]).runs[0] == c.runs[2]


def test_capacity_agrees_with_the_plain_scan():
    c = fw.capacity(fw.Hebbian(), d=16, seeds=1, recall=0.9)
    n = 1
    while probe(fw.Hebbian(), fw.Associations.spherical(n, 16, seed=0), 0.9).verdict == "fits":
        n += 1
    # Hebbian recall is not monotone in N: the search ends at *a* change of verdict, the scan at the first
    assert c.runs[0].bracket[0] >= n - 1
    assert c.proved == "lower side"


def test_capacity_under_key_noise():
    clean = fw.capacity(fw.Ridge(), d=16, seeds=1, recall=0.9, tolerance=0.05)
    noisy = fw.capacity(fw.Ridge(), d=16, seeds=1, recall=0.9, tolerance=0.05, noise=0.5)
    assert (clean.noise, noisy.noise, noisy.law, noisy.proved) == (0.0, 0.5, None, "lower side")
    assert 0 < noisy.facts < 0.9 * clean.facts
    assert "key noise 0.5" in str(noisy)
    run = noisy.runs[0]
    for p in run.probes:
        facts = fw.Associations.spherical(p.facts, 16, seed=0)
        under = fw.noise_recall(fw.Ridge().store(facts), facts, 0.5)
        assert (p.recall, p.verdict) == (under, "fits" if under >= 0.9 else "not found")


def test_under_key_noise_margins_count_and_nothing_is_refuted():
    c = fw.capacity(fw.ExactLinear(), d=16, seeds=1, noise=0.1, tolerance=0.05)
    assert c.proved == "lower side"
    assert c.facts > 15  # memories of the first positive margin, which clean searches stop at, hold fewer
    assert all(p.verdict in ("fits", "not found") for p in c.runs[0].probes)


def test_what_a_fit_is_asked_for_besides_is_part_of_the_probe():
    facts = fw.Associations.spherical(64, 16, seed=0)
    assert probe(fw.GatedFit(width=8), facts, 1.0).verdict == "fits"
    p = probe(fw.GatedFit(width=8, margin=1.0, max_evaluations=300), facts, 1.0)
    assert (p.recall, p.verdict) == (1.0, "not found")


def test_an_error_in_a_probe_is_an_error(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(fw.Hebbian, "store", broken)
    with pytest.raises(RuntimeError, match="on fire"):
        fw.capacity(fw.Hebbian(), d=8, seeds=1)


def test_orthonormal_facts_stop_at_d():
    c = fw.capacity(fw.Hebbian(), d=12, seeds=1, kind="orthonormal")
    assert c.facts == 12


def test_smallest_d_is_proved_from_below():
    def facts(d: int) -> fw.Associations:
        return fw.Associations.spherical(300, d, seed=0, outputs=20)

    s = fw.smallest_d(facts)
    assert s.proved == "both sides"
    assert s.bracket == (s.size - 1, s.size)
    assert fw.ExactLinear().solve(facts(s.size)).storable is True
    assert fw.ExactLinear().solve(facts(s.size - 1)).storable is False
    assert s.size == pytest.approx(theory.smallest_d(300, 20), rel=0.1)


def test_a_frequent_answer_needs_half_as_many_dimensions_as_it_has_facts():
    """Cover: at most about 2 d random keys lie on one side of a hyperplane."""

    def facts(d: int) -> fw.Associations:
        a = fw.Associations.spherical(60, d, seed=0, outputs=4)
        return fw.Associations(a.keys, a.values, torch.zeros_like(a.targets))

    s = fw.smallest_d(facts)
    assert s.law == 30
    assert s.size == pytest.approx(30, abs=6)
    assert s.proved == "both sides"


def test_smallest_rank_of_both_low_rank_methods():
    facts = fw.Associations.spherical(60, 24, seed=0)
    fitted = fw.smallest_rank(facts, lambda r: fw.LowRankFit(rank=r))
    closed = fw.smallest_rank(fw.Associations.spherical(12, 24, seed=0))
    assert fitted.size <= 1.4 * fitted.law + 1
    assert closed.what == "rank"
    assert closed.bracket[1] == closed.size


def test_what_cannot_be_stored_says_so():
    keys = fw.Associations.spherical(4, 3).keys
    keys = keys[[0, 0, 2, 3]]

    def facts(d: int) -> fw.Associations:
        a = fw.Associations.spherical(4, d)
        k = a.keys.clone()
        k[1] = k[0]
        return fw.Associations(k, a.values, a.targets)

    with pytest.raises(NotStorableError, match="share a key"):
        fw.smallest_d(facts)


def test_bad_requests_say_what_and_what_to_do():
    with pytest.raises(SettingError, match="recall cannot be"):
        fw.capacity(fw.Hebbian(), d=8, recall=0.0)
    with pytest.raises(SettingError, match="noise cannot be"):
        fw.capacity(fw.Hebbian(), d=8, noise=-0.1)
    with pytest.raises(SettingError, match="seeds cannot be"):
        fw.capacity(fw.Hebbian(), d=8, seeds=[])


def test_results_show_themselves():
    c = fw.capacity(fw.Hebbian(), d=8, seeds=2)
    assert "criterion" in str(c)
    assert "<table>" in c._repr_html_()
    assert set(c.to_dict()) >= {"facts", "bracket", "law", "proved", "seconds", "runs"}
    assert list(c.to_pandas()["seed"]) == [0, 1]
