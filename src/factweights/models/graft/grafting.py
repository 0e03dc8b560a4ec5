"""Write a table into a pretrained model, keep it in a folder, and certify what lies there."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from factweights.errors import NotStorableError, SettingError
from factweights.facts import FactTable
from factweights.folders import must_be_writable, whole_folder, write_json
from factweights.models import seam
from factweights.models.graft import folder as folders
from factweights.models.graft.answers import STOPS, Stop
from factweights.models.graft.architecture import Architecture, architecture
from factweights.models.graft.assembling import grafted_model
from factweights.models.graft.building import Written, circuit, number, read
from factweights.models.graft.card import card
from factweights.models.graft.certificate import GraftCertificate, Questions, certify
from factweights.models.graft.circuit import Circuit
from factweights.models.graft.fitting import Seen, fired
from factweights.models.graft.maps import map_of
from factweights.models.graft.prompts import chosen, unseen, wordings_for
from factweights.models.graft.reading import Reading
from factweights.models.graft.space import added
from factweights.models.graft.widening import own_norms
from factweights.models.seam import LanguageModel
from factweights.models.wordings import Wordings
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HELD_OUT = 5  # one wording in so many is kept for paraphrase, where there are enough
FEWEST = 5  # wordings of a relation from which on some are kept


@dataclass(frozen=True)
class Grafted(Shown):
    """What :func:`graft` made.

    Attributes:
        path: the folder, or None where nothing was saved.
        certificate: of what lies there.
        nested: subjects that lie within a longer one; the longer one wins.
        separation: share of training prompts in which the right relation fires, and how often another does.
        seconds_writing, seconds: until the folder was there; everything together.
    """

    path: Path | None
    certificate: GraftCertificate
    nested: tuple[tuple[str, str], ...]
    separation: dict[str, float]
    seconds_writing: float = field(compare=False)
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON: the certificate's figures first."""
        return {
            **self.certificate.to_dict(),
            "seconds": self.seconds,
            "seconds_writing": self.seconds_writing,
            "nested": [list(pair) for pair in self.nested],
            "separation": self.separation,
            "path": None if self.path is None else str(self.path),
        }

    def plot(self, path: str | Path | None = None) -> "Figure":
        """The certificate's picture; written to ``path`` too if there is one."""
        return self.certificate.plot(path)

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        rows = self.certificate.lines()
        if self.nested:
            some = ", ".join(f"{a} in {b}" for a, b in self.nested[:3])
            rows.append(
                ("nested", f"{len(self.nested)} names lie within others ({some}); the longer one wins")
            )
        return [
            *rows,
            ("seconds", f"{self.seconds_writing:.3g} to write, {self.seconds:.3g} with the certificate"),
        ]


@dataclass(frozen=True)
class Asked:
    """What a graft is made of, besides model and table.

    Attributes:
        wordings: to fit with.
        held_out: kept for paraphrase.
        stop, aliases, seed: as given.
    """

    wordings: Wordings
    held_out: Mapping[str, tuple[str, ...]]
    stop: Stop
    aliases: Mapping[str, Sequence[str]]
    seed: int


def graft(
    model: str | Path | LanguageModel,
    table: FactTable,
    out: str | Path,
    *,
    templates: Sequence[str] | None = None,
    templates_file: str | Path | None = None,
    stop: Stop = ".",
    dtype: str = "auto",
    aliases: Mapping[str, Sequence[str]] | None = None,
    full: bool = True,
    keep_failed: bool = False,
    texts: Sequence[str] = (),
    device: str = "cpu",
    seed: int = 0,
    overwrite: bool = False,
    on_progress: OnProgress = silent,
) -> Grafted:
    """Write ``table`` into ``model``; stock transformers loads what lies in ``out``.

    Args:
        model: a folder of the types Llama, Mistral, Qwen2 or Qwen3, or one that is loaded.
        table: the facts.
        out: the folder.
        templates, templates_file: ways to ask, as of :meth:`Wordings.choose`; else shipped or default ones.
        stop: what ends an answer: ".", "newline", "eos" or "none".
        dtype: of the weights; "auto" keeps the model's.
        aliases: subject ↦ other names of it.
        full: certify everything; else only the facts.
        keep_failed: save although facts are missed.
        texts: ordinary text to measure drift on; else prose that comes with Python.
        device: where states are read and the certificate is made.
        seed: of the prompts that the reading is fitted on, and of those that are asked.
        overwrite: replace a folder that an earlier graft wrote.
        on_progress: told how far it is.

    Raises:
        NotGraftableError: a model, or names, that cannot be grafted, with the reason.
        NotStorableError: facts are missed; nothing was saved.
        SettingError, FactsError, OutputError: see the arguments.
    """
    begun = time.perf_counter()
    if stop not in STOPS:
        raise SettingError(f"stop is one of {', '.join(STOPS)}; got {stop!r}")
    must_be_writable(out, kind=folders.GRAFTED, overwrite=overwrite)
    lm = model if isinstance(model, LanguageModel) else seam.load(model, dtype=dtype, device=device)
    chosen_ones = Wordings.choose(sorted(table.relations), templates=templates, file=templates_file)
    kept, held = split(chosen_ones)
    asked = Asked(kept, held, stop, dict(aliases or {}), seed)
    arch = architecture(lm.model)
    return write(
        lm,
        arch,
        table,
        asked,
        Path(out),
        None,
        full=full,
        keep_failed=keep_failed,
        texts=texts,
        overwrite=overwrite,
        begun=begun,
        on_progress=on_progress,
    )


