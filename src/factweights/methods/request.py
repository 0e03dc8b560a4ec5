"""What a fit of all layers can be asked for, and by how much a memory misses it."""

import math
from dataclasses import dataclass

from factweights.certificates import noise_recall, relative_margins, verify
from factweights.errors import SettingError
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.seeds import apart


@dataclass(frozen=True)
class Request:
    """What a memory should do.

    Attributes:
        recall: share of facts that must be right.
        noise: norm of key noise under which they should be right too; 0 for none.
        noise_recall: share of facts that must be right under that noise, on draws not fitted.
        margin: relative margin γ that a share ``recall`` of the facts should have at least, 0 for none:
            ⟨v_f − v_y, F(k)⟩ ≥ γ ‖F(k)‖ max_y ‖v_y‖ for every other y, see :func:`relative_margins`.

    Raises:
        SettingError: shares outside (0, 1], a negative norm, a margin outside [0, 2).
    """

    recall: float = 1.0
    noise: float = 0.0
    noise_recall: float = 0.99
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.recall <= 1 and 0 < self.noise_recall <= 1):
            raise SettingError(
                f"recall and noise_recall are in (0, 1], got {self.recall} and {self.noise_recall}"
            )
        if not 0 <= self.noise < math.inf:
            raise SettingError(f"noise is a norm ≥ 0, got {self.noise}")
        if not 0 <= self.margin < 2:
            raise SettingError(f"a relative margin is at least 0 and below 2, got {self.margin}")

    @property
    def beyond_recall(self) -> bool:
        """Whether more is asked than recall of the keys as they are."""
        return self.noise > 0 or self.margin > 0

    def reached(self, memory: Memory, facts: Associations, *, seed: int) -> dict[str, float]:
        """What ``memory`` reaches of ``recall`` and, where asked for, of ``noise_recall`` and ``margin``."""
        found = {"recall": verify(memory, facts).recall}
        if self.noise > 0:
            found["noise_recall"] = noise_recall(memory, facts, self.noise, seed=apart(seed, "judged"))
        if self.margin > 0:
            need = math.ceil(self.recall * len(facts) - 1e-9)
            found["margin"] = float(relative_margins(memory, facts).sort(descending=True).values[need - 1])
        return found

    def shortfall(self, reached: dict[str, float]) -> dict[str, float]:
        """By how much each of ``reached`` lies below what is asked, 0 where it does not."""
        return {what: max(0.0, getattr(self, what) - value) for what, value in reached.items()}


def missed(shortfall: dict[str, float]) -> str:
    """What to tell a user of a shortfall beside recall."""
    said = " and ".join(f"{what.replace('_', ' ')} by {by:.3g}" for what, by in shortfall.items())
    return f"misses what was asked: {said}. Give a larger width, or ask for less noise or margin"
