"""Every rule of the running error analysis against the extremes of what it bounds, and hardly looser.

A mutation run (lab log) changed single terms of these rules and no test of whole memories noticed: their
bounds have room to spare. Here each term is the one that matters.
"""

import itertools
import math

import pytest
import torch

from factweights.certificates.rounding import SLOPE, UNIT64, Arithmetic, Bounded, activated, product, times
from factweights.memories.activations import activate

COARSE = Arithmetic.of(torch.bfloat16)
FINE = Arithmetic(2.0**-60, 0.0, 1e300)  # so fine that only what comes in is left


def moved(f, x, e, steps=41):
    """The largest |f(x + δ) − f(x)| over |δ| ≤ e."""
    shifts = torch.linspace(-1, 1, steps, dtype=torch.float64)
    return torch.stack([(f(x + s * e) - f(x)).abs() for s in shifts]).amax(0)


@pytest.mark.parametrize("name", sorted(SLOPE))
def test_slopes_are_the_steepest_and_hardly_more(name):
    x = torch.linspace(-8, 8, 200_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(activate(name, x).sum(), x)
    assert float(slope.abs().max()) <= SLOPE[name] <= 1.01 * float(slope.abs().max())


@pytest.mark.parametrize("name", sorted(SLOPE))
def test_an_activation_moves_no_further_than_said(name):
    x = torch.linspace(-4, 4, 161, dtype=torch.float64)
    for size in (1e-3, 0.3, 2.0):
        e = torch.full_like(x, size)
        found = activated(Bounded(x, e), name, (), FINE).e
        assert (moved(lambda z: activate(name, z), x, e) <= found * (1 + 1e-9)).all()
        assert (found <= 1.001 * SLOPE[name] * e).all()
    if name not in ("identity", "relu"):
        rounded = activated(Bounded(x, torch.zeros_like(x)), name, (), COARSE).e
        both = activated(Bounded(x, torch.full_like(x, 0.3)), name, (), COARSE).e
        assert (rounded >= 8 * COARSE.u * x.abs()).all()  # its own roundings come on top of what comes in
        assert (both >= 0.3 * SLOPE[name] + rounded).all()


@pytest.mark.parametrize("degree", range(1, 5))
def test_a_hermite_polynomial_moves_no_further_than_said(degree):
    coefficients = [0.0] * degree + [1.0]
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    e = torch.full_like(x, 0.2)
    found = activated(Bounded(x, e), "hermite", coefficients, FINE).e
    reached = moved(lambda z: activate("hermite", z, coefficients), x, e)
    assert (reached <= found * (1 + 1e-12)).all()
    assert (activated(Bounded(x, e), "hermite", coefficients, COARSE).e > found).all()


def test_a_product_adds_up_what_comes_in_and_every_rounding():
    rng = torch.Generator().manual_seed(0)
    A = torch.randn(3, 7, generator=rng, dtype=torch.float64)
    x = torch.randn(5, 7, generator=rng, dtype=torch.float64)
    e = torch.rand(5, 7, generator=rng, dtype=torch.float64)
    coming = product(Bounded(x, e), A, FINE).e
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=7)), dtype=torch.float64)
    worst = ((signs[:, None] * e) @ A.T).abs().amax(0)  # the extremes are at the corners
    assert (worst <= coming * (1 + 1e-12)).all()
    assert (coming <= 1.001 * worst).all()
    bias = torch.full((3,), 100.0)
    own = product(Bounded(x, torch.zeros_like(x)), A, COARSE, bias).e
    total = x.abs() @ A.abs().T + 100
    assert (own >= 8 * COARSE.u * total).all()  # 7 products and the bias
    assert (own <= 8.5 * COARSE.u * total).all()
    with_both = product(Bounded(x, e), A, COARSE).e
    seen = (x.abs() + e) @ A.abs().T  # roundings are of what may be seen, not of x alone
    assert (with_both >= coming / 1.001 + 8 * COARSE.u * seen).all()


def test_a_product_of_two_adds_both_errors_and_their_product():
    a, b = (
        Bounded(torch.tensor([x]).double(), torch.tensor([e]).double()) for x, e in ((3, 0.5), (-2, 0.25))
    )
    found = float(times(a, b, FINE).e)
    worst = max(abs((3 + s * 0.5) * (-2 + t * 0.25) + 6) for s, t in itertools.product((-1, 1), repeat=2))
    assert worst <= found <= 1.001 * worst
    rounded = float(times(a, b, COARSE).e)
    assert rounded >= found / 1.001 + (COARSE.u + UNIT64) * 3.5 * 2.25


def test_what_may_overflow_has_no_bound():
    at = Bounded(torch.tensor([[3e38, 3e38]]).double(), torch.zeros(1, 2).double())
    assert math.isinf(float(product(at, torch.ones(1, 2), Arithmetic.of(torch.float32)).e))


@pytest.mark.parametrize(("precision", "digits"), [("highest", 24), ("high", 11), ("medium", 8)])
def test_products_of_fewer_bits_have_their_own_roundoff(precision, digits):
    """float32 has 24 significant digits, TF32 has 11 and bfloat16 has 8, the leading one counted."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        assert Arithmetic.of(torch.float32).u == 2.0**-digits
        assert Arithmetic.of(torch.float64).u == 2.0**-53
    finally:
        torch.set_float32_matmul_precision(before)


def test_numbers_below_the_smallest_normal_are_counted():
    flushing = Arithmetic(2.0**-60, 1.0, 1e300)  # everything below 1 may become 0
    x = torch.tensor([[0.5, 3.0]], dtype=torch.float64)
    at = Bounded(x, torch.zeros_like(x))
    assert (product(at, torch.ones(1, 2), flushing).e >= 2).all()
    assert (activated(at, "silu", (), flushing).e >= 1).all()
    assert (activated(at, "hermite", [0.0, 1.0], flushing).e >= 2 * (1 + x)).all()
    assert (times(at, at, flushing).e >= 1).all()
