"""Which weights hold which fact: named subspaces, heads, neurons and, for each fact, a direction.

A fact's *direction* is a rank-one change of the down projection, u ⊗ g: u the row of its answer, g the fact's
hidden activations h made as orthogonal to those of all other facts as can be, g = (H + λ)⁻¹ h with H the
second moment of all hidden activations. Taking c · u gᵀ/⟨g, h⟩ off the down projection lowers the answer's
score at this fact by c‖u‖², and at another fact j by that times ⟨g, h_j⟩ / ⟨g, h⟩, which is small.
"""

import json
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.export.assembly import LAYER, Clean, State, memory_in, normed
from factweights.export.layout import ROLES, Layout, MlpLayout, named
from factweights.export.names import UNK, Vocabulary
from factweights.facts import FactTable
from factweights.memories import GatedMemory
from factweights.methods.candidates import hardest

FORMAT = "factweights.map.1"
TOP = 5  # neurons named for each fact
RIDGE = 1e-4  # λ, of the mean square of a hidden activation


@dataclass(frozen=True)
class Held:
    """The facts as the MLP of a checkpoint holds them, float64.

    Attributes:
        memory: its weights.
        keys: ``(N, k)`` what it reads.
        hidden: ``(N, m)`` its activations.
        rows: ``(M, d_out)`` the answers' rows of the output matrix, in the answer space.
        targets, rivals: ``(N,)`` right answers, and those that come next.
    """

    memory: GatedMemory
    keys: Float[Tensor, "n k"]
    hidden: Float[Tensor, "n m"]
    rows: Float[Tensor, "m_out d_out"]
    targets: Int[Tensor, " n"]
    rivals: Int[Tensor, " n"]

    @classmethod
    def of(cls, layout: MlpLayout, vocabulary: Vocabulary, table: FactTable, state: State) -> "Held":
        """From the weights of a checkpoint."""
        clean = Clean.of(layout, state, vocabulary)
        s, r = torch.tensor(vocabulary.of(table.subject)), torch.tensor(vocabulary.of(table.relation))
        keys = normed(clean.residual(s, r, vocabulary.ids[UNK]))[:, layout.keys]
        memory = memory_in(layout, state)
        rows = state["lm_head.weight"].double()[vocabulary.of(vocabulary.answers), layout.at("answer")]
        index = {a: i for i, a in enumerate(vocabulary.answers)}
        targets = torch.tensor([index[a] for a in table.answer])
        hidden = memory.features(keys)
        rivals = _rivals(hidden @ memory.write.T, rows, targets)
        return cls(memory, keys, hidden, rows, targets, rivals)

    def attributions(self, which: Tensor) -> Float[Tensor, "b m"]:
        """What every neuron adds to the margin of some facts over their rivals, before the final norm."""
        apart = self.rows[self.targets[which]] - self.rows[self.rivals[which]]
        return self.hidden[which] * (apart @ self.memory.write)

    def moment(self) -> Float[Tensor, "m m"]:
        """H + λ."""
        H = self.hidden.T @ self.hidden / len(self.hidden)
        return H + RIDGE * H.diagonal().mean() * torch.eye(len(H), dtype=H.dtype)

    def direction(self, row: int) -> Float[Tensor, " m"]:
        """g of one fact, of length 1."""
        g = torch.linalg.solve(self.moment(), self.hidden[row])
        return g / g.norm()


def _rivals(out: Tensor, rows: Tensor, targets: Tensor) -> Int[Tensor, " n"]:
    return hardest(out, rows, targets, 1)[0][:, 0] if len(rows) > 1 else targets


