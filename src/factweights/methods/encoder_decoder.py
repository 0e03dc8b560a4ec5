"""A gated encoder that writes a short code for every key, and a random decoder that expands it."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from factweights import theory
from factweights.domains import Dimension, Width
from factweights.errors import SettingError
from factweights.facts import Associations
from factweights.memories import Memory
from factweights.memories.activations import activate, check_activation
from factweights.memories.gated import GatedMemory
from factweights.methods.base import Method
from factweights.methods.decodability import Decodability, decodability
from factweights.methods.draws import normal, typical_length
from factweights.progress import OnProgress
from factweights.seeds import streams


@dataclass(frozen=True)
class Encoded:
    """A memory and how it came about.

    Attributes:
        memory: the memory.
        code_dim: c, dimensions of the code.
        block: h, neurons that write one dimension; h·d_in ≥ N makes the encoder exact.
        residual: largest relative error ‖code written − code wanted‖ over the facts; rounding if exact.
        decodability: of the compressed values V D that occur as answers: bounds of ρ, and the codes
            themselves as its directions.
    """

    memory: GatedMemory
    code_dim: int
    block: int
    residual: float
    decodability: Decodability


@final
@dataclass(frozen=True)
class EncoderDecoder(Method[GatedMemory]):
    """F(k) = D c(k): code c(k) of c dimensions, each written exactly by a block of h gated neurons.

    Decoder: a random matrix D ``(d_out, c)`` with orthonormal columns. Output y scores ⟨Dᵀ v_y, c(k)⟩, so its
    code is the unit vector that tells Dᵀ v_y best from all other compressed values
    (:mod:`factweights.methods.decodability`). That such a vector exists takes c ~ log M dimensions.

    Encoder: random gates G ``(h, d_in)``, the same in every block. Dimension j of the code is
    Σ_r ⟨a_jr, k⟩ σ(⟨g_r, k⟩), linear in the h·d_in numbers a_j, so N facts are N linear equations, and all
    dimensions are solved by one pseudo-inverse of an N × h·d_in matrix. h = ⌈N / d_in⌉ makes it exact for
    generic keys; m = c h and 3 d m ≈ 3 c N parameters in all. A smaller h gives least squares.

    Memory grows like N², time like N³; some thousand facts.

    Attributes:
        width: m; neurons that do not fill a block stay silent.
        code_dim: c; None takes as many as exact blocks fit into the width, at least 1, at most d_out.
        activation: σ, not a polynomial: ``identity`` spans fewer than h·d_in dimensions.
    """

    width: Width
    code_dim: Dimension | None = None
    activation: str = "silu"

    name: ClassVar[str] = "encoder-decoder"
    reference: ClassVar[str] = "after the construction of arXiv 2512.00207"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.code_dim is not None and self.code_dim > self.width:
            raise SettingError(
                f"encoder-decoder needs code_dim ≤ width, got {self.code_dim} and {self.width}",
                fields=("code_dim", "width"),
            )
        check_activation(self.activation, ())

    def _store(
        self, facts: Associations, *, seed: int, start: Memory | None, on_progress: OnProgress
    ) -> GatedMemory:
        """Write ``facts``. Use :meth:`solve` for the code as well.

        Raises:
            SettingError: as :meth:`solve`.
        """
        return self.solve(facts, seed=seed).memory

    def solve(self, facts: Associations, *, seed: int = 0) -> Encoded:
        """Write ``facts`` with gates and decoder drawn from ``seed``, in float64.

        Raises:
            SettingError: a code longer than d_out.
        """
        dtype, facts = facts.keys.dtype, facts.to(dtype=torch.float64)
        c = self._code_dim(facts)
        h = self.width // c
        gates, decoder = streams(seed, self.name, 2)
        G = normal(gates, h, facts.d_in, facts.keys) / typical_length(facts.keys)
        D = torch.linalg.qr(normal(decoder, facts.d_out, c, facts.keys)).Q
        answers, codes_at = facts.targets.unique(return_inverse=True)
        code = decodability(facts.values @ D, answers)
        wanted = code.directions[codes_at]
        A, residual = self._encode(facts.keys, G, wanted)
        memory = _assemble(A, G, D, self.width, self.activation).to(dtype)
        return Encoded(memory, c, h, residual, code)

    def _code_dim(self, facts: Associations) -> int:
        if self.code_dim is None:
            block = -(-len(facts) // facts.d_in)
            return max(1, min(self.width // block, facts.d_out))
        if self.code_dim > facts.d_out:
            raise SettingError(
                f"a code of {self.code_dim} dimensions is longer than the values, d_out = {facts.d_out}; "
                "use at most that"
            )
        return self.code_dim

    def _encode(
        self, keys: Float[Tensor, "n d_in"], G: Float[Tensor, "h d_in"], wanted: Float[Tensor, "n c"]
    ) -> tuple[Float[Tensor, "c h d_in"], float]:
        """The shortest A that writes the codes, or the one nearest to it, and its largest relative error."""
        gated = activate(self.activation, keys @ G.T)
        phi = (gated[:, :, None] * keys[:, None, :]).flatten(1)
        A = torch.linalg.pinv(phi) @ wanted
        error = (phi @ A - wanted).norm(dim=1) / wanted.norm(dim=1)
        return A.T.reshape(wanted.shape[1], *G.shape), float(error.max())

    def n_parameters(self, d_in: int, d_out: int) -> int:
        """Every weight: m (2 d_in + d_out), the repeated gates and the silent neurons included."""
        return theory.gated_count(d_in, self.width, d_out)

    def predicted_capacity(
        self, d_in: int, d_out: int, *, outputs: int | None = None, recall: float = 1.0
    ) -> float | None:
        """d_in ⌊m/c⌋ facts, where the encoder stops being exact, for a given ``code_dim``; else None.

        Decodable values are assumed; a little beyond, least squares may still recall every fact.
        """
        return None if self.code_dim is None else float(d_in * (self.width // self.code_dim))


def _assemble(
    A: Float[Tensor, "c h d_in"],
    G: Float[Tensor, "h d_in"],
    D: Float[Tensor, "d_out c"],
    width: int,
    activation: str,
) -> GatedMemory:
    """Neuron j·h + r has read row a_jr, gate g_r and write column D_j; those left over are zero."""
    c, h, d_in = A.shape
    memory = GatedMemory(d_in, len(D), width, activation=activation).to(A)
    memory.read[: c * h] = A.flatten(0, 1)
    memory.gate[: c * h] = G.repeat(c, 1)
    memory.write[:, : c * h] = D.repeat_interleave(h, dim=1)
    return memory
