"""Faults on purpose: a command is killed or interrupted before each of its file operations, one by one.

A child is forked for each of them, so that torch is imported once. Operations are those that Python audits
(open, rename, remove, mkdir, …) on paths in the folder of the output, and renameat2, flock and fsync.
"""

import contextlib
import fcntl
import io
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.chmod", "os.truncate"}
EVENTS |= {"os.listdir", "os.scandir", "shutil.rmtree", "os.symlink"}


@dataclass
class Outcome:
    """What one run came to: its exit code (negative for a signal), what it said, operations counted."""

    code: int
    said: str
    operations: int


@dataclass
class Tally:
    """What a sweep found."""

    command: str
    faults: int = 0
    missing: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {k: len(v) for k, v in vars(self).items() if isinstance(v, list)}
        said = ", ".join(f"{n} {k}" for k, n in counts.items())
        first = "".join(f"\n    {k}: {v[0]}" for k, v in vars(self).items() if isinstance(v, list) and v)
        return f"{self.command}: {self.faults} faults; {said}{first}"

    @property
    def sound(self) -> bool:
        """Whether nothing was wrong, in at least one fault."""
        return self.faults > 0 and not any(v for v in vars(self).values() if isinstance(v, list))


def run(tokens: Sequence[str], within: Path, *, at: int = 0, number: int = signal.SIGKILL) -> Outcome:
    """Run a command in a forked child; send it the signal ``number`` before operation ``at`` (from 1)."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _child(tokens, within, at, number, write)
    os.close(write)
    with os.fdopen(read, "rb") as f:
        said = f.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    head, _, counted = said.rpartition("\0")
    return Outcome(os.waitstatus_to_exitcode(status), head or said, int(counted) if counted.isdigit() else -1)


def _child(tokens: Sequence[str], within: Path, at: int, number: int, out: int) -> None:
    from factweights.cli import run as command

    code, count, stream = 70, 0, io.StringIO()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        inside, pid = str(within), os.getpid()

        def step(*paths: object) -> None:
            nonlocal count
            if any(
                isinstance(p, (str, bytes, os.PathLike)) and os.fsdecode(p).startswith(inside) for p in paths
            ):
                count += 1
                if count == at:
                    os.kill(pid, number)

        sys.addaudithook(lambda event, args: step(*args) if event in EVENTS else None)
        for module, name in ((os, "fsync"), (fcntl, "flock")):
            setattr(module, name, _before(step, inside, getattr(module, name)))
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            code = command(tokens)
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 1
    except BaseException as e:
        stream.write(f"Traceback {type(e).__name__}: {e}")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.write(out, f"{stream.getvalue()}\0{count}".encode()[-60000:])
        os._exit(code)


def _before(step: Callable[..., None], path: str, call: Callable) -> Callable:
    def called(*args):
        step(path)
        return call(*args)

    return called


def sweep(
    tokens: Sequence[str],
    target: Path,
    template: Path,
    states: Callable[[Path], str | None],
    *,
    signals: Sequence[int] = (signal.SIGKILL, signal.SIGINT),
    every: int = 1,
) -> Tally:
    """Run a command to its end once, then with a fault before every operation.

    Args:
        tokens: the command. It writes ``target`` and nothing else.
        target: a file or folder; nothing but it and the inputs is in the folder that it is in.
        template: copied to the folder of ``target`` before each run.
        states: which of the whole versions ``target`` is, read as users do; None where there is none.
        signals: that are sent.
        every: take each so many operations only.
    """
    home, tally = target.parent, Tally(" ".join(tokens[:1]))

    def fresh() -> None:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(template, home)

    fresh()
    before, names = states(target), set(os.listdir(home))
    whole = run(tokens, home)
    after, expected = states(target), set(os.listdir(home))
    assert whole.code == 0, whole.said[-2000:]
    assert after not in (None, before)
    for number in signals:
        for at in range(1, whole.operations + 1, every):
            fresh()
            found = run(tokens, home, at=at, number=number)
            tally.faults += 1
            where = f"{signal.Signals(number).name} before operation {at} of {whole.operations}"
            try:
                state = states(target)
            except Exception as e:
                state = f"{type(e).__name__}: {e}"
            if state is None and before is not None:
                tally.missing.append(where)
            elif state not in (before, after):
                tally.mixed.append(f"{where}: {state}")
            if number == signal.SIGINT and found.code == 130:
                says_nothing = "nothing was written" in found.said
                if says_nothing != (state == before):
                    tally.untrue.append(f"{where}: {state}, and it said {found.said[-200:]!r}")
            if "Traceback" in found.said:
                tally.failed.append(f"{where}: {found.said[-500:]}")
            again = run(tokens, home)
            if again.code != 0 and state != after:
                tally.failed.append(f"{where}, then: {again.said[-500:]}")
            if states(target) != after and state != after:
                tally.failed.append(f"{where}: the next command did not write")
            if (there := set(os.listdir(home))) not in (expected, names):
                tally.litter.append(f"{where}: {sorted(there ^ expected)}")
    return tally
