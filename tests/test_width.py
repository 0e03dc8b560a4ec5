"""The smallest width: brackets, seeds, laws as starts, and the commands that use it."""

import json
import math
from pathlib import Path

import pytest

import factweights as fw
from factweights import theory
from factweights.cli import run
from factweights.errors import NotStorableError, SettingError
from factweights.methods import EncoderDecoder, GatedFit, GatedHebbian, PaperAdamMLP, RandomFeatures
from factweights.sizing import probe, smallest_width, width

SPHERICAL = fw.Associations.spherical


@pytest.fixture
def cli(capsys):
    """Run one command in this process: (exit code, stdout, stderr)."""

    def call(*tokens: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(t) for t in tokens])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def cli_json(cli):
    def call(*tokens: object) -> tuple[int, dict]:
        code, out, _ = cli(*tokens, "--json")
        return code, json.loads(out)

    return call


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "t.csv"
    rows = "".join(f"s{i},colour of,{['red', 'blue', 'green', 'white'][i % 4]}\n" for i in range(40))
    path.write_text("subject,relation,answer\n" + rows)
    return path


# -- one set of facts --------------------------------------------------------------------------------------


def test_the_bracket_holds_neighbours_with_a_memory_in_hand():
    facts = SPHERICAL(40, 16, seed=1)
    found = smallest_width(facts, GatedHebbian, seed=4)
    assert (found.what, found.bracket) == ("width", (found.size - 1, found.size))
    assert (found.law, found.proved) == (None, "upper side")
    verdicts = {p.size: p.verdict for p in found.probes}
    assert (verdicts[found.size - 1], verdicts[found.size]) == ("not found", "fits")
    assert all(p.facts == 40 for p in found.probes)
    memory = GatedHebbian(found.size).store(facts, seed=4)
    assert fw.verify(memory, facts).recall == 1.0
    assert smallest_width(facts, GatedHebbian, seed=4) == found
    assert "law" not in str(found)


def test_the_search_starts_at_the_law():
    facts = SPHERICAL(48, 16, tied=True, seed=0)
    found = smallest_width(facts, RandomFeatures)
    assert found.probes[0].size == found.law
    assert RandomFeatures(found.law).predicted_capacity(16, 16) >= 48
    assert RandomFeatures(found.law - 1).predicted_capacity(16, 16) < 48
    assert abs(found.size - found.law) <= 2
    assert f"the law asks {found.law}" in str(found)


def test_a_guide_below_its_recall_is_no_law():
    facts = SPHERICAL(12, 8)
    guided = smallest_width(facts, lambda m: PaperAdamMLP(m, max_steps=200), recall=0.99)
    assert guided.law == math.ceil(theory.mlp_guide_parameters(12) / 8)
    assert smallest_width(facts, lambda m: PaperAdamMLP(m, max_steps=200)).law is None


def test_fewer_neurons_are_enough_for_less_recall():
    facts = SPHERICAL(60, 16)
    full, most = (smallest_width(facts, GatedHebbian, recall=r).size for r in (1.0, 0.8))
    assert most < full


def test_methods_that_need_several_neurons_are_searched_from_there():
    facts = SPHERICAL(30, 8)
    found = smallest_width(facts, lambda m: EncoderDecoder(m, code_dim=6))
    assert found.law == 24  # a code of 6 dimensions, each by ⌈30/8⌉ neurons
    assert found.size <= 24


def test_what_no_width_stores_says_so():
    facts = SPHERICAL(40, 8)
    with pytest.raises(NotStorableError, match="at any width up to 5; recall reached"):
        smallest_width(facts, lambda m: GatedHebbian(m, readout="raw"), most=5)
    with pytest.raises(SettingError, match="recall cannot be"):
        smallest_width(facts, GatedHebbian, recall=0.0)


def test_a_search_asks_random_features_whether_not_how_well(monkeypatch):
    asked = []
    store = RandomFeatures.store
    monkeypatch.setattr(RandomFeatures, "store", lambda m, *a, **k: asked.append(m.stop) or store(m, *a, **k))
    assert probe(RandomFeatures(16), SPHERICAL(20, 8), 1.0).verdict == "fits"
    assert asked == ["first"]


# -- over seeds --------------------------------------------------------------------------------------------


def test_widths_over_seeds_are_what_each_seed_finds():
    found = width(GatedHebbian, d=16, facts=32, seeds=3)
    widths = [r.width for r in found.runs]
    assert found.width == sorted(widths)[1]
    assert found.interval == (min(widths), max(widths))
    assert (found.tied, found.outputs, found.law) == (True, None, None)
    facts = SPHERICAL(32, 16, seed=2, tied=True)
    alone = smallest_width(facts, GatedHebbian, seed=2)
    assert (found.runs[2].width, found.runs[2].probes) == (alone.size, alone.probes)
    assert width(GatedHebbian, d=16, facts=32, seeds=[2]).runs == found.runs[2:]
    assert found.method == GatedHebbian(found.width).settings()


