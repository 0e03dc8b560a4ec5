"""Show me: figures and sweeps, each a spec that expands to cells, run by one engine, kept cell by cell."""

from factweights.studies.capacity_sweep import CapacitySweep
from factweights.studies.cells import Cell, Study
from factweights.studies.engine import Interrupted, StudyError, run_cells
from factweights.studies.engines import Engine, LocalEngine
from factweights.studies.estimates import Estimate, estimate
from factweights.studies.fits import Slope, log_log_slope
from factweights.studies.report import Report, write_report
from factweights.studies.reproduce import (
    FIGURES,
    STUDIES,
    Reproduction,
    reproduce,
    reproduce_all,
    run_studies,
)
from factweights.studies.scaling import (
    AgainstLaw,
    Logistic,
    PowerLaw,
    against_law,
    logistic_fit,
    power_law,
)
from factweights.studies.specs import load_spec, study_from
from factweights.studies.status import Results, Status, studies_in, study_results, study_status
from factweights.studies.success import SuccessCurve

__all__ = [
    "FIGURES",
    "STUDIES",
    "AgainstLaw",
    "CapacitySweep",
    "Cell",
    "Engine",
    "Estimate",
    "Interrupted",
    "LocalEngine",
    "Logistic",
    "PowerLaw",
    "Report",
    "Reproduction",
    "Results",
    "Slope",
    "Status",
    "Study",
    "StudyError",
    "SuccessCurve",
    "against_law",
    "estimate",
    "load_spec",
    "log_log_slope",
    "logistic_fit",
    "power_law",
    "reproduce",
    "reproduce_all",
    "run_cells",
    "run_studies",
    "studies_in",
    "study_from",
    "study_results",
    "study_status",
    "write_report",
]
