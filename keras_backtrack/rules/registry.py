"""Which rule serves which layer."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..graph.compat import operation_name
from ..graph.errors import UnsupportedLayerError
from ..graph.graph import Call, Graph
from ..graph.recording import is_recurrent
from .activations import is_elementwise
from .contributions import Contributions
from .fallback import gradient
from .gates import followed, reached
from .packed_weights import Layouts
from .traced_call import TracedCall

Rule = Callable[[TracedCall], Contributions]

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
        makes, `Moves` (each output unit is one input unit; `moved` is a rule for layers that only
        move units about), `Branches` (it is made of one unit of each input) or a `Sum` (it is a
        weighted sum over units of the input).

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


def is_known(layer: Any) -> bool:
    """Whether there is a rule for a layer, or for its class with other settings."""
    return _rule_of(layer)[0] is not None


class Rules:
    """The rule of each call of a graph.

    Args:
        fallback: `"gradient"` to serve calls without a rule by their gradient; None to refuse them.
        against: Whether what speaks against a decision is followed as well, where all paths are.
    """

    def __init__(self, fallback: str | None = None, against: bool = False) -> None:
        self._fallback = fallback
        self.against = against
        self.layouts = Layouts()

    def check(self, graph: Graph) -> None:
        """Raises `UnsupportedLayerError` that lists every call without a rule, if there is one."""
        problems = self._problems(graph)
        if problems:
            raise UnsupportedLayerError(
                "These layers between the input and the output have no rule. Each can be given "
                "one: `@keras_backtrack.register_rule(TheLayerClass)` above a function that says "
                "what the layer's output is made of (its docstring has an example). Or let "
                "`fallback='gradient'` serve them by their local gradient. Received:\n"
                + "\n".join(problems)
            )

    def trace(
        self, graph: Graph, call: Call, position: int, tensors: dict[int, tf.Tensor]
    ) -> TracedCall:
        """A call as its rule wants to see it, asked about one of its outputs."""
        inputs = [tensors[number] for number in call.inputs]
        output = tensors[call.outputs[position]]
        return TracedCall(call, position, inputs, output, followed(graph, call), self.layouts)

    def ask(self, call: TracedCall) -> Contributions:
        """Asks the rule of a call for its contributions."""
        rule, problem = self._find(call.call)
        if rule is None:
            raise UnsupportedLayerError(f"{call.call.describe()}: {problem}")
        return rule(call)

    def name(self, call: Call) -> str:
        """Name of the function that is a call's rule."""
        rule, _ = self._find(call)
        return "none" if rule is None else f"{rule.__module__.split('.')[-1]}.{rule.__name__}"

    def _problems(self, graph: Graph) -> list[str]:
        problems = []
        for call in reached(graph):
            rule, problem = self._find(call)
            if rule is None:
                place = f"call {graph.calls.index(call) + 1} of {len(graph.calls)}"
                problems.append(f"  {place}: {call.describe()}: {problem}")
            elif call.cell is not None and rule is not gradient:
                problems.extend(self._problems(call.cell))
        return problems

    def _find(self, call: Call) -> tuple[Rule | None, str]:
        """The rule of a call's layer; or None and what stands in the way."""
        rule, problem = _rule_of(call.layer)
        if rule is not None and rule.__module__.startswith(__package__):
            rule, problem = _suits_built_in(call, rule)
        if rule is None and self._fallback == "gradient":
            return gradient, ""
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


def _suits_built_in(call: Call, rule: Rule) -> tuple[Rule | None, str]:
    """What our own rules take for granted about a layer's settings."""
    layer = call.layer
    activation = getattr(layer, "activation", None)
    if not is_elementwise(activation):
        return None, f"its activation {activation!r} is not known to act on each unit alone"
    if getattr(layer, "interpolation", "nearest") not in ("area", "bilinear", "nearest"):
        return None, f"interpolation={layer.interpolation!r} weighs some neighbours negatively"
    if any(getattr(layer, name, False) for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio")):
        return None, "cuts or pads to keep the picture's proportions"
    if is_recurrent(layer):
        if call.cell is None:
            return None, "what its cell does cannot be recorded"
        if getattr(layer, "stateful", False) or getattr(layer, "time_major", False):
            return None, "stateful=True or time_major=True"
        if getattr(layer, "data_format", None) == "channels_first":
            return None, "data_format='channels_first' in a recurrent layer"
    return rule, ""
