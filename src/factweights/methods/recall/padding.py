"""Weights of several recall transformers laid out as one, the smaller ones padded with zeros."""

import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights.errors import SettingError, ShapeError
from factweights.facts import RecallTask
from factweights.memories import RecallTransformer


@final
class Padding:
    """How G models are laid out: group after group, and model after model within a group.

    Attributes:
        models: in order; their own weights are not changed.
        d, heads, head_dim, width: the largest of each.
        shapes: of the groups. Head and head dimension are one axis, and matrices stand as they are multiplied
            from the right.
    """

    def __init__(self, models: Sequence[RecallTransformer], tasks: Sequence[RecallTask]) -> None:
        """Find the largest sizes.

        Raises:
            SettingError: no models, or a kind that is not supported here.
            ShapeError: models and tasks that do not belong together, or models of different dtypes.
        """
        _check(models, tasks)
        self.models, self.dtype = tuple(models), models[0].dtype
        self.d, self.heads, self.head_dim, self.width = (
            max(getattr(m, what) for m in models) for what in ("d", "heads", "head_dim", "width")
        )
        G, d, inner, m = len(models), self.d, self.heads * self.head_dim, self.width
        self.shapes = {
            "key": (G, d, inner),
            "query": (G, d, inner),
            "value": (G, d, inner),
            "output": (G, inner, d),
            "read": (G, d, m),
            "bias": (G, 1, m),
            "write": (G, m, d),
        }

    def __len__(self) -> int:
        return len(self.models)

    def weights(self) -> Float[Tensor, " p"]:
        """The weights of the models, laid out."""
        return self.pack([{name: getattr(model, name).data for name in self.shapes} for model in self.models])

    def views(self, flat: Float[Tensor, " p"]) -> dict[str, Tensor]:
        """The groups of something laid out as the weights are."""
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        parts = flat.split(sizes)
        return {name: x.view(s) for (name, s), x in zip(self.shapes.items(), parts, strict=True)}

    def pack(self, parts: Sequence[dict[str, Tensor]]) -> Float[Tensor, " p"]:
        """Lay out one dictionary for each model, shaped and named as a model's parameters, padded with 0."""
        flat = torch.zeros(sum(math.prod(s) for s in self.shapes.values()), dtype=self.dtype)
        views = self.views(flat)
        for g, own in enumerate(parts):
            for name, x in own.items():
                self._cut(views[name][g], name, g).copy_(x)
        return flat

    def unpack(self, flat: Float[Tensor, " p"]) -> list[dict[str, Tensor]]:
        """The inverse of :meth:`pack`: views, without the padding."""
        views = self.views(flat)
        return [{name: self._cut(views[name][g], name, g) for name in self.shapes} for g in range(len(self))]

    def unstack(
        self, flat: Float[Tensor, " p"], *, only: Sequence[int] | None = None
    ) -> list[RecallTransformer]:
        """The models, or ``only`` some of them, with the weights in ``flat``."""
        parts = self.unpack(flat)
        out = []
        for g in range(len(self)) if only is None else only:
            model = RecallTransformer(**self.models[g].config()).to(self.dtype)
            model.set_embeddings(self.models[g].embeddings, self.models[g].unembeddings)
            for name, x in parts[g].items():
                getattr(model, name).data.copy_(x)
            out.append(model)
        return out

    def _cut(self, x: Tensor, name: str, g: int) -> Tensor:
        """The part of the padded ``x`` that model g has, in the shape the model gives it."""
        model = self.models[g]
        d, H, e, m = model.d, model.heads, model.head_dim, model.width
        heads = (self.heads, self.head_dim)
        if name in ("key", "query", "value"):
            return x.unflatten(1, heads)[:d, :H, :e].permute(1, 0, 2)
        if name == "output":
            return x.unflatten(0, heads)[:H, :e, :d]
        if name == "bias":
            return x[0, :m]
        return x[:d, :m].mT if name == "read" else x[:m, :d]


def _check(models: Sequence[RecallTransformer], tasks: Sequence[RecallTask]) -> None:
    if not models or len(models) != len(tasks):
        raise SettingError(f"a stack has a task for each model and at least one, got {len(models)} models "
                           f"and {len(tasks)} tasks")  # fmt: skip
    for model, task in zip(models, tasks, strict=True):
        kinds = (model.mlp, model.attention, model.values, model.residual)
        if kinds != ("relu", "softmax", "learned", False):
            raise SettingError(
                "only a ReLU MLP, softmax attention, learned values and no residual are trained in stacks, "
                f"got mlp, attention, values, residual = {kinds}"
            )
        if (model.n_tokens, model.n_answers) != (task.n_tokens, task.n_answers):
            raise ShapeError(
                f"a model of {model.n_tokens} tokens and {model.n_answers} answers cannot read a task of "
                f"{task.n_tokens} and {task.n_answers}"
            )
        if model.dtype != models[0].dtype:
            raise ShapeError(f"models of one stack have one dtype, got {models[0].dtype} and {model.dtype}")
