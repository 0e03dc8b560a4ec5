"""Folders and files appear whole or not at all, are locked while they change, and mend themselves."""

import contextlib
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from factweights import folders
from factweights.errors import BusyError, FileFormatError, OutputError, TamperedError
from factweights.folders import (
    Kind,
    Manifest,
    exchanging,
    files,
    locked,
    must_be_writable,
    must_take_file,
    noting,
    one_version,
    read_manifest,
    sealed,
    sha256,
    uninterrupted,
    whole_file,
    whole_folder,
    write_json,
    writing,
)
from factweights.folders.leftovers import Beside
from factweights.folders.locks import tidy

KIND = Kind("test folder", "manifest.json", Manifest, ("test.1",), "the test")


def left(folder) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def half_written(output, error: BaseException, name: str = ""):
    with output as tmp:
        (tmp / name).write_text("half")
        raise error


def fill(folder: Path, **contents: str) -> None:
    """Files, and the manifest that lists them."""
    for name, text in contents.items():
        (folder / name).write_text(text)
    listed = {name: sha256(folder / name) for name in contents}
    write_json(folder / "manifest.json", sealed(Manifest(format="test.1", factweights="0", files=listed)))


def put(path: Path, *, overwrite: bool = False, **contents: str) -> None:
    with whole_folder(path, kind=KIND, overwrite=overwrite) as tmp:
        fill(tmp, **contents)


@pytest.fixture(params=[True, False], ids=["exchange", "aside"])
def exchanges(request, monkeypatch) -> bool:
    """With and without a system that lets two names trade places."""
    if not request.param:
        monkeypatch.setattr(exchanging, "_renameat2", lambda: None)
    return request.param


