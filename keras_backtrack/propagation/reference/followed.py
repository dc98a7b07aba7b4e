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


# Where something is, which is no number of any unit.
_WHERE = (
    *("argmax", "argmin", "argsort", "bincount", "bucketize", "countnonzero", "digitize"),
    *("lowerbound", "searchsorted", "upperbound"),
)
# By what is divided is a constant factor, as are an exponent, a scale, and numbers of places.
_FIRST = (
    *("batchnorm", "convolved", "convolvedapart", "divide", "gathernd", "layernorm", "power"),
    *("rmsnorm", "shifted", "takealongaxis"),
)


def followed(graph: Graph, call: Call) -> list[int]:
    """Places of the inputs that are no constants."""
    operation = operation_name(call.layer)
    if operation in ("sizes", *_WHERE):
        return []
    read = call.inputs[: call.operands_read]
    some = [
        i
        for i, n in enumerate(read)
        if graph.specs[n].dtype != tf.bool and not _is_of_sizes(graph, n)
    ]
    if operation in _FIRST:
        return [i for i in some if i == 0]
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
        if call is not None:
            operation = operation_name(call.layer)
            is_rank = operation in ("topk", "topkv2") and call.outputs.index(here) == 1
            is_off |= is_rank or operation in _WHERE
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
    sized = ("fulllike", "oneslike", "shape", "size", "sizes", "zeroslike")
    is_sized = operation_name(call.layer) in sized
    read = call.inputs[: call.operands_read]
    return is_sized or all(_is_of_sizes(graph, n) for n in read)
