"""What ``reproduce`` and ``study`` share: where cells run, and how a study is printed."""

from typing import TYPE_CHECKING, Any, Literal

from factweights.cli.output import print_table, say

if TYPE_CHECKING:
    from factweights.studies import Engine

EngineName = Literal["local", "ray"]
LogName = Literal["tensorboard", "trackio"]


def build_engine(name: EngineName, workers: int | None) -> "Engine":
    """The engine of that name."""
    from factweights.processors import cores
    from factweights.studies import LocalEngine

    if name == "ray":
        from factweights.studies.running.ray_engine import RayEngine

        return RayEngine(slots=workers)
    return LocalEngine(cores() if workers is None else workers)


def print_study(data: dict[str, Any]) -> None:
    """The numbers of a study as tables."""
    from factweights.studies import STUDIES

    for table in STUDIES[data["figure"]].tables(data):
        say(table.title)
        if table.columns:
            print_table(table.columns, table.rows)
        for note in table.notes:
            say(note)
        say()
