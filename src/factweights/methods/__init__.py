"""How facts get into a memory: one final class for each way of writing them."""

from dataclasses import MISSING, fields
from typing import Any

from factweights.errors import SettingError, UnknownNameError, WrongTypeError
from factweights.methods.base import Method
from factweights.methods.encoder_decoder import EncoderDecoder
from factweights.methods.exact_linear import ExactLinear, LinearSolution
from factweights.methods.fitting import FitSolution
from factweights.methods.gated_fit import GatedFit
from factweights.methods.gated_hebbian import GatedHebbian
from factweights.methods.hebbian import Hebbian
from factweights.methods.hermite_ntk import HermiteNTK
from factweights.methods.low_rank_fit import LowRankFit
from factweights.methods.low_rank_hebbian import LowRankHebbian
from factweights.methods.mlp_fit import MLPFit
from factweights.methods.paper_adam import PaperAdam
from factweights.methods.paper_adam_mlp import PaperAdamMLP
from factweights.methods.random_features import RandomFeatures
from factweights.methods.ridge import Ridge
from factweights.methods.tail_average import TailAverage, TailSolution

METHODS: dict[str, type[Method]] = {
    c.name: c
    for c in (
        EncoderDecoder,
        ExactLinear,
        GatedFit,
        GatedHebbian,
        Hebbian,
        HermiteNTK,
        LowRankFit,
        LowRankHebbian,
        MLPFit,
        PaperAdam,
        PaperAdamMLP,
        RandomFeatures,
        Ridge,
        TailAverage,
    )
}


def method_named(name: str) -> type[Method]:
    """The method class that the command line calls ``name``.

    Raises:
        UnknownNameError: with the nearest names.
    """
    if name not in METHODS:
        raise UnknownNameError("method", name, METHODS, hint=f"(there are {', '.join(sorted(METHODS))})")
    return METHODS[name]


def as_method(method: Method | str) -> Method:
    """A method as it is, or the one of that name with its default settings.

    Raises:
        UnknownNameError: no method is called so.
        SettingError: it has a setting without a default, such as a width.
        WrongTypeError: neither a method nor a name.
    """
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        if isinstance(method, type) and issubclass(method, Method):
            raise WrongTypeError("method", method, "a method", f"make one: {method.__name__}(…)")
        raise WrongTypeError("method", method, "a method or the name of one", "as ExactLinear()")
    kind: Any = method_named(method)
    needed = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING]
    if needed:
        made = ", ".join(f"{name}=…" for name in needed)
        raise SettingError(f"{method} needs {needed[0]}: give {kind.__name__}({made})", fields=needed[:1])
    return kind()


__all__ = [
    "METHODS",
    "EncoderDecoder",
    "ExactLinear",
    "FitSolution",
    "GatedFit",
    "GatedHebbian",
    "Hebbian",
    "HermiteNTK",
    "LinearSolution",
    "LowRankFit",
    "LowRankHebbian",
    "MLPFit",
    "Method",
    "PaperAdam",
    "PaperAdamMLP",
    "RandomFeatures",
    "Ridge",
    "TailAverage",
    "TailSolution",
    "as_method",
    "method_named",
]
