"""Is it there? Exact margins, recall, witnesses, and the margin over all prompts of a recall transformer."""

from factweights.certificates.certificate import Certificate, Missed
from factweights.certificates.listwise import averaged, least_tail_margins, tail_margins
from factweights.certificates.prompts import PromptCertificate, prompt_margins, verify_prompts
from factweights.certificates.recall import verify
from factweights.certificates.streaming import least_margins, margins, noise_recall, relative_margins
from factweights.certificates.witness import (
    MarginBound,
    Witness,
    WitnessError,
    bound_margins,
    margin_bound,
    weighted_rows,
)

__all__ = [
    "Certificate",
    "MarginBound",
    "Missed",
    "PromptCertificate",
    "Witness",
    "WitnessError",
    "averaged",
    "bound_margins",
    "least_margins",
    "least_tail_margins",
    "margin_bound",
    "margins",
    "noise_recall",
    "prompt_margins",
    "relative_margins",
    "tail_margins",
    "verify",
    "verify_prompts",
    "weighted_rows",
]
