"""How many bits of a table any language model knows."""

from factweights.models.measure.results import Measured
from factweights.models.measure.run import measure

__all__ = ["Measured", "measure"]
