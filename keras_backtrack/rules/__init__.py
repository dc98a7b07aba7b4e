"""One file per family of layers; each rule says where a layer's output comes from."""

from . import elementwise, linear, merging, pooling, shape
from .registry import check_support, contributions_of, register_rule

__all__ = [
    "check_support",
    "contributions_of",
    "elementwise",
    "linear",
    "merging",
    "pooling",
    "register_rule",
    "shape",
]
