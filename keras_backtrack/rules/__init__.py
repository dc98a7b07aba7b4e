"""One file per family of layers; each rule says where a layer's output comes from."""

from . import (
    contraction,
    elementwise,
    linear,
    merging,
    operations,
    pooling,
    recurrent,
    resizing,
    shape,
)
from .gates import followed, reached
from .registry import Rules, is_known, register_rule
from .shape import moved

__all__ = [
    "Rules",
    "contraction",
    "elementwise",
    "followed",
    "is_known",
    "linear",
    "merging",
    "moved",
    "operations",
    "pooling",
    "reached",
    "recurrent",
    "register_rule",
    "resizing",
    "shape",
]
