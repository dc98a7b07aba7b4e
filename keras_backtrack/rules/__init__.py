"""One file per family of layers; each rule says where a layer's output comes from."""

from . import elementwise, linear, merging, operations, pooling, shape
from .registry import (
    check_support,
    contributions_of,
    is_known,
    register_rule,
    rule_name,
    traced_call,
)

__all__ = [
    "check_support",
    "contributions_of",
    "elementwise",
    "is_known",
    "linear",
    "merging",
    "operations",
    "pooling",
    "register_rule",
    "rule_name",
    "shape",
    "traced_call",
]
