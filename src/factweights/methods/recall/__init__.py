"""How facts get into a recall transformer: one final class for each way of writing them."""

from factweights.methods.recall.attention_mlp import AttentionMLP
from factweights.methods.recall.attention_only import AttentionOnly
from factweights.methods.recall.base import RecallMethod, RecallSolution, drawn_model
from factweights.methods.recall.constructions import Built
from factweights.methods.recall.fit import Fitted, TransformerFit
from factweights.methods.recall.paper_adam import PaperAdamTransformer, train_stacked
from factweights.methods.recall.record import Trained, Training
from factweights.methods.recall.stacked import StackedTransformers

RECALL_METHODS: dict[str, type[RecallMethod]] = {
    "attention-mlp": AttentionMLP,
    "attention-only": AttentionOnly,
    "fit": TransformerFit,
    "paper-adam": PaperAdamTransformer,
}

__all__ = [
    "RECALL_METHODS",
    "AttentionMLP",
    "AttentionOnly",
    "Built",
    "Fitted",
    "PaperAdamTransformer",
    "RecallMethod",
    "RecallSolution",
    "StackedTransformers",
    "Trained",
    "Training",
    "TransformerFit",
    "drawn_model",
    "train_stacked",
]
