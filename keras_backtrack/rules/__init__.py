"""One file per family of layers; each rule says where a layer's output comes from."""

from . import (  # noqa: F401
    arithmetic,
    elementwise,
    encodings,
    linear,
    merging,
    order,
    pooling,
    recurrent,
    resizing,
    running,
)
from .reading import read_model
from .registry import (
    followed,
    is_known,
    on_the_way,
    reached,
    register_operation,
    register_rule,
)
from .reshaping import moved
from .served import Rules
from .weighted_sum import weighted_sum

__all__ = [
    "Rules",
    "followed",
    "is_known",
    "moved",
    "on_the_way",
    "reached",
    "read_model",
    "register_operation",
    "register_rule",
    "weighted_sum",
]
