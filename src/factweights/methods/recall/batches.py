"""Batches of prompts for many models at once, token by token and sorted by token.

The count form needs sums over the tokens of a prompt (forward) and over the prompts of a token (backward).
Both are sums of table rows; the second takes the same list sorted by token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from factweights.errors import SettingError
from factweights.facts import RecallTask


@dataclass(frozen=True)
class Batch:
    """Prompts of G models. Rows count through all models: prompt b of model g is row g B + b.

    Attributes:
        tokens: ``(G B, T)`` rows of the stacked embeddings, token v of model g being row g V + v.
        targets: ``(G B,)`` rows of the stacked unembeddings.
        relations: ``(G, B)`` relations of the prompts.
        prompts: ``(G B T,)`` the rows of prompts, sorted by the token that stands there.
        starts: ``(G V,)`` where the prompts of each token begin in ``prompts``.
    """

    tokens: Int[Tensor, "gb t"]
    targets: Int[Tensor, " gb"]
    relations: Int[Tensor, "g b"]
    prompts: Int[Tensor, " gbt"]
    starts: Int[Tensor, " gv"]


class Layout:
    """One set of token and answer ids for tasks of different sizes.

    Subjects, relations and noise tokens of each task begin where those of the largest do, and EOS is last;
    ids that a task does not have never occur in its prompts.

    Attributes:
        tasks: of the models, in order.
        tokens, answers, relations: how many ids there are.
        length: T.

    Raises:
        SettingError: no tasks, or prompts of different lengths.
    """

    def __init__(self, tasks: Sequence[RecallTask]) -> None:
        self.tasks = tuple(tasks)
        lengths = {task.length for task in self.tasks}
        if len(lengths) != 1:
            raise SettingError(
                f"tasks trained together have prompts of one length, got {sorted(lengths) or 'no task'}"
            )
        self.length = lengths.pop()
        self.subjects = max(task.n_subjects for task in self.tasks)
        self.relations = max(task.n_relations for task in self.tasks)
        self.noise = max(task.n_noise for task in self.tasks)
        self.tokens = self.subjects + self.relations + self.noise + 1
        self.answers = max(task.n_answers for task in self.tasks)
        self.dtype = np.uint16 if self.tokens <= 1 << 16 else np.int64  # 16 bits are sorted by radix
        self._rows = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.tasks)

    def place(self, task: RecallTask) -> np.ndarray:
        """``(|V|,)`` the id that each token of ``task`` has here."""
        noise = self.subjects + self.relations
        parts = (
            np.arange(task.n_subjects),
            self.subjects + np.arange(task.n_relations),
            noise + np.arange(task.n_noise),
            [self.tokens - 1],
        )
        return np.concatenate(parts).astype(self.dtype)

    def _prompt_of(self, B: int) -> np.ndarray:
        """``(B T,)`` which of B prompts each token belongs to."""
        if self._rows.size != B * self.length:
            self._rows = np.repeat(np.arange(B), self.length)
        return self._rows

    def batch(self, tokens: np.ndarray, facts: np.ndarray, source: Sequence[int] | None = None) -> Batch:
        """Put prompts together.

        Args:
            tokens: ``(K, B, T)`` ids of this layout.
            facts: ``(K, B)`` facts the prompts ask for.
            source: for each model which of the K draws it sees; None for one draw each.
        """
        K, B, T = tokens.shape
        of = np.arange(K) if source is None else np.asarray(source)
        flat = tokens.reshape(K, B * T)
        order = np.argsort(flat, axis=1, kind="stable")
        sizes = np.stack([np.bincount(row, minlength=self.tokens) for row in flat])[of].ravel()
        model = np.arange(len(of))[:, None]
        prompts = self._prompt_of(B)[order][of] + model * B
        asked = [(task, facts[k]) for task, k in zip(self.tasks, of, strict=True)]
        targets = np.stack([task.target.numpy()[f] for task, f in asked])
        relations = np.stack([task.relation.numpy()[f] for task, f in asked])
        return Batch(
            torch.from_numpy((flat.astype(np.int64)[of] + model * self.tokens).reshape(-1, T)),
            torch.from_numpy((targets + model * self.answers).ravel()),
            torch.from_numpy(relations),
            torch.from_numpy(prompts.ravel()),
            torch.from_numpy(np.cumsum(sizes) - sizes),
        )


class Drawing:
    """Prompts of one task drawn from one numpy generator, as ids of a layout."""

    def __init__(self, task: RecallTask, layout: Layout, rng: np.random.Generator) -> None:
        self.task, self.layout, self.rng = task, layout, rng
        self._subject = task.subject.numpy().astype(layout.dtype)
        self._relation = (task.relation.numpy() + layout.subjects).astype(layout.dtype)
        uniform = task.alpha == 0 and task.beta == 0
        self._below = None if uniform else np.cumsum(task.probability.numpy())

    def facts(self, n: int) -> np.ndarray:
        """``(n,)`` facts drawn by their probability."""
        if self._below is None:
            return self.rng.integers(0, len(self.task), size=n)
        found = np.searchsorted(self._below, self.rng.random(n) * self._below[-1], side="right")
        return np.minimum(found, len(self.task) - 1)

    def prompts(self, facts: np.ndarray) -> np.ndarray:
        """``(n, T)`` tokens of one prompt for each fact: subject, relation, fresh noise, EOS.

        Without positions the order of the tokens does not matter, so none is drawn.
        """
        layout, task = self.layout, self.task
        tokens = np.empty((len(facts), layout.length), layout.dtype)
        tokens[:, 0], tokens[:, 1] = self._subject[facts], self._relation[facts]
        low = layout.subjects + layout.relations
        if task.n_noise:
            size = (len(facts), layout.length - 3)
            short = np.uint16 if task.n_noise < 1 << 16 else np.int64  # the draw knows its own task alone
            noise = self.rng.integers(0, task.n_noise, size=size, dtype=short)
            np.add(noise, low, out=tokens[:, 2:-1], dtype=layout.dtype)
        tokens[:, -1] = layout.tokens - 1
        return tokens
