"""One file per family of layers; each rule says where a layer's output comes from."""

from . import (
    arithmetic,
    contraction,
    elementwise,
    linear,
    merging,
    pooling,
    recurrent,
    reshaping,
    resizing,
)
from .reading import read_model
from .registry import followed, is_known, reached, register_operation, register_rule
from .reshaping import moved
from .served import Rules
from .weighted_sum import weighted_sum

__all__ = [
    "Rules",
    "arithmetic",
    "contraction",
    "elementwise",
    "followed",
    "is_known",
    "linear",
    "merging",
    "moved",
    "pooling",
    "reached",
    "read_model",
    "recurrent",
    "register_operation",
    "register_rule",
    "reshaping",
    "resizing",
    "weighted_sum",
]