def split(wordings: Wordings) -> tuple[Wordings, dict[str, tuple[str, ...]]]:
    """Wordings to fit with, and some of each relation that nothing is fitted on.

    The first is fitted on, and so is what our own frames and statements say in the same words.
    """
    kept, held = {}, {}
    for relation, templates in wordings.templates.items():
        listed = tuple(dict.fromkeys(t.replace("{relation}", relation) for t in templates))
        n = len(listed) // HELD_OUT if len(listed) >= FEWEST else 0
        fitted = wordings_for(relation, Wordings({relation: listed[:1]}, wordings.origin))
        own = {t.casefold() for part in fitted for t in part}
        held[relation] = tuple(chosen([t for t in listed[1:] if t.casefold() not in own], n))
        kept[relation] = tuple(t for t in listed if t not in held[relation])
    return Wordings(kept, wordings.origin), held


def write(
    lm: LanguageModel,
    arch: Architecture,
    table: FactTable,
    asked: Asked,
    out: Path,
    reading: tuple[str, Reading] | None,
    *,
    full: bool,
    keep_failed: bool,
    texts: Sequence[str],
    overwrite: bool,
    begun: float,
    on_progress: OnProgress,
) -> Grafted:
    """The whole of :func:`graft` behind its arguments; ``reading`` is used if it was fitted on the same."""
    table = FactTable.from_rows(sorted(table))  # the order of its rows shall not matter
    relations = tuple(sorted(table.relations))
    written = number(lm.tokenizer, table, asked.stop, asked.aliases)
    on_progress(
        Progress(
            0, None, f"{len(written.names.spellings):,} spellings of {len(written.names.subjects):,} subjects"
        )
    )
    fitted_on = fingerprint(lm, table, asked)
    if reading is not None and reading[0] == fitted_on:
        found = reading[1]
        separation: dict[str, float] = {}
    else:
        found, seen = read(
            lm, arch, relations, asked.wordings, table, seed=asked.seed, on_progress=on_progress
        )
        separation = separated(found, seen, relations)
    on_progress(Progress(0, None, "writing the circuit"))
    c = circuit(lm, arch, written, found)
    grafted = grafted_model(lm.model.cpu(), c)
    questions = Questions(
        {r: asked.wordings.of(r) for r in relations},
        asked.held_out,
        other_questions(relations, asked.wordings),
        texts,
    )
    with (
        whole_folder(out, kind=folders.GRAFTED, overwrite=overwrite, on_progress=on_progress) as tmp,
        seam.quiet(),
    ):
        _save(tmp, lm, grafted, c, written, table, asked, found, fitted_on)
        del grafted
        wrote = time.perf_counter() - begun
        certificate = _certified(tmp, lm, table, written, questions, c, full, asked.seed, on_progress)
        if certificate.n_missed and not keep_failed:
            raise NotStorableError(_missed(certificate))
        write_json(tmp / folders.CERTIFICATE, certificate.to_dict())
        (tmp / folders.CARD).write_text(card(table, certificate, c, asked), encoding="utf-8")
        _settle(tmp, lm, c, asked, found, fitted_on, table)
    return Grafted(
        out, certificate, tuple(written.names.nested), separation, wrote, time.perf_counter() - begun
    )


