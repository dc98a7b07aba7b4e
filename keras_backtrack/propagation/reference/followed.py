"""Which inputs decisions are followed into: this is the reference's own answer."""

import numpy as np
import tensorflow as tf

from ...graph.compat import keras, operation_name
from ...graph.graph import Call, Graph, TensorRef

_GATE_FUNCTIONS = tuple(
    getattr(module, name)
    for module in (keras.activations, tf.nn, tf.math, getattr(keras, "ops", tf))
    for name in ("hard_sigmoid", "sigmoid", "softmax")
    if hasattr(module, name)
)
_GATE_OPERATIONS = ("hardsigmoid", "sigmoid", "softmax")
# A gate that is moved about, copied or handed on is the same gate.
_HANDING_ON = (
    *("broadcastto", "cast", "copy", "expanddims", "flip", "getitem", "identity", "permutedims"),
    *("repeat", "reshape", "roll", "split", "squeeze", "swapaxes", "tile", "transpose", "unstack"),
)
_HANDING_ON_LAYERS = ("Dropout", "Identity", "Permute", "Reshape", "RepeatVector")


def followed(graph: Graph, call: Call) -> list[int]:
    """Places of the inputs that are no constants."""
    operation = operation_name(call.layer)
    if operation == "sizes":
        return []
    read = call.inputs[: call.operands_read]
    some = [
        i
        for i, n in enumerate(read)
        if graph.specs[n].dtype != tf.bool and not _is_of_sizes(graph, n)
    ]
    if operation in ("divide", "power"):
        return some[:1]  # By what is divided is a constant factor, as is an exponent.
    if operation == "where":
        return [i for i in some if not (i == 0 and isinstance(call.args[0], TensorRef))]
    if operation == "dotproductattention":
        return [2]  # What is attended to is weighed, not followed.
    aligned = operation == "multiply" or isinstance(call.layer, keras.layers.Multiply)
    if aligned or operation in ("matmul", "einsum"):
        whole = graph.specs[call.outputs[0]].shape[1:]
        gates = [
            i
            for i, number in enumerate(call.inputs)
            if _is_gate(graph, number) or (aligned and graph.specs[number].shape[1:] != whole)
        ]
        live = [i for i in some if not _is_switch(graph, call.inputs[i])]
        return [i for i in live if i not in gates] or live or some
    return some


def _is_gate(graph: Graph, number: int) -> bool:
    call = graph.maker(number)
    while call is not None:
        operation, layer = operation_name(call.layer), call.layer
        function = getattr(layer, "activation", None)
        if operation in _GATE_OPERATIONS or isinstance(layer, keras.layers.Softmax):
            return True
        if any(function is gate for gate in _GATE_FUNCTIONS):
            return True
        hands_on = operation in _HANDING_ON or type(layer).__name__ in _HANDING_ON_LAYERS
        if operation in ("add", "multiply", "subtract") and len(call.inputs) == 1:
            # With a number, as in 1 - gate.
            others = [v for v in tf.nest.flatten(call.args) if not isinstance(v, TensorRef)]
            shapes = [getattr(v, "shape", np.shape(v)) for v in others if not isinstance(v, str)]
            hands_on = all(n == 1 for shape in shapes for n in shape)
        call = graph.maker(call.inputs[0]) if hands_on else None
    return False


def _is_switch(graph: Graph, number: int) -> bool:
    """Whether nothing but comparisons, or nothing at all, ties a tensor to the inputs."""
    waiting = [number]
    seen: set[int] = set()
    while waiting:
        here = waiting.pop()
        call = graph.maker(here)
        is_off = graph.specs[here].dtype == tf.bool or _is_of_sizes(graph, here)
        if is_off and call is not None:
            continue
        if call is None:
            return False
        waiting += [n for n in call.inputs if n not in seen]
        seen.update(call.inputs)
    return True


def _is_of_sizes(graph: Graph, number: int) -> bool:
    """Whether nothing but sizes ties a tensor to the inputs."""
    call = graph.maker(number)
    if call is None:
        return False
    is_sized = operation_name(call.layer) in ("oneslike", "shape", "size", "sizes", "zeroslike")
    read = call.inputs[: call.operands_read]
    return is_sized or all(_is_of_sizes(graph, n) for n in read)
