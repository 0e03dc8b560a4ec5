"""Transformers with eight heads, by their shares of attention and MLP."""

from pydantic import BaseModel, ConfigDict

HEADS = 8  # as in the paper's figures
ROUNDED = 1.5  # d_h and m are whole: off by this factor or more from what was asked, a point is left out


class Shape(BaseModel):
    """A transformer with 8 heads.

    Attributes:
        d, head_dim, width: d, d_h and m.
        attention, mlp: H d_h / d and m / d as they were asked for, before rounding.
    """

    model_config = ConfigDict(frozen=True)

    d: int
    head_dim: int
    width: int
    attention: float
    mlp: float

    @classmethod
    def of(cls, d: int, attention: float, mlp: float) -> "Shape | None":
        """The nearest in whole numbers; None where that is too far away."""
        asked = (attention * d / HEADS, mlp * d)
        head_dim, width = (round(a) for a in asked)
        if any(
            n < 1 or not 1 / ROUNDED < n / a < ROUNDED for n, a in zip((head_dim, width), asked, strict=True)
        ):
            return None
        return cls(d=d, head_dim=head_dim, width=width, attention=attention, mlp=mlp)

    @property
    def quotient(self) -> float:
        """H d_h over m, as asked for."""
        return self.attention / self.mlp

    @property
    def attention_parameters(self) -> int:
        """4 H d_h d."""
        return 4 * HEADS * self.head_dim * self.d

    @property
    def mlp_parameters(self) -> int:
        """2 m d, as the paper counts."""
        return 2 * self.width * self.d

    @property
    def parameters(self) -> int:
        """Both."""
        return self.attention_parameters + self.mlp_parameters
