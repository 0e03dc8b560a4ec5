"""Facts for other programs: a table compiled into a stock transformer checkpoint."""

from factweights.export.checking import ModelCertificate
from factweights.export.compiling import Compiled, compile_table
from factweights.export.folder import is_compiled

__all__ = ["Compiled", "ModelCertificate", "compile_table", "is_compiled"]
