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
