"""The engine on a Ray cluster: the same numbers, and a node that is killed costs tries, not results."""

import sqlite3
import threading

import pytest

from factweights.errors import MissingExtraError
from factweights.studies import Cell, run_cells
from factweights.studies.running.ledger import LEDGER


def cells(n: int = 24) -> list[Cell]:
    return [
        Cell(
            function="success",
            arguments={"method": "ridge", "facts": 30 + s, "d": 16, "recall": 1.0, "seed": s},
            label=f"seed {s}",
        )
        for s in range(n)
    ]


def test_without_ray_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    from factweights.studies.running.ray_engine import RayEngine

    with pytest.raises(MissingExtraError, match=r"factweights\[ray\]"):
        RayEngine()


@pytest.mark.slow
def test_a_node_is_killed_during_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    from factweights.studies.running.ray_engine import RayEngine

    small = {"object_store_memory": 80_000_000}
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **small}
    )
    try:
        node = cluster.add_node(num_cpus=1, **small)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        engine = RayEngine()
        assert engine.slots == 2
        killed: list[threading.Thread] = []

        def kill_once(*_: object) -> None:
            if not killed:
                kill = {"target": cluster.remove_node, "args": (node,), "kwargs": {"allow_graceful": False}}
                killed.append(threading.Thread(**kill))
                killed[0].start()

        found = run_cells(cells(), tmp_path, engine=engine, on_result=kill_once)
        killed[0].join()
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert len(found) == len(cells())
    with sqlite3.connect(tmp_path / LEDGER) as db:
        assert db.execute("SELECT COUNT(*) FROM cells WHERE state = 'done'").fetchone() == (24,)
    here = run_cells(cells(), tmp_path / "here", workers=1)
    assert {h: (r["fits"], r["recall"]) for h, r in found.items()} == {
        h: (r["fits"], r["recall"]) for h, r in here.items()
    }


@pytest.mark.slow
def test_gpus_are_asked_for_where_a_cell_asks(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    from factweights.studies.running.ray_engine import RayEngine, _task

    def where() -> tuple[str, str | None]:
        import os

        import ray

        return ray.get_runtime_context().get_node_id(), os.environ.get("CUDA_VISIBLE_DEVICES")

    small = {"object_store_memory": 80_000_000}
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **small}
    )
    try:
        node = cluster.add_node(num_cpus=1, num_gpus=1, **small)  # Ray counts GPUs as it is told
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        assert ray.get(_task(ray.remote(where), 1).remote()) == (node.node_id, "0")
        assert ray.get(_task(ray.remote(where), 0).remote())[1] != "0"
        with_gpus = [c.model_copy(update={"gpus": g}) for c, g in zip(cells(3), (0.0, 1.0, 2.0), strict=True)]
        found = run_cells(with_gpus, tmp_path, engine=RayEngine(), partial=True)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert set(found) == {c.hash for c in with_gpus[:2]}
    (said,) = (tmp_path / "failed").glob("*.txt")
    assert "asks for 2 GPU(s), and no node of the Ray cluster has more than 1" in said.read_text()
