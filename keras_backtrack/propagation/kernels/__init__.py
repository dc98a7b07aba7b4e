"""The inner loops of a walk, in machine code: Numba compiles them once and keeps the result.

Everything here takes and returns NumPy arrays; nothing here knows layers or rules.
"""

from .compiled import helpers
from .dense import dense
from .merging import heaviest, merge, ordered
from .nodes import NodeArrays, per_explanation, unbroadcast, values_at
from .windows import Geometry, along_windows, convolution, window_maximum

__all__ = [
    "Geometry",
    "NodeArrays",
    "along_windows",
    "convolution",
    "dense",
    "heaviest",
    "helpers",
    "merge",
    "ordered",
    "per_explanation",
    "unbroadcast",
    "values_at",
    "window_maximum",
]
