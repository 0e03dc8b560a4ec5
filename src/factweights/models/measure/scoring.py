"""Log-probabilities of all answers after every prompt: one pass over a prompt, a tree of answers behind it.

The prompt's keys and values are computed once and kept. Its last logits give every answer's first token; then
each run of tokens is read behind the kept prompt, so that what answers share is read once for each prompt. An
answer is at most as likely as the tokens of it that were read, so a branch that cannot reach ``tolerance`` of
the mass that was found already is left: its answers keep that upper bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from factweights.models.asking import by_length
from factweights.models.measure.trie import Trie
from factweights.models.seam import LanguageModel, fork, in_batches
from factweights.progress import OnProgress, silent

TOLERANCE = 1e-6  # nats, see score
TOKENS = 4096  # read at once
LOGITS = 1 << 24  # held at once
KEPT = 1 << 28  # bytes of keys and values that the prompts of one batch may take when each is continued
PROBES = 2  # likely answers that are finished first, so that others can be left out


@dataclass
class Scores:
    """What was found for ``n`` prompts and ``a`` answers.

    Attributes:
        log_probability: ``(n, a)`` float64, nats; an upper bound where not ``finished``.
        finished: ``(n, a)`` whether all tokens were read.
        left: ``(n,)`` bound on the mass of all answers that were not finished.
        tokens: that the model read.
    """

    log_probability: np.ndarray
    finished: np.ndarray
    left: np.ndarray
    tokens: int = 0

    @classmethod
    def empty(cls, prompts: int, answers: int) -> "Scores":
        """Nothing found yet."""
        shape = (prompts, answers)
        return cls(np.full(shape, -np.inf), np.zeros(shape, bool), np.zeros(prompts))

    @property
    def log_mass(self) -> np.ndarray:
        """``(n,)`` log of the summed probability of the finished answers."""
        return np.logaddexp.reduce(np.where(self.finished, self.log_probability, -np.inf), axis=1)

    @property
    def error(self) -> float:
        """The largest share of a prompt's mass that may be in answers that were not finished."""
        found = self.left / np.exp(self.log_mass)
        return float(found.max()) if len(found) else 0.0


def score(
    lm: LanguageModel,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    needed: Sequence[Sequence[int]],
    *,
    tolerance: float = TOLERANCE,
    only_needed: bool = False,
    on_progress: OnProgress = silent,
) -> Scores:
    """Log-probability of every answer after every prompt.

    Args:
        lm: the model.
        prompts: ``n`` lists of token ids.
        answers: ``a`` lists of token ids, the same behind every prompt.
        needed: for each prompt the answers that are finished whatever they are worth.
        tolerance: answers that cannot have this share of the mass are left; 0 finishes all.
        only_needed: finish those and no others.
        on_progress: told where memory runs out.
    """
    trie, found = Trie.of(answers), Scores.empty(len(prompts), len(answers))
    for rows in by_length(prompts):

        def work(start: int, stop: int, rows: list[int] = rows) -> None:
            chosen = rows[start:stop]
            part = Scores.empty(len(chosen), len(answers))
            ids = torch.tensor([list(prompts[i]) for i in chosen])
            pass_ = _Pass(lm, trie, part, tolerance, ids)
            pass_.run([needed[i] for i in chosen], only_needed=only_needed)
            found.log_probability[chosen] = part.log_probability
            found.finished[chosen], found.left[chosen] = part.finished, part.left
            found.tokens += part.tokens

        size = _batch(lm, len(prompts[rows[0]]))
        in_batches(len(rows), size, work, on_progress=on_progress, what="prompts")
    return found