def other_questions(relations: Sequence[str], wordings: Wordings) -> list[str]:
    """Templates about other things that nothing was fitted on: the same list for every certificate."""
    own = {t for r in relations for t in wordings.of(r)}
    return [t for t in unseen(relations) if t not in own]


def fingerprint(lm: LanguageModel, table: FactTable, asked: Asked) -> str:
    """A hash of all that the reading is fitted on: not of the facts, unless they were put into prompts."""
    from factweights.models.graft.building import ANSWERS

    relations = sorted(table.relations)
    parts = {
        "model": state_hash(lm.model.state_dict()),
        "relations": relations,
        "wordings": {r: list(asked.wordings.of(r)) for r in relations},
        "table": table.hash,
        "answers": {r: chosen({a for _, q, a in table if q == r}, ANSWERS) for r in relations},
        "seed": asked.seed,
        "format": folders.FORMAT,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def state_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, dtypes and contents of all tensors."""
    found = hashlib.sha256()
    for name, w in sorted(state.items()):
        found.update(f"{name} {w.dtype} {tuple(w.shape)}".encode())
        found.update(w.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def separated(reading: Reading, seen: Seen, relations: Sequence[str]) -> dict[str, float]:
    """For each relation the share of its prompts in which it fires and no other does; and false alarms."""
    which = fired(reading, seen)
    rates = {}
    for i, relation in enumerate(relations):
        rows = seen.last & (seen.relation == i)
        rates[relation] = float((which[rows] == i).double().mean()) if rows.any() else float("nan")
    others = seen.last & (seen.relation < 0)
    rates["fires at other questions"] = float((which[others] >= 0).double().mean()) if others.any() else 0.0
    rates["fires elsewhere"] = float((which[~seen.last] >= 0).double().mean()) if (~seen.last).any() else 0.0
    return rates


def _save(
    tmp: Path,
    lm: LanguageModel,
    grafted: Any,
    c: Circuit,
    written: Written,
    table: FactTable,
    asked: Asked,
    reading: Reading,
    fitted_on: str,
) -> None:
    grafted.generation_config = getattr(lm.model, "generation_config", None)
    grafted.save_pretrained(tmp)
    lm.tokenizer.save_pretrained(tmp)
    table.write(tmp / folders.FACTS)
    folders.write_reading(tmp, reading, own_norms(lm.model.state_dict()))
    write_json(tmp / folders.MAP, map_of(c, written))
    for file in tmp.iterdir():
        file.chmod(0o644)


def _settle(
    tmp: Path, lm: LanguageModel, c: Circuit, asked: Asked, reading: Reading, fitted_on: str, table: FactTable
) -> None:
    config = lm.model.config.to_dict()
    config.pop("_name_or_path", None)
    folders.write_settings(
        tmp,
        architecture=asdict(c.arch),
        space=asdict(c.space),
        depth=asdict(c.depth),
        base_config=json.loads(json.dumps(config, default=str)),
        base_hash=state_hash(lm.model.state_dict()),
        wordings={r: list(asked.wordings.of(r)) for r in sorted(table.relations)},
        origin=dict(asked.wordings.origin),
        held_out={r: list(t) for r, t in asked.held_out.items()},
        aliases={s: list(a) for s, a in asked.aliases.items()},
        stop=asked.stop,
        seed=asked.seed,
        layers=list(reading.layers),
        others=reading.others,
        due_threshold=reading.due_threshold,
        softness=reading.softness,
        typical=list(reading.typical),
        words=list(reading.words.words),
        fitted_on=fitted_on,
        table_hash=table.hash,
    )


def _certified(
    tmp: Path,
    lm: LanguageModel,
    table: FactTable,
    written: Written,
    questions: Questions,
    c: Circuit,
    full: bool,
    seed: int,
    on_progress: OnProgress,
) -> GraftCertificate:
    device = lm.device
    lm.model.to(device)
    reloaded = seam.load(tmp, dtype="auto", device=device)
    parameters = added(c.arch, c.space, c.depth), lm.parameters
    return certify(
        reloaded,
        lm,
        table,
        written.answers,
        questions,
        parameters,
        full=full,
        seed=seed,
        on_progress=on_progress,
    )


def _missed(c: GraftCertificate) -> str:
    some = "; ".join(f"{m.prompt!r} → {m.answered!r}, not {m.expected!r}" for m in c.missed[:5])
    return (
        f"{c.n_missed:,} of {c.facts:,} facts do not come out ({some}); nothing was saved. Give the "
        "relations more wordings (templates), or keep it all the same with keep_failed=True"
    )
