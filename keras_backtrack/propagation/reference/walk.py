"""The way back over the list of calls, and which rule serves which of them."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...graph.compat import keras, operation_name
from ...graph.errors import UnsupportedLayerError
from ...graph.graph import Call, Graph
from . import combination, contraction, joining, moving, recurrent, weighted
from .followed import followed
from .plain_call import Child, Combination, Key, Lead, Memory, Paths, Place, PlainCall


class Walked(NamedTuple):
    """By tensor number the paper's memory vector M there, and the mass that ended."""

    nodes: dict[int, Memory]
    lost: float


def walk(
    graph: Graph,
    activations: dict[int, np.ndarray],
    roots: Mapping[int, Mapping[Any, float]],
    paths: Paths,
    until: Collection[int] = (),
) -> Walked:
    """Takes what is asked at some tensors back to the graph's inputs.

    Args:
        graph: The calls.
        activations: Every tensor's activation, without a batch axis.
        roots: Where to start, by tensor number: nodes, or combinations of two.
        paths: Which paths are followed.
        until: Numbers of tensors that are not gone on from.
    """
    memory: dict[int, dict[Any, float]] = defaultdict(lambda: defaultdict(float))
    memory.update((number, defaultdict(float, nodes)) for number, nodes in roots.items())
    lost, open_ = 0.0, set(roots)
    for call in reversed(graph.calls):
        rule = rule_for(call)
        for position, number in enumerate(call.outputs):
            if number not in open_ or number in until:
                continue
            asked = memory[number]
            if not followed(graph, call):
                # Whatever comes to what only compares ends there.
                lost += sum(asked.values())
                continue
            step = step_at(graph, call, position, activations, paths)
            if rule is recurrent.recurrent or step.is_folded:
                # Through a recurrent layer's steps, or an image's rows, each unit goes alone.
                asked = memory[number] = _singles(asked)
            open_ |= {call.inputs[i] for i in step.followed}
            for key, mass in asked.items():
                leads = _leads(rule, step, key)
                shared = sum(lead.share for lead in leads)
                if abs(shared - 1) > 1e-6:
                    lost += mass * (1 - shared)
                for lead in leads:
                    if lead.branch not in step.followed:
                        lost += mass * lead.share
                        continue
                    memory[call.inputs[lead.branch]][lead.key] += mass * lead.share
    return Walked({number: _singles(nodes) for number, nodes in memory.items()}, lost)


def step_at(
    graph: Graph, call: Call, position: int, activations: dict[int, np.ndarray], paths: Paths
) -> PlainCall:
    """A call with what it read and made, to take nodes at one of its outputs through."""

    def inside(cell: Graph, values: dict[int, np.ndarray], start: dict[int, Memory]) -> dict:
        return walk(cell, values, start, paths).nodes

    inputs, output = [activations[n] for n in call.inputs], activations[call.outputs[position]]
    return PlainCall(call, position, inputs, output, followed(graph, call), paths, inside)


def _leads(rule: Callable, step: PlainCall, key: Key) -> list[Lead]:
    if isinstance(key, Combination):
        return combination.leads(rule, step, key)
    return [Lead((c.place, c.sign), c.share, c.branch) for c in children(rule, step, *key)]


def children(rule: Callable, step: PlainCall, place: Place, sign: int) -> list[Child]:
    """What a rule says of one node; of a row of an image, as if there were no other."""
    if not step.is_folded or rule is moving.reshape:
        return rule(step, place, sign)
    row, *inside = place
    found = rule(step.row(row), tuple(inside), sign)
    return [c._replace(place=(row, *c.place)) if step.has_rows(c.branch) else c for c in found]


def _singles(memory: Mapping[Key, float]) -> Memory:
    """Each unit of a combination by itself, with an equal part of the mass."""
    nodes: Memory = defaultdict(float)
    for key, mass in memory.items():
        units = [key.one, key.other] if isinstance(key, Combination) else [key]
        there = [unit for unit in units if unit[1]]
        for unit in there:
            nodes[unit] += mass / len(there)
    return nodes


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
    (weighted.resized, ("Resizing", "UpSampling2D", *_any_rank("AdaptiveAveragePooling"))),
    (moving.up_sampling, _any_rank("UpSampling")),
    (moving.embedding, ("Embedding",)),
    (moving.normalization, ("GroupNormalization", "LayerNormalization")),
    (joining.add, ("Add", "Average")),
    (joining.subtract, ("Subtract",)),
    (joining.extreme, ("Maximum", "Minimum")),
    (joining.multiply, ("Multiply",)),
    (joining.concatenate, ("Concatenate",)),
    (joining.crossing, ("HashedCrossing",)),
    (
        moving.unchanged,
        (
            *("Activation", "ELU", "LeakyReLU", "ReLU", "Softmax", "ThresholdedReLU"),
            *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout"),
            *("GaussianNoise", "Identity", "Masking", "Normalization", "UnitNormalization"),
            *("Discretization", "Hashing", "IntegerLookup", "RandomFlip", "RandomContrast"),
            *_any_rank("SpatialDropout"),
        ),
    ),
]

_OPERATIONS: list[tuple[Callable, tuple[str, ...]]] = [
    (joining.arithmetic, ("add", "subtract", "multiply", "divide", "maximum", "minimum")),
    (joining.power, ("power",)),
    (joining.where, ("where",)),
    (joining.crossing, ("crossing",)),
    (weighted.bag, ("bag",)),
    (moving.embedding, ("onehot",)),
    (moving.negative, ("negative", "reciprocal", "rsqrt")),
    (moving.even, ("abs", "cosh", "square")),
    (moving.reshape, ("expanddims", "ravel", "reshape", "squeeze")),
    (weighted.extreme_along_axes, ("max", "min")),
    (contraction.attention, ("dotproductattention",)),
    (contraction.einsum, ("einsum",)),
    (contraction.matmul, ("matmul",)),
    (contraction.pairs, ("dot", "tensordot")),
    (contraction.reduced, ("mean", "sum")),
    (weighted.convolved, ("convolved",)),
    (weighted.convolved_apart, ("convolvedapart",)),
    (weighted.cumsum, ("cumsum",)),
    (moving.largest_few, ("topk", "topkv2")),
    (moving.scaled, ("batchnorm", "layernorm", "rmsnorm")),
    (moving.taken_in_each, ("gathernd", "takealongaxis")),
    (moving.wave, ("cos", "sin")),
    (
        moving.moved,
        (
            *("broadcastto", "concatenate", "flip", "getitem", "moveaxis", "pad", "repeat"),
            *("roll", "split", "stack", "swapaxes", "take", "tile", "transpose", "unstack"),
            *("extractimagepatches", "extractpatches", "matrixbandpart", "matrixdiagpartv3"),
            *("rot90", "scatterupdate", "sliceupdate", "tensorscatterupdate", "tril", "triu"),
            "xladynamicupdateslice",
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
