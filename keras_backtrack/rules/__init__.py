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
from .gates import followed, reached
from .reading import read_model
from .registry import Rules, is_known, register_operation, register_rule
from .reshaping import moved

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
]
