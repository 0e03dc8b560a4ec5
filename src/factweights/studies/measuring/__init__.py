"""What a cell calculates, by name. Everything heavy is imported in the process that runs the cell."""

from collections.abc import Callable, Mapping
from typing import Any

from factweights.studies.measuring.results import (
    CapacityResult,
    CompiledResult,
    DescentResult,
    FlowResult,
    LearntResult,
    RecallCapacityResult,
    RecallResult,
    SuccessResult,
    SuperpositionResult,
    TokenMapsResult,
)

Result = Mapping[str, Any]  # what any cell returned: one of the kinds above, or one read from a file


def _capacity(**given: Any) -> CapacityResult:
    from factweights.studies.measuring.capacity import measure_capacity

    return measure_capacity(**given)


def _recall(**given: Any) -> RecallResult:
    from factweights.studies.measuring.capacity import measure_recall

    return measure_recall(**given)


def _recall_capacity(**given: Any) -> RecallCapacityResult:
    from factweights.studies.measuring.capacity import measure_recall_capacity

    return measure_recall_capacity(**given)


def _success(**given: Any) -> SuccessResult:
    from factweights.studies.measuring.capacity import measure_success

    return measure_success(**given)


def _descent(**given: Any) -> DescentResult:
    from factweights.studies.measuring.dynamics import measure_descent

    return measure_descent(**given)


def _flow(**given: Any) -> FlowResult:
    from factweights.studies.measuring.dynamics import measure_flow

    return measure_flow(**given)


def _token_maps(**given: Any) -> TokenMapsResult:
    from factweights.studies.measuring.dynamics import measure_token_maps

    return measure_token_maps(**given)


def _superposition(**given: Any) -> SuperpositionResult:
    from factweights.studies.measuring.superposition import measure_superposition

    return measure_superposition(**given)


def _trained(**given: Any) -> LearntResult:
    from factweights.studies.measuring.language_models import measure_trained

    return measure_trained(**given)


def _compiled(**given: Any) -> CompiledResult:
    from factweights.studies.measuring.language_models import measure_compiled

    return measure_compiled(**given)


# The only functions that a cell may call. Named here and not by import path, so that a spec read from a file
# cannot run whatever it likes.
FUNCTIONS: dict[str, Callable[..., Result]] = {
    "capacity": _capacity,
    "recall": _recall,
    "recall-capacity": _recall_capacity,
    "success": _success,
    "descent": _descent,
    "flow": _flow,
    "token-maps": _token_maps,
    "superposition": _superposition,
    "trained-lm": _trained,
    "compiled-lm": _compiled,
}

# The number of a result that progress tells the best of, by function.
HEADLINES = {"capacity": "facts", "recall-capacity": "facts", "recall": "recall"}
