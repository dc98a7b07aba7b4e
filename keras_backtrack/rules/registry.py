"""Which rule serves which layer."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..compat import operation_name
from ..contributions import Branches, Moves, Same, Sum, TracedCall
from ..errors import UnsupportedLayerError
from ..graph import Call, Graph
from ..layouts import Layouts
from .activations import is_elementwise

Rule = Callable[[TracedCall], Same | Moves | Branches | Sum]

_RULES: dict[type, Rule] = {}
_OPERATIONS: dict[str, Rule] = {}


def register_rule(*layer_types: type) -> Callable[[Rule], Rule]:
    """Decorator that makes a function the rule of some layer classes and their subclasses.

    The rule of the nearest base class serves a layer, as long as the layer's class inherits that
    base's `call`: a subclass that overrides `call` computes something else and needs a rule of
    its own (which may be the same function, registered again).

    Args:
        *layer_types: The layer classes.

    Returns:
        The decorator. The function it takes gets a `TracedCall` and returns what `same_place`
        makes, `Moves` (each output unit is one input unit), `Branches` (it adds units of several
        inputs up) or a `Sum` (it is a weighted sum over one input).

    Raises:
        TypeError: If something else than classes is given.

    Example:
        A layer that multiplies every channel with a learned factor:

        >>> @register_rule(ChannelScale)
        ... def channel_scale(call):
        ...     return same_place(scale=tf.convert_to_tensor(call.layer.factor))
    """
    if not layer_types or not all(isinstance(cls, type) for cls in layer_types):
        raise TypeError(
            "`register_rule` takes layer classes, as in `@register_rule(MyLayer)`. "
            f"Received: {layer_types!r}."
        )

    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(layer_types, rule))
        return rule

    return register


def register_operation(*names: str) -> Callable[[Rule], Rule]:
    """Decorator that makes a function the rule of bare operations, such as `"multiply"`."""

    def register(rule: Rule) -> Rule:
        _OPERATIONS.update(dict.fromkeys(names, rule))
        return rule

    return register


def traced_call(
    graph: Graph, call: Call, tensors: dict[int, tf.Tensor], layouts: Layouts
) -> TracedCall:
    """A call as its rule wants to see it."""
    return TracedCall(
        call.layer,
        [tensors[number] for number in call.inputs],
        tensors[call.outputs[0]],
        layouts,
        graph.makers(call),
        call.operands(tensors),
    )


def contributions_of(call: Call, traced: TracedCall) -> Same | Moves | Branches | Sum:
    """Asks the rule of a call's layer for its contributions."""
    rule, problem = _find(call.layer)
    if rule is None:
        raise UnsupportedLayerError(f"{call.describe()}: {problem}")
    return rule(traced)


def is_known(layer: Any) -> bool:
    """Whether there is a rule for a layer, or for its class with other settings."""
    return _rule_of(layer)[0] is not None


def rule_name(layer: Any) -> str:
    """Name of the function that is a layer's rule."""
    rule, _ = _find(layer)
    return "none" if rule is None else f"{rule.__module__.split('.')[-1]}.{rule.__name__}"


def check_support(graph: Graph) -> None:
    """Raises `UnsupportedLayerError` that lists every call without a rule, if there is one."""
    problems = []
    for place, call in enumerate(graph.calls):
        rule, problem = _find(call.layer)
        if rule is None:
            problems.append(
                f"  call {place + 1} of {len(graph.calls)}: {call.describe()}: {problem}"
            )
    if problems:
        raise UnsupportedLayerError(
            "These layers between the input and the output have no rule. Each can be given one: "
            "`@keras_backtrack.register_rule(TheLayerClass)` above a function that returns what "
            "the layer's output is made of (its docstring has an example). Received:\n"
            + "\n".join(problems)
        )


def _find(layer: Any) -> tuple[Rule | None, str]:
    """The rule of a layer; or None and what stands in the way."""
    rule, problem = _rule_of(layer)
    if rule is not None and rule.__module__.startswith(__package__):
        return _suits_built_in(layer, rule)
    return rule, problem


def _rule_of(layer: Any) -> tuple[Rule | None, str]:
    """The rule of an operation or of a layer's class; or None and what stands in the way."""
    operation = operation_name(layer)
    if operation is not None:
        rule = _OPERATIONS.get(operation)
        return rule, "" if rule else f"no rule for the operation {operation!r}"
    for cls in type(layer).__mro__:
        if cls in _RULES:
            if type(layer).call is not cls.call:
                return None, f"overrides `call` of {cls.__name__}"
            return _RULES[cls], ""
    return None, "no rule for this class"


def _suits_built_in(layer: Any, rule: Rule) -> tuple[Rule | None, str]:
    """What our own rules take for granted about a layer's settings."""
    activation = getattr(layer, "activation", None)
    if not is_elementwise(activation):
        return None, f"its activation {activation!r} is not known to act on each unit alone"
    if getattr(layer, "data_format", None) == "channels_first":
        return None, "data_format='channels_first'"
    if getattr(layer, "interpolation", "nearest") != "nearest":
        return None, f"interpolation={layer.interpolation!r}"
    return rule, ""