def map_of(layout: Layout, vocabulary: Vocabulary, table: FactTable, state: State) -> str:
    """``map.json``: one line for each fact, everything else before."""
    heads = [_head(layout, i) for i in range(layout.heads)]
    head: dict[str, Any] = {
        "format": FORMAT,
        "store": layout.store,
        "subspaces": named(layout.subspaces),
        "heads": heads,
    }
    if isinstance(layout, MlpLayout):
        head["neurons"] = (
            "of each fact the neurons that add most to its margin, with their share of it; all neurons read "
            "the retrieved codes and write to the answer space"
        )
        facts = _neurons(layout, vocabulary, table, state)
    else:
        head["columns"] = (
            "of each fact the head and the column of the output matrix that hold what is known of its "
            "subject and of its relation, with their shares of the margin"
        )
        facts = _columns(layout, vocabulary, table, state)
    lines = ",\n".join(json.dumps(f, ensure_ascii=False) for f in facts)
    return json.dumps(head, ensure_ascii=False, indent=1)[:-2] + f',\n "facts": [\n{lines}\n]}}\n'


def _head(layout: Layout, i: int) -> dict[str, Any]:
    if i >= layout.finders:
        role = ROLES[i - layout.finders]
        return {
            "head": i,
            "looks for": f"{role} before",
            "query": f"answer and {role}",
            "key": {
                f"{role} markers": [layout.at(f"{role} marker").start, layout.at(f"{role} marker").stop - 1]
            },
            "writes": "ended",
        }
    role = "subject" if i < layout.subject_heads else "relation"
    marker = layout.at(f"{role} marker").start + i - layout.first_head(role)
    return {
        "head": i,
        "looks for": role,
        "query": "constant",
        "key": {"marker": marker, "half": layout.at("bos").start},
        "reads": layout.source(role),
        "writes": layout.copied_to(role) or "answer",
        "finding nothing": f"no {role}",
    }


def _neurons(
    layout: MlpLayout, vocabulary: Vocabulary, table: FactTable, state: State
) -> list[dict[str, Any]]:
    held = Held.of(layout, vocabulary, table, state)
    found: list[dict[str, Any]] = []
    for start in range(0, len(table), 2048):
        which = torch.arange(start, min(start + 2048, len(table)))
        parts = held.attributions(which)
        share = parts / parts.sum(1, keepdim=True)
        top = share.topk(min(TOP, share.shape[1]), 1)
        for i, neurons, shares in zip(which.tolist(), top.indices.tolist(), top.values.tolist(), strict=True):
            pairs = [[n, round(x, 4)] for n, x in zip(neurons, shares, strict=True)]
            rival = vocabulary.answers[int(held.rivals[i])]
            found.append({**_named(table, i), "next": rival, "neurons": pairs})
    return found


def _columns(layout: Layout, vocabulary: Vocabulary, table: FactTable, state: State) -> list[dict[str, Any]]:
    o = state[f"{LAYER}self_attn.o_proj.weight"].double()[layout.at("answer")]
    rows = state["lm_head.weight"].double()[vocabulary.of(vocabulary.answers), layout.at("answer")]
    index = {a: i for i, a in enumerate(vocabulary.answers)}
    targets = torch.tensor([index[a] for a in table.answer])
    roles = (
        ("subject", vocabulary.subjects, table.subject),
        ("relation", vocabulary.relations, table.relation),
    )
    places: dict[str, list[tuple[int, int]]] = {}
    written = []
    for role, names, asked in roles:
        order = {n: i for i, n in enumerate(names)}
        places[role] = [layout.place(role, order[n]) for n in asked]
        written.append(o[:, [head * layout.head_dim + slot for head, slot in places[role]]].T)
    rivals = _rivals(written[0] + written[1], rows, targets)
    apart = rows[targets] - rows[rivals]
    parts = torch.stack([(p * apart).sum(1) for p in written], 1)
    shares = (parts / parts.sum(1, keepdim=True)).tolist()
    found: list[dict[str, Any]] = []
    for i, both in enumerate(shares):
        columns = {
            role: {"head": places[role][i][0], "column": places[role][i][1], "share": round(x, 4)}
            for role, x in zip(places, both, strict=True)
        }
        found.append({**_named(table, i), "next": vocabulary.answers[int(rivals[i])], **columns})
    return found


def _named(table: FactTable, i: int) -> dict[str, str]:
    return {"about": table.subject[i], "what": table.relation[i], "answer": table.answer[i]}
