"""How learning finds facts: gradient flow solved exactly, descent in steps, and the stages of both."""

from factweights.dynamics.descent import Descent, descend
from factweights.dynamics.flow import Flow
from factweights.dynamics.maps import TokenMaps, token_maps
from factweights.dynamics.rates import Rate
from factweights.dynamics.solving import FlowError, gradient_flow
from factweights.dynamics.trace import Plateau, Stage, Trace, find_plateau, find_stages
from factweights.dynamics.transformers import WatchedTraining, watch_training

__all__ = [
    "Descent",
    "Flow",
    "FlowError",
    "Plateau",
    "Rate",
    "Stage",
    "TokenMaps",
    "Trace",
    "WatchedTraining",
    "descend",
    "find_plateau",
    "find_stages",
    "gradient_flow",
    "token_maps",
    "watch_training",
]
