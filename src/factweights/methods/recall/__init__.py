"""How facts get into a recall transformer: one final class for each way of writing them."""

from factweights.methods.recall.attention_mlp import AttentionMLP
from factweights.methods.recall.attention_only import AttentionOnly
from factweights.methods.recall.base import RecallMethod, RecallSolution, drawn_model
from factweights.methods.recall.constructions import Built
from factweights.methods.recall.fit import Fitted, TransformerFit
from factweights.methods.recall.fit_or_descend import Candidate, Chosen, FitOrDescend
from factweights.methods.recall.paper_adam import PaperAdamTransformer
from factweights.methods.recall.training import Trained, Training

RECALL_METHODS: dict[str, type[RecallMethod]] = {
    "attention-mlp": AttentionMLP,
    "attention-only": AttentionOnly,
    "fit": TransformerFit,
    "fit-or-descend": FitOrDescend,
    "paper-adam": PaperAdamTransformer,
}

__all__ = [
    "RECALL_METHODS",
    "AttentionMLP",
    "AttentionOnly",
    "Built",
    "Candidate",
    "Chosen",
    "FitOrDescend",
    "Fitted",
    "PaperAdamTransformer",
    "RecallMethod",
    "RecallSolution",
    "Trained",
    "Training",
    "TransformerFit",
    "drawn_model",
]
