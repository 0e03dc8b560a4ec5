"""A graft beside other ways to edit a model: the facts, the positions, the closed form, and a run."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from small_models import model, tokenizer

pytest.importorskip("factweights.models.graft")

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def scripts() -> Iterator[Any]:
    """Both files of the benchmark, as modules."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("graft_beside", BENCHMARKS / "graft_beside.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["graft_beside"] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCHMARKS))
        sys.modules.pop("graft_beside", None)


@pytest.fixture(scope="module")
def tiny() -> Any:
    from factweights.models.seam import LanguageModel

    texts = [
        f"The capital of {a} is {b}." for a in ("Peru", "Chad", "Fiji") for b in ("Lima", "Suva", "Rome")
    ]
    words = tokenizer("bytes", texts * 3)
    return LanguageModel(model("llama", len(words), scale=3.0), words, "tiny")


def texts_of(scripts: Any, lm: Any) -> list[Any]:
    facts = [("Peru", "Suva"), ("Chad", "Lima"), ("Fiji", "Rome")]
    wordings = ("The capital of {subject} is", "{subject} has the capital")
    return [scripts.editors.text(lm, w, s, a, i) for i, (s, a) in enumerate(facts) for w in wordings]


@pytest.mark.parametrize("size", [10, 100, 1000])
@pytest.mark.parametrize("seed", [0, 1])
def test_answers_are_shuffled_and_nearly_all_wrong(scripts: Any, size: int, seed: int) -> None:
    rows = scripts.countries()[: size // 5]
    facts = scripts.counterfactual(rows, np.random.default_rng(seed))
    assert len(facts) == size == len({(s, r) for s, r, _ in facts})
    true = {(row["country"], r): row[r] for row in rows for r in scripts.RELATIONS}
    for relation in scripts.RELATIONS:
        said = sorted(a for _, r, a in facts if r == relation)
        assert said == sorted(row[relation] for row in rows)  # the same answers, at other places
        most = max(map(said.count, said))
        kept = sum(true[s, r] == a for s, r, a in facts if r == relation)
        assert kept <= max(0, 2 * most - len(rows))  # more than half alike: some must keep theirs


def test_no_question_was_learnt_and_no_neighbour_edited(scripts: Any, tiny: Any) -> None:
    rows = scripts.countries()
    wordings = scripts.Wordings.choose(scripts.RELATIONS)
    facts = scripts.counterfactual(rows[:20], np.random.default_rng(0))
    strangers = [r["country"] for r in rows[scripts.LARGEST :]]
    asked = scripts.questions(tiny, facts, strangers, wordings, 400, 4096, 0)
    learnt = {t.replace("{subject}", s) for s, r, _ in facts for t in wordings.of(r)}
    assert len(asked.facts) == 100
    assert {p for p, _ in asked.facts} <= learnt
    assert not learnt & {p for p, _ in asked.paraphrases}
    assert not learnt & {*asked.neighbours, *asked.others}
    assert len(asked.paraphrases) == len(asked.neighbours) == 400
    tokens = sum(map(len, tiny.encode(list(asked.ordinary))))
    named = sum(any(s in t for s, _, _ in facts) for t in asked.ordinary)
    assert tokens >= 4000
    assert 0 < named < len(asked.ordinary)
    assert not set(asked.ordinary) & set(scripts.for_covariance(tiny, 4096))


def test_a_subject_ends_where_its_last_token_does(scripts: Any, tiny: Any) -> None:
    for t in texts_of(scripts, tiny):
        upto = tiny.decode(t.ids[: t.subject + 1])
        assert upto.endswith(("Peru", "Chad", "Fiji"))
        assert tiny.decode(t.ids[t.asked :]).lstrip().endswith(".")


def test_filling_up_changes_no_loss(scripts: Any, tiny: Any) -> None:
    texts = texts_of(scripts, tiny)
    together, hit, rows = scripts.editors.losses(tiny.model, texts)
    for i, t in enumerate(texts):
        alone, own, _ = scripts.editors.losses(tiny.model, [t])
        assert torch.allclose(together[rows == i], alone, atol=1e-5)
        assert torch.equal(hit[rows == i], own)


def test_least_squares_reaches_its_values_where_the_weight_is_small(scripts: Any, tiny: Any) -> None:
    letters = np.random.default_rng(0).integers(32, 127, 600)
    texts, ordinary = texts_of(scripts, tiny), ["".join(map(chr, letters))]  # no direction is left out
    before = {n: p.clone() for n, p in tiny.model.state_dict().items()}
    missed = []
    for weight in (1e-6, 1e6):
        settings = scripts.editors.Settings(layers=2, weight=weight, value_steps=5)
        new, found = scripts.editors.least_squares(tiny, texts, ordinary, settings)
        missed.append(found["values_missed"])
        changed = {n for n, p in new.model.state_dict().items() if not torch.equal(p, before[n])}
        assert found["layers"] == [0]  # the last layer's output at the subject reaches no later token
        chosen = {f"model.layers.{i}.mlp.down_proj.weight" for i in found["layers"]}
        assert changed == chosen if weight < 1 else changed <= chosen
    assert missed[0] < 0.02
    assert missed[1] > 0.98  # nothing may change, so nothing is written
    assert all(torch.equal(p, before[n]) for n, p in tiny.model.state_dict().items())  # the old one stays


def test_fine_tuning_learns_and_leaves_the_old_model(scripts: Any, tiny: Any) -> None:
    texts = texts_of(scripts, tiny)
    before = {n: p.clone() for n, p in tiny.model.state_dict().items()}
    settings = scripts.editors.Settings(seconds=60, epochs=300, rate=5e-3)
    new, found = scripts.editors.full_fine_tuning(tiny, texts, (), settings)
    assert found["tokens_right_while_training"] == 1.0
    assert not found["out_of_time"]
    assert bool(scripts.editors.losses(new.model, texts)[1].all())
    assert all(torch.equal(p, before[n]) for n, p in tiny.model.state_dict().items())


def test_a_small_run_prints_one_document(tmp_path: Path) -> None:
    kept = tmp_path / "rows.json"
    methods = ["full fine-tuning", "LoRA", "least squares"]
    run = subprocess.run(
        [sys.executable, BENCHMARKS / "graft_beside.py", "--smoke", "--out", kept, "--methods", *methods],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    document = json.loads(run.stdout)
    assert document == json.loads(kept.read_text(encoding="utf-8"))
    assert [r["method"] for r in document["rows"]] == ["untouched", *methods]
    for row in document["rows"][1:]:
        if "left_out" in row:
            assert row["method"] == "LoRA"  # peft is not needed
            continue
        for figure in ("efficacy", "paraphrase", "neighbourhood", "same_subject"):
            low, high = row[figure]["interval"]
            assert low <= row[figure]["rate"] <= high
            assert row[figure]["n"] >= 10
        assert row["drift"]["kl_mean"] > 0
    assert run.stderr.count("\n| 10 |") == len(document["rows"])