def test_what_is_told_of_a_width_agrees_with_its_certificate():
    found = width(GatedHebbian, d=16, facts=40, seeds=[0], outputs=8)
    assert not found.tied
    facts = SPHERICAL(40, 16, seed=0, outputs=8)
    certificate = fw.verify(GatedHebbian(found.width).store(facts, seed=0), facts)
    assert certificate.recall == 1.0
    assert found.parameters == certificate.parameters
    assert found.bits_per_parameter == pytest.approx(certificate.bits_per_parameter)
    assert found.n_delta_per_parameter == pytest.approx(40 * theory.delta(8) / found.parameters)
    assert 0 < found.runs[0].build_seconds <= found.runs[0].seconds <= found.seconds


def test_a_width_shows_itself():
    found = width(GatedHebbian, d=8, facts=12, seeds=2)
    assert {"width", "parameters", "bits_per_parameter", "seconds", "runs"} <= set(found.to_dict())
    assert json.dumps(found.to_dict())
    assert "12 facts at recall ≥ 1" in str(found)
    assert "<table>" in found._repr_html_()
    assert list(found.to_pandas()["seed"]) == [0, 1]
    with pytest.raises(SettingError, match="seeds cannot be"):
        width(GatedHebbian, d=8, facts=12, seeds=[])


@pytest.mark.slow
def test_fits_of_all_layers_are_narrowest():
    fitted = width(lambda m: GatedFit(m, max_evaluations=250), d=16, facts=48, seeds=1)
    assert fitted.width < width(GatedHebbian, d=16, facts=48, seeds=1).width / 3
    assert fitted.bits_per_parameter > 1


# -- the command line --------------------------------------------------------------------------------------


def test_width_is_found_from_the_command_line(cli, cli_json):
    asked = ("width", "gated-hebbian", "--d", 16, "--facts", 24, "--seeds", 2)
    code, found = cli_json(*asked, "--setting", "readout=whitened")
    assert code == 0, found
    assert found["width"] == width(GatedHebbian, d=16, facts=24, seeds=2).width
    assert (found["tied"], found["recall"], len(found["runs"])) == (True, 1.0, 2)
    code, out, err = cli(*asked)
    assert code == 0
    assert "24 facts at recall ≥ 1" in out
    assert "seed 1: width = " in err
    assert cli_json(*asked, "--no-tied")[1]["tied"] is False
    assert cli_json(*asked, "--outputs", 4)[1]["outputs"] == 4


def test_capacity_takes_a_width(cli_json):
    code, found = cli_json("capacity", "random-features", "--d", 16, "--width", 32, "--seeds", 1)
    assert code == 0, found
    assert found["method"]["width"] == 32
    assert found["facts"] == pytest.approx(found["law"], rel=0.1)


def test_a_table_is_stored_at_its_smallest_width(cli, cli_json, table, tmp_path):
    out = tmp_path / "out"
    stored = cli_json("store", table, "--method", "gated-hebbian", "--width", "auto", "--d", 16, "--out", out)
    code, found = stored
    assert code == 0, found
    assert (found["search"]["what"], found["recall"], found["d"]) == ("width", 1.0, 16)
    assert found["method"]["width"] == found["search"]["size"]
    assert cli("recall", out, "s3", "colour of")[1].startswith("white")
    size = found["search"]["size"]
    for width_, code in ((size, 0), (1, 1)):
        asked = ("store", table, "--method", "gated-hebbian", "--d", 16, "--width", width_)
        assert cli_json(*asked)[0] == code


def test_a_width_is_searched_at_a_usual_dimension(cli, table):
    code, out, err = cli("store", table, "--method", "gated-hebbian", "--width", "auto")
    assert code == 0, err
    assert "d = 64 is taken, as none is given" in err
    assert "is the smallest found" in out
    assert "a full matrix would need" in out


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (
            ["width", "gated-hebbian", "--d", 8, "--facts", 0],
            "--facts cannot be 0: give a whole",
        ),
        (["width", "hebbian", "--d", 8, "--facts", 8], "no setting of hebbian named 'width'"),
        (["width", "gated-hebian", "--d", 8, "--facts", 8], "did you mean 'gated-hebbian'"),
        (["width", "gated-hebbian", "--d", 8, "--facts", 8, "--setting", "width=3"], "given twice"),
        (["width", "gated-hebbian", "--d", 8, "--facts", 8, "--seeds", "0"], "a count from 1 to"),
        (
            ["width", "gated-hebbian", "--d", 8, "--facts", 8, "--tied", "--outputs", 3],
            "leave --outputs and --d-out out",
        ),
        (
            ["capacity", "gated-hebbian", "--d", 8],
            "gated-hebbian needs width: --width …, or --setting width=…",
        ),
        (["capacity", "exact-linear", "--d", 8, "--width", 3], "no setting of exact-linear named 'width'"),
        (["store", "{table}", "--method", "gated-hebbian"], "gated-hebbian needs width: --width"),
        (["store", "{table}", "--rank", 3, "--width", 3], "both a rank and a width"),
        (["store", "{table}", "--method", "gated-hebbian", "--d", 16, "--width", 2], "ask for a larger one"),
    ],
)
def test_what_is_wrong_with_a_width_is_explained(cli, table, tokens, said):
    code, out, err = cli(*[str(t).format(table=table) for t in tokens])
    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err
