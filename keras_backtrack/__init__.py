"""See why a Keras network decided what it did: backtrack its decision to the pixels.

The names below are imported when first used: importing TensorFlow takes seconds, and the command
line has to set environment variables before that happens.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .contributions import (
        Arrival,
        At,
        Branches,
        Groups,
        LinearSum,
        Members,
        Moves,
        Same,
        Sum,
        TracedCall,
        same_place,
    )
    from .errors import UnsupportedLayerError, UnsupportedModelError
    from .explainer import BacktrackExplainer
    from .explanation import Explanation
    from .mistakes import explain_mistakes
    from .quantus import explain_func
    from .rules import moved, register_rule

_HOMES = {
    "Arrival": "contributions",
    "At": "contributions",
    "BacktrackExplainer": "explainer",
    "Branches": "contributions",
    "Explanation": "explanation",
    "Groups": "contributions",
    "LinearSum": "contributions",
    "Members": "contributions",
    "Moves": "contributions",
    "Same": "contributions",
    "Sum": "contributions",
    "TracedCall": "contributions",
    "UnsupportedLayerError": "errors",
    "UnsupportedModelError": "errors",
    "explain_func": "quantus",
    "explain_mistakes": "mistakes",
    "moved": "rules",
    "register_rule": "rules",
    "same_place": "contributions",
}

__all__ = [
    "Arrival",
    "At",
    "BacktrackExplainer",
    "Branches",
    "Explanation",
    "Groups",
    "LinearSum",
    "Members",
    "Moves",
    "Same",
    "Sum",
    "TracedCall",
    "UnsupportedLayerError",
    "UnsupportedModelError",
    "__version__",
    "explain_func",
    "explain_mistakes",
    "moved",
    "register_rule",
    "same_place",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
