"""The map put to the test: remove what it names for a fact, and see which facts are gone."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from factweights.errors import SettingError
from factweights.export import real
from factweights.export.folder import WEIGHTS
from factweights.export.layout import Layout, MlpLayout
from factweights.export.maps import Held
from factweights.export.names import BOS, Vocabulary
from factweights.export.opening import open_compiled
from factweights.facts import FactTable
from factweights.progress import OnProgress, Progress, silent
from factweights.show import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEYOND = 2.0  # a fact's direction is taken off by this multiple of its margin


@dataclass(frozen=True)
class Ablated:
    """One kind of removal, over several facts.

    Attributes:
        removed: what was removed.
        tries: how often.
        fact: share of the facts it was meant for that were lost.
        same_subject, same_relation, others: mean share lost of facts that share either with it, or neither;
            None where there are no such facts.
    """

    removed: str
    tries: int
    fact: float
    same_subject: float | None
    same_relation: float | None
    others: float | None


@dataclass(frozen=True)
class Ablation(Shown):
    """What :func:`ablate` found.

    Attributes:
        facts: in the table.
        rows: one for each kind of removal.
    """

    facts: int
    rows: tuple[Ablated, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {"facts": self.facts, "rows": [dict(vars(r)) for r in self.rows]}

    def to_pandas(self) -> Any:
        """One row for each kind of removal (needs the extra [data])."""
        import pandas as pd

        return pd.DataFrame(self.to_dict()["rows"])

    def plot(self, path: str | Path | None = None) -> "Figure":
        """What is lost with each removal; written to ``path`` too if there is one."""
        from factweights.plots.results import shares

        return shares(
            "lost, of the fact meant | of all others",
            {
                f"{r.removed} | {what}": x
                for r in self.rows
                for what, x in (("fact", r.fact), ("others", r.others))
            },
            path,
        )

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        return [
            (
                r.removed,
                f"fact lost {r.fact:.1%}; of its subject's {_share(r.same_subject)}, of its relation's "
                f"{_share(r.same_relation)}, of all others {_share(r.others)} ({r.tries} tries)",
            )
            for r in self.rows
        ]


def _share(x: float | None) -> str:
    return "–, there are none" if x is None else f"{x:.3%}"


class _Bench:
    """A model whose weights are changed and put back, asked for the whole table each time."""

    def __init__(self, path: Path) -> None:
        opened = open_compiled(path)
        self.settings, self.table, self.model = opened.settings, opened.table, opened.model
        self.layout: Layout = self.settings.residual
        self.vocabulary: Vocabulary = self.settings.vocabulary
        ids = self.vocabulary
        self.prompts = [[ids.ids[BOS], *ids.of((s, r))] for s, r, _ in self.table]
        self.targets = ids.of(self.table.answer)
        self.before = real.answer(self.model, self.prompts, self.targets).margin > 0

    def lost(self, weight: Tensor, changed: Tensor) -> Tensor:
        """Facts that are lost while ``weight`` holds ``changed``."""
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.copy_(changed.to(weight.dtype))
            after = real.answer(self.model, self.prompts, self.targets).margin > 0
            weight.copy_(kept)
        return self.before & ~after


def ablate(path: str | Path, *, facts: int = 20, seed: int = 0, on_progress: OnProgress = silent) -> Ablation:
    """Remove heads, names, neurons and directions of some facts, one at a time, on the real forward.

    Args:
        path: what ``compile`` wrote.
        facts: how many, drawn at random.
        seed: of the draw.
        on_progress: told after every removal.

    Raises:
        SettingError: fewer than one fact.
        FileFormatError: not a folder of ``compile``.
    """
    bench = _Bench(Path(path))
    table = bench.table
    if facts < 1:
        raise SettingError(f"facts is how many facts are tried, at least 1; got {facts}")
    drawn = torch.randperm(len(table), generator=torch.Generator().manual_seed(seed))[:facts].tolist()
    layer = bench.model.model.layers[0]
    o = layer.self_attn.o_proj.weight
    layout = bench.layout
    h = layout.head_dim
    rows: list[Ablated] = []

    def run(what: str, weight: Tensor, changes: Any) -> None:
        losses = []
        for n, i in enumerate(drawn):
            losses.append((i, bench.lost(weight, changes(i))))
            on_progress(Progress(n + 1, len(drawn), what))
        rows.append(_summed(what, table, losses))

    for role, first, count in (
        ("subject", 0, layout.subject_heads),
        ("relation", layout.subject_heads, layout.relation_heads),
    ):
        columns = slice(first * h, (first + count) * h)
        lost = bench.lost(o, _zeroed(o, columns=columns))
        rows.append(_summed(f"{role} heads", table, [(i, lost) for i in drawn]))
        run(f"its {role}", *_name_removal(bench, role))
    if isinstance(layout, MlpLayout):
        _mlp_removals(bench, layout, run, layer.mlp.down_proj.weight, Path(path))
    return Ablation(len(table), tuple(rows))


def _name_removal(bench: _Bench, role: str) -> tuple[Tensor, Any]:
    """What holds the name: its code in the embedding or, with facts in attention, its slot there."""
    E = bench.model.model.embed_tokens.weight
    names = bench.table.subject if role == "subject" else bench.table.relation
    space = bench.layout.at(bench.layout.source(role))

    def change(i: int) -> Tensor:
        changed = E.detach().clone()
        changed[bench.vocabulary.ids[names[i]], space] = 0
        return changed

    return E, change


def _mlp_removals(bench: _Bench, layout: MlpLayout, run: Any, down: Tensor, path: Path) -> None:
    state = load_file(path / WEIGHTS)
    held = Held.of(layout, bench.vocabulary, bench.table, state)
    moment = held.moment()
    for count in (1, 5, 20):
        if count >= held.memory.width:
            continue

        def neurons(i: int, count: int = count) -> Tensor:
            top = held.attributions(torch.tensor([i]))[0].topk(count).indices
            return _zeroed(down, columns=top)

        run(f"top {count} neurons" if count > 1 else "top neuron", down, neurons)

    def direction(i: int) -> Tensor:
        u, h = held.rows[held.targets[i]], held.hidden[i]
        g = torch.linalg.solve(moment, h)
        margin = (u - held.rows[held.rivals[i]]) @ (held.memory.write @ h)
        changed = down.detach().double().clone()
        changed[bench.layout.at("answer")] -= BEYOND * margin * torch.outer(u / (u @ u), g / (g @ h))
        return changed

    run("its direction", down, direction)


def _zeroed(weight: Tensor, columns: Any) -> Tensor:
    changed = weight.detach().clone()
    changed[:, columns] = 0
    return changed


def _summed(what: str, table: FactTable, losses: list[tuple[int, Tensor]]) -> Ablated:
    sums = torch.zeros(4, dtype=torch.float64)
    counts = torch.zeros(4, dtype=torch.float64)
    for i, lost in losses:
        subject = torch.tensor([s == table.subject[i] for s in table.subject])
        relation = torch.tensor([r == table.relation[i] for r in table.relation])
        this = torch.zeros(len(table), dtype=torch.bool)
        this[i] = True
        for k, group in enumerate((this, subject & ~this, relation & ~this, ~subject & ~relation)):
            if group.any():
                sums[k] += float(lost[group].double().mean())
                counts[k] += 1
    # Of no facts there is no share: None, not 0 lost.
    fact, *others = [float(x / n) if n else None for x, n in zip(sums, counts, strict=True)]
    if fact is None:
        raise SettingError("no fact was tried; ask for facts=1 or more")
    return Ablated(what, len(losses), fact, *others)
