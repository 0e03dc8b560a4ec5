"""Where a picture or a file cannot be written is said before the work that makes it."""

import pytest

from factweights.cli import run


@pytest.mark.parametrize("place", ["x.exe", "x", "a-folder.png", "n" * 250 + ".png.png"])
@pytest.mark.parametrize(
    "command",
    [
        ("explain", "nowhere", "s", "r", "--plot"),
        ("dynamics", "--panel"),
        ("dynamics", "--animation"),
        ("study", "results", "nowhere", "--parquet"),
        ("report", "nowhere", "--markdown"),
    ],
)
def test_places_are_looked_at_first(tmp_path, monkeypatch, capsys, command, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-folder.png").mkdir()
    assert run([*command, place]) == 1
    said = capsys.readouterr().err
    if place in ("x.exe", "x") and command[0] in ("study", "report"):
        assert "nowhere" in said  # any name is one for these
    else:
        assert "written" in said or "write" in said