def _batch(lm: LanguageModel, length: int) -> int:
    """Prompts at once, by the room their keys and values take."""
    config = lm.model.config.get_text_config()
    layers, width = getattr(config, "num_hidden_layers", 24), getattr(config, "hidden_size", 1024)
    each = 2 * layers * width * 4 * length  # grouped queries need less
    return max(1, min(64, TOKENS // max(1, length), KEPT // each))


@dataclass
class _Pass:
    """One batch of prompts of equal length."""

    lm: LanguageModel
    trie: Trie
    found: Scores
    tolerance: float
    prompts: Tensor  # (b, t)
    past: object = None
    todo: list = field(default_factory=list)

    def run(self, needed: Sequence[Sequence[int]], *, only_needed: bool) -> None:
        logs, self.past = self._read(self.prompts, None, keep=1)
        root = logs[:, -1]  # (b, v)
        rows = np.arange(len(self.prompts))
        nodes = np.zeros(len(rows), int)
        self._first_ones(root, needed, only_needed=only_needed)
        if only_needed:
            return
        self._expand(self.past, rows, nodes, np.zeros(len(rows)), root, [()] * len(rows))

    def _read(self, ids: Tensor, past: object, *, keep: int = 0) -> tuple[Tensor, object]:
        """Log-softmax ``(b, k, v)`` on the model's device, and the cache if the model has one."""
        self.found.tokens += ids.numel()
        logits, past = self.lm.forward(ids, past, keep=keep, cache=self.lm.caches)
        return logits.log_softmax(-1), past

    def _behind(
        self, past: object, rows: np.ndarray, paths: list[tuple[int, ...]], at: np.ndarray, fed: list
    ) -> tuple[Tensor, object]:
        """Read ``fed`` behind rows of a cache; without caches, behind the prompts and paths read anew."""
        ids = torch.tensor(fed)
        if self.lm.caches:
            return self._read(ids, fork(past, torch.from_numpy(at).to(self.lm.device)))
        whole = [
            self.prompts[r].tolist() + list(p) + list(f) for r, p, f in zip(rows, paths, fed, strict=True)
        ]
        return self._read(torch.tensor(whole), None, keep=ids.shape[1])

    def _first_ones(self, root: Tensor, needed: Sequence[Sequence[int]], *, only_needed: bool) -> None:
        """Finish the needed answers and a few likely ones, each in a row of its own."""
        answers = self.trie.answers
        first = torch.tensor([a[0] for a in answers], device=root.device)
        at_first = root[:, first].double().cpu().numpy()  # (b, a)
        wanted: set[tuple[int, int]] = {(i, a) for i, few in enumerate(needed) for a in few}
        if not only_needed:
            likely = np.argsort(-at_first, axis=1)[:, :PROBES]
            wanted |= {(i, int(a)) for i, few in enumerate(likely) for a in few}
        lengths: dict[int, list[tuple[int, int]]] = {}
        for i, a in sorted(wanted):
            lengths.setdefault(len(answers[a]) - 1, []).append((i, a))
        for length, pairs in lengths.items():
            value = np.array([at_first[i, a] for i, a in pairs])
            for part in _parts(len(pairs), self._most(length)) if length else []:
                chosen = pairs[part]
                rows = np.array([i for i, _ in chosen])
                fed = [answers[a][:-1] for _, a in chosen]
                logs, _ = self._behind(self.past, rows, [()] * len(rows), rows, fed)
                asked = torch.tensor([answers[a][1:] for _, a in chosen], device=logs.device)
                value[part] += logs.gather(2, asked[..., None])[..., 0].double().sum(1).cpu().numpy()
            for (i, a), x in zip(pairs, value, strict=True):
                self.found.log_probability[i, a], self.found.finished[i, a] = x, True

    def _expand(
        self,
        past: object,
        rows: np.ndarray,
        nodes: np.ndarray,
        value: np.ndarray,
        logs: Tensor,
        paths: list[tuple[int, ...]],
    ) -> None:
        """Go on from nodes that were read: ``value`` is the log-probability so far, ``logs`` what follows."""
        trie, found = self.trie, self.found
        parent = np.repeat(np.arange(len(rows)), [len(trie.nodes[u].children) for u in nodes])
        if not len(parent):
            return
        child = np.concatenate([trie.nodes[u].children for u in nodes]).astype(int)
        tokens = torch.from_numpy(trie.first[child]).to(logs.device)
        step = logs[torch.from_numpy(parent).to(logs.device), tokens].double().cpu().numpy()
        bound = value[parent] + step  # (children,)
        worth = bound >= found.log_mass[rows[parent]] + math.log(self.tolerance or 1e-300)
        groups: dict[tuple[int, bool], list[int]] = {}
        for k, (row, v) in enumerate(zip(rows[parent].tolist(), child.tolist(), strict=True)):
            node = trie.nodes[v]
            if not node.fed:  # a leaf of one token: its probability is known
                self._finish(row, node.answers, float(bound[k]))
            elif all(found.finished[row, a] for a in node.below):
                continue
            elif worth[k]:
                groups.setdefault((len(node.fed), bool(node.children)), []).append(k)
            else:
                self._leave(row, v, float(bound[k]))
        for (length, goes_on), places in sorted(groups.items()):
            for part in _parts(len(places), self._most(length)):
                self._read_runs(past, rows, bound, parent, child, np.array(places[part]), paths, goes_on)

    def _read_runs(
        self,
        past: object,
        rows: np.ndarray,
        bound: np.ndarray,
        parent: np.ndarray,
        child: np.ndarray,
        places: np.ndarray,
        paths: list[tuple[int, ...]],
        goes_on: bool,
    ) -> None:
        """Read runs of equal length, finish what ends there, and expand what goes on."""
        trie = self.trie
        # what was found since may have made some of them worthless
        worth = bound[places] >= self.found.log_mass[rows[parent[places]]] + math.log(
            self.tolerance or 1e-300
        )
        for k in places[~worth]:
            self._leave(int(rows[parent[k]]), int(child[k]), float(bound[k]))
        places = places[worth]
        if not len(places):
            return
        fed = [trie.nodes[child[k]].fed for k in places]
        own = rows[parent[places]]
        before = [paths[parent[k]] for k in places]
        logs, kept = self._behind(past, own, before, parent[places], fed)
        asked = torch.tensor([trie.nodes[child[k]].tokens[1:] for k in places], device=logs.device)
        value = bound[places].copy()
        if asked.shape[1]:
            inner = logs[:, : asked.shape[1]].gather(2, asked[..., None])[..., 0]
            value += inner.double().sum(1).cpu().numpy()
        for k, row, x in zip(places, own.tolist(), value.tolist(), strict=True):
            self._finish(row, trie.nodes[child[k]].answers, x)
        if goes_on:
            after = [b + f for b, f in zip(before, fed, strict=True)]
            self._expand(kept, own, child[places], value, logs[:, -1], after)

    def _finish(self, row: int, answers: Sequence[int], value: float) -> None:
        for a in answers:
            if not self.found.finished[row, a]:
                self.found.log_probability[row, a], self.found.finished[row, a] = value, True

    def _leave(self, row: int, node: int, bound: float) -> None:
        """Keep the bound; answers of which none begins another share the mass of their branch."""
        open_ = [a for a in self.trie.nodes[node].below if not self.found.finished[row, a]]
        self.found.log_probability[row, open_] = bound
        if open_:
            self.found.left[row] += math.exp(bound) * min(self.trie.nodes[node].chain, len(open_))

    def _most(self, length: int) -> int:
        """Rows of ``length`` new tokens that are read at once."""
        size = self.lm.model.get_input_embeddings().weight.shape[0]
        return max(1, min(TOKENS, LOGITS // size) // max(1, length))


def _parts(n: int, size: int) -> list[slice]:
    return [slice(i, min(n, i + size)) for i in range(0, n, size)]
