"""How many bits of a table a model knows: instruments with a known reading, formulas, files, errors."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import factweights as fw
import small_models
from factweights.cli import run
from factweights.errors import FactsError, SettingError
from factweights.models import asking, seam
from factweights.models.measure import asked, bits, scoring
from factweights.models.wordings import continued, fill
from factweights.progress import Progress
from test_cli import KEYS

TABLE = fw.FactTable.from_rows(small_models.ROWS)


@pytest.fixture(scope="module", params=[("llama", "bytes"), ("qwen2", "sentencepiece"), ("gpt2", "words")])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("random")
    return small_models.save(path, *request.param, small_models.TEXT, scale=6.0)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "model"
    fw.compile_table(TABLE, path)
    return path


# -- instruments with a known reading ------------------------------------------------------------------------


def test_a_compiled_table_reads_back_its_own_bits(compiled: Path):
    for prior in ("frequency", "uniform"):
        found = fw.measure(compiled, TABLE, prior=prior)
        assert found.bits == pytest.approx(found.bits_table, rel=0.01)
        assert found.bits_raw == pytest.approx(found.bits_table, rel=0.01)
        assert [found.recall[k]["value"] for k in ("closed", "byte_normalised", "open")] == [1.0] * 3
        assert found.bits_shuffled_interval[0] <= 0 <= found.bits_shuffled_interval[1]
        assert abs(found.bits_shuffled) < 0.01 * found.bits_table
        assert abs(found.bits_relation_only) < 0.01 * found.bits_table
        assert found.calibration["error"] < 0.05
    answers = {r: len(set(TABLE.select(r).answer)) for r in TABLE.relations}
    uniform = sum(math.log2(answers[r]) for r in TABLE.relation)
    assert found.bits_table == pytest.approx(uniform)
    model = seam.load(compiled).model
    assert found.bits_per_parameter == pytest.approx(found.bits / model.num_parameters())


def test_random_weights_and_shuffled_subjects_read_nothing(folder: Path):
    found = fw.measure(folder, TABLE, wordings=3)
    for value, (low, high) in (
        (found.bits, found.bits_interval),
        (found.bits_shuffled, found.bits_shuffled_interval),
        (found.bits_relation_only, found.bits_relation_only_interval),
    ):
        assert low <= 0 <= high
        assert abs(value) < 0.02 * found.bits_table
    assert found.bits_raw < 0, "short answers are likely to random weights"


def test_one_edited_fact_shows_alone(compiled: Path, tmp_path: Path):
    subject, relation, old = small_models.ROWS[5]
    new = small_models.CAPITALS[9]
    out = tmp_path / "edited"
    fw.edit_compiled(compiled, set=[(subject, relation, new)], out=out)
    found = fw.measure(out, TABLE).table
    lost = [
        (s, r)
        for s, r, known in zip(found["subject"], found["relation"], found["known"], strict=True)
        if not known
    ]
    assert lost == [(subject, relation)]
    at = found["subject"].index(subject)
    assert (found["answer"][at], found["best"][at]) == (old, new)
    assert found["said"][at].startswith(new)


# -- formulas ------------------------------------------------------------------------------------------------


def test_numbers_are_those_of_the_formulas(folder: Path):
    """log p and bits of every fact, computed once more with full passes and plain sums."""
    lm = seam.load(folder)
    template = "The {relation} of {subject} is"
    found = fw.measure(lm, TABLE, templates=[template], tolerance=0)
    at = 0
    for relation in TABLE.relations:
        part = TABLE.select(relation)
        answers = list(dict.fromkeys(part.answer))
        raw = 0.0
        for subject, _, answer in part:
            split = continued(lm, fill(template, subject, relation), answers)
            logs = asking.log_probabilities(lm, [split.prompt] * len(answers), split.answers)
            own = float(logs[answers.index(answer)])
            share = part.answer.count(answer) / len(part)
            each = (own - float(logs.logsumexp(0))) / math.log(2) - math.log2(share)
            raw += each
            assert found.table["log_probability"][at] == pytest.approx(own, abs=1e-4)
            assert found.table["bits_raw"][at] == pytest.approx(each, abs=1e-3)
            others = torch.cat([logs[: answers.index(answer)], logs[answers.index(answer) + 1 :]])
            sharp = (others - own).abs().min() > 1e-3
            assert not sharp or found.table["rank"][at] == 1 + int((others >= own).sum())
            at += 1
        assert found.relations[relation]["bits_raw"] == pytest.approx(raw, abs=1e-2)
    assert found.bits == pytest.approx(sum(found.table["bits"]))
    assert found.unfinished == 0


def test_two_hundred_log_probabilities_are_those_of_transformers(folder: Path):
    lm = seam.load(folder)
    rows = [row for row in small_models.ROWS for _ in range(5)][:200]
    splits = [continued(lm, f"{i}: the {r} of {s} is", [a]) for i, (s, r, a) in enumerate(rows)]
    for split in splits:
        (tail,) = split.answers
        found = scoring.score(lm, [split.prompt], [tail], [[0]]).log_probability[0, 0]
        ids = torch.tensor([[*split.prompt, *tail]])
        labels = ids.clone()
        labels[:, : len(split.prompt)] = -100
        with torch.no_grad():
            expected = -float(lm.model(input_ids=ids, labels=labels).loss) * len(tail)
        assert found == pytest.approx(expected, abs=1e-4)


def test_open_answers_are_what_the_model_says(folder: Path):
    lm = seam.load(folder)
    found = fw.measure(lm, TABLE, mode="open").table
    assert "rank" not in found
    for s, r, t, said in list(
        zip(found["subject"], found["relation"], found["template"], found["said"], strict=True)
    )[:6]:
        prompt = lm.encode([fill(t, s, r)])
        (g,) = asking.greedy(lm, prompt, 40, stop_text=["\n"])
        assert g.text.strip().startswith(said)


@pytest.mark.parametrize(
    ("said", "begins", "stops"),
    [("Paris", True, True), ("Paris.", True, True), ("Paris, yes", True, False), ("Parisian", False, False),
     ("paris", False, False), ("", False, False), ("Paris 2", True, False)],
)  # fmt: skip
def test_what_counts_as_said(said: str, begins: bool, stops: bool):
    assert (asked.begins(said, "Paris"), asked.stops(said, "Paris")) == (begins, stops)


# -- coded bits ----------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(20, 200), st.integers(2, 40))
def test_a_model_without_knowledge_saves_nothing(seed: int, n: int, a: int):
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.ones(a))
    answer = rng.choice(a, n, p=q)
    q = np.bincount(answer, minlength=a) / n
    p = rng.dirichlet(np.full(a, 0.3), size=n)  # sure of something that has nothing to do with the answers
    ratio = np.log(np.maximum(p[np.arange(n), answer], 1e-300)) - np.log(q[answer])
    found = bits.coded_bits(ratio[None], bits.folds_of(n, seed))
    assert found.bits.sum() < 0.05 * n + 15
    assert found.bits.sum() > -15


@given(st.integers(2, 300), st.floats(0.6, 30), st.integers(0, 99))
def test_a_model_that_is_right_is_taken_at_its_word(n: int, nats: float, seed: int):
    found = bits.coded_bits(np.full((1, n), nats), bits.folds_of(n, seed))
    assert found.bits.sum() == pytest.approx(n * nats / math.log(2), rel=0.01)


def test_the_template_is_chosen_on_other_facts():
    rng = np.random.default_rng(0)
    good, bad = np.full(60, 3.0), rng.normal(-3, 1, 60)
    found = bits.coded_bits(np.stack([bad, good]), bits.folds_of(60))
    assert (found.template == 1).all()
    half = bits.coded_bits(np.where(np.arange(60) % 2, 4.0, -6.0)[None], bits.folds_of(60))
    assert ((half.weight > 0.2) & (half.weight < 0.8)).all(), "half right, half wrong: a mixture"
    assert half.bits.sum() > 60


def test_intervals_draw_whole_subjects():
    values = np.repeat([0.0, 10.0], 50)
    alone = bits.interval(values, [str(i) for i in range(100)])
    joined = bits.interval(values, [str(i % 10 + 10 * (i // 50)) for i in range(100)])
    assert alone[0] < 500 < alone[1]
    assert joined[1] - joined[0] > 1.5 * (alone[1] - alone[0])
    rows = np.stack([np.zeros(100), np.full(100, -1.0)])
    assert bits.interval(rows, [str(i) for i in range(100)]) == (-100.0, 0.0)
    assert bits.interval(np.ones(7), list("abcdefg"), mean=True) == (1.0, 1.0)


@given(st.integers(1, 60), st.integers(0, 99))
def test_shuffles_move_every_subject(n: int, seed: int):
    for moved in bits.shuffled(n, 3, seed):
        assert sorted(moved) == list(range(n))
        assert n == 1 or (moved != np.arange(n)).all()


def test_calibration_counts_every_fact():
    found: Any = bits.calibration(np.array([0.05, 0.95, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0]))
    assert [r["facts"] for r in found["bins"]] == [1, 3]
    assert found["error"] == pytest.approx((0.05 + 3 * abs(2.95 / 3 - 2 / 3)) / 4)


# -- files, resuming, the command ----------------------------------------------------------------------------


def test_the_command_writes_numbers_facts_and_a_picture(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    TABLE.write(tmp_path / "facts.csv")
    call = ["measure", str(folder), str(tmp_path / "facts.csv"), "--out", str(tmp_path / "out"), "--json"]
    assert run(call) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert set(found) == KEYS["measure"]
    assert "left" in err
    assert found["facts"] == len(TABLE)
    assert set(found["relations"]) == set(TABLE.relations)
    assert {Path(f).name for f in found["files"]} == {"measure.json", "facts.csv", "measure.png"}
    assert all(Path(f).stat().st_size > 100 for f in found["files"])
    with (tmp_path / "out" / "facts.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [r["answer"] for r in rows] == list(TABLE.answer)
    assert {"rank", "log_probability", "bits", "said"} <= set(rows[0])
    assert run([*call, "--closed", "--table", "parquet", "--limit", "5"]) == 0
    import pandas as pd

    frame = pd.read_parquet(tmp_path / "out" / "facts.parquet")
    assert (len(frame), frame["rank"].dtype.kind, frame["bits"].dtype.kind) == (5, "i", "f")


def test_to_pandas_is_the_table(folder: Path):
    found = fw.measure(folder, TABLE.head(4), mode="closed")
    frame = found.to_pandas()
    assert list(frame["answer"]) == list(TABLE.answer[:4])
    assert frame["bits"].sum() == pytest.approx(found.bits)
    assert "recall, closed" in str(found)


def test_a_stopped_run_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("factweights.models.measure.run.BLOCK", 8)
    whole = fw.measure(folder, TABLE)

    def stop(p: Progress) -> None:
        if p.total and p.done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fw.measure(folder, TABLE, out=tmp_path, on_progress=stop)
    kept = list((tmp_path / asked_folder()).glob("*.npz"))
    assert len(kept) == 3
    kept[0].write_bytes(b"damaged")
    calls = []
    real = scoring.score
    monkeypatch.setattr(asked, "score", lambda *a, **k: calls.append(len(a[1])) or real(*a, **k))
    again = fw.measure(folder, TABLE, out=tmp_path)
    assert sum(calls) == len(TABLE) - 16 + len(TABLE.relations)  # two blocks kept, and the blank subjects
    assert again.to_dict() | {"seconds": 0} == whole.to_dict() | {"seconds": 0}
    calls.clear()
    fw.measure(folder, TABLE, out=tmp_path, stop=".")
    assert sum(calls) == len(TABLE) + len(TABLE.relations), "other questions are asked anew"


def asked_folder() -> str:
    from factweights.models.measure.kept import FOLDER

    return FOLDER


def test_memory_that_runs_out_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch):
    lm = seam.load(folder)
    whole = fw.measure(lm, TABLE, mode="closed")
    real, told = seam.LanguageModel.forward, []

    def small(self: Any, ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(ids) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return real(self, ids, *args, **kwargs)

    monkeypatch.setattr(seam.LanguageModel, "forward", small)
    monkeypatch.setattr(scoring._Pass, "_most", lambda self, length: 5)
    found = fw.measure(lm, TABLE, mode="closed", on_progress=lambda p: told.append(p.text))
    assert any(t.startswith("out of memory: going on with batches of") for t in told)
    assert found.table["bits_raw"] == pytest.approx(whole.table["bits_raw"], abs=1e-4)


# -- what is refused -----------------------------------------------------------------------------------------


def test_bad_requests_say_what(folder: Path, tmp_path: Path):
    with pytest.raises(SettingError, match="mode is both"):
        fw.measure(folder, TABLE, mode="shut")
    with pytest.raises(SettingError, match="tolerance"):
        fw.measure(folder, TABLE, tolerance=1.5)
    with pytest.raises(SettingError, match="prior"):
        fw.measure(folder, TABLE, prior="none")
    with pytest.raises(SettingError, match="at least one wording"):
        fw.measure(folder, TABLE, wordings=0)
    (tmp_path / "own.toml").write_text('capital = ["The capital of {subject} is"]')
    with pytest.raises(FactsError, match="no template for the relation 'code'"):
        fw.measure(folder, TABLE, templates_file=tmp_path / "own.toml")
    with pytest.raises(FactsError, match="the model reads 128"):
        fw.measure(folder, TABLE, templates=["word " * 200 + "{subject} {relation}"])
    with pytest.raises(FileNotFoundError, match="did you mean"):
        fw.measure(folder.parent / (folder.name + "x"), TABLE)


def test_a_model_that_is_no_causal_one_is_refused_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    import transformers

    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "bert")
    TABLE.write(tmp_path / "facts.csv")
    assert run(["measure", str(tmp_path / "bert"), str(tmp_path / "facts.csv"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "NoCausalModelError"
    both = ["measure", str(tmp_path / "bert"), str(tmp_path / "facts.csv"), "--closed", "--open"]
    assert run(both) == 1
