"""Networks by name or from a file, with their preprocessing and class names."""

from .efficientnet import efficientnet_lite0
from .networks import (
    PREPROCESSING,
    Network,
    Preprocess,
    class_names,
    load_network,
    network_names,
)

__all__ = [
    "PREPROCESSING",
    "Network",
    "Preprocess",
    "class_names",
    "efficientnet_lite0",
    "load_network",
    "network_names",
]
