"""The keys that commands print with --json are a contract: they are those of the recorded list."""

import pytest

from test_cli import KEYS, cli, cli_json  # noqa: F401  (fixtures)

SHORT = {
    "doctor": ("doctor",),
    "methods": ("methods",),
    "plan": ("plan", "--facts", 50, "--d", 16),
    "transformer": (
        "transformer", "--subjects", 3, "--relations", 2, "--answers", 2, "--length", 6,
        "--method", "attention-only",
    ),
    "width": ("width", "gated-hebbian", "--d", 16, "--facts", 16, "--recall", 1.0, "--seeds", 1),
}  # fmt: skip


@pytest.mark.parametrize("command", SHORT)
def test_a_short_command_prints_the_recorded_keys(cli_json, command) -> None:  # noqa: F811
    code, found = cli_json(*SHORT[command])
    assert code == 0
    assert set(found) == KEYS[command]


def test_compile_and_explain_print_the_recorded_keys(cli_json, tmp_path) -> None:  # noqa: F811
    pytest.importorskip("transformers")
    (tmp_path / "t.csv").write_text("subject,relation,answer\nFrance,capital,Paris\nPeru,capital,Lima\n")
    code, found = cli_json("compile", tmp_path / "t.csv", "--out", tmp_path / "model", "--width", 8)
    assert code == 0
    assert set(found) == KEYS["compile"]
    code, found = cli_json("explain", tmp_path / "model", "Peru", "capital")
    assert code == 0
    assert set(found) == KEYS["explain"]
    assert found["answer"] == "Lima"
