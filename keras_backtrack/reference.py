"""The paper's algorithms as plain loops over NumPy arrays: the oracle and the baseline.

Nothing here is shared with the fast path but the list of calls. M is a dictionary: a node is
`(place, sign)`, the place a tuple of coordinates, and its value is its mass. Each rule takes one
node and returns its children with their shares, which add up to 1, or to 0 where the path ends.

All arithmetic on contributions is in float32, and a window's products are added up position by
position in row-major order, so that ties and near ties fall as they do on the fast path.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .compat import as_tuple, keras, operation_name
from .errors import UnsupportedLayerError
from .graph import read_graph
from .rules import is_known

Place = tuple[int, ...]
Memory = dict[tuple[Place, int], float]


class Limits(NamedTuple):
    """How many contributions are kept; None keeps all.

    `all_paths` makes no choices at all, neither of channels nor of branches.
    """

    top_n: int | None = 20
    channels: int | None = 1
    positions: int | None = 1
    include_bias: bool = False
    all_paths: bool = False


# The posterior: every positive contribution of every unit.
ALL_PATHS = Limits(None, None, None, all_paths=True)


class Child(NamedTuple):
    """One followed contribution: where it is, what it asks, and its share of the mass."""

    place: Place
    sign: int
    share: float
    branch: int = 0


class Reference(NamedTuple):
    """What `backtrack` returns.

    Attributes:
        nodes: By name of the tensor, the paper's memory vector M there.
        lost: Mass of the paths that ended on the way.
    """

    nodes: dict[str, Memory]
    lost: float


def backtrack(
    model: keras.Model,
    image: np.ndarray,
    target: int,
    limits: Limits | None = None,
    activations: dict[int, np.ndarray] | None = None,
) -> Reference:
    """Walks one decision about one image back to its pixels.

    Args:
        model: A built Functional or Sequential model with one output.
        image: The image, without a batch axis.
        target: Which unit of the output to explain.
        limits: How many contributions are kept; None for the defaults.
        activations: Every tensor's activation for this image, without a batch axis, by its number
            in the model's graph. By default the model is run.
    """
    limits = limits or Limits()
    _READ.clear()
    graph = read_graph(model, is_known=is_known)
    if activations is None:
        tensors = graph.replay(np.asarray(image, np.float32)[None])
        activations = {number: np.asarray(tensor)[0] for number, tensor in tensors.items()}
    memory: dict[int, Memory] = defaultdict(lambda: defaultdict(float))
    memory[graph.output][(target,), 1] = 1.0
    lost = 0.0
    for call in reversed(graph.calls):
        rule = _rule_for(call.layer)
        if rule is multiply:
            rule = partial(multiply, makers=graph.makers(call))
        elif rule is operation:
            rule = partial(operation, call=call, makers=graph.makers(call))
        inputs = [activations[number] for number in call.inputs]
        output = activations[call.outputs[0]]
        for (place, sign), mass in memory[call.outputs[0]].items():
            children = rule(call.layer, inputs, output, place, sign, limits)
            if not children:
                lost += mass
            for child in children:
                arrived = memory[call.inputs[child.branch]]
                arrived[child.place, child.sign] += mass * child.share
    return Reference({graph.names[n]: dict(m) for n, m in memory.items() if m}, lost)


# Weights as arrays: read once per walk, since reading copies them.
_READ: dict[tuple[int, str], np.ndarray] = {}


def _weights(layer: Any, name: str) -> np.ndarray:
    key = id(layer), name
    if key not in _READ:
        _READ[key] = np.asarray(getattr(layer, name))
    return _READ[key]


def _best(values: Iterable[float], limit: int | None) -> list[int]:
    """Places of the largest values above 0; ties go to the first."""
    ranked = sorted((-value, place) for place, value in enumerate(values) if value > 0)
    return [place for _, place in ranked[:limit]]


def _shares(values: list[float]) -> list[float]:
    total = float(np.sum(np.float64(values)))
    return [float(value) / total for value in values]


def _asks(sign: int, weight: float) -> int:
    """What a child is asked: the same through a positive weight, the opposite through another."""
    return -sign if weight < 0 else sign


def _bias(layer: Any, unit: int, sign: int, limits: Limits) -> np.float32:
    if limits.include_bias and layer.use_bias:
        return np.float32(sign) * _weights(layer, "bias")[unit]
    return np.float32(0)


def dense(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Algorithm 1."""
    weights = _weights(layer, "kernel")[:, place[-1]]
    products = np.float32(sign) * (weights * inputs[0][place[:-1]])
    products = products + _bias(layer, place[-1], sign, limits)
    chosen = _best(products, limits.top_n)
    return [
        Child((*place[:-1], j), _asks(sign, weights[j]), share)
        for j, share in zip(chosen, _shares([products[j] for j in chosen]), strict=True)
    ]


