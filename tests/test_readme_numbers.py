"""The numbers of the README are those of the files that it names."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def matrix(data):
    points = {p["d"]: p["facts"] for p in data["series"][0]["points"]}
    assert data["series"][0]["label"] == "exact-linear, recall 1.0"
    return ", ".join(f"{points[d]:,.0f}" for d in (16, 32, 64, 128, 256))


def odds(data):
    return "at " + ", ".join(f"{s['fit']['middle']:.3f}" for s in data["series"])


def map_of_heads(data):
    found = data["series"][0]["against_paper"]
    assert found["paper_only"] == 0
    return (
        f"{found['works']} of {found['cells']}, {found['ours_only']} of them beyond the line that the paper "
        f"plots, which promises {found['paper_works']}"
    )


def slope(data):
    line = data["overall"][0]["line"]
    assert data["cells"] == 65
    low, high = line["slope_interval"]
    return f"slope {line['slope']:.2f} ({low:.2f} to {high:.2f})"


def stages(data):
    (found,) = (s["against_paper"] for s in data["series"] if s["label"].endswith("start 1e-05"))
    return (
        f"{found['promised_and_shown']} of {found['promised']} where theorem 6 promises it, "
        f"{found['not_promised_but_shown']} of {found['not_promised']} where it does not"
    )


READ = {
    "fig1-left": matrix,
    "success-curve": odds,
    "fig4-right": map_of_heads,
    "fig4-left": slope,
    "phase-diagram": stages,
}
ROWS = re.findall(r"^\|([^|]*)\|([^|]*)\| `(docs/figures/[^`]*)` \|$", (ROOT / "README.md").read_text(), re.M)


def test_every_row_is_checked():
    assert {Path(file).stem for _, _, file in ROWS} == set(READ)


@pytest.mark.parametrize(("said", "file"), [(said.strip(), file) for _, said, file in ROWS])
def test_a_number_is_that_of_its_file(said, file):
    data = json.loads((ROOT / file).read_text(encoding="utf-8"))
    assert said.startswith(READ[Path(file).stem](data))
