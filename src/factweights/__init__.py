"""factweights: write facts into neural-network weights, prove they can be recalled, measure how many fit.

Names are imported when first used, so that ``import factweights`` and the command line's help stay quick;
``__init__.pyi`` lists them.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