# -- files -------------------------------------------------------------------------------------------------


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as tmp:
        assert tmp.parent == path.parent
        assert tmp.suffix == ".txt"
        tmp.write_text("x")
        assert not path.exists()
    assert path.read_text() == "x"
    assert left(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_a_file_is_replaced_in_one_step_or_kept(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(type(error)):
        half_written(whole_file(path), error)
    assert path.read_text() == "old"
    with whole_file(str(path)) as tmp:
        tmp.write_text("new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert left(tmp_path) == ["a.txt"]


def test_a_file_that_comes_meanwhile_is_kept_where_none_may_be_replaced(tmp_path, exchanges):
    path = tmp_path / "a"

    def meanwhile() -> None:
        with whole_file(path, overwrite=False) as tmp:
            tmp.write_text("ours")
            path.write_text("theirs")

    with pytest.raises(OutputError, match="exists"):
        meanwhile()
    assert path.read_text() == "theirs"
    with whole_file(tmp_path / "b", overwrite=False) as tmp:
        tmp.write_text("ours")
    assert left(tmp_path) == ["a", "b"]


def test_outputs_have_the_rights_that_others_have(tmp_path):
    with whole_file(tmp_path / "a") as tmp:
        tmp.write_text("x")
    (tmp_path / "b").write_text("x")
    with whole_folder(tmp_path / "c") as tmp:
        pass
    (tmp_path / "d").mkdir()
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "abcd"}
    assert modes["a"] == modes["b"]
    assert modes["c"] == modes["d"]


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_full_disk_leaves_no_file(tmp_path, monkeypatch, step):
    monkeypatch.setattr(os, step, full)
    with (
        pytest.raises(OutputError, match=r"cannot write .*a\.txt: No space left on device"),
        whole_file(tmp_path / "new" / "a.txt") as tmp,
    ):
        tmp.write_text("x")
    monkeypatch.undo()
    assert left(tmp_path) == []


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "file" / "a", tmp_path / "folder", tmp_path / ("x" * 256), tmp_path / "a\0b"):
        with pytest.raises(OutputError, match="cannot"):
            must_take_file(path)
        with pytest.raises(OutputError, match="cannot write"), whole_file(path):
            pytest.fail("the block must not run")
    with pytest.raises(OutputError, match="leads back to itself"):
        must_take_file(tmp_path / "loop")
    assert left(tmp_path) == ["file", "folder", "loop"]


def test_an_output_error_inside_is_passed_on(tmp_path):
    with pytest.raises(OutputError, match="mine"), whole_file(tmp_path / "a"):
        raise OutputError("mine")
    assert left(tmp_path) == []


def test_a_link_stays_and_its_file_is_written(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "there" / "a").write_text("old")
    for name in ("a", "new"):
        (tmp_path / "here" / name).symlink_to(f"../there/{name}")
        with whole_file(tmp_path / "here" / name) as tmp:
            assert tmp.parent == tmp_path / "there"
            tmp.write_text("x")
        assert (tmp_path / "here" / name).is_symlink()
        assert (tmp_path / "there" / name).read_text() == "x"
    assert left(tmp_path / "there") == left(tmp_path / "here") == ["a", "new"]


def test_pipes_and_devices_are_written_to_and_stay(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    for text in ("x", "y" * (1 << 20)):  # more than a pipe holds at once
        reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
        reader.start()
        with whole_file(pipe) as tmp:
            tmp.write_text(text)
        reader.join()
    assert got == [b"x", b"y" * (1 << 20)]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    before = os.stat(os.devnull)
    with whole_file(os.devnull) as tmp:
        tmp.write_text("x")
    assert os.path.samestat(before, os.stat(os.devnull))
    assert left(tmp_path) == ["pipe"]


def test_a_pipe_that_nobody_reads_is_an_error_and_no_hang(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LISTENS", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="cannot write"), whole_file(tmp_path / "pipe") as tmp:
        tmp.write_text("x")


@pytest.mark.parametrize("name", ["n" * 250, "é" * 120, "n" * 240 + ".png"])
def test_long_names_work_as_far_as_the_system_takes_them(tmp_path, name):
    with whole_file(tmp_path / name) as tmp:
        tmp.write_text("x")
    put(tmp_path / f"{name[:-1]}d", a="x")
    put(tmp_path / f"{name[:-1]}d", a="y", overwrite=True)
    assert len(left(tmp_path)) == 2


# -- folders -----------------------------------------------------------------------------------------------


def test_a_folder_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "out"
    with whole_folder(path) as tmp:
        (tmp / "sub").mkdir()
        (tmp / "sub" / "a").write_text("x")
        assert not path.exists()
    assert (path / "sub" / "a").read_text() == "x"
    assert left(path.parent) == ["out"]


@pytest.mark.parametrize(
    "error", [KeyError("x"), OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_folder_that_fails_leaves_nothing(tmp_path, error):
    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        half_written(whole_folder(tmp_path / "deep" / "out"), error, "a")
    assert left(tmp_path) == []


def test_an_empty_folder_is_filled_and_a_full_one_kept(tmp_path, exchanges):
    path = tmp_path / "out"
    path.mkdir(mode=0o700)
    put(path, a="old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with pytest.raises(OutputError, match="not empty"), whole_folder(path, kind=KIND):
        pytest.fail("the block must not run")
    with pytest.raises(KeyError):
        half_written(whole_folder(path, kind=KIND, overwrite=True), KeyError("x"), "a")
    assert (path / "a").read_text() == "old"
    put(path, b="new", overwrite=True)
    assert left(path) == ["b", "manifest.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert left(tmp_path) == ["out"]


def test_what_is_not_ours_is_never_replaced(tmp_path, exchanges):
    path = tmp_path / "out"
    put(path, a="ours", b="ours too")
    spoilt = {
        "another file": lambda: (path / "mine").write_text("x"),
        "a changed file": lambda: (path / "a").write_text("mine"),
        "a file behind a link": lambda: ((path / "a").unlink(), (path / "a").symlink_to("b")),
        "a folder in its place": lambda: ((path / "b").unlink(), (path / "b").mkdir()),
        "no manifest": lambda: (path / "manifest.json").unlink(),
    }
    for how, spoil in spoilt.items():
        spoil()
        before = {f: f.read_bytes() for f in path.iterdir() if f.is_file()}
        with pytest.raises(OutputError, match="holds other files"):
            must_be_writable(path, kind=KIND, overwrite=True)
        with pytest.raises(OutputError, match="holds other files"):
            put(path, c="new", overwrite=True)
        assert before == {f: f.read_bytes() for f in path.iterdir() if f.is_file()}, how


def test_a_manifest_does_not_make_foreign_files_ours(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    (path / "thesis.txt").write_text("mine")
    for listed in (
        {"thesis.txt": "0" * 64},
        {"thesis.txt": None},
        ["thesis.txt"],
        {"../thesis.txt": "0" * 64},
    ):
        found = {"format": "test.1", "factweights": "0", "files": listed}
        (path / "manifest.json").write_text(json.dumps(found))
        with pytest.raises(OutputError, match=r"holds other files .*thesis\.txt"):
            put(path, c="new", overwrite=True)
    assert (path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("before", [None, "empty", "full"])
def test_a_file_that_comes_during_the_work_survives(tmp_path, exchanges, overwrite, before):
    path = tmp_path / "out"
    if before == "full":
        if not overwrite:
            return
        put(path, a="old")
    elif before == "empty":
        path.mkdir()

    def meanwhile() -> None:
        with whole_folder(path, kind=KIND, overwrite=overwrite) as tmp:
            fill(tmp, a="new")
            path.mkdir(exist_ok=True)
            (path / "mine").write_text("x")

    with pytest.raises(OutputError, match=r"not empty|holds other files"):
        meanwhile()
    assert (path / "mine").read_text() == "x"
    assert left(path) == (["a", "manifest.json", "mine"] if before == "full" else ["mine"])
    assert left(tmp_path) == ["out"]


def test_a_file_that_comes_in_the_last_moment_survives(tmp_path, exchanges, monkeypatch):
    """Between the check and the step itself."""
    path, real = tmp_path / "out", writing.exchange
    put(path, a="old")

    def late(a: Path, b: Path) -> bool:
        monkeypatch.setattr(writing, "exchange", real)
        (path / "mine").write_text("x")
        return real(a, b)

    monkeypatch.setattr(writing, "exchange", late)
    with pytest.raises(OutputError, match=r"holds other files .*mine"):
        put(path, a="new", overwrite=True)
    assert left(path) == ["a", "manifest.json", "mine"]
    assert (path / "a").read_text() == "old"
    assert left(tmp_path) == ["out"]


def test_a_file_that_comes_after_the_last_moment_is_kept_beside(tmp_path, monkeypatch):
    path, real = tmp_path / "out", writing._remove

    def late(old: Path, names) -> None:
        (old / "mine").write_text("x")
        real(old, names)

    put(path, a="old")
    monkeypatch.setattr(writing, "_remove", late)
    with pytest.warns(UserWarning, match="mine came into the folder"):
        put(path, a="new", overwrite=True)
    (kept,) = set(left(tmp_path)) - {"out"}
    assert left(tmp_path / kept) == ["mine"]


def test_the_old_folder_comes_back_when_the_swap_fails(tmp_path, monkeypatch):
    path = tmp_path / "out"
    put(path, a="old")
    monkeypatch.setattr(exchanging, "_renameat2", lambda: None)
    real, calls = os.rename, []

    def second_fails(source, target):
        calls.append(target)
        if len(calls) == 2:
            full()
        real(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(OutputError, match="No space left"):
        put(path, a="new", overwrite=True)
    assert (path / "a").read_text() == "old"
    assert left(tmp_path) == ["out"]


def test_places_where_no_folder_can_be_are_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    refused = [tmp_path / "file", tmp_path / "file" / "deeper", tmp_path / "pipe", tmp_path / "loop"]
    refused += [
        Path("."),
        Path(".."),
        tmp_path / "here",
        tmp_path / "x" / ("n" * 256),
        Path("/"),
        Path("/proc"),
    ]
    for path in (*refused, tmp_path / "a\0b"):
        with pytest.raises(OutputError):
            must_be_writable(path, kind=KIND, overwrite=True)
        with pytest.raises(OutputError), whole_folder(path, kind=KIND, overwrite=True):
            pytest.fail("the block must not run")
    assert left(tmp_path) == ["file", "here", "loop", "pipe"]


def test_a_link_to_a_folder_stays_and_the_folder_is_written(tmp_path):
    (tmp_path / "link").symlink_to("real")
    put(tmp_path / "link", a="x")
    put(tmp_path / "link", a="y", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "y"
    assert left(tmp_path) == ["link", "real"]


# -- one writer --------------------------------------------------------------------------------------------


def in_process(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


HOLDS = """
import sys, time
from factweights.folders import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def held(path: Path):
    process = in_process(HOLDS, path)
    assert process.stdout.readline() == b"held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_lock_keeps_others_out_and_dies_with_its_process(tmp_path):
    path, told = tmp_path / "out", []
    with held(path) as process:
        with (
            pytest.raises(BusyError, match=f"process {process.pid} on .* writes to"),
            locked(path, patience=0.05, on_progress=told.append),
        ):
            pytest.fail("two writers")
        assert "waiting for process" in told[0].text
        assert len(told) == 1
        put(tmp_path / "other", a="x")  # another name
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert left(tmp_path) == [".out.factweights-lock", "other"]
        put(path, a="x")
    assert left(tmp_path) == ["other", "out"]


def test_a_thread_may_take_a_lock_again_and_another_may_not(tmp_path):
    path, order = tmp_path / "out", []

    def second() -> None:
        with locked(path):
            order.append("second")

    with locked(path), locked(tmp_path / "." / "out"):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        put(path, a="x")
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    assert left(tmp_path) == ["out"]


COUNTS = """
import sys
from pathlib import Path
from factweights.folders import locked
sys.path.insert(0, sys.argv[2])
from test_folders import put
path = Path(sys.argv[1])
for _ in range(20):
    with locked(path):
        put(path, n=str(int((path / "n").read_text()) + 1), overwrite=True)
"""


def test_nothing_is_lost_between_writers_and_readers_see_one_version(tmp_path, exchanges):
    path = tmp_path / "out"
    put(path, n="0")
    writers = [in_process(COUNTS, path, Path(__file__).parent) for _ in range(3)]

    def read(folder: Path) -> int:
        read_manifest(folder, KIND, Manifest)
        return int((folder / "n").read_text())

    seen = [0]
    while any(w.poll() is None for w in writers):
        seen.append(one_version(path, read))
    assert [w.communicate()[1] for w in writers] == [b""] * 3
    assert one_version(path, read) == 60
    assert seen == sorted(seen)
    assert left(tmp_path) == ["out"]


# -- what the dead leave -----------------------------------------------------------------------------------


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_kept(tmp_path):
    path = tmp_path / "out"
    put(path, a="x")
    beside = Beside(path)
    with held(path):
        beside.part.mkdir()
        (beside.part / "half").write_text("x")
        tidy(path)
        assert beside.part.is_dir()
    tidy(path)
    assert left(tmp_path) == ["out"]
    for name in (beside.part, beside.old, beside.lock):
        name.write_text("a file of that name")
    put(path, a="y", overwrite=True)
    assert left(tmp_path) == ["out"]


def test_a_folder_that_a_dead_writer_left_aside_is_put_back(tmp_path):
    path = tmp_path / "out"
    put(path, a="old")
    path.rename(Beside(path).old)
    Beside(path).part.mkdir()
    assert one_version(path, lambda p: (p / "a").read_text()) == "old"
    assert left(tmp_path) == ["out"]
    path.rename(Beside(path).old)
    with pytest.raises(OutputError, match="not empty"):
        put(path, a="new")
    put(path, a="new", overwrite=True)
    assert left(tmp_path) == ["out"]


# -- Ctrl-C ------------------------------------------------------------------------------------------------


def test_ctrl_c_waits_for_the_end_of_a_step():
    steps = []

    def step() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            steps.append("whole")

    with pytest.raises(KeyboardInterrupt):
        step()
    assert steps == ["whole"]
    with pytest.raises(KeyError), uninterrupted():
        raise KeyError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_was_written_is_noted(tmp_path):
    with noting() as written:
        put(tmp_path / "a", x="1")
        with whole_file(tmp_path / "b") as tmp:
            tmp.write_text("x")
        with contextlib.suppress(KeyError):
            half_written(whole_file(tmp_path / "c"), KeyError())
    assert list(written) == [tmp_path / "a", tmp_path / "b"]


# -- manifests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"factweights": "1"}, TamperedError),
        ({"checksum": "0" * 64}, TamperedError),
        ({"more": 1}, FileFormatError),
        ({"files": {"a": "x"}}, FileFormatError),
        ({"files": {"../a": "0" * 64}}, FileFormatError),
        ({"files": None}, FileFormatError),
        ({"factweights": 1}, FileFormatError),
        ({"format": ["test.1"]}, FileFormatError),
        ({"format": "x" * 10**6}, FileFormatError),
    ],
)
def test_manifests_that_are_not_as_they_were_written(tmp_path, change, error):
    put(tmp_path / "out", a="x")
    path = tmp_path / "out" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(error) as e:
        read_manifest(tmp_path / "out", KIND, Manifest)
    assert len(str(e.value)) < 2000


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", '{"a": 1', "[" * 10**6, '{"a":' * 10**6, "\xff\xfe"),
        *('{"a": ' + x + "}" for x in ("NaN", "-Infinity", "9" * 30, "9" * 5000, '"\\ud800"')),
    ],
)
def test_json_that_no_file_of_ours_holds(tmp_path, text):
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    with pytest.raises(FileFormatError, match=r"a\.json"):
        folders.read_json(tmp_path / "a.json")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(FileFormatError, match="not a file"):
        folders.read_json(tmp_path / "a.json")
