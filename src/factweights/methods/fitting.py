"""Fits of all layers at once: L-BFGS on the pairwise hinge, with restarts thinned by successive halving.

Near the smallest width a start may take ten times as long as usual. Those that get there lose a tenth of the
loss or more whenever the evaluations double, most others soon no longer do (lab log): so what a start gains
decides how long it is carried on, not a number of evaluations.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from factweights.facts import Associations
from factweights.memories import Memory
from factweights.methods.candidates import fit_by_candidates
from factweights.methods.flat import pulled_back
from factweights.methods.hinge import Hinge
from factweights.methods.layers import Layers
from factweights.methods.lbfgs import Descent
from factweights.methods.request import Request
from factweights.methods.whiten import Whitened
from factweights.progress import OnProgress, Progress, silent
from factweights.seeds import of_noise, streams
from factweights.threads import one_thread_if_small

ALL_SCORES = 1 << 25  # facts × outputs up to which every step scores them all
FIRST_TRY = 250  # evaluations after which a start that will succeed usually has
RUNGS = ((6, 100), (3, FIRST_TRY))  # starts kept, and evaluations each has had by then
GAIN = 0.9  # of the loss at half as many evaluations: a start above that is carried on no further
STRIDE = 50  # evaluations between two looks at it
MOST = 2500  # evaluations of any one start; the last facts may take for ever
MEMORY = 30  # pairs that L-BFGS remembers
NOISY_COPIES = (
    2,
    4,
    8,
    16,
    32,
    64,
)  # draws of the key noise fitted beside the keys themselves, round by round
HARDEN = 200  # evaluations for each round
SHRINK = 0.5  # weights at the start of a round: smaller margins, so that there is something left to gain
FIRST_RISE = 0.25  # of the way to the requested margin
WIDEN = 400  # evaluations for each margin tried
CLOSE = 0.02  # of the requested margin: the smallest step tried
OVER = 1.001  # what is fitted over what is asked, for rounding
FINISH = 200  # evaluations in float64 where float32 could not tell


@dataclass(frozen=True)
class FitSolution:
    """What a fit found.

    Attributes:
        memory: the best memory, in the dtype of the facts.
        storable: whether it meets the whole request; False proves nothing about other memories.
        recall: share of facts right on the keys as they are.
        noise_recall: share right under the requested key noise, on fresh draws; None if none was asked for.
        margin: relative margin that as many facts reach as must be right; None if no margin was asked for.
        shortfall: by how much ``recall``, ``noise_recall`` and ``margin`` miss the request, each 0 where met.
        evaluations: of the loss over all facts, in all.
        starts: random starts used; 0 for a warm start alone.
    """

    memory: Memory
    storable: bool
    recall: float
    noise_recall: float | None
    margin: float | None
    shortfall: dict[str, float]
    evaluations: int
    starts: int


class _Start:
    """A descent from random weights, and its loss after every STRIDE evaluations."""

    def __init__(self, descent: Descent) -> None:
        self.descent, self.losses = descent, [descent.loss]

    def run(self, upto: int) -> None:
        """Go on until decided, stalled, or ``upto`` evaluations in all have been spent."""
        d = self.descent
        while not (d.decided or d.stalled) and d.evaluations < upto:
            d.run(min(upto, STRIDE * len(self.losses)))
            if d.evaluations >= STRIDE * len(self.losses):
                self.losses.append(d.loss)

    @property
    def gains(self) -> bool:
        """Whether there is a point in going on."""
        d = self.descent
        return not (d.decided or d.stalled) and d.loss <= GAIN * self.losses[(len(self.losses) - 1) // 2]

    @property
    def rank(self) -> tuple[bool, float]:
        """The lower the better."""
        return not self.descent.decided, self.descent.loss


class LayeredLoss:
    """The hinge as a function of flat weights: (loss, gradient, enough facts right).

    With ``need`` None it is enough only when every margin has reached its goal, so that the loss is 0. The
    goals are 1, or 1 + s_i ‖F(k_i)‖ where a ``scale`` is given: the factors s ``(N,)``, and the map that
    takes outputs to the coordinates of the facts. A fact is right then once its margin exceeds s_i ‖F(k_i)‖.

    Scores are ⟨F(k_i), v_y⟩ or, the same, ⟨h_i, u_y⟩ of the hidden layer with read-out vectors u_y = Bᵀ v_y.
    The first takes two products of N × M × d_out for loss and gradient, the second three of N × M × m.
    """

    def __init__(
        self,
        layers: Layers,
        keys: Tensor,
        values: Tensor,
        targets: Int[Tensor, " n"],
        need: int | None,
        scale: tuple[Float[Tensor, " n"], Float[Tensor, "d_out r_out"]] | None = None,
    ) -> None:
        self.layers, self.keys, self.values, self.need, self.scale = layers, keys, values, need, scale
        self.by_outputs = 2 * values.shape[1] <= 3 * layers.width
        self.hinge = Hinge(targets, len(values))
        self.evaluations = 0

    def __call__(self, x: Float[Tensor, " p"]) -> tuple[float, Tensor, bool]:
        """Evaluate at ``x``. Layers by autograd, the hinge by hand."""
        self.evaluations += 1
        return pulled_back(self._write, self._judge, x)

    def _write(self, x: Float[Tensor, " p"]) -> list[Tensor]:
        """Features ``(N, d_out)`` or ``(N, m)``, read-outs ``(M, m)`` and goals ``(N,)`` where they vary."""
        parts = self.layers.split(x)
        h = self.layers.hidden(parts, self.keys)
        written = [h @ parts[-1]] if self.by_outputs else [h, self.layers.readout(parts, self.values)]
        return written if self.scale is None else [*written, self._goals(parts, written[0], *self.scale)]

    def _judge(self, written: Sequence[Tensor]) -> tuple[float, list[Tensor], bool]:
        u = self.values if self.by_outputs else written[1]
        goals = None if self.scale is None else written[-1]
        e = self.hinge(written[0], u, goals, fixed=self.by_outputs)
        found = (e.features, None if self.by_outputs else e.readout, None if goals is None else e.goals)
        pulls = [p for p in found if p is not None]
        enough = e.loss == 0.0 if self.need is None else int((e.worst < 1).sum()) >= self.need
        return e.loss, pulls, enough

    def _goals(self, parts: list[Tensor], h: Tensor, factors: Tensor, back: Tensor) -> Float[Tensor, " n"]:
        out = h @ back.T if self.by_outputs else h @ self.layers.readout(parts, back).T
        return 1 + factors * out.norm(dim=1)


class Fitter:
    """Fits one set of layers to one set of facts."""

    def __init__(
        self,
        layers: Callable[[int, int], Layers],
        facts: Associations,
        request: Request,
        *,
        name: str,
        seed: int,
        on_progress: OnProgress = silent,
    ) -> None:
        self.on_progress = on_progress
        self.facts, self.request, self.seed, self.name = facts, request, seed, name
        self.white = Whitened.of(facts)
        self.layers = layers(self.white.keys.shape[1], self.white.values.shape[1])
        self.copies = self.round = 0
        self.margin = 0.0
        self.starts = 0
        self.spent = 0
        self.loss = self._loss(torch.float32)

    def solve(self, max_evaluations: int, start: Memory | None) -> FitSolution:
        """Fit within a budget of evaluations, from ``start`` or from random weights."""
        many = len(self.facts) * self.facts.n_outputs > ALL_SCORES
        if many and start is None and not self.request.beyond_recall:
            return self._solve_large()
        best = self._search(max_evaluations, start)
        solution = self._solution(best)
        x = best.x
        if solution.shortfall.get("margin") and not solution.shortfall["recall"]:
            upto = (self.spent + max_evaluations) // 2 if self.request.noise else max_evaluations
            x, solution = self._widen(x, solution, upto)
        for i, copies in enumerate(NOISY_COPIES if self.request.noise > 0 else ()):
            left = max_evaluations - self.spent
            if not solution.shortfall["noise_recall"] or solution.shortfall["recall"] > 0 or left < 1:
                break
            self.round, self.copies = i, min(copies, self._most_copies())
            self.loss = self._loss(torch.float32)
            hardened = self._descend(SHRINK * x).run(min(left, HARDEN))
            self.spent += hardened.evaluations
            x, solution = hardened.x, self._better(solution, self._solution(hardened))
        return solution

    def _most_copies(self) -> int:
        return max(NOISY_COPIES[0], ALL_SCORES // (len(self.facts) * self.facts.n_outputs) - 1)

    def _widen(self, x: Tensor, solution: FitSolution, upto: int) -> tuple[Tensor, FitSolution]:
        """Raise the relative margin to the one asked for, or as far as it goes; steps double and halve.

        Asked for too much at once, the descent gives up the facts instead: outputs of length 0 cost least.
        """
        asked, low = self.request.margin, solution.margin or 0.0
        step = FIRST_RISE * (asked - low)
        while self.spent < upto and low < asked and step > CLOSE * asked:
            self.margin = min(asked, low + step)
            self.loss = self._loss(torch.float32)
            d = self._descend(x).run(min(upto - self.spent, WIDEN))
            self.spent += d.evaluations
            self.on_progress(Progress(self.spent, upto, f"margin {self.margin:.3g}: loss {d.loss:.4g}"))
            if d.decided:
                x, low, step = d.x, self.margin, 2 * step
            else:
                step /= 2
        self.margin = low
        return x, self._better(solution, self._verified(x))

    def _solve_large(self) -> FitSolution:
        rng = streams(self.seed, f"{self.name}.0", 1)[0]
        keys, values, targets = self.white.to(torch.float32)
        x = self.layers.random(rng, keys, values)
        self.starts = 1
        x, self.spent = fit_by_candidates(
            self.layers,
            keys,
            values,
            targets,
            x,
            rng=rng,
            recall=self.request.recall,
            on_progress=self.on_progress,
        )
        return self._verified(x)

    def _search(self, budget: int, start: Memory | None) -> Descent:
        if start is not None:
            warm = self._descend(self.layers.from_memory(start, self.white).float()).run(
                min(budget, FIRST_TRY)
            )
            self.spent += warm.evaluations
            if warm.decided:
                return warm
        best = self._fresh()
        self._carry_on(best, budget)
        while not best.descent.decided and self.spent < budget:
            best = min(best, self._bracket(budget), key=lambda s: s.rank)
        return best.descent

    def _bracket(self, budget: int) -> _Start:
        """Several starts side by side, the more promising half kept at every rung, the best carried on."""
        pool = [self._fresh() for _ in range(RUNGS[0][0])]
        for kept, upto in RUNGS:
            pool = sorted(pool, key=lambda s: s.rank)[:kept]
            for s in pool:
                self._run(s, upto, budget)
                if s.descent.decided:
                    return s
        best = min(pool, key=lambda s: s.rank)
        self._carry_on(best, budget)
        return best

    def _carry_on(self, s: _Start, budget: int) -> None:
        """FIRST_TRY evaluations, then more for as long as they gain."""
        self._run(s, FIRST_TRY, budget)
        while s.gains and s.descent.evaluations < MOST and self.spent < budget:
            self._run(s, s.descent.evaluations + STRIDE, budget)

    def _run(self, s: _Start, upto: int, budget: int) -> None:
        before = s.descent.evaluations
        s.run(min(upto, before + max(0, budget - self.spent)))
        self.spent += s.descent.evaluations - before
        self.on_progress(Progress(self.spent, budget, f"start {self.starts}: loss {s.descent.loss:.4g}"))

    def _fresh(self) -> _Start:
        rng = streams(self.seed, f"{self.name}.{self.starts}", 1)[0]
        self.starts += 1
        self.spent += 1
        return _Start(self._descend(self.layers.random(rng, self.loss.keys, self.loss.values)))

    def _descend(self, x: Tensor) -> Descent:
        return Descent(self.loss, x, first_step=0.05, memory=MEMORY)

    def _loss(self, dtype: torch.dtype) -> LayeredLoss:
        keys, values, targets = self.white.to(torch.float64)
        n = len(keys)
        need: int | None = math.ceil(self.request.recall * n - 1e-9)
        if self.copies:  # no early end: the margin on the fitted draws is what carries over to others
            keys = torch.cat([keys, *(self._noisy(i) for i in range(self.copies))])
            targets, need = targets.repeat(1 + self.copies), None
        return LayeredLoss(
            self.layers, keys.to(dtype), values.to(dtype), targets, need, self._scale(len(keys), dtype)
        )

    def _scale(self, rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """What makes the relative margin the goal of the keys themselves; noisy copies have none."""
        if not self.margin:
            return None
        factors = self.white.keys.new_zeros(rows, dtype=dtype)
        factors[: len(self.facts)] = OVER * self.margin * float(self.facts.values.norm(dim=1).max())
        return factors, self.white.from_values.to(dtype)

    def _noisy(self, draw: int) -> Tensor:
        """The white keys moved by noise of the requested norm in the facts' own coordinates."""
        generator = torch.Generator().manual_seed(of_noise(self.seed, self.round, draw))
        step = torch.randn(self.facts.keys.shape, generator=generator, dtype=torch.float64)
        step = (self.request.noise * step / step.norm(dim=1, keepdim=True)).to(self.facts.keys.device)
        return self.white.keys + step @ self.white.from_keys

    def _solution(self, found: Descent) -> FitSolution:
        solution = self._verified(found.x)
        if (
            found.decided and not self.copies and solution.shortfall["recall"] > 0
        ):  # float32 could not tell: finish in float64
            self.loss = self._loss(torch.float64)
            again = self._descend(found.x.double()).run(FINISH)
            self.spent += again.evaluations
            solution = self._better(solution, self._verified(again.x))
        return solution

    def _verified(self, x: Tensor) -> FitSolution:
        memory = self.layers.memory(self.layers.split(x), self.white)
        memory = memory.to(self.facts.keys.device, self.facts.keys.dtype)
        reached = self.request.reached(memory, self.facts, seed=self.seed)
        shortfall = self.request.shortfall(reached)
        return FitSolution(
            memory=memory,
            storable=not any(shortfall.values()),
            recall=reached["recall"],
            noise_recall=reached.get("noise_recall"),
            margin=reached.get("margin"),
            shortfall=shortfall,
            evaluations=self.spent,
            starts=self.starts,
        )

    def _better(self, a: FitSolution, b: FitSolution) -> FitSolution:
        """The smaller shortfall of recall, then of what was asked besides; ``b`` where equal."""
        return min(b, a, key=lambda s: (s.shortfall["recall"], sum(s.shortfall.values())))


def fit(
    layers: Callable[[int, int], Layers],
    facts: Associations,
    request: Request,
    *,
    name: str,
    max_evaluations: int,
    seed: int,
    start: Memory | None,
    on_progress: OnProgress,
) -> FitSolution:
    """Fit ``layers`` to ``facts`` for the method ``name``, on one thread where that is quicker."""
    with one_thread_if_small(len(facts) * facts.n_outputs):
        return Fitter(layers, facts, request, name=name, seed=seed, on_progress=on_progress).solve(
            max_evaluations, start
        )
