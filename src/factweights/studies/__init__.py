"""Show me: figures and sweeps, each a spec that expands to cells, run by one engine, kept cell by cell."""

from factweights.studies.figures import FIGURES, STUDIES, CapacitySweep, SuccessCurve, draw
from factweights.studies.report import Report, write_report
from factweights.studies.reproduce import (
    Reproduction,
    reproduce,
    reproduce_all,
    run_studies,
)
from factweights.studies.running.engines import Engine, LocalEngine
from factweights.studies.running.estimates import Estimate, estimate
from factweights.studies.running.run import Interrupted, StudyError, run_cells
from factweights.studies.running.status import Results, Status, studies_in, study_results, study_status
from factweights.studies.specs import load_spec, study_from
from factweights.studies.statistics import (
    AgainstLaw,
    Logistic,
    PowerLaw,
    against_law,
    logistic_fit,
    power_law,
)
from factweights.studies.study import Cell, Fit, Study, Table

__all__ = [
    "FIGURES",
    "STUDIES",
    "AgainstLaw",
    "CapacitySweep",
    "Cell",
    "Engine",
    "Estimate",
    "Fit",
    "Interrupted",
    "LocalEngine",
    "Logistic",
    "PowerLaw",
    "Report",
    "Reproduction",
    "Results",
    "Status",
    "Study",
    "StudyError",
    "SuccessCurve",
    "Table",
    "against_law",
    "draw",
    "estimate",
    "load_spec",
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
