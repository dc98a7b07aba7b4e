"""Networks by name or from a file, with their preprocessing and class names."""

from .efficientnet import efficientnet_lite0
from .networks import PREPROCESSING, Network, class_names, load_network, network_names

__all__ = [
    "PREPROCESSING",
    "Network",
    "class_names",
    "efficientnet_lite0",
    "load_network",
    "network_names",
]
