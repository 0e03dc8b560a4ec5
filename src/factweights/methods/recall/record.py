"""What a training leaves behind: the model and how it went."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from factweights.methods.recall.base import RecallSolution
from factweights.show import Shown

Outcome = Literal["recall reached", "steps used up", "not finite"]


@dataclass(frozen=True)
class Training(Shown):
    """How a training went, one entry for each look.

    Attributes:
        steps: updates made before the look.
        loss: mean cross-entropy in nats on that step's prompts, which training has not seen before.
        relation_loss: its relation part −log p(A_r): does the answer lie in the relation's answer set?
        subject_loss: its subject part −log p(a | A_r): which member of the set? Both add up to ``loss``.
        recall: share of facts right, each asked once with fresh noise; of 4,096 random facts where there are
            more, except where it decides that the goal is reached.
        outcome: why training ended.
        seconds: from the start of the run to the end of this training, shared with the models beside it.
    """

    steps: tuple[int, ...]
    loss: tuple[float, ...]
    relation_loss: tuple[float, ...]
    subject_loss: tuple[float, ...]
    recall: tuple[float, ...]
    outcome: Outcome
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return asdict(self)

    def to_pandas(self) -> Any:
        """One row per look (needs the extra [data])."""
        import pandas as pd

        columns = ("steps", "loss", "relation_loss", "subject_loss", "recall")
        return pd.DataFrame({name: getattr(self, name) for name in columns})

    def lines(self) -> list[tuple[str, str]]:
        """What a person wants to read."""
        split = f"{self.relation_loss[-1]:.4g} relation + {self.subject_loss[-1]:.4g} subject"
        return [
            ("outcome", f"{self.outcome} after {self.steps[-1]:,} steps"),
            ("recall", f"{self.recall[-1]:.4f}"),
            ("loss", f"{self.loss[-1]:.4g} nats = {split}"),
            ("seconds", f"{self.seconds:.3g}"),
        ]


@dataclass(frozen=True)
class Trained(RecallSolution):
    """A transformer and how it was trained."""

    training: Training