def _receptive_field(layer, size, dilation, source, output, place) -> list[tuple[Place, Place]]:
    """Algorithm 3's rf(n): the taps of a node's window and the positions they read.

    Taps in the padding are left out.
    """
    taps, strides = [], as_tuple(layer.strides)
    for tap in product(*(range(extent) for extent in size)):
        position = []
        for axis, step in enumerate(tap):
            before = 0
            if layer.padding == "same":
                reach = (size[axis] - 1) * dilation[axis] + 1
                span = (output.shape[axis] - 1) * strides[axis] + reach
                before = max(span - source.shape[axis], 0) // 2
            elif layer.padding == "causal":
                before = (size[axis] - 1) * dilation[axis]
            position.append(place[axis] * strides[axis] - before + step * dilation[axis])
        if all(0 <= p < extent for p, extent in zip(position, source.shape, strict=False)):
            taps.append((tap, tuple(position)))
    return taps


def convolution(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Algorithm 2."""
    (source,) = inputs
    kernel = _weights(layer, "kernel")
    taps = _receptive_field(
        layer, layer.kernel_size, layer.dilation_rate, source, output, place[:-1]
    )
    channels = kernel.shape[-2]
    first = place[-1] // (kernel.shape[-1] // layer.groups) * channels
    bias = _bias(layer, place[-1], sign, limits)
    array, sums = [], np.zeros(channels, np.float32)
    for tap, position in taps:
        products = source[position][first : first + channels] * kernel[tap][:, place[-1]]
        sums = sums + products
        array.append(np.float32(sign) * products + bias)
    if limits.all_paths:
        return _all_of(taps, array, kernel, place[-1], first, sign)
    sums = np.float32(sign) * sums + bias * np.float32(len(taps))
    chosen = _best(sums, limits.channels)
    children = []
    for channel, portion in zip(chosen, _shares([sums[c] for c in chosen]), strict=True):
        values = [products[channel] for products in array]
        best = _best(values, limits.positions)
        for i, share in zip(best, _shares([values[i] for i in best]), strict=True):
            tap, position = taps[i]
            asks = _asks(sign, kernel[tap][channel, place[-1]])
            children.append(Child((*position, first + channel), asks, portion * share))
    return children


def _all_of(taps, array, kernel, filter_, first, sign) -> list[Child]:
    """Every positive product of a window, in any channel."""
    found = [
        (float(value), (*position, first + channel), _asks(sign, kernel[tap][channel, filter_]))
        for (tap, position), products in zip(taps, array, strict=True)
        for channel, value in enumerate(products)
        if value > 0
    ]
    total = sum(value for value, _, _ in found)
    return [Child(place, asks, value / total) for value, place, asks in found]


def depthwise_convolution(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Algorithm 2 on one channel: only positions are chosen."""
    (source,) = inputs
    kernel = _weights(layer, "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel")
    channel, copy = divmod(place[-1], kernel.shape[-1])
    taps = _receptive_field(
        layer, layer.kernel_size, layer.dilation_rate, source, output, place[:-1]
    )
    bias = _bias(layer, place[-1], sign, limits)
    weights = [kernel[tap][channel, copy] for tap, _ in taps]
    values = [
        np.float32(sign) * (source[position][channel] * weight) + bias
        for (_, position), weight in zip(taps, weights, strict=True)
    ]
    best = _best(values, limits.positions)
    return [
        Child((*taps[i][1], channel), _asks(sign, weights[i]), share)
        for i, share in zip(best, _shares([values[i] for i in best]), strict=True)
    ]


def _pool(layer, source, output, place) -> list[Place]:
    """The positions a pooling window reads, in row-major order."""
    if not hasattr(layer, "pool_size"):
        return list(np.ndindex(source.shape[:-1]))
    size = as_tuple(layer.pool_size)
    field = _receptive_field(layer, size, [1] * len(size), source, output, place[:-1])
    return [position for _, position in field]


def max_pooling(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Algorithm 3."""
    (source,) = inputs
    winner, largest = None, -np.inf
    for position in _pool(layer, source, output, place):
        if winner is None or source[position][place[-1]] > largest:
            winner, largest = position, source[position][place[-1]]
    return [Child((*winner, place[-1]), sign, 1.0)]


def average_pooling(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Like a Dense layer with equal weights."""
    (source,) = inputs
    positions = _pool(layer, source, output, place)
    values = [np.float32(sign) * source[position][place[-1]] for position in positions]
    best = _best(values, limits.top_n)
    return [
        Child((*positions[i], place[-1]), sign, share)
        for i, share in zip(best, _shares([values[i] for i in best]), strict=True)
    ]


def unchanged(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Monotone activations, and layers that only act in training."""
    return [Child(place, sign, 1.0)]


def prelu(layer, inputs, output, place, sign, limits) -> list[Child]:
    """A slope below zero that may be negative."""
    slope = np.broadcast_to(_weights(layer, "alpha"), output.shape)[place]
    return [Child(place, _asks(sign, slope if inputs[0][place] < 0 else 1.0), 1.0)]


def batch_normalization(layer, inputs, output, place, sign, limits) -> list[Child]:
    """The sign of gamma."""
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    coordinate = place[axis] if axis < 0 else place[axis - 1]
    gamma = _weights(layer, "gamma")[coordinate] if layer.scale else 1.0
    return [Child(place, _asks(sign, gamma), 1.0)]


def rescaling(layer, inputs, output, place, sign, limits) -> list[Child]:
    """The sign of the scale."""
    scale = np.broadcast_to(_weights(layer, "scale"), output.shape)[place]
    return [Child(place, _asks(sign, scale), 1.0)]


def reshape(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Row-major order stays."""
    unit = np.ravel_multi_index(place, output.shape)
    return [Child(tuple(map(int, np.unravel_index(unit, inputs[0].shape))), sign, 1.0)]


def _pairs(sides) -> list[tuple[int, int]]:
    return [sides] if isinstance(sides[0], int) else sides


def _moved(inputs, place, sign, shift) -> list[Child]:
    source = tuple(p + s for p, s in zip(place, [*shift, 0], strict=True))
    if any(not 0 <= p < size for p, size in zip(source, inputs[0].shape, strict=True)):
        return []
    return [Child(source, sign, 1.0)]


def zero_padding(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Padding is nobody's input."""
    return _moved(inputs, place, sign, [-before for before, _ in _pairs(layer.padding)])


def cropping(layer, inputs, output, place, sign, limits) -> list[Child]:
    """What was cut off is nobody's output."""
    return _moved(inputs, place, sign, [before for before, _ in _pairs(layer.cropping)])


def permute(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Output axis i is input axis dims[i]."""
    source = [0] * len(place)
    for p, axis in zip(place, layer.dims, strict=True):
        source[axis - 1] = p
    return [Child(tuple(source), sign, 1.0)]


def repeat_vector(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Copies along the first axis."""
    return [Child(place[1:], sign, 1.0)]


def up_sampling(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Nearest neighbour: each unit is copied `size` times along each axis."""
    source = [p // n for p, n in zip(place[:-1], as_tuple(layer.size), strict=True)]
    return [Child((*source, place[-1]), sign, 1.0)]


def normalization(layer, inputs, output, place, sign, limits) -> list[Child]:
    """The sign of gamma; mean and deviation are constants."""
    gamma = getattr(layer, "gamma", None)
    if gamma is None:
        return [Child(place, sign, 1.0)]
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    coordinates = sorted(a - 1 if a > 0 else a + output.ndim for a in axes)
    weight = _weights(layer, "gamma")[tuple(place[a] for a in coordinates)]
    return [Child(place, _asks(sign, weight), 1.0)]


def _aligned(inputs, place) -> list[Place]:
    """The place in each input that broadcasting brings to a place of the output."""
    return [
        tuple(
            0 if size == 1 else p
            for p, size in zip(place[len(place) - branch.ndim :], branch.shape, strict=True)
        )
        for branch in inputs
    ]


def _join(places, values, signs, limits) -> list[Child]:
    """The largest value takes all; on all paths, each positive one its share."""
    if limits.all_paths:
        chosen = _best(values, None)
        shares = _shares([values[i] for i in chosen])
        return [Child(places[i], signs[i], s, i) for i, s in zip(chosen, shares, strict=True)]
    winner = values.index(max(values))
    return [Child(places[winner], signs[winner], 1.0, winner)]


def add(layer, inputs, output, place, sign, limits) -> list[Child]:
    """Sums, and means."""
    places = _aligned(inputs, place)
    values = [sign * branch[p] for branch, p in zip(inputs, places, strict=True)]
    return _join(places, values, [sign] * len(values), limits)


def subtract(layer, inputs, output, place, sign, limits) -> list[Child]:
    """a - b is a + (-1)·b."""
    places = _aligned(inputs, place)
    values = [sign * inputs[0][places[0]], -sign * inputs[1][places[1]]]
    return _join(places, values, [sign, -sign], limits)


def extreme(layer, inputs, output, place, sign, limits, least=None) -> list[Child]:
    """The branch that won."""
    least = isinstance(layer, keras.layers.Minimum) if least is None else least
    places = _aligned(inputs, place)
    values = [branch[p] for branch, p in zip(inputs, places, strict=True)]
    best = min(values) if least else max(values)
    winner = values.index(best)
    return [Child(places[winner], sign, 1.0, winner)]


def multiply(layer, inputs, output, place, sign, limits, makers) -> list[Child]:
    """Factors share equally, or the largest takes all; gates are constants."""
    places = _aligned(inputs, place)
    values = [branch[p] for branch, p in zip(inputs, places, strict=True)]
    gates = [
        isinstance(maker, keras.layers.Softmax)
        or getattr(getattr(maker, "activation", None), "__name__", "") in ("sigmoid", "softmax")
        or (maker is not None and operation_name(maker) in ("sigmoid", "softmax"))
        or branch.shape != output.shape
        for maker, branch in zip(makers, inputs, strict=True)
    ]
    followed = [i for i, gate in enumerate(gates) if not gate] or list(range(len(inputs)))
    signs = [
        int(np.prod([_asks(1, v) for j, v in enumerate(values) if j != i])) * sign
        for i in range(len(values))
    ]
    if limits.all_paths:
        return [Child(places[i], signs[i], 1 / len(followed), i) for i in followed]
    winner = max(followed, key=lambda i: (abs(values[i]), -i))
    return [Child(places[winner], signs[winner], 1.0, winner)]


def operation(layer, inputs, output, place, sign, limits, call, makers) -> list[Child]:
    """A bare operation, on tensors or on a tensor and a constant."""
    name = operation_name(layer)
    if name in ("expanddims", "reshape", "squeeze"):
        return reshape(layer, inputs, output, place, sign, limits)
    if name not in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
        return [Child(place, -sign if name == "negative" else sign, 1.0)]
    arguments = (layer, inputs, output, place, sign, limits)
    if len(inputs) == 2:
        if name == "multiply":
            return multiply(*arguments, makers)
        if name == "divide":
            source, by = _aligned(inputs, place)
            return [Child(source, _asks(sign, inputs[1][by]), 1.0)]
        if name in ("maximum", "minimum"):
            return extreme(*arguments, least=name == "minimum")
        return (add if name == "add" else subtract)(*arguments)
    tensor = object()
    first, second = call.operands({call.inputs[0]: tensor})[:2]
    from_constant = first is not tensor
    weight = 1.0
    if name in ("multiply", "divide"):
        constant = np.asarray(first if from_constant else second)
        weight = np.broadcast_to(constant, (1, *output.shape))[0][place]
    if name in ("subtract", "divide") and from_constant:
        weight = -weight
    (source,) = _aligned(inputs, place)
    return [Child(source, _asks(sign, weight), 1.0)]


def concatenate(layer, inputs, output, place, sign, limits) -> list[Child]:
    """The branch that holds the place."""
    axis = layer.axis - 1 if layer.axis > 0 else layer.axis + output.ndim
    place = list(place)
    for number, branch in enumerate(inputs):
        if place[axis] < branch.shape[axis]:
            return [Child(tuple(place), sign, 1.0, number)]
        place[axis] -= branch.shape[axis]
    raise AssertionError("a place outside of all branches")


def _any_rank(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{rank}D" for name in names for rank in (1, 2, 3))


_layers = keras.layers
_RULES: list[tuple[Callable, tuple[str, ...]]] = [
    (dense, ("Dense",)),
    (convolution, ("Conv1D", "Conv2D", "Conv3D")),
    (depthwise_convolution, ("DepthwiseConv2D",)),
    (max_pooling, _any_rank("MaxPooling", "GlobalMaxPooling")),
    (average_pooling, _any_rank("AveragePooling", "GlobalAveragePooling")),
    (prelu, ("PReLU",)),
    (batch_normalization, ("BatchNormalization",)),
    (rescaling, ("Rescaling",)),
    (reshape, ("Flatten", "Reshape")),
    (zero_padding, _any_rank("ZeroPadding")),
    (cropping, _any_rank("Cropping")),
    (permute, ("Permute",)),
    (repeat_vector, ("RepeatVector",)),
    (up_sampling, _any_rank("UpSampling")),
    (normalization, ("GroupNormalization", "LayerNormalization")),
    (add, ("Add", "Average")),
    (subtract, ("Subtract",)),
    (extreme, ("Maximum", "Minimum")),
    (multiply, ("Multiply",)),
    (concatenate, ("Concatenate",)),
    (
        unchanged,
        (
            *("Activation", "ELU", "LeakyReLU", "ReLU", "Softmax", "ThresholdedReLU"),
            *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout"),
            *("GaussianNoise", "Identity", "Normalization", "UnitNormalization"),
            *_any_rank("SpatialDropout"),
        ),
    ),
]


def _rule_for(layer: Any) -> Callable:
    if operation_name(layer):
        return operation
    for rule, names in _RULES:
        if isinstance(layer, tuple(getattr(_layers, n) for n in names if hasattr(_layers, n))):
            return rule
    raise UnsupportedLayerError(
        f"The reference has no rule for this layer. Received: {layer.name!r} of {type(layer)}."
    )
