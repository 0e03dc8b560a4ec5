"""Words of signs: number ↦ its bits as ±1.

*Claim.* For words c, c' of k signs, ⟨c, c'⟩ = k if they are equal and at most k − 2 if not. So ⟨c, x⟩ − k r,
with every coordinate of x being ±r, is exactly 0 at the word c and at most −2r at any other, and −k r where x
is 0. All these magnitudes are the same float, and sums of it and its negative cancel exactly in every dtype
that holds k: the test is exact in bfloat16 too. ∎
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def bits_for(n: int) -> int:
    """Signs of a word when there are ``n`` of them, at least 1."""
    return max(1, math.ceil(math.log2(max(2, n))))


def words(n: int, bits: int) -> Float[Tensor, "n bits"]:
    """The first ``n`` words, float64. They differ for n ≤ 2^bits."""
    i = torch.arange(n)[:, None] >> torch.arange(bits)[None, :]
    return 1.0 - 2.0 * (i & 1).double()
