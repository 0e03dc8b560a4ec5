"""Domains of settings: what is refused, at once and by name, from every entrance."""

import math

import numpy as np
import pytest

import factweights as fw
from factweights.domains import Count, Dimension, Norm, Seeds, Share, Title, checked
from factweights.errors import FactweightsError, RecallWarning, SettingError, UnknownNameError, WrongTypeError
from factweights.methods.base import expecting_misses
from factweights.studies.figures.capacity_sweep import CapacitySweep
from factweights.studies.specs import load_spec, study_from

SWEEP = {"study": "capacity-sweep", "methods": ["hebbian"], "sizes": [8], "seeds": 2}


@checked
def asked(
    *, d: Dimension, recall: Share = 1.0, seeds: Seeds = 5, noise: Norm | None = None, title: Title = ""
):
    return d, recall, list(range(seeds)) if isinstance(seeds, int) else list(seeds), noise


@pytest.mark.parametrize(
    "given",
    [
        {"d": 0},
        {"d": -3},
        {"d": 10**9},
        {"d": 10**5000},
        {"d": 8, "recall": math.nan},
        {"d": 8, "recall": 1e-300},
        {"d": 8, "recall": math.inf},
        {"d": 8, "seeds": 0},
        {"d": 8, "seeds": []},
        {"d": 8, "seeds": [0, 0]},
        {"d": 8, "seeds": [-1]},
        {"d": 8, "seeds": 10**9},
        {"d": 8, "seeds": range(10**12)},
        {"d": 8, "noise": -1.0},
        {"d": 8, "noise": math.inf},
        {"d": 8, "title": "a" * 10**5},
    ],
)
def test_what_is_outside_a_domain_is_refused_by_name(given):
    name = list(given)[-1]
    with pytest.raises(SettingError, match=f"^{name} cannot be ") as e:
        asked(**given)
    assert e.value.fields == (name,)
    assert "give " in str(e.value)
    assert len(str(e.value)) < 400


def test_what_is_inside_is_taken_whatever_its_type():
    assert asked(d=np.int64(5), recall=1, seeds=2) == (5, 1.0, [0, 1], None)
    assert asked(d=5, recall=0.5, seeds=[3, 1], noise=0) == (5, 0.5, [3, 1], 0.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("recall", math.nan),
        ("recall", 0),
        ("recall", "0.9"),
        ("tolerance", math.inf),
        ("tolerance", 0),
        ("seeds", 0),
        ("seeds", []),
        ("seeds", [0, 0]),
        ("seeds", True),
        ("seeds", 10**9),
        ("seeds", 2.5),
        ("sizes", []),
        ("sizes", [8, 8]),
        ("sizes", [0]),
        ("sizes", [8.5]),
        ("sizes", 8),
        ("outputs", 1),
        ("methods", []),
        ("title", "a" * 10**5),
    ],
)
def test_specs_are_refused_before_any_work(field, value):
    with pytest.raises(SettingError, match=f"^{field}"):
        study_from({**SWEEP, field: value})


def test_a_spec_that_would_have_too_many_cells_is_refused():
    with pytest.raises(SettingError, match="multiply to"):
        study_from({**SWEEP, "seeds": 90_000, "sizes": list(range(2, 102))})


@pytest.mark.parametrize(
    ("methods", "error", "said"),
    [
        (["hebian"], UnknownNameError, "did you mean 'hebbian'"),
        ([{"method": "hebbian", "ratios": [2]}], SettingError, "no width"),
        ([{"method": "gated-fit"}], SettingError, "needs width"),
        ([{"method": "gated-fit", "ratios": [-1]}], SettingError, "ratios"),
        (
            [{"method": "gated-fit", "settings": {"noise": -1}, "ratios": [2]}],
            SettingError,
            "noise of gated-fit",
        ),
        ([{"method": "gated-fit", "settings": {"wdth": 3}}], UnknownNameError, "did you mean 'width'"),
    ],
)
def test_methods_of_specs_are_tried_before_any_work(methods, error, said):
    with pytest.raises(error, match=said):
        study_from({**SWEEP, "methods": methods})


def test_a_spec_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('study = "capacity-sweep"\nmethods = ["hebbian"]\nsizes = [8]\nseeds = 2\n', "utf-8-sig")
    study = load_spec(path)
    assert isinstance(study, CapacitySweep)
    assert study.seeds == (0, 1)


def test_a_method_that_misses_facts_says_so_once_and_with_counts():
    facts = fw.Associations.spherical(60, 8, seed=0)
    with pytest.warns(RecallWarning, match="gated-fit misses [0-9]+ of 60 facts") as told:
        memory = fw.GatedFit(2, max_evaluations=20).store(facts)
    assert len(told) == 1
    assert isinstance(told[0].message, RecallWarning)
    assert told[0].message.missed == round(60 * (1 - fw.verify(memory, facts).recall))


def test_closed_forms_and_searches_do_not_warn(recwarn):
    facts = fw.Associations.spherical(60, 8, seed=0)
    fw.Hebbian().store(facts)
    with expecting_misses():
        fw.GatedFit(2, max_evaluations=20).store(facts)
    fw.capacity("exact-linear", d=6, seeds=1)
    assert not [w for w in recwarn if isinstance(w.message, RecallWarning)]


def test_names_are_taken_for_methods():
    assert fw.capacity("exact-linear", d=6, seeds=1) == fw.capacity(fw.ExactLinear(), d=6, seeds=1)
    with pytest.raises(UnknownNameError, match="did you mean"):
        fw.capacity("exact-liner", d=6)
    with pytest.raises(SettingError, match="needs width"):
        fw.capacity("gated-fit", d=6)


def test_counts_are_not_truth_values():
    @checked
    def steps(*, n: Count):
        return n

    with pytest.raises(SettingError, match="n cannot be True"):
        steps(n=True)
    with pytest.raises(SettingError, match=r"n cannot be 2\.5"):
        steps(n=2.5)


def test_wrong_types_are_our_errors():
    assert issubclass(WrongTypeError, FactweightsError)
    assert issubclass(WrongTypeError, TypeError)
    assert "a FactTable" in str(WrongTypeError("facts", 3, "a FactTable", "read one"))
