from collections.abc import Sequence

from . import Array

def call_function(name: str, args: Sequence[Array]) -> Array: ...
