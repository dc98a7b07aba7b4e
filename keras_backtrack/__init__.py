"""See why a Keras network decided what it did: backtrack its decision to the pixels.

The names below are imported when first used: importing TensorFlow takes seconds, and the command
line has to set environment variables before that happens.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .runtime.version import __version__

if TYPE_CHECKING:
    from .explainer.explainer import BacktrackExplainer
    from .explainer.mistakes import explain_mistakes
    from .explainer.quantus import explain_func
    from .explanation.explanation import Explanation
    from .graph.errors import UnsupportedLayerError, UnsupportedModelError
    from .rules import moved, register_operation, register_rule, weighted_sum
    from .rules.contributions import (
        Arrival,
        At,
        Branches,
        Groups,
        LinearSum,
        Members,
        Moves,
        Same,
        Sum,
        same_place,
    )
    from .rules.traced_call import TracedCall

_HOMES = {
    "Arrival": "rules.contributions",
    "At": "rules.contributions",
    "BacktrackExplainer": "explainer.explainer",
    "Branches": "rules.contributions",
    "Explanation": "explanation.explanation",
    "Groups": "rules.contributions",
    "LinearSum": "rules.contributions",
    "Members": "rules.contributions",
    "Moves": "rules.contributions",
    "Same": "rules.contributions",
    "Sum": "rules.contributions",
    "TracedCall": "rules.traced_call",
    "UnsupportedLayerError": "graph.errors",
    "UnsupportedModelError": "graph.errors",
    "explain_func": "explainer.quantus",
    "explain_mistakes": "explainer.mistakes",
    "moved": "rules",
    "register_operation": "rules",
    "register_rule": "rules",
    "same_place": "rules.contributions",
    "weighted_sum": "rules",
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
    "register_operation",
    "register_rule",
    "same_place",
    "weighted_sum",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
