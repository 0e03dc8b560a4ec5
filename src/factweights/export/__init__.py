"""Facts for other programs: a table compiled into a stock transformer checkpoint."""

from factweights.export.ablating import Ablation, ablate
from factweights.export.changing import EditedModel, edit_compiled
from factweights.export.checking import ModelCertificate
from factweights.export.compiling import Compiled, compile_table
from factweights.export.explaining import Explanation, explain
from factweights.export.folder import is_compiled
from factweights.export.onnx import OnnxModel, to_onnx
from factweights.export.planning import CompiledPlan, plan_compiled
from factweights.export.questions import Answers, recall_many
from factweights.export.recalling import recall_compiled, verify_compiled

__all__ = [
    "Ablation",
    "Answers",
    "Compiled",
    "CompiledPlan",
    "EditedModel",
    "Explanation",
    "ModelCertificate",
    "OnnxModel",
    "ablate",
    "compile_table",
    "edit_compiled",
    "explain",
    "is_compiled",
    "plan_compiled",
    "recall_compiled",
    "recall_many",
    "to_onnx",
    "verify_compiled",
]
