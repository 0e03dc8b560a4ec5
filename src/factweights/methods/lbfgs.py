"""Limited-memory BFGS over one flat tensor, stopped from outside and taken up again.

The inner products and the memory live on the tensor's own device; the only question put to the caller is
"loss, gradient and a verdict at this point". A verdict ends the run at once, in the middle of a line search
too, because for a feasibility problem the first point that decides is the answer.
"""

import math
from collections.abc import Callable

from torch import Tensor

ARMIJO = 1e-4  # sufficient decrease, the customary value
WOLFE = 0.9  # curvature, the customary value for quasi-Newton steps
MAX_LINE_SEARCH = 20  # evaluations; 2^-20 of a step is none

Evaluate = Callable[[Tensor], tuple[float, Tensor, bool]]
"""x ↦ (loss, gradient, whether x decides the question)."""


class _Curvature:
    """The last ``memory`` pairs (s, y) as rows of two buffers, ``order`` from oldest to newest."""

    def __init__(self, x: Tensor, memory: int) -> None:
        self.s, self.y = x.new_zeros(memory, x.numel()), x.new_zeros(memory, x.numel())
        self.rho = [0.0] * memory
        self.order: list[int] = []
        self.scale = 1.0

    def push(self, s: Tensor, y: Tensor) -> None:
        sy, yy = float(s @ y), float(y @ y)
        if sy <= 1e-10 * yy**0.5 * float(s.norm()):
            return
        slot = len(self.order) if len(self.order) < len(self.s) else self.order.pop(0)
        self.s[slot], self.y[slot], self.rho[slot] = s, y, 1.0 / sy
        self.order.append(slot)
        self.scale = sy / yy

    def direction(self, g: Tensor) -> Tensor:
        q, alphas = g.clone(), {}
        for i in reversed(self.order):
            alphas[i] = self.rho[i] * float(self.s[i] @ q)
            q -= alphas[i] * self.y[i]
        q *= self.scale
        for i in self.order:
            q += (alphas[i] - self.rho[i] * float(self.y[i] @ q)) * self.s[i]
        return -q

    def forget(self) -> None:
        self.order.clear()
        self.scale = 1.0


class Descent:
    """One run of L-BFGS that can be continued.

    Attributes:
        x, loss, gradient: the last point accepted, or the one that decided.
        decided: whether ``evaluate`` said so at ``x``.
        stalled: whether rounding has stopped all progress.
        evaluations: spent so far.
    """

    def __init__(self, evaluate: Evaluate, x: Tensor, *, first_step: float, memory: int = 20) -> None:
        """Evaluate the start.

        Args:
            evaluate: the function; its third value true ends the run.
            x: start, ``(D,)``.
            first_step: length of the very first step, in units of ‖x‖ or 1 where x is zero.
            memory: pairs kept.
        """
        self._evaluate, self.x, self._first_step = evaluate, x, first_step
        self.loss, self.gradient, self.decided = evaluate(x)
        self.evaluations = 1
        self.stalled = False
        self._curvature = _Curvature(x, memory)

    def run(self, upto: int) -> "Descent":
        """Go on until decided, stalled, or ``upto`` evaluations in all have been spent."""
        while not (self.decided or self.stalled) and self.evaluations < upto:
            self._step(upto - self.evaluations)
        return self

    def _step(self, budget: int) -> None:
        p = self._curvature.direction(self.gradient)
        slope = float(self.gradient @ p)
        if not slope < 0:
            self._curvature.forget()
            p, slope = -self.gradient, -float(self.gradient @ self.gradient)
        if slope == 0.0 or math.isnan(slope):
            self.stalled = True
            return
        fresh = not self._curvature.order
        length = self._first_step * (float(self.x.norm()) or 1.0) / math.sqrt(-slope) if fresh else 1.0
        found = self._line_search(p, slope, length, budget)
        if found is None:
            self.stalled = fresh and budget >= MAX_LINE_SEARCH
            self._curvature.forget()
            return
        x, loss, gradient, self.decided = found
        self._curvature.push(x - self.x, gradient - self.gradient)
        self.x, self.loss, self.gradient = x, loss, gradient

    def _line_search(
        self, p: Tensor, slope: float, step: float, budget: int
    ) -> tuple[Tensor, float, Tensor, bool] | None:
        """Weak Wolfe conditions by bisection and doubling; any deciding point is taken as it is."""
        low, high, best = 0.0, math.inf, None
        for _ in range(min(budget, MAX_LINE_SEARCH)):
            x = self.x.add(p, alpha=step)
            loss, gradient, decided = self._evaluate(x)
            self.evaluations += 1
            if decided:
                return x, loss, gradient, True
            if not loss <= self.loss + ARMIJO * step * slope:  # also catches NaN
                high = step
            else:
                best = (x, loss, gradient, False)
                if float(gradient @ p) >= WOLFE * slope:
                    return best
                low = step
            step = 2 * low if high == math.inf else (low + high) / 2
        return best


def minimise(
    evaluate: Evaluate, x: Tensor, *, max_evaluations: int, first_step: float, memory: int = 20
) -> Descent:
    """Minimise a smooth function from ``x`` until ``evaluate`` decides, in one go; see :class:`Descent`."""
    return Descent(evaluate, x, first_step=first_step, memory=memory).run(max_evaluations)
