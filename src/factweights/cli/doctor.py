"""``factweights doctor``, and what is shown when nothing was asked for."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from factweights.cli.options import Json
from factweights.cli.output import emit

ENTRANCES = """\
Three ways in:

  How much fits?      factweights capacity exact-linear --d 16
                      a capacity with a proof on both sides

  A table in a model  factweights compile TABLE.csv --out DIR
                      a checkpoint that knows the table and nothing else
                      factweights graft MODEL TABLE.csv --out DIR
                      your model, with the table in it

  What does it know?  factweights measure MODEL TABLE.csv --out DIR
                      bits of a table in any language model

`factweights --help` lists every command, `factweights doctor` what is installed.\
"""


def doctor(*, json: Json = False) -> None:
    """Tell what is installed: versions, threads, devices and extras.

    Example: `factweights doctor`
    """
    found = examined()
    emit(found, _lines(found), json=json)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    rows = [(name, str(value)) for name, value in found.items() if not isinstance(value, dict)]
    for extra, packages in found["extras"].items():
        missing = [p for p, v in packages.items() if v is None]
        said = ", ".join(f"{p} {v}" for p, v in packages.items() if v is not None)
        hint = f"; without {', '.join(missing)}: pip install 'factweights[{extra}]'" if missing else ""
        rows.append((f"[{extra}]", f"{said or 'not installed'}{hint}"))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        yield f"{name:<{width}}  {value}"


def examined() -> dict[str, Any]:
    """What :func:`doctor` tells, ready for JSON."""
    import torch

    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "factweights": version("factweights"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "cuda": ", ".join(cuda) or "none",
        "numpy": _version("numpy"),
        "scipy": _version("scipy"),
        "extras": {extra: {p: _version(p) for p in packages} for extra, packages in _extras().items()},
    }


def _extras() -> dict[str, list[str]]:
    """Extra ↦ its packages, as the installed package declares them."""
    found: dict[str, list[str]] = {}
    for line in requires("factweights") or ():
        if match := re.match(r"([\w.-]+).*extra\s*==\s*['\"]([\w-]+)['\"]", line):
            found.setdefault(match[2], []).append(match[1])
    return {extra: packages for extra, packages in found.items() if extra != "dev"}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
