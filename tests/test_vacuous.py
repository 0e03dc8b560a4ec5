"""Nothing passes for want of a test: no share of none, no size dropped, no verdict without a number."""

import math

import pytest
import torch

import factweights as fw
from factweights.errors import SettingError
from factweights.studies.report import comparisons
from factweights.studies.report.checks import Claim, judge
from factweights.studies.report.comparisons import Finding
from factweights.studies.statistics import against_law, power_law


def claim(measure, low=0.8, high=math.inf) -> Claim:
    return Claim("n", "f", "s", "by", "q", 1.0, low, high, measure)


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (None, "not shown"),
        (Finding(math.nan, None), "not shown"),
        (Finding(1.0, (math.nan, 1.1)), "not shown"),
        (Finding(1.0, (0.9, math.nan)), "not shown"),
        (Finding(math.inf, None), "fails"),
        (Finding(-math.inf, None), "fails"),
        (Finding(0.0, None), "fails"),
        (Finding(1.0, (0.7, 1.1)), "open"),
        (Finding(1.0, (0.9, math.inf)), "holds"),
        (Finding(1.0, None), "holds"),
    ],
)
def test_verdicts_need_a_number(finding, verdict):
    assert judge(claim(lambda _: finding), {}).verdict == verdict
    assert judge(claim(lambda _: finding), None).verdict == "not run"


def points(*facts: int) -> list[dict]:
    return [
        {
            "facts": n,
            "runs": [{"facts": n, "seed": 0}],
            "law": 10.0,
            "parameters": 4**i,
            "capped": False,
            "head_dim": 2,
            "width": 0,
            "d": 2**i,
        }
        for i, n in enumerate(facts, start=1)
    ]


def data(*facts: int, method: str = "m") -> dict:
    return {"series": [{"method": method, "recall": 1.0, "label": "", "points": points(*facts)}]}


def test_a_size_at_which_nothing_fits_counts():
    over = comparisons.over(comparisons.parameters, comparisons.law, "m", 1.0)
    assert over(data(10, 10, 10)).value == pytest.approx(1.0)
    found = over(data(0, 10, 10))
    assert (found.value, found.detail) == (0.0, "nothing fits at 1 of 3 sizes")
    assert judge(claim(over), data(0, 10, 10)).verdict == "fails"
    assert over(data()) is None
    drift = comparisons.drift(comparisons.parameters, comparisons.law, "m", 1.0)
    assert drift(data(10, 20, 40)).value > 0
    assert drift(data(0, 10, 20, 40)) is None
    assert comparisons.per_parameter(data(0, 8, method="fit")).value == 0.0


def test_training_that_stores_nothing_counts():
    def both(ours: list[int], paper: list[int]) -> dict:
        series = [("exact-linear", ours), ("paper-adam", paper)]
        return {
            "series": [{"method": m, "recall": 0.99, "label": "", "points": points(*n)} for m, n in series]
        }

    assert comparisons.training(both([10, 20], [10, 20])).value == pytest.approx(1.0)
    assert comparisons.training(both([10, 20], [10, 0])).value == 0.0
    found = comparisons.training(both([0, 20], [10, 20]))
    assert "1 without a pair" in found.detail
    assert comparisons.training(both([0], [10])) is None


def test_no_runs_are_no_finding():
    empty = {"series": [{"kind": "flow", "runs": []}], "rate": 1.0, "relation_entropy": 0.0}
    for measure in (comparisons.over_seeds(comparisons.above_entropy), comparisons.off_flow):
        assert measure(empty) is None
        assert measure({**empty, "series": [{"kind": "descent", "runs": []}]}) is None
    end = comparisons.over_seeds(comparisons.stage_ends("hallucination"))
    runs = [{"stages": []}, {"stages": [{"name": "hallucination", "end": 3.0}]}]
    found = end({"series": [{"kind": "descent", "runs": runs}], "rate": 1.0})
    assert (found.value, found.detail) == (math.inf, "in 1 of 2 runs, not in every one")
    assert judge(claim(lambda _: found), {}).verdict == "fails"


def test_laws_say_what_they_leave_out():
    found = against_law([1, 2, 4], [[0, 0, 0], [2, 2, 3], [4, 4, 5]], [1, 2, 4])
    assert found.left_out == 1
    assert "1 sizes with none left out" in str(found)
    assert against_law([1, 2], [[1], [2]], [1, 2]).left_out == 0
    assert power_law([1, 2, 4], [[0, 0], [2, 2], [4, 4]]).sizes == 2
    with pytest.raises(SettingError):
        power_law([1, 2], [[0], [0]])


def test_more_than_all_answers_is_no_question():
    facts = fw.Associations.random("spherical", 6, 4, outputs=3)
    memory = fw.Hebbian().store(facts)
    assert fw.verify(memory, facts, top_k=[3]).top_k == {3: 1.0}
    with pytest.raises(SettingError, match="among the 4 best of 3"):
        fw.verify(memory, facts, top_k=[1, 4])


def test_nothing_is_kept_where_nothing_was():
    table = fw.FactTable.from_rows([("a", "r", "x"), ("b", "r", "y")])
    bundle = fw.store_table(table, d=3).bundle
    all_changed = fw.edit(bundle, set=[("a", "r", "y"), ("b", "r", "x")])
    assert (all_changed.kept, all_changed.others_recall, all_changed.changed_recall) == (None, None, 1.0)
    assert fw.edit(bundle, set=[("a", "r", "y")]).kept is True
    wrong = fw.Bundle(
        fw.LinearMemory.from_weight(-bundle.memory.weight),
        bundle.facts,
        table,
        {"recall": 0.5},
        bundle.method,
    )
    assert fw.edit(wrong, set=[("a", "r", "y")], method=fw.ExactLinear()).kept is None
    pruned = fw.edit(
        fw.Bundle(bundle.memory, bundle.facts, table, bundle.verify(top_k=[2]), bundle.method),
        set=[("a", "r", "y")],
        prune=True,
    )
    assert pruned.certificate.top_k == {}


def test_ablations_of_nothing(tmp_path):
    pytest.importorskip("transformers")
    rows = [(f"s{i}", "r", f"a{i % 3}") for i in range(8)]
    out = fw.compile_table(fw.FactTable.from_rows(rows), tmp_path / "out").path
    found = fw.ablate(out, facts=2)
    for row in found.rows:  # one relation: no fact shares the subject, and none shares neither
        assert (row.same_subject, row.others) == (None, None)
        assert row.same_relation is not None
    assert "of its subject's –, there are none" in str(found)
    for n in (0, -1):
        with pytest.raises(SettingError, match="at least 1"):
            fw.ablate(out, facts=n)


def test_an_empty_table_cannot_be_asked():
    facts = fw.Associations.random("spherical", 6, 4)
    with pytest.raises(fw.FactweightsError):
        fw.verify(fw.Hebbian().store(facts), facts.subset(torch.tensor([], dtype=torch.int64)))
