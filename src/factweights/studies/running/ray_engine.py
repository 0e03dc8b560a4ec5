"""Cells on a Ray cluster: the same pure calls, results streamed back, lost workers noticed."""

import importlib
import os
import time
from collections.abc import Generator, Iterable
from typing import Any, final

from factweights.errors import MissingExtraError, SettingError
from factweights.studies.running.engines import Engine, Outcome, Pack, attempt_pack, lost_pack

AHEAD = 1  # packs handed over beyond the slots, so that no worker waits for the next


@final
class RayEngine(Engine):
    """Packs as Ray tasks of one core each, with GPUs where their cells ask for them.

    A cell that asks for more GPUs than any node has fails, and says so.

    factweights must be installed on every node. Ray itself repeats nothing: a pack whose worker or node is
    gone comes back as lost, and the run tries its cells again elsewhere, as it does with local processes.

    Args:
        address: of a cluster; None takes the one that this process is connected to, else that of the
            environment variable RAY_ADDRESS, else a Ray of this machine alone, ended afterwards.
        slots: packs at a time; None takes the cores of the cluster.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingError: the cluster cannot be reached.
    """

    name = "ray"

    def __init__(self, *, address: str | None = None, slots: int | None = None) -> None:
        if slots is not None and slots < 1:
            raise SettingError(f"workers cannot be {slots}; give at least 1", fields=("workers",))
        self._ray = _ray()
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, address, slots)
        self.slots = slots or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def run(self, packs: Iterable[Pack]) -> Generator[tuple[Pack, list[Outcome]]]:
        """As :meth:`Engine.run`."""
        ray, waiting = self._ray, iter(packs)
        remote = ray.remote(attempt_pack)
        flying: dict[Any, tuple[Pack, float]] = {}
        try:
            while True:
                while len(flying) < self.slots + AHEAD and (pack := next(waiting, None)) is not None:
                    gpus = pack[0].gpus
                    if gpus and gpus > (largest := self._largest_gpus()):
                        yield pack, _refused(pack, gpus, largest)
                        continue
                    flying[_task(remote, gpus).remote(pack)] = (pack, time.perf_counter())
                if not flying:
                    return
                for ref in ray.wait(list(flying), num_returns=1)[0]:
                    pack, begun = flying.pop(ref)
                    yield pack, self._fetch(ref, pack, begun)
        finally:
            for ref in flying:
                ray.cancel(ref, force=True)

    def close(self) -> None:
        """Leave the cluster, where this engine joined it."""
        if self._ours and self._ray.is_initialized():
            self._ray.shutdown()

    def _largest_gpus(self) -> float:
        return max((n["Resources"].get("GPU", 0.0) for n in self._ray.nodes() if n["Alive"]), default=0.0)

    def _fetch(self, ref: Any, pack: Pack, begun: float) -> list[Outcome]:
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayError as e:  # cells catch their own errors: this is Ray's
            said = (str(e).strip().splitlines() or [""])[0]
            why = f"the Ray worker that ran this cell is gone ({type(e).__name__}: {said})"
            return lost_pack(pack, why, time.perf_counter() - begun)


def _refused(pack: Pack, gpus: float, largest: float) -> list[Outcome]:
    """Ray would wait for such a node for ever."""
    why = f"the cell asks for {gpus:g} GPU(s), and no node of the Ray cluster has more than {largest:g}"
    return [Outcome(None, f"{why}\n", 0.0) for _ in pack]


def _task(remote: Any, gpus: float) -> Any:
    return remote.options(num_cpus=1, num_gpus=gpus, max_retries=0)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no word to anyone
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as e:
        raise MissingExtraError("the engine ray", "ray") from e


def _connect(ray: Any, address: str | None, slots: int | None) -> None:
    address = address or os.environ.get("RAY_ADDRESS") or None
    environment = {"env_vars": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}}
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "runtime_env": environment}
    if address is None:
        options |= {"address": "local", "include_dashboard": False, "num_cpus": slots}
    else:
        options |= {"address": address}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as e:
        raise SettingError(f"no Ray cluster at {address or 'this machine'}: {e}") from e
