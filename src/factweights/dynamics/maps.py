"""The two trained maps of a solved flow in terms of tokens, before, on and after the plateau.

Of W_KQ only its column for EOS acts, w(z) = φ(z)ᵀ W_KQ φ(EOS), and of W_OV what it does to answers,
O(a, z) = u(a)ᵀ W_OV φ(z) (section 5 of arXiv 2412.06538).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from factweights.dynamics.flow import Flow
from factweights.dynamics.population import Array


@dataclass(frozen=True, eq=False)
class TokenMaps:
    """Both maps at one moment; tokens are subjects, relations, EOS and one noise token where there is noise.

    Attributes:
        moment: ``before``, ``on`` or ``after`` the plateau.
        time: of the flow.
        loss: there, in nats.
        scores: ``(Z,)`` w, the attention score that EOS gives to each token; no softmax is taken.
        values: ``(A, Z)`` O, what a token adds to the answers' logits for each unit of attention.
    """

    moment: str
    time: float
    loss: float
    scores: Float[Array, " z"]
    values: Float[Array, "a z"]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, weights to six decimal places."""
        return {
            "moment": self.moment,
            "time": self.time,
            "loss": self.loss,
            "scores": np.round(self.scores, 6).tolist(),
            "values": np.round(self.values, 6).tolist(),
        }


def token_maps(flow: Flow) -> tuple[TokenMaps, TokenMaps, TokenMaps]:
    """At the start, at the stillest moment of the hallucination stage, and at the end of the flow."""
    return (
        _read(flow, "before", 0.0),
        _read(flow, "on", flow.plateau.time),
        _read(flow, "after", flow.end),
    )


def _read(flow: Flow, moment: str, t: float) -> TokenMaps:
    w, O = flow.weights(t)  # (Z,), (Z, A)
    return TokenMaps(moment, t, float(flow.loss_at([t])[0]), w, O.T)
