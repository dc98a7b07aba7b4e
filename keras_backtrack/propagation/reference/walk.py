"""The walk itself, and which loop serves which layer."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ...graph.compat import keras, operation_name
from ...graph.errors import UnsupportedLayerError
from ...graph.graph import Call, Graph
from ...rules.gates import followed
from . import contraction, joining, moving, recurrent, weighted
from .step import Limits, Memory, Place, Step


class Walked(NamedTuple):
    """By tensor number the paper's memory vector M there, and the mass that ended."""

    nodes: dict[int, Memory]
    lost: float


def walk(
    graph: Graph,
    activations: dict[int, np.ndarray],
    roots: dict[int, Memory],
    limits: Limits,
    compare: bool = False,
) -> Walked:
    """Takes nodes at some tensors back to the graph's inputs.

    Args:
        graph: The calls.
        activations: Every tensor's activation, without a batch axis.
        roots: Where to start, by tensor number.
        limits: How many contributions are kept.
        compare: Whether to compare places, at the first map that everything comes through.
    """
    memory: dict[int, Memory] = defaultdict(lambda: defaultdict(float))
    memory.update((number, defaultdict(float, nodes)) for number, nodes in roots.items())
    lost, open_ = 0.0, set(roots)

    for step, number in steps_back(graph, activations, limits):
        if number in open_:
            open_ = open_ - {number}
            places = step.output.shape[:-1]
            if compare and not open_ and len(places) > 1 and max(places) > 1:
                memory[number], compare = _above_average(memory[number], places), False
            open_ |= {step.call.inputs[i] for i in step.followed}
        if not memory[number]:
            continue
        rule = rule_for(step.call)
        for (place, sign), mass in memory[number].items():
            children = rule(step, place, sign)
            reached = sum(child.share for child in children)
            if reached < 1 - 1e-6:
                lost += mass * (1 - reached)
            for child in children:
                arrived = memory[step.call.inputs[child.branch]]
                arrived[child.place, child.sign] += mass * child.share
    return Walked(memory, lost)


def _above_average(memory: Memory, places: Place) -> Memory:
    """The balance at each place, less the mean; it goes on through what is above 0 there."""
    balance, favours = defaultdict(float), defaultdict(float)
    for (place, _), mass in memory.items():
        balance[place[:-1]] += mass
        favours[place[:-1]] += max(mass, 0.0)
    mean = sum(balance.values()) / np.prod(places)
    return {
        (place, sign): mass * (balance[place[:-1]] - mean) / favours[place[:-1]]
        for (place, sign), mass in memory.items()
        if mass > 0
    }


def steps_back(
    graph: Graph, activations: dict[int, np.ndarray], limits: Limits
) -> Iterator[tuple[Step, int]]:
    """Each output of each call as a step to take, from the last on, with the tensor's number."""

    def inside(cell: Graph, values: dict[int, np.ndarray], start: dict[int, Memory]) -> dict:
        return walk(cell, values, start, limits).nodes

    for call in reversed(graph.calls):
        for position, number in enumerate(call.outputs):
            open_inputs = [i for i, follow in enumerate(followed(graph, call)) if follow]
            inputs = [activations[n] for n in call.inputs]
            output = activations[number]
            yield Step(call, position, inputs, output, open_inputs, limits, inside), number


def _any_rank(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{rank}D" for name in names for rank in (1, 2, 3))


_LAYERS: list[tuple[Callable, tuple[str, ...]]] = [
    (weighted.dense, ("Dense",)),
    (weighted.transposed_convolution, tuple(f"Conv{rank}DTranspose" for rank in (1, 2, 3))),
    (weighted.convolution, _any_rank("Conv")),
    (weighted.depthwise_convolution, ("DepthwiseConv1D", "DepthwiseConv2D")),
    (weighted.max_pooling, _any_rank("MaxPooling", "GlobalMaxPooling")),
    (weighted.adaptive_max_pooling, _any_rank("AdaptiveMaxPooling")),
    (weighted.average_pooling, _any_rank("AveragePooling", "GlobalAveragePooling")),
    (contraction.einsum_dense, ("EinsumDense",)),
    (recurrent.recurrent, ("RNN", "TimeDistributed", *_any_rank("ConvLSTM"))),
    (moving.prelu, ("PReLU",)),
    (moving.batch_normalization, ("BatchNormalization",)),
    (moving.rescaling, ("Rescaling",)),
    (moving.reshape, ("Flatten", "Reshape")),
    (moving.zero_padding, _any_rank("ZeroPadding")),
    (moving.cropping, _any_rank("Cropping")),
    (moving.center_crop, ("CenterCrop",)),
    (moving.permute, ("Permute",)),
    (moving.repeat_vector, ("RepeatVector",)),
    (
        weighted.resized,
        ("Resizing", "UpSampling2D", *_any_rank("AdaptiveAveragePooling")),
    ),
    (moving.up_sampling, _any_rank("UpSampling")),
    (moving.embedding, ("Embedding",)),
    (moving.normalization, ("GroupNormalization", "LayerNormalization")),
    (joining.add, ("Add", "Average")),
    (joining.subtract, ("Subtract",)),
    (joining.extreme, ("Maximum", "Minimum")),
    (joining.multiply, ("Multiply",)),
    (joining.concatenate, ("Concatenate",)),
    (
        moving.unchanged,
        (
            *("Activation", "ELU", "LeakyReLU", "ReLU", "Softmax", "ThresholdedReLU"),
            *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout"),
            *("GaussianNoise", "Identity", "Masking", "Normalization", "UnitNormalization"),
            *("RandomFlip", "RandomContrast"),
            *_any_rank("SpatialDropout"),
        ),
    ),
]

_OPERATIONS: list[tuple[Callable, tuple[str, ...]]] = [
    (joining.arithmetic, ("add", "subtract", "multiply", "divide", "maximum", "minimum")),
    (joining.where, ("where",)),
    (moving.negative, ("negative", "reciprocal", "rsqrt")),
    (moving.even, ("abs", "square")),
    (moving.reshape, ("expanddims", "ravel", "reshape", "squeeze")),
    (weighted.extreme_along_axes, ("max", "min")),
    (contraction.attention, ("dotproductattention",)),
    (contraction.einsum, ("einsum",)),
    (contraction.matmul, ("matmul",)),
    (contraction.reduced, ("mean", "sum")),
    (
        moving.moved,
        (
            *("broadcastto", "concatenate", "flip", "getitem", "moveaxis", "pad", "repeat"),
            *("roll", "split", "stack", "swapaxes", "take", "tile", "transpose", "unstack"),
        ),
    ),
]


def rule_for(call: Call) -> Callable:
    operation = operation_name(call.layer)
    if operation is not None:
        rules = [rule for rule, names in _OPERATIONS if operation in names]
        return rules[0] if rules else moving.unchanged
    for rule, names in _LAYERS:
        classes = tuple(getattr(keras.layers, n) for n in names if hasattr(keras.layers, n))
        if isinstance(call.layer, classes):
            return rule
    raise UnsupportedLayerError(
        f"The reference has no rule for this layer. Received: {call.describe()}."
    )
