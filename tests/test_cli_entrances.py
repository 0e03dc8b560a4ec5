"""What a newcomer sees first: the ways in, what is installed, what to do next."""

import json
import shlex
import shutil
import subprocess

import pytest
import torch

from factweights import __version__
from factweights.cli import run


def test_without_a_command_the_ways_in_are_shown(capsys):
    assert run([]) == 0
    shown = capsys.readouterr().out
    for command in ("capacity", "compile", "graft", "measure", "doctor"):
        assert f"factweights {command}" in shown


def test_doctor_tells_what_is_installed(capsys):
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["factweights"] == __version__
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert {"data", "hf", "onnx", "smollm2"} <= set(found["extras"])
    assert "dev" not in found["extras"]
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for extra, packages in found["extras"].items():
        line = next(line for line in lines if line.startswith(f"[{extra}]"))
        absent = [name for name, version in packages.items() if version is None]
        assert ("pip install" in line) == bool(absent)


def test_what_comes_next_runs_as_it_is_printed(tmp_path, capsys):
    (tmp_path / "t.csv").write_text(
        "subject,relation,answer\nBosnia and Herzegovina,capital,Sarajevo\nPeru,capital,Lima\n"
    )
    for command in ("store", "compile"):
        assert run([command, str(tmp_path / "t.csv"), "--out", str(tmp_path / command)]) == 0
        shown = capsys.readouterr().out
        lines = [line[6:] for line in shown.partition("\nnext  ")[2].join(("next  ", "")).splitlines()]
        assert len(lines) == 2
        for line in lines:
            words = shlex.split(line)
            assert words[0] == "factweights"
            assert run(words[1:]) == 0, line
            assert "Sarajevo" in capsys.readouterr().out or words[1] == "verify"


def test_methods_name_kinds_of_values_in_words(capsys):
    assert run(["methods"]) == 0
    shown = capsys.readouterr().out
    assert "<class" not in shown
    assert ":class:" not in shown
    assert "NoneType" not in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_command(shell, capsys):
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in ("transformer", "graft", "doctor", "--method"))
    binary = shutil.which(shell)
    if binary and shell == "bash":
        assert subprocess.run([binary, "-n"], input=script, text=True, check=False).returncode == 0


def test_completion_of_an_unknown_shell_names_those_there_are(capsys):
    assert run(["completion", "basch"]) == 2
    assert "fish" in capsys.readouterr().err
