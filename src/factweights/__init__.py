"""factweights: write facts into neural-network weights, prove they can be recalled, measure how many fit.

Names are imported when first used, so that ``import factweights`` and the command line's help stay quick.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "factweights.bundle": ("Bundle",),
    "factweights.capacity": (
        "Capacity",
        "Smallest",
        "Width",
        "capacity",
        "smallest_d",
        "smallest_rank",
        "smallest_transformer",
        "smallest_width",
        "width",
    ),
    "factweights.dynamics": (
        "Descent",
        "Flow",
        "WatchedTraining",
        "descend",
        "find_stages",
        "gradient_flow",
        "watch_training",
    ),
    "factweights.editing": ("Edited", "edit", "edit_facts", "edit_folder", "edit_table"),
    "factweights.errors": ("FactweightsError",),
    "factweights.export": (
        "Ablation",
        "Compiled",
        "EditedModel",
        "Explanation",
        "ModelCertificate",
        "OnnxModel",
        "ablate",
        "compile_table",
        "edit_compiled",
        "explain",
        "recall_compiled",
        "to_onnx",
        "verify_compiled",
    ),
    "factweights.facts": ("Associations", "FactTable", "RecallTask", "minilm_embeddings"),
    "factweights.memories": (
        "GatedMemory",
        "LinearMemory",
        "LowRankMemory",
        "MLPMemory",
        "Memory",
        "RecallTransformer",
        "load_memory",
    ),
    "factweights.methods": (
        "EncoderDecoder",
        "ExactLinear",
        "GatedFit",
        "GatedHebbian",
        "Hebbian",
        "HermiteNTK",
        "LowRankFit",
        "LowRankHebbian",
        "MLPFit",
        "Method",
        "PaperAdam",
        "PaperAdamMLP",
        "RandomFeatures",
        "Ridge",
        "method_named",
    ),
    "factweights.methods.recall": (
        "AttentionMLP",
        "AttentionOnly",
        "PaperAdamTransformer",
        "TransformerFit",
    ),
    "factweights.models.graft": (
        "EditedGraft",
        "GraftCertificate",
        "GraftExplanation",
        "Grafted",
        "edit_grafted",
        "explain_grafted",
        "graft",
        "verify_grafted",
    ),
    "factweights.models.measure": ("Measured", "measure"),
    "factweights.planning": ("Plan", "plan"),
    "factweights.storing": ("Stored", "store_table"),
    "factweights.certificates": (
        "Certificate",
        "PromptCertificate",
        "Witness",
        "margin_bound",
        "margins",
        "noise_recall",
        "relative_margins",
        "verify",
        "verify_prompts",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_FLOORS = ("certificates", "dynamics", "errors", "facts", "memories", "methods", "plots", "studies", "theory")

__all__ = [*sorted(_HOME), "theory"]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from factweights import theory as theory
    from factweights.bundle import Bundle as Bundle
    from factweights.capacity import Capacity as Capacity
    from factweights.capacity import Smallest as Smallest
    from factweights.capacity import Width as Width
    from factweights.capacity import capacity as capacity
    from factweights.capacity import smallest_d as smallest_d
    from factweights.capacity import smallest_rank as smallest_rank
    from factweights.capacity import smallest_transformer as smallest_transformer
    from factweights.capacity import smallest_width as smallest_width
    from factweights.capacity import width as width
    from factweights.certificates import Certificate as Certificate
    from factweights.certificates import PromptCertificate as PromptCertificate
    from factweights.certificates import Witness as Witness
    from factweights.certificates import margin_bound as margin_bound
    from factweights.certificates import margins as margins
    from factweights.certificates import noise_recall as noise_recall
    from factweights.certificates import relative_margins as relative_margins
    from factweights.certificates import verify as verify
    from factweights.certificates import verify_prompts as verify_prompts
    from factweights.dynamics import Descent as Descent
    from factweights.dynamics import Flow as Flow
    from factweights.dynamics import WatchedTraining as WatchedTraining
    from factweights.dynamics import descend as descend
    from factweights.dynamics import find_stages as find_stages
    from factweights.dynamics import gradient_flow as gradient_flow
    from factweights.dynamics import watch_training as watch_training
    from factweights.editing import Edited as Edited
    from factweights.editing import edit as edit
    from factweights.editing import edit_facts as edit_facts
    from factweights.editing import edit_folder as edit_folder
    from factweights.editing import edit_table as edit_table
    from factweights.errors import FactweightsError as FactweightsError
    from factweights.export import Ablation as Ablation
    from factweights.export import Compiled as Compiled
    from factweights.export import EditedModel as EditedModel
    from factweights.export import Explanation as Explanation
    from factweights.export import ModelCertificate as ModelCertificate
    from factweights.export import OnnxModel as OnnxModel
    from factweights.export import ablate as ablate
    from factweights.export import compile_table as compile_table
    from factweights.export import edit_compiled as edit_compiled
    from factweights.export import explain as explain
    from factweights.export import recall_compiled as recall_compiled
    from factweights.export import to_onnx as to_onnx
    from factweights.export import verify_compiled as verify_compiled
    from factweights.facts import Associations as Associations
    from factweights.facts import FactTable as FactTable
    from factweights.facts import RecallTask as RecallTask
    from factweights.facts import minilm_embeddings as minilm_embeddings
    from factweights.memories import GatedMemory as GatedMemory
    from factweights.memories import LinearMemory as LinearMemory
    from factweights.memories import LowRankMemory as LowRankMemory
    from factweights.memories import Memory as Memory
    from factweights.memories import MLPMemory as MLPMemory
    from factweights.memories import RecallTransformer as RecallTransformer
    from factweights.memories import load_memory as load_memory
    from factweights.methods import EncoderDecoder as EncoderDecoder
    from factweights.methods import ExactLinear as ExactLinear
    from factweights.methods import GatedFit as GatedFit
    from factweights.methods import GatedHebbian as GatedHebbian
    from factweights.methods import Hebbian as Hebbian
    from factweights.methods import HermiteNTK as HermiteNTK
    from factweights.methods import LowRankFit as LowRankFit
    from factweights.methods import LowRankHebbian as LowRankHebbian
    from factweights.methods import Method as Method
    from factweights.methods import MLPFit as MLPFit
    from factweights.methods import PaperAdam as PaperAdam
    from factweights.methods import PaperAdamMLP as PaperAdamMLP
    from factweights.methods import RandomFeatures as RandomFeatures
    from factweights.methods import Ridge as Ridge
    from factweights.methods import method_named as method_named
    from factweights.methods.recall import AttentionMLP as AttentionMLP
    from factweights.methods.recall import AttentionOnly as AttentionOnly
    from factweights.methods.recall import PaperAdamTransformer as PaperAdamTransformer
    from factweights.methods.recall import TransformerFit as TransformerFit
    from factweights.models.graft import EditedGraft as EditedGraft
    from factweights.models.graft import GraftCertificate as GraftCertificate
    from factweights.models.graft import Grafted as Grafted
    from factweights.models.graft import GraftExplanation as GraftExplanation
    from factweights.models.graft import edit_grafted as edit_grafted
    from factweights.models.graft import explain_grafted as explain_grafted
    from factweights.models.graft import graft as graft
    from factweights.models.graft import verify_grafted as verify_grafted
    from factweights.models.measure import Measured as Measured
    from factweights.models.measure import measure as measure
    from factweights.planning import Plan as Plan
    from factweights.planning import plan as plan
    from factweights.storing import Stored as Stored
    from factweights.storing import store_table as store_table


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _FLOORS:
        value = importlib.import_module(f"factweights.{name}")
    else:
        raise AttributeError(f"module 'factweights' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_FLOORS})


class _Package(ModuleType):
    """Keeps ``fw.verify`` and ``fw.capacity`` the functions, though files of the same name hold them.

    Importing a submodule binds it as an attribute of its package; for these two names the function of that
    name inside is bound instead.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("capacity", "verify") and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
