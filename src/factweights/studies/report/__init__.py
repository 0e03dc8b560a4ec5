"""Claims and what measurements say of them: one page for a colleague."""

from factweights.studies.report.page import Report, read_studies, write_report

__all__ = ["Report", "read_studies", "write_report"]
