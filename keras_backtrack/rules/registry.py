"""Which rule serves which layer, and which inputs it follows."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from ..checks import arguments
from ..graph.compat import operation_name
from ..graph.graph import Call, Graph
from .contributions import Contributions, Moves
from .suits import unsuited
from .traced_call import TracedCall

Rule = Callable[[TracedCall], Contributions]
Own = TypeVar("Own", bound=Rule)
# Places among a call's inputs, or what finds them for one call of a graph.
Follows = Sequence[int] | Callable[[Graph, Call], Sequence[int]]


class Entry(NamedTuple):
    """What was registered: a rule, and which inputs it follows; None for all."""

    rule: Rule
    follows: Follows | None


_RULES: dict[type, Entry] = {}
_OPERATIONS: dict[str, Entry] = {}


def register_rule(*layer_types: type, follows: Follows | None = None) -> Callable[[Own], Own]:
    """Decorator that makes a function the rule of some layer classes and their subclasses.

    The rule of the nearest base class serves a layer, as long as the layer's class inherits that
    base's `call`: a subclass that overrides `call` computes something else and needs a rule of
    its own (which may be the same function, registered again).

    Args:
        *layer_types: The layer classes, or classes of operations of your own.
        follows: Which inputs a decision is followed into, as places among the tensors of the call,
            such as `[0]`; the others are constants to it, as gates are. Where that depends on the
            call, a function that takes the graph and the call and returns the places. None for
            all. Tensors of truth values are never followed, nor
            what depends on the network's inputs through their sizes alone.

    Returns:
        The decorator. The function it takes gets a `TracedCall` and returns what `same_place`
        makes, `Moves` (each output unit is one input unit; `moved` is a rule for layers that only
        move units about), `Branches` (it is made of one unit of each input) or a `Sum` (it is a
        weighted sum over units of the input, as `weighted_sum` makes).

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

    _check_follows(follows)

    def register(rule: Own) -> Own:
        arguments.function("rule", rule)
        _RULES.update(dict.fromkeys(layer_types, Entry(rule, follows)))
        return rule

    return register


def register_operation(*names: str, follows: Follows | None = None) -> Callable[[Own], Own]:
    """Decorator that makes a function the rule of bare operations.

    Args:
        *names: What `explainer.summary()` calls the operations: `"multiply"` is `a * b`,
            `keras.ops.multiply(a, b)` and, in Keras 2.15, `tf.multiply(a, b)`.
        follows: As for `register_rule`.

    Returns:
        The decorator.

    Raises:
        TypeError: If something else than names is given.
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(
            "`register_operation` takes names of operations, as in `@register_operation('erf')`. "
            f"Received: {names!r}."
        )

    _check_follows(follows)

    def register(rule: Own) -> Own:
        arguments.function("rule", rule)
        _OPERATIONS.update(dict.fromkeys(names, Entry(rule, follows)))
        return rule

    return register


def nowhere(call: TracedCall) -> Moves:
    """What to say of a call without inputs that are followed: all that comes to it ends there."""
    return Moves(lambda at: [None] * len(call.inputs), takes_arrays=True)


def _check_follows(follows: Any) -> None:
    is_list = isinstance(follows, (list, tuple, range))
    are_places = is_list and all(isinstance(n, int) and not isinstance(n, bool) for n in follows)
    if follows is not None and not callable(follows) and not are_places:
        raise TypeError(
            "`follows` must be a list of places among a call's inputs, a function that finds them, "
            f"or None. Received: {follows!r}."
        )


def is_known(layer: Any) -> bool:
    """Whether there is a rule for a layer and its settings, or for one with another activation."""
    entry, _ = entry_of(layer)
    return entry is not None and not (is_built_in(entry.rule) and unsuited(layer))


def is_built_in(rule: Rule) -> bool:
    """Whether a rule is one of ours."""
    return str(getattr(rule, "__module__", None)).startswith(__package__)


def entry_of(layer: Any) -> tuple[Entry | None, str]:
    """What is registered for an operation or a layer's class; or None and what is in the way."""
    operation = operation_name(layer)
    if operation in _OPERATIONS:
        return _OPERATIONS[operation], ""
    for cls in type(layer).__mro__:
        if cls in _RULES:
            if type(layer).call is not getattr(cls, "call", None):
                return None, f"overrides `call` of {cls.__name__}"
            return _RULES[cls], ""
    line = getattr(layer, "line", "")
    missing = "this class" if operation is None else f"the operation {operation!r}{line}"
    return None, f"no rule for {missing}"


def followed(graph: Graph, call: Call) -> tuple[bool, ...]:
    """For each input of a call, whether decisions are followed into it.

    Never into truth values or strings, nor into what depends on inputs through their sizes alone.

    Raises:
        ValueError: If what was registered names inputs that the call does not have.
    """
    entry, _ = entry_of(call.layer)
    all_places = range(len(call.inputs))
    places = all_places if entry is None or entry.follows is None else entry.follows
    if callable(places):
        places = places(graph, call)
    if not set(places) <= set(all_places):
        raise ValueError(
            f"`follows` must name inputs of {call.describe()}, which has {len(call.inputs)}. "
            f"Received: {list(places)!r}."
        )
    return tuple(
        place in places
        and place < call.operands_read
        and graph.specs[number].dtype not in (tf.bool, tf.string)
        and number not in graph.constants
        for place, number in enumerate(call.inputs)
    )


def reached(graph: Graph) -> list[Call]:
    """The calls that decisions can come through on their way back, in the order they run."""
    numbers = on_the_way(graph)
    return [call for call in graph.calls if numbers.intersection(call.outputs)]


def on_the_way(graph: Graph) -> set[int]:
    """Numbers of the tensors that decisions can come through on their way back."""
    numbers = set(graph.outputs)
    for call in reversed(graph.calls):
        if numbers.intersection(call.outputs):
            numbers.update(n for n, f in zip(call.inputs, followed(graph, call), strict=True) if f)
    return numbers
