"""A stored memory as a folder: weights, facts, their names, and the certificate that they are there."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Protocol, final, runtime_checkable

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from factweights.errors import FactsError, SettingError, ShapeError, TamperedError, some
from factweights.facts import Associations, FactTable
from factweights.facts.cells import text
from factweights.facts.names import read_names, write_names
from factweights.facts.rows import raise_unknown
from factweights.folders import (
    Kind,
    Manifest,
    one_version,
    plain,
    read_json,
    read_manifest,
    sealed,
    sha256,
    whole_folder,
    write_json,
)
from factweights.folders.jsons import checked
from factweights.folders.manifests import Sha256
from factweights.memories import Memory, load_memory
from factweights.progress import OnProgress, silent
from factweights.show import in_html, shown

FORMAT, EARLIER = "factweights.bundle.2", "factweights.bundle.1"  # where names stood in the tensors' header
MEMORY, FACTS, TABLE, NAMES = "memory.safetensors", "facts.safetensors", "facts.csv", "names.json"
CERTIFICATE, MANIFEST = "certificate.json", "manifest.json"


def _number(kind: Callable[[str], float]) -> Callable[[str], str]:
    def check(key: str) -> str:
        if len(key) > 40 or not 0 <= kind(key) < 1e9:
            raise ValueError(f"{key[:40]!r} is no size")
        return key

    return check


class BundleManifest(Manifest):
    """The contents of ``manifest.json``.

    Attributes:
        method: the settings of the method that stored the facts.
        facts_hash, weights_hash, table_hash: of the contents, whatever the files look like.
    """

    method: dict[str, Any]
    facts_hash: Sha256
    weights_hash: Sha256
    table_hash: Sha256 | None


class CertificateFile(BaseModel):
    """What is read again of ``certificate.json``; whoever made it may have written more.

    Attributes:
        recall: share of the facts that come out right.
        noise_recall: the same by norm of key noise.
        top_k: share of the facts whose answer is among the k best, by k.
    """

    model_config = ConfigDict(extra="allow", strict=True)

    recall: Annotated[float, Field(ge=0, le=1)] | None = None
    noise_recall: dict[Annotated[str, AfterValidator(_number(float))], float] = {}
    top_k: dict[Annotated[str, AfterValidator(_number(int))], float] = {}


BUNDLE = Kind(
    "factweights folder",
    MANIFEST,
    BundleManifest,
    (FORMAT, EARLIER),
    "Bundle.save",
    frozenset({MEMORY, FACTS, CERTIFICATE}),
    others=(
        (
            "factweights.json",
            "it is a language model that 'factweights compile' wrote; ask it with factweights recall and "
            "explain (fw.recall_compiled, fw.explain), check it with factweights verify "
            "(fw.verify_compiled), or load its memory alone with fw.load_memory",
        ),
    ),
)


@runtime_checkable
class HasDict(Protocol):
    """A certificate, or anything else that can be written down."""

    def to_dict(self) -> dict[str, Any]:
        """Its contents as JSON can hold them."""
        ...


@dataclass(frozen=True)
class Recalled:
    """What a memory answers to one question.

    Attributes:
        subject: what was asked about.
        relation: what was asked of it.
        answer: the value with the largest score.
        margin: the score of ``expected`` less the largest other score, as in a certificate: positive exactly
            when the fact is recalled, infinite where there is only one answer to give.
        expected: the answer that was stored, where it has a name.
        runners_up: the answers that follow ``answer``, best first, with their scores.
        score: the score of ``answer``: its inner product with the memory's output, or its logit.
        prompt: what a language model was asked; None for a memory, which is given a key.
    """

    subject: str
    relation: str
    answer: str
    margin: float
    expected: str | None
    runners_up: tuple[tuple[str, float], ...]
    score: float
    prompt: str | None = None

    @property
    def correct(self) -> bool:
        """Whether the stored answer won by more than a tie; ``verify`` says whether beyond rounding."""
        return self.margin > 0

    def to_dict(self) -> dict[str, Any]:
        """The fields and ``correct``."""
        return {**asdict(self), "correct": self.correct}

    def __str__(self) -> str:
        wrong = "" if self.correct else f", not {self.expected}"
        others = ", ".join(f"{name} {score:.3g}" for name, score in self.runners_up)
        then = f"; then {others}" if others else ""
        said = f"{self.subject}, {self.relation}: {self.answer}{wrong} (margin {self.margin:.3g}{then})"
        return shown(said)

    def _repr_html_(self) -> str:
        return f"<p>{in_html(self)}</p>"


@final
class Bundle:
    """A memory with the facts it stores, their names, the method that stored them, and its certificate.

    Args:
        memory: from ``d_in`` to ``d_out`` of the facts.
        facts: what was stored.
        table: the names, row by row those of ``facts``; None where the facts have none.
        certificate: what ``verify`` returned, or its ``to_dict()``.
        method: the settings of the method, as ``Method.settings()`` gives them.

    Raises:
        ShapeError: a memory of other dimensions than the facts.
        FactsError: a table that does not name these facts.
    """

    def __init__(
        self,
        memory: Memory,
        facts: Associations,
        table: FactTable | None,
        certificate: dict[str, Any] | HasDict,
        method: dict[str, Any],
    ) -> None:
        if (memory.d_in, memory.d_out) != (facts.d_in, facts.d_out):
            raise ShapeError(
                f"the memory maps dimension {memory.d_in} to {memory.d_out}, the facts {facts.d_in} to "
                f"{facts.d_out}; give the facts that were stored in it"
            )
        if table is not None and not _names(table, facts):
            raise FactsError(
                "the table does not name these facts row by row; give the one they were made from"
            )
        self.memory, self.facts, self.table = memory, facts, table
        shown = certificate if isinstance(certificate, dict) else certificate.to_dict()
        self.certificate: dict[str, Any] = plain(shown)
        self.method: dict[str, Any] = plain(method)

    # -- files -------------------------------------------------------------------------------------------

    def save(self, path: str | Path, *, overwrite: bool = False, on_progress: OnProgress = silent) -> Path:
        """Write the folder ``path``, whole or not at all.

        Args:
            path: the folder.
            overwrite: replace a bundle that is there. Folders that hold anything else are never replaced.
            on_progress: told if another process writes there and is waited for.

        Raises:
            OutputError: the folder is not empty, holds other files, or could not be written.
            BusyError: another process still writes there.
        """
        path = Path(path)
        with whole_folder(path, kind=BUNDLE, overwrite=overwrite, on_progress=on_progress) as tmp:
            self.memory.save(tmp / MEMORY)
            replace(self.facts, key_names=None, value_names=None).write(tmp / FACTS)
            write_names(tmp / NAMES, self.facts.key_names, self.facts.value_names)
            if self.table is not None:
                self.table.write(tmp / TABLE)
            write_json(tmp / CERTIFICATE, self.certificate)
            write_json(tmp / MANIFEST, sealed(self._manifest(tmp)))
        return path

    def _manifest(self, folder: Path) -> BundleManifest:
        return BundleManifest(
            format=FORMAT,
            factweights=version("factweights"),
            method=self.method,
            files={f.name: sha256(f) for f in sorted(folder.iterdir())},
            facts_hash=self.facts.hash,
            weights_hash=self.memory.hash,
            table_hash=None if self.table is None else self.table.hash,
        )

    @classmethod
    def load(cls, path: str | Path, *, check: bool = True) -> "Bundle":
        """Open a folder written by :meth:`save`.

        Args:
            path: the folder.
            check: compare every file, the weights, the facts and the table with the hashes of the manifest.

        Raises:
            FileNotFoundError: no such folder.
            FileFormatError: not a factweights folder, a damaged manifest, or another format.
            TamperedError: a file is missing or is not the one that was saved.
        """
        return one_version(path, lambda folder: cls._load(folder, check))

    @classmethod
    def _load(cls, path: Path, check: bool) -> "Bundle":
        manifest = read_manifest(path, BUNDLE, BundleManifest, check=check)
        memory, facts = load_memory(path / MEMORY), _facts(path, NAMES in manifest.files)
        table = FactTable.read(path / TABLE, wide=False) if TABLE in manifest.files else None
        try:
            bundle = cls(memory, facts, table, _certificate(path), manifest.method)
        except (ShapeError, FactsError) as e:
            raise TamperedError(f"{path}: its files do not belong together: {e}") from e
        if check and bundle._hashes() != (manifest.weights_hash, manifest.facts_hash, manifest.table_hash):
            raise TamperedError(f"{path}: {MANIFEST} has the hashes of other weights or facts; save it again")
        return bundle

    @classmethod
    def load_one(cls, path: str | Path, subject: str, relation: str) -> "Bundle":
        """Open a folder with one of its facts alone, and all answers: enough to ask for it, and much quicker.

        Every file is compared with its hash, as by :meth:`load`; the other facts are not read.

        Raises:
            UnknownNameError: no such subject, or it has no such relation. Others as of :meth:`load`.
        """
        return one_version(path, lambda folder: cls._load_one(folder, (text(subject), text(relation))))

    @classmethod
    def _load_one(cls, path: Path, pair: tuple[str, str]) -> "Bundle":
        manifest = read_manifest(path, BUNDLE, BundleManifest)
        if NAMES not in manifest.files:
            return cls._load(path, True)
        names, memory = read_names(path / NAMES), load_memory(path / MEMORY)
        rows = {name: i for i, name in enumerate(names.key_names or ())}
        if memory.hash != manifest.weights_hash or len(rows) != len(names.key_names or ()):
            return cls._load(path, True)  # says what is wrong
        if pair not in rows:
            if names.key_names is None:
                return cls._load(path, True)
            raise_unknown(*pair, rows)
        facts = Associations.read_row(path / FACTS, rows[pair], len(rows))
        try:
            facts = replace(facts, key_names=(pair,), value_names=names.value_names)
            return cls(memory, facts, None, _certificate(path), manifest.method)
        except (ShapeError, FactsError) as e:
            raise TamperedError(f"{path}: its files do not belong together: {e}") from e

    def _hashes(self) -> tuple[str, str, str | None]:
        return self.memory.hash, self.facts.hash, None if self.table is None else self.table.hash

    # -- asking ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def recall(self, subject: str, relation: str, top: int = 5) -> Recalled:
        """Ask the memory: one pass of the real weights, scored against every answer.

        Args:
            subject: as it stands in the table, up to surrounding whitespace and Unicode form.
            relation: likewise.
            top: how many answers to rank, the first one included.

        Raises:
            UnknownNameError: no such subject, or it has no such relation.
            FactsError: the facts have no names.
        """
        if top < 1:
            raise SettingError(f"top is how many answers to rank, at least 1; got {top}")
        pair = text(subject), text(relation)
        row = self._rows.get(pair)
        if row is None:
            raise_unknown(subject, relation, self._rows)
        scores = self._scores(row)
        target = int(self.facts.targets[row])
        names = list(self._answers)
        others = torch.cat([scores[:target], scores[target + 1 :]])
        margin = float(scores[target] - others.max()) if len(others) else math.inf
        best = scores.topk(min(top, len(scores)))
        ranked = [(names[i], s) for s, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
        (answer, score), *rest = ranked
        return Recalled(*pair, answer, margin, names[target], tuple(rest), score)

    def _scores(self, row: int) -> torch.Tensor:
        like = {"device": self.memory.device, "dtype": self.memory.dtype}
        return self.facts.values.to(**like) @ self.memory(self.facts.keys[row : row + 1].to(**like))[0]

    @cached_property
    def _rows(self) -> dict[tuple[str, str], int]:
        return _index("key", self.facts.key_names)

    @cached_property
    def _answers(self) -> dict[str, int]:
        return _index("value", self.facts.value_names)

    def facts_of(self, table: FactTable) -> Associations:
        """The facts of another table, with the stored keys and values of the same names.

        An answer that differs from the stored one becomes the target: a memory that recalls what was stored
        then misses that fact.

        Raises:
            UnknownNameError: the one fact of the table that was never stored.
            FactsError: several such facts, or answers that the memory does not know.
        """
        unknown = [(s, r) for s, r, _ in table if (s, r) not in self._rows]
        if len(unknown) == 1:
            raise_unknown(*unknown[0], self._rows)
        if unknown:
            raise FactsError(
                f"{len(unknown)} facts of the table were never stored: {some(unknown)}; remove them"
            )
        if new := [a for a in table.answers if a not in self._answers]:
            raise FactsError(
                f"{len(new)} answers of the table are none that the memory can give: {some(new)}; store the "
                "facts again with them"
            )
        rows = torch.tensor([self._rows[s, r] for s, r, _ in table], device=self.facts.keys.device)
        targets = torch.tensor([self._answers[a] for a in table.answer], device=self.facts.keys.device)
        return replace(self.facts.subset(rows), targets=targets)

    def verify(self, table: FactTable | None = None, **settings: Any) -> Any:
        """Run ``verify`` again on the real forward pass, against what was stored or against another table.

        Settings as in :func:`factweights.certificates.verify`; errors as in :meth:`facts_of`.
        """
        from factweights.certificates import verify

        return verify(self.memory, self.facts if table is None else self.facts_of(table), **settings)

    def __repr__(self) -> str:
        return f"Bundle({self.memory!r}, {self.table if self.table is not None else self.facts!r})"


def _certificate(path: Path) -> dict[str, Any]:
    found = read_json(path / CERTIFICATE)
    checked(CertificateFile, found, path / CERTIFICATE)
    return found


def _facts(path: Path, named: bool) -> Associations:
    facts = Associations.read(path / FACTS)
    if not named:
        return facts
    names = read_names(path / NAMES)
    try:
        return replace(facts, key_names=names.key_names, value_names=names.value_names)
    except ShapeError as e:
        raise TamperedError(f"{path}: its files do not belong together: {e}") from e


def _names(table: FactTable, facts: Associations) -> bool:
    if facts.key_names is None or facts.value_names is None or len(table) != len(facts):
        return False
    answers = (facts.value_names[i] for i in facts.targets.tolist())
    stored = ((s, r, a) for (s, r), a in zip(facts.key_names, answers, strict=True))
    return all(a == b for a, b in zip(table, stored, strict=True))


def _index(what: str, names: tuple[Any, ...] | None) -> dict[Any, int]:
    if names is None:
        raise FactsError(f"these facts have no {what} names to ask by; make them from a FactTable")
    index = {name: i for i, name in enumerate(names)}
    if len(index) < len(names):
        raise FactsError(f"{len(names) - len(index)} {what} names stand there twice; make them different")
    return index
