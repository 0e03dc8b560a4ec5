"""A table of facts written into a pretrained language model that is otherwise left as it was."""

from factweights.models.graft.architecture import NotGraftableError
from factweights.models.graft.certificate import GraftCertificate
from factweights.models.graft.changing import EditedGraft, before, edit_grafted
from factweights.models.graft.explaining import GraftExplanation, explain_grafted
from factweights.models.graft.folder import is_grafted
from factweights.models.graft.grafting import Grafted, graft
from factweights.models.graft.verifying import verify_grafted

__all__ = [
    "EditedGraft",
    "GraftCertificate",
    "GraftExplanation",
    "Grafted",
    "NotGraftableError",
    "before",
    "edit_grafted",
    "explain_grafted",
    "graft",
    "is_grafted",
    "verify_grafted",
]
