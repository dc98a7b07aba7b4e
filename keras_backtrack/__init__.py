"""See why a Keras network decided what it did: backtrack its decision to the pixels."""

from .contributions import Arrival, At, Branches, Members, Moves, Sum, TracedCall, same_place
from .errors import UnsupportedLayerError, UnsupportedModelError
from .explainer import BacktrackExplainer
from .explanation import Explanation
from .rules import register_rule

__version__ = "0.1.0"

__all__ = [
    "Arrival",
    "At",
    "BacktrackExplainer",
    "Branches",
    "Explanation",
    "Members",
    "Moves",
    "Sum",
    "TracedCall",
    "UnsupportedLayerError",
    "UnsupportedModelError",
    "register_rule",
    "same_place",
]
