"""A folder never runs code, asks a question or takes memory, whatever its files say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import factweights as fw
from factweights.errors import FileFormatError
from factweights.export import real
from factweights.export.folder import COMPILED, SETTINGS, read_settings
from factweights.folders import sha256
from factweights.folders.manifests import _checksum

pytest.importorskip("transformers")
ROWS = [("France", "capital", "Paris"), ("Peru", "capital", "Lima"), ("Peru", "continent", "America")]
CODE = "import pathlib, os\npathlib.Path(os.environ['RAN']).write_text('ran')\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    table = fw.FactTable.from_rows(ROWS)
    return fw.compile_table(table, tmp_path_factory.mktemp("stock") / "model", width=8).path


@pytest.fixture
def folder(model, tmp_path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))


def forge(folder: Path, **more: dict) -> None:
    """Change files and write their hashes into the manifest, as whoever can change one can."""
    for name, change in more.items():
        path = folder / name.replace("__", ".")
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    settings = json.loads((folder / SETTINGS).read_text())
    settings["files"] = {name: sha256(folder / name) for name in settings["files"]}
    (folder / SETTINGS).write_text(json.dumps(settings | {"checksum": _checksum(settings)}))


AUTO_MAP = {"auto_map": {"AutoModelForCausalLM": "modeling.Model", "AutoConfig": "modeling.Config"}}


@pytest.mark.parametrize("model_type", ["llama", "unheard-of"])
def test_code_in_a_folder_is_not_run_and_nothing_is_asked(folder, tmp_path, monkeypatch, model_type):
    (folder / "modeling.py").write_text(CODE)
    ran = tmp_path / "ran"
    forge(folder, config__json={**AUTO_MAP, "model_type": model_type})
    for name in ("explain", "onnx"):
        more = ["France", "capital"] if name == "explain" else ["--out", str(tmp_path / "a.onnx")]
        done = subprocess.run(
            [sys.executable, "-m", "factweights.cli", name, str(folder), *more],
            input=b"y\ny\ny\n",
            capture_output=True,
            env={**__import__("os").environ, "RAN": str(ran)},
        )
        assert done.returncode == 1
        assert b"error: " in done.stderr
        assert b"Traceback" not in done.stderr
        assert b"[y/N]" not in done.stdout + done.stderr
    assert not ran.exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config__json", AUTO_MAP),
        ("config__json", {"_attn_implementation": "kernels-community/flash-attn"}),
        ("config__json", {"attn_implementation": "flash_attention_2"}),
        ("config__json", {"quantization_config": {"quant_method": "gptq", "bits": 4}}),
        ("config__json", {"architectures": ["GPT2LMHeadModel"]}),
        ("config__json", {"model_type": "gpt2"}),
        ("config__json", {"hidden_act": "kernels/x"}),
        ("config__json", {"vocab_size": 10**9}),
        ("config__json", {"num_hidden_layers": 10**9}),
        ("config__json", {"hidden_size": -1}),
        ("config__json", {"intermediate_size": "8"}),
        ("config__json", {"rope_parameters": None}),
        ("config__json", {"dtype": "float8_e4m3fn"}),
        ("tokenizer_config__json", {"auto_map": {"AutoTokenizer": ["modeling.T", None]}}),
        ("tokenizer_config__json", {"tokenizer_class": "GPT2Tokenizer"}),
        ("tokenizer_config__json", {"chat_template": "{{ x }}"}),
        ("generation_config__json", {"custom_generate": "x"}),
        ("tokenizer__json", {"model": {"type": "BPE"}}),
        ("tokenizer__json", {"added_tokens": 3}),
    ],
)
def test_only_what_compile_writes_is_loaded(folder, name, change):
    forge(folder, **{name: change})
    read_settings(folder)  # the hashes are right
    with pytest.raises(FileFormatError):
        fw.explain(folder, "France", "capital")


@pytest.mark.parametrize("name", ["adapter_config.json", "modeling.py", "x.safetensors.index.json", "x.bin"])
def test_files_that_transformers_may_read_are_refused(folder, name):
    (folder / name).write_text("{}")
    with pytest.raises(FileFormatError, match="which compile did not write"):
        fw.explain(folder, "France", "capital")


def test_notes_of_ones_own_do_not_disturb(folder):
    (folder / "notes.txt").write_text("mine")
    assert fw.explain(folder, "France", "capital").answer == "Paris"


@pytest.mark.parametrize(
    "change",
    [
        {"layout": {}},
        {"layout": {"store": "mlp", "head_dim": 10**12}},
        {"width": -1},
        {"dtype": "float8"},
        {"templates": []},
        {"head": {"steep": "nan"}},
        {"subjects": ["nobody"]},
        {"tokens": ["a", "a"]},
        {"table_hash": "0" * 64},
        {"more": 1},
    ],
)
def test_settings_of_another_type_are_errors(folder, change):
    forge(folder, **{SETTINGS.replace(".", "__"): change})
    for use in (lambda: fw.explain(folder, "France", "capital"), lambda: _edit(folder)):
        with pytest.raises(FileFormatError):
            use()


def _edit(folder: Path):
    return fw.edit_compiled(folder, set=[("France", "capital", "Lyon")])


@pytest.mark.parametrize("name", sorted(COMPILED.needed))
def test_every_changed_byte_is_found_by_every_command(folder, tmp_path, name):
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:])
    uses = [
        lambda: fw.explain(folder, "France", "capital"),
        lambda: fw.to_onnx(folder, tmp_path / "a.onnx"),
        lambda: fw.ablate(folder, facts=1),
        lambda: _edit(folder),
    ]
    for use in uses:
        with pytest.raises(FileFormatError, match="is not the file that was saved"):
            use()


def test_the_attention_is_one_of_ours(folder):
    with pytest.raises(fw.FactweightsError, match="attention is one of sdpa, eager"):
        real.load(folder, attention="kernels-community/flash-attn")
    model, _ = real.load(folder)
    assert model.config._attn_implementation == "sdpa"
    assert model.dtype == torch.float32
