"""Directions that make one attention head look for its own group of tokens and for nothing else.

With scores measured from EOS, z_h(t) = ⟨u_h, φ(t) − φ(EOS)⟩, head h should have z ≥ 1 on its group and z ≤ −1
on every other token. Times a sharpness β, a prompt that holds one token of the group puts all of the head's
attention on it but for (T − 3) e^{−2β} and e^{−β}; a prompt that holds none puts it on EOS, but for
(T − 3) e^{−β}. EOS is the sink. Whether such u_h exist in R^d is a question of linear separability, and here
it is solved as one: a squared hinge on both sides with a small ridge, for all heads at once.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from factweights.methods.lbfgs import Descent

RIDGE = 1e-4  # keeps queries finite where the margins leave them free; far below the hinge's weight
BAND = 1.5  # scores of the group stay below this, so that no sharpness overflows
ENOUGH = 0.9  # of the margin 1 that was asked for
CLEAN = 0.5  # and what is enough, with sharpness, to take attention off noise
EVALUATIONS = 600  # of a problem with a few hundred unknowns: a limit, not a goal
ROUNDS = 10  # of assigning tokens to groups and moving the groups' centres


@dataclass(frozen=True)
class Selectors:
    """What each head looks for.

    Attributes:
        directions: u ``(H, d)``, float64.
        own: ``(H, |V|)`` each head's group.
        inside: smallest score of a token in its own group, 1 where all went well.
        outside: largest score of any other token, −1 where all went well; EOS has 0 by definition.
    """

    directions: Float[Tensor, "h d"]
    own: Bool[Tensor, "h v"]
    inside: float
    outside: float

    @property
    def margin(self) -> float:
        """By how much the worst token of all is on its side of EOS; 1 where all went well."""
        return min(self.inside, -self.outside)

    @property
    def clean(self) -> bool:
        """Whether sharpness alone takes all attention off the other tokens."""
        return self.margin > CLEAN


def select(
    embeddings: Float[Tensor, "v d"],
    own: Bool[Tensor, "h v"],
    *,
    indifferent: Bool[Tensor, "h v"] | None = None,
) -> Selectors:
    """Directions for the given groups; the last token is EOS.

    Args:
        embeddings: of all tokens.
        own: which tokens each head should look for.
        indifferent: tokens whose score does not matter to a head.
    """
    from_eos = (embeddings - embeddings[-1]).double()
    rest = ~own
    rest[:, -1] = False
    if indifferent is not None:
        rest &= ~indifferent | own
    wanted, unwanted = own.double(), (rest & ~own).double()
    shape = (len(own), embeddings.shape[1])

    def loss(x: Tensor) -> tuple[float, Tensor, bool]:
        u = x.view(shape)
        z = u @ from_eos.T
        short, over = (1 - z).clamp_min(0) * wanted, (z - BAND).clamp_min(0) * wanted
        high = (1 + z).clamp_min(0) * unwanted
        pull = over + high - short
        value = float((short.square() + over.square() + high.square()).sum() + RIDGE * u.square().sum())
        worst = max(float(short.max()), float(high.max()))
        return value / 2, (pull @ from_eos + RIDGE * u).view(-1), worst <= 1 - ENOUGH

    found = Descent(loss, torch.zeros(shape, dtype=torch.float64).view(-1), first_step=1.0, memory=20)
    u = found.run(EVALUATIONS).x.view(shape)
    z = u @ from_eos.T
    inside = float(z[own].min()) if bool(own.any()) else 1.0
    others = unwanted.bool()
    outside = float(z[others].max()) if bool(others.any()) else -1.0
    return Selectors(u, own, inside, outside)


def balanced_groups(rows: Float[Tensor, "n d"], groups: int, seed: int) -> Int[Tensor, " n"]:
    """Each row's group: rows of one group point alike, and groups differ in size by one at most.

    Spherical k-means in which the largest inner products choose first and a full group takes no more. Groups
    of similar tokens are the easier to tell from all others.
    """
    n = len(rows)
    generator = torch.Generator().manual_seed(seed)
    if groups >= n:
        return torch.arange(n)
    sizes = [n // groups + (i < n % groups) for i in range(groups)]
    centres = rows[torch.randperm(n, generator=generator)[:groups]]
    assigned = torch.zeros(n, dtype=torch.int64)
    for _ in range(ROUNDS):
        order = (rows @ torch.nn.functional.normalize(centres, dim=1).T).flatten().argsort(descending=True)
        assigned = torch.full((n,), -1, dtype=torch.int64)
        room = list(sizes)
        for place in order.tolist():
            row, group = divmod(place, groups)
            if assigned[row] < 0 and room[group]:
                assigned[row] = group
                room[group] -= 1
        centres = torch.stack([rows[assigned == g].mean(0) for g in range(groups)])
    return assigned
