"""Time left is told for the part of the work that is reported."""

from types import SimpleNamespace

import pytest

from factweights.cli import progress
from factweights.progress import Progress


def test_another_part_of_the_work_has_a_pace_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    pace = progress._Pace()
    for at, done, total, said in (
        (0, 0, 100, ""),
        (100, 50, 100, "2 min"),
        (200, 100, 100, ""),
        (210, 1, 10, "90 s"),  # ten seconds of a new part, nine tenths of it left
        (220, 2, 10, "80 s"),
        (300, 10, 10, ""),
        (310, 5, 10, "10 s"),  # the count went back
    ):
        clock[0] = at
        assert pace.left(Progress(done, total, "work")) == said
