"""Which inputs of a call a decision is followed into, and which are taken as constants."""

import math
from collections.abc import Callable

import tensorflow as tf

from ..graph.compat import keras, operation_name
from ..graph.graph import Call, Graph, TensorRef
from .activations import GATES, NOTHING_IN_INFERENCE, is_gate

layers = keras.layers


def followed(graph: Graph, call: Call) -> tuple[bool, ...]:
    """For each input of a call, whether decisions are followed into it.

    Of a product's factors those that only weigh the others are constants: the outputs of sigmoid
    and soft-max, and what is broadcast over space, as in squeeze-and-excite.
    """
    kind = call.kind.lower()
    constant = [graph.specs[number].dtype == tf.bool for number in call.inputs]
    if kind in _FOLLOWED:
        constant = [c or not f for c, f in zip(constant, _FOLLOWED[kind](call), strict=True)]
    elif kind in _PRODUCTS:
        weighs = [_weighs(graph, call, number) for number in call.inputs]
        constant = constant if all(weighs) else weighs
    return tuple(not c for c in constant)


def reached(graph: Graph) -> list[Call]:
    """The calls that decisions can come through on their way back, in the order they run."""
    numbers, calls = set(graph.outputs), []
    for call in reversed(graph.calls):
        if numbers.intersection(call.outputs):
            calls.append(call)
            numbers.update(n for n, f in zip(call.inputs, followed(graph, call), strict=True) if f)
    return calls[::-1]


def _first(call: Call) -> list[bool]:
    return [place == 0 for place in range(len(call.inputs))]


def _not_the_condition(call: Call) -> list[bool]:
    return [
        not (place == 0 and isinstance(call.args[0], TensorRef))
        for place in range(len(call.inputs))
    ]


def _value(call: Call) -> list[bool]:
    return [place == 2 for place in range(len(call.inputs))]


_FOLLOWED: dict[str, Callable[[Call], list[bool]]] = {
    "divide": _first,
    "dotproductattention": _value,
    "where": _not_the_condition,
}

_PRODUCTS = ("einsum", "matmul", "multiply")


def _weighs(graph: Graph, call: Call, number: int) -> bool:
    """Whether a factor is a gate or, in a product element by element, is broadcast."""
    if call.kind.lower() == "multiply":
        output = graph.specs[call.outputs[0]].shape
        if graph.specs[number].shape[1:] != output[1:]:
            return True
    return _comes_from_gate(graph, number)


_PASSING = {
    *("broadcastto", "cast", "copy", "expanddims", "flip", "getitem", "identity", "permutedims"),
    *("repeat", "reshape", "roll", "split", "squeeze", "swapaxes", "tile", "transpose", "unstack"),
}
_PASSING_LAYERS = (*NOTHING_IN_INFERENCE, layers.Permute, layers.Reshape, layers.RepeatVector)


def _comes_from_gate(graph: Graph, number: int) -> bool:
    """Whether a tensor is the output of a gate, moved about or taken from a number perhaps."""
    maker = graph.maker(number)
    if maker is None:
        return False
    operation = operation_name(maker.layer)
    if is_gate(maker.layer) or operation in GATES:
        return True
    passes = operation in _PASSING or isinstance(maker.layer, _PASSING_LAYERS)
    if not passes and operation in ("add", "multiply", "subtract") and len(maker.inputs) == 1:
        # As in 1 - gate; with a whole tensor added it would be more than a gate.
        numbers = [v for v in tf.nest.flatten(maker.args) if not isinstance(v, TensorRef)]
        passes = all(math.prod(getattr(v, "shape", ())) == 1 for v in numbers)
    return passes and _comes_from_gate(graph, maker.inputs[0])
