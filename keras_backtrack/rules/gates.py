"""What only weighs other things: gates, which a decision is not followed into."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..graph.compat import keras, operation_name
from ..graph.graph import Call, Graph, TensorRef
from .activations import NOTHING_IN_INFERENCE, is_gate

layers = keras.layers


def factors(graph: Graph, call: Call) -> list[int]:
    """Of a product's factors the places of those that do not only weigh the others.

    The outputs of sigmoid and soft-max are gates; where all are, each is followed. So is what
    comes from comparisons alone, and nothing is found in there.
    """
    gates = [comes_from_gate(graph, number) for number in call.inputs]
    return _not_all(graph, call, gates)


def aligned_factors(graph: Graph, call: Call) -> list[int]:
    """As `factors`; in a product element by element what is broadcast, as in squeeze-and-excite,
    only weighs as well.
    """
    output = graph.specs[call.outputs[0]].shape
    gates = [
        graph.specs[number].shape[1:] != output[1:] or comes_from_gate(graph, number)
        for number in call.inputs
    ]
    return _not_all(graph, call, gates)


def _not_all(graph: Graph, call: Call, gates: list[bool]) -> list[int]:
    live = [place for place, number in enumerate(call.inputs) if number not in graph.switches]
    return [place for place in live if not gates[place]] or live or list(range(len(gates)))


def is_output_made_by(graph: Graph, is_kind: Callable[[Any], bool]) -> bool:
    """Whether what makes a graph's output is of some kind.

    Args:
        graph: The calls.
        is_kind: Takes a layer or an operation, such as `is_sigmoid`.
    """
    maker = graph.maker(graph.output)
    return maker is not None and is_kind(maker.layer)


_PASSING = {
    *("broadcastto", "cast", "copy", "expanddims", "flip", "getitem", "identity", "permutedims"),
    *("repeat", "reshape", "roll", "split", "squeeze", "swapaxes", "tile", "transpose", "unstack"),
}
_PASSING_LAYERS = (*NOTHING_IN_INFERENCE, layers.Permute, layers.Reshape, layers.RepeatVector)


def comes_from_gate(graph: Graph, number: int) -> bool:
    """Whether a tensor is the output of a gate, moved about or taken from a number perhaps."""
    maker = graph.maker(number)
    if maker is None:
        return False
    operation = operation_name(maker.layer)
    if is_gate(maker.layer):
        return True
    passes = operation in _PASSING or isinstance(maker.layer, _PASSING_LAYERS)
    if not passes and operation in ("add", "multiply", "subtract") and len(maker.inputs) == 1:
        # As in 1 - gate; with a whole tensor added it would be more than a gate.
        numbers = [v for v in tf.nest.flatten(maker.args) if not isinstance(v, TensorRef)]
        shapes = [tf.TensorShape(getattr(v, "shape", ())) for v in numbers]
        passes = all(shape.num_elements() == 1 for shape in shapes)
    return passes and comes_from_gate(graph, maker.inputs[0])
