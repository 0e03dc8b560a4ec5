"""The functions of cells that follow a model while it learns. Everything heavy is imported here."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from factweights.dynamics import Stage, Trace, descend, gradient_flow, token_maps
from factweights.facts.recall_task import RecallTask
from factweights.folders.jsons import Json
from factweights.studies.measuring.results import Curves, DescentResult, FlowResult, TokenMap, TokenMapsResult

SHOWN = 400  # readings that are kept of a curve at most


def measure_flow(
    subjects: int,
    relations: int,
    answers: int,
    init: float,
    start: str = "balanced",
    table: str = "structured",
    alpha: float = 0.0,
    beta: float = 0.0,
    noise: int | None = None,
    length: int = 32,
    seed: int = 0,
    goal: float = 0.01,
    end: float | None = None,
    frames: Sequence[float] = (),
    curves: bool = False,
) -> FlowResult:
    """The stages of one exact flow.

    Args:
        subjects, relations, answers: S, R and D.
        init, start: where it begins.
        table: ``structured`` (balanced if D divides S) or ``random``.
        alpha, beta: Zipf exponents of subjects and relations.
        noise, length: of the prompts.
        seed: of a random table or start.
        goal, end: where the flow is left.
        frames: times at which all probabilities are kept.
        curves: whether to keep the readings.
    """
    task = _task(subjects, relations, answers, table, alpha, beta, noise, length, seed)
    flow = gradient_flow(task, start=start, init=init, goal=goal, end=end, seed=seed)
    kept = {k: v for k, v in flow.to_dict().items() if k not in ("loss", "trace")}
    kept |= {"hallucination": _length(flow.stages), "smallest_kl": min(flow.trace.kl), "facts": len(task)}
    found = cast(FlowResult, kept)
    if curves:
        found["curves"] = _thinned(flow.trace)
    if frames:
        times = [t for t in frames if t <= flow.end]
        found["frames"] = {
            "times": times,
            "probabilities": [np.round(flow.probabilities(t), 4).tolist() for t in times],
        }
        found["relation"] = task.relation.tolist()
    return found


def measure_token_maps(
    subjects: int,
    relations: int,
    answers: int,
    init: float,
    start: str = "balanced",
    noise: int | None = None,
) -> TokenMapsResult:
    """Attention scores and output-value map of one exact flow before, on and after its plateau.

    Args:
        subjects, relations, answers: S, R and D of a structured table.
        init, start: where the flow begins.
        noise: tokens of prompts of 32.
    """
    task = _task(subjects, relations, answers, "structured", 0.0, 0.0, noise, 32, 0)
    flow = gradient_flow(task, start=start, init=init)
    moments = token_maps(flow)
    return {
        "moments": [cast(TokenMap, m.to_dict()) for m in moments],
        "relation_of_answer": task.answer_sets.int().argmax(0).tolist(),
        "subject": task.subject.tolist(),
        "target": task.target.tolist(),
        "relation_entropy": flow.relation_entropy,
        "seconds": flow.seconds,
    }


def measure_descent(
    subjects: int,
    relations: int,
    answers: int,
    settings: Json,
    seed: int,
    table: str = "structured",
    noise: int | None = None,
    length: int = 32,
    compare: bool = True,
) -> DescentResult:
    """The stages of one descent, and how far its loss is from the flow's at the same times.

    Args:
        subjects, relations, answers, table, noise, length: of the task.
        settings: of :func:`factweights.dynamics.descend`.
        seed: of the prompts.
        compare: whether to solve the flow from the same start too.
    """
    task = _task(subjects, relations, answers, table, 0.0, 0.0, noise, length, 0)
    found = descend(task, **settings, seed=seed)
    kept = {k: v for k, v in found.to_dict().items() if k != "trace"}
    kept |= {"hallucination": _length(found.stages), "curves": _thinned(found.trace)}
    told = cast(DescentResult, kept)
    if compare:
        flow = gradient_flow(
            task, start=found.start, init=found.init, goal=1e-6, end=found.trace.times[-1], seed=seed
        )
        times, loss = np.asarray(found.trace.times), np.asarray(found.trace.loss)
        exact = flow.loss_at(np.minimum(times, flow.end).tolist())
        off = np.abs(loss / exact - 1)
        # a step multiplies what grows at rate λ by 1 + ηλ and not e^{ηλ}: it lags by ln(1 + ηλ)/(ηλ)
        grown = found.rate * flow.rates["subject"].theory
        lag = float(np.log1p(grown) / grown)
        late = np.abs(loss / flow.loss_at(np.minimum(times * lag, flow.end).tolist()) - 1)
        told["off_flow"] = {
            "largest": float(off.max()),
            "at": float(times[off.argmax()]),
            "median": float(np.median(off)),
            "lag": lag,
            "largest_with_lag": float(late.max()),
            "of_first": float(np.abs(loss - exact).max() / exact[0]),
        }
    return told


def _task(
    subjects: int,
    relations: int,
    answers: int,
    table: str,
    alpha: float,
    beta: float,
    noise: int | None,
    length: int,
    seed: int,
) -> RecallTask:
    how: Json = {"noise": noise, "length": length, "alpha": alpha, "beta": beta}
    if table == "structured":
        return RecallTask.structured(subjects, relations, answers, **how)
    return RecallTask.random(subjects, relations, answers, seed=seed, **how)


def _length(stages: Sequence[Stage]) -> float:
    """How long hallucination lasted; 0 if there was none."""
    return next((s.end - s.start for s in stages if s.name == "hallucination" and s.end is not None), 0.0)


def _thinned(trace: Trace) -> Curves:
    """At most ``SHOWN`` readings, the last one among them."""
    n = len(trace.times)
    kept = np.unique(np.linspace(0, n - 1, min(n, SHOWN)).round().astype(int))

    def shown(readings: Sequence[float]) -> list[float]:
        return [readings[i] for i in kept]

    return {
        "times": shown(trace.times),
        "loss": shown(trace.loss),
        "relation_loss": shown(trace.relation_loss),
        "subject_loss": shown(trace.subject_loss),
        "kl": shown(trace.kl),
        "grad_norm": shown(trace.grad_norm),
        "accuracy": shown(trace.accuracy),
        "attention": {role: shown(x) for role, x in trace.attention.items()},
    }
