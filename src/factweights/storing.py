"""From a table of facts to a bundle: the smallest memory that holds them, its weights, its certificate."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from factweights.bundle import BUNDLE, Bundle
from factweights.certificates import Certificate, verify
from factweights.domains import Dimension, Seed, Share, checked, must_fit
from factweights.errors import NotStorableError, SettingError, WrongTypeError
from factweights.facts import Associations, FactTable
from factweights.facts.embeddings import Kind
from factweights.folders import must_be_writable as folder_must_be_writable
from factweights.memories import LinearMemory, LowRankMemory
from factweights.methods import ExactLinear, Method, as_method
from factweights.methods.base import expecting_misses
from factweights.methods.request import missed
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown
from factweights.sizing import Smallest, law_d, smallest_d, smallest_rank, smallest_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL_D = 64  # where a width is searched and no dimension is given
NEIGHBOURS = 1 << 18  # facts × answers up to which a size is searched to the last step
TOLERANCE = 0.02  # and how far above that


@dataclass(frozen=True)
class Stored(Shown):
    """What :func:`store_table` wrote.

    Attributes:
        bundle: memory, facts, names and certificate, ready to ask or to save.
        certificate: what ``verify`` found on the real forward pass.
        recall_asked: the criterion.
        d: dimension of the keys and values.
        law_d: what the finite-size law of a full matrix asks for, recall 1.0.
        search: how d, the rank or the width was found; None where all were given.
        seconds: search, storing and verification together.
    """

    bundle: Bundle
    certificate: Certificate
    recall_asked: float
    d: int
    law_d: int
    search: Smallest | None
    seconds: float = field(compare=False)

    @property
    def proved(self) -> str | None:
        """What is proved of the size searched for: ``both sides``, ``upper side``, or None without search."""
        return None if self.search is None else self.search.proved

    def save(self, path: str | Path, *, overwrite: bool = False, on_progress: OnProgress = silent) -> Path:
        """Write the bundle as a folder; see :meth:`Bundle.save`."""
        return self.bundle.save(path, overwrite=overwrite, on_progress=on_progress)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        c = self.certificate
        return {
            "facts": c.facts,
            "outputs": c.outputs,
            "recall": c.recall,
            "recall_asked": self.recall_asked,
            "n_proved": c.n_proved,
            "min_margin": c.min_margin,
            "d": self.d,
            "law_d": self.law_d,
            "proved": self.proved,
            "parameters": c.parameters,
            "bits_per_parameter": c.bits_per_parameter,
            "map_bits_per_parameter": c.map_bits_per_parameter,
            "method": self.bundle.method,
            "dtype": c.dtype,
            "facts_hash": c.facts_hash,
            "weights_hash": c.weights_hash,
            "table_hash": None if self.bundle.table is None else self.bundle.table.hash,
            "search": None if self.search is None else self.search.to_dict(),
            "seconds": self.seconds,
        }

    def plot(self, path: str | Path | None = None) -> "Figure":
        """The certificate's picture; written to ``path`` too if there is one."""
        return self.certificate.plot(path)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        c, smallest = (
            self.certificate,
            {"both sides": "the smallest, proved", "upper side": "the smallest found"},
        )
        lines = [
            ("facts", f"{c.facts:,} among {c.outputs:,} answers"),
            ("recall", f"{c.recall:.6g} ({c.n_missed:,} missed)"),
            ("min margin", f"{c.min_margin:.3g}"),
            ("d", self._d()),
        ]
        if self.search is not None:
            size = (
                "searched",
                f"{self.search.what} = {self.search.size:,} is {smallest[self.search.proved]}",
            )
            lines.append(size)
        lines.append(("parameters", f"{c.parameters:,}, {c.map_bits_per_parameter:.3g} bits of the map each"))
        return [*lines, ("seconds", f"{self.seconds:.3g}")]

    def _d(self) -> str:
        if isinstance(self.bundle.memory, (LinearMemory, LowRankMemory)):
            return f"{self.d:,}; the law asks for {self.law_d:,} ({self.d / self.law_d - 1:+.1%})"
        return f"{self.d:,}; a full matrix would need {self.law_d:,} by its law"


@checked
def store_table(
    table: FactTable,
    method: Method | Callable[[int], Method] | str | None = None,
    *,
    d: Dimension | Literal["auto"] = "auto",
    searched: Literal["rank", "width"] = "rank",
    recall: Share = 1.0,
    seed: Seed = 0,
    kind: Kind = "spherical",
    dtype: torch.dtype = torch.float64,
    on_progress: OnProgress = silent,
) -> Stored:
    """Write a table into a new memory with random keys and values, and verify it.

    Args:
        table: the facts.
        method: default ``ExactLinear()``; it is told the recall level if it aims at one. A class that takes a
            rank, such as ``LowRankHebbian``, stands for the smallest rank that reaches ``recall`` at this d,
            and likewise one that takes a width.
        d: dimension of keys and values; ``auto`` looks for the smallest that reaches ``recall``, or takes 64
            where a width is searched.
        searched: what such a class takes.
        recall: share of the facts that must come out right.
        seed: of keys, values and method.
        kind: of embeddings, see :meth:`Associations.random`.
        dtype: of the facts and the weights.
        on_progress: told after every step.

    Raises:
        NotStorableError: the memory does not reach ``recall``, with the shortfall and what is proved, or
            misses the key noise or margin that the method was asked for.
        SettingError: a recall outside (0, 1], a d below 1, d and rank both to be searched.
    """
    begun = time.perf_counter()
    if not isinstance(table, FactTable):
        raise WrongTypeError("table", table, "a FactTable", "FactTable.read reads one from a file")
    method = as_method(method) if isinstance(method, str) else method
    if searched == "width" and not isinstance(method, Method) and d == "auto":
        d = USUAL_D
        on_progress(Progress(0, None, f"d = {d} is taken, as none is given; the width is searched there"))

    def facts_at(size: int) -> Associations:
        return table.to_associations(size, seed=seed, kind=kind, dtype=dtype)

    chosen, facts, search = _sized(method, searched, facts_at, d, recall, seed, on_progress)
    parameters = chosen.n_parameters(facts.d_in, facts.d_out)
    must_fit(parameters * facts.keys.element_size(), f"{parameters:,} parameters", ("d", "rank", "width"))
    on_progress(Progress(0, None, f"storing {len(facts):,} facts at d = {facts.d_in:,}"))
    with expecting_misses():  # what is missed is an error below
        memory = chosen.store(facts, seed=seed, on_progress=on_progress)
    on_progress(Progress(0, None, "verifying every fact against every answer"))
    certificate = verify(memory, facts, seed=seed)
    asked = law_d(facts)
    if certificate.recall < recall:
        raise NotStorableError(_shortfall(certificate, recall, facts.d_in, asked, chosen))
    if unmet := chosen.unmet(memory, facts, seed=seed):
        raise NotStorableError(f"{chosen.name} recalls the facts but {missed(unmet)}")
    bundle = Bundle(memory, facts, table, certificate, chosen.settings())
    seconds = time.perf_counter() - begun
    return Stored(bundle, certificate, recall, facts.d_in, asked, search, seconds)


def _sized(
    method: Method | Callable[[int], Method] | None,
    searched: Literal["rank", "width"],
    facts_at: Callable[[int], Associations],
    d: int | Literal["auto"],
    recall: float,
    seed: int,
    on_progress: OnProgress,
) -> tuple[Method, Associations, Smallest | None]:
    """The method and the facts at the size to store them, and the search that found it."""
    method = ExactLinear() if method is None else method
    if not isinstance(method, Method):
        if d == "auto":
            raise SettingError(
                f"d and the {searched} cannot both be searched; give one of them", fields=("d", searched)
            )
        facts = facts_at(d)
        smallest = smallest_width if searched == "width" else smallest_rank
        tolerance = 0.0 if len(facts) * facts.n_outputs <= NEIGHBOURS else TOLERANCE
        search = smallest(
            facts, method, recall=recall, seed=seed, tolerance=tolerance, on_progress=on_progress
        )
        return method(search.size).for_recall(recall), facts, search
    method = method.for_recall(recall)
    if d != "auto":
        return method, facts_at(d), None
    search = smallest_d(facts_at, method, recall=recall, seed=seed, on_progress=on_progress)
    return method, facts_at(search.size), search


def must_be_writable(path: str | Path, *, overwrite: bool = False) -> None:
    """Say before long work, not after it, that a bundle cannot go to the folder ``path``.

    Raises:
        OutputError: it is a file, is not empty, holds other files, or lies where nothing can be written.
    """
    folder_must_be_writable(path, kind=BUNDLE, overwrite=overwrite)


def _shortfall(c: Certificate, recall: float, d: int, law_d: int, method: Method) -> str:
    reached = (
        f"{method.name} at d = {d:,} reaches recall {c.recall:.4f}, not {recall:g}: {c.n_missed:,} of "
        f"{c.facts:,} facts missed, smallest margin {c.min_margin:.2g}"
    )
    if "width" in (settings := method.settings()):
        return f"{reached}. Its width is {settings['width']:,}: ask for a larger one or width = auto"
    if c.refuted and recall == 1.0:
        proof = f"proved: no {d} × {d} matrix of norm 1 has a margin above {c.margin_bound:.1e}"
    else:
        proof = f"not proved to be out of reach of every {d} × {d} matrix"
    return f"{reached} ({proof}). The law asks for d = {law_d:,}; give d = auto to search, or fewer facts"
