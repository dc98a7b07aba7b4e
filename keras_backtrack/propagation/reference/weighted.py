"""Weighted sums and pooling as plain loops (paper: Algorithms 1 to 3)."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from ...graph.compat import as_tuple
from .moving import moved
from .plain_call import Child, Place, PlainCall, asks, best_children, best_of, shares_of, weights_of


def bias_of(call: PlainCall, unit: int, sign: int) -> np.float32:
    if call.paths.include_bias and getattr(call.layer, "use_bias", False):
        return np.float32(sign) * weights_of(call.layer, "bias")[unit]
    return np.float32(0)


def dense(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Algorithm 1."""
    weights = weights_of(call.layer, "kernel")[:, place[-1]]
    products = np.float32(sign) * (weights * call.inputs[0][place[:-1]])
    products = products + bias_of(call, place[-1], sign)
    places = [(*place[:-1], j) for j in range(len(weights))]
    return best_children(call.paths, places, products, weights, sign, call.paths.top_n)


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


def convolution_taps(call: PlainCall, place: Place) -> list[tuple[Place, Place]]:
    """The taps of a unit's window and the positions they read."""
    size, dilation = as_tuple(call.layer.kernel_size), as_tuple(call.layer.dilation_rate)
    return _receptive_field(call.layer, size, dilation, call.inputs[0], call.output, place[:-1])


def convolution(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Algorithm 2."""
    kernel = weights_of(call.layer, "kernel")
    taps = convolution_taps(call, place)
    first = place[-1] // (kernel.shape[-1] // call.layer.groups) * kernel.shape[-2]
    return _best_products(call, taps, kernel, place, first, sign)


def _best_products(call, taps, kernel, place, first, sign) -> list[Child]:
    """The best channels of a window, from `first` on, and in each the best positions."""
    source, channels = call.inputs[0], kernel.shape[-2]
    bias = bias_of(call, place[-1], sign)
    array, sums = [], np.zeros(channels, np.float32)
    for tap, position in taps:
        products = source[position][first : first + channels] * kernel[tap][:, place[-1]]
        sums = sums + products
        array.append(np.float32(sign) * products + bias)
    if call.paths.weights:
        return [
            Child((*position, first + channel), sign, float(kernel[tap][channel, place[-1]]))
            for tap, position in taps
            for channel in range(channels)
        ]
    if call.paths.all_paths:
        return _all_of(taps, array, kernel, place[-1], first, sign)
    sums = np.float32(sign) * sums + bias * np.float32(len(taps))
    chosen = best_of(sums, call.paths.channels)
    children = []
    for channel, portion in zip(chosen, shares_of([sums[c] for c in chosen]), strict=True):
        values = [products[channel] for products in array]
        best = best_of(values, call.paths.positions)
        for i, share in zip(best, shares_of([values[i] for i in best]), strict=True):
            tap, position = taps[i]
            asked = asks(sign, kernel[tap][channel, place[-1]])
            children.append(Child((*position, first + channel), asked, portion * share))
    return children


def _all_of(taps, array, kernel, filter_, first, sign) -> list[Child]:
    """Every positive product of a window, in any channel."""
    found = [
        (float(value), (*position, first + channel), asks(sign, kernel[tap][channel, filter_]))
        for (tap, position), products in zip(taps, array, strict=True)
        for channel, value in enumerate(products)
        if value > 0
    ]
    total = sum(value for value, _, _ in found)
    return [Child(place, asks, value / total) for value, place, asks in found]


def depthwise_convolution(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Algorithm 2 on one channel: only positions are chosen."""
    (source,) = call.inputs
    name = "depthwise_kernel" if hasattr(call.layer, "depthwise_kernel") else "kernel"
    kernel = weights_of(call.layer, name)
    channel, copy = divmod(place[-1], kernel.shape[-1])
    taps = convolution_taps(call, place)
    bias = bias_of(call, place[-1], sign)
    weights = [kernel[tap][channel, copy] for tap, _ in taps]
    values = [
        np.float32(sign) * (source[position][channel] * weight) + bias
        for (_, position), weight in zip(taps, weights, strict=True)
    ]
    places = [(*position, channel) for _, position in taps]
    return best_children(call.paths, places, values, weights, sign, call.paths.positions)


def _of_bare(call: PlainCall, place: Place) -> tuple[np.ndarray, list[tuple[Place, Place]]]:
    """Kernel of a bare convolution, and the taps of a unit's window."""
    tensors = dict(zip(call.call.inputs, [tf.constant(t[None]) for t in call.inputs], strict=True))
    if "kernel" not in call.notes:
        call.notes["kernel"] = np.asarray(call.call.operands(tensors)[1])
    kernel, given = call.notes["kernel"], call.arguments
    layer = SimpleNamespace(strides=given["strides"], padding=given["padding"])
    size, source = kernel.shape[:-2], call.inputs[0]
    fields = (layer, size, given["dilation"], source, call.output, place[:-1])
    return kernel, _receptive_field(*fields)


def convolved(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Algorithm 2, of a kernel that is computed."""
    kernel, taps = _of_bare(call, place)
    groups = call.inputs[0].shape[-1] // kernel.shape[-2]
    first = place[-1] // (kernel.shape[-1] // groups) * kernel.shape[-2]
    return _best_products(call, taps, kernel, place, first, sign)


def convolved_apart(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Algorithm 2 on one channel, of a kernel that is computed."""
    kernel, taps = _of_bare(call, place)
    channel, copy = divmod(place[-1], kernel.shape[-1])
    weights = [kernel[tap][channel, copy] for tap, _ in taps]
    places = [(*position, channel) for _, position in taps]
    values = [
        np.float32(sign) * (call.inputs[0][own] * weight)
        for own, weight in zip(places, weights, strict=True)
    ]
    return best_children(call.paths, places, values, weights, sign, call.paths.positions)


def cumsum(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """All up to a place of the axis, with equal weights."""
    (source,), axis = call.inputs, cumsum_axis(call)
    here, end = place[axis], source.shape[axis]
    beside = 1 if call.arguments.get("exclusive") else 0
    is_reversed = call.arguments.get("reverse")
    steps = range(here + beside, end) if is_reversed else range(here + 1 - beside)
    places = [(*place[:axis], step, *place[axis + 1 :]) for step in steps]
    values = [np.float32(sign) * source[own] for own in places]
    return best_children(call.paths, places, values, [1.0] * len(places), sign, call.paths.top_n)


def cumsum_axis(call: PlainCall) -> int:
    """The axis of a running sum, the batch axis not counted."""
    return int(call.arguments["axis"]) % (call.inputs[0].ndim + 1) - 1


def pool(layer, source, output, place) -> list[Place]:
    """The positions a pooling window reads, in row-major order."""
    if not hasattr(layer, "pool_size"):
        return list(np.ndindex(source.shape[:-1]))
    size = as_tuple(layer.pool_size)
    field = _receptive_field(layer, size, [1] * len(size), source, output, place[:-1])
    return [position for _, position in field]


def _largest(source: np.ndarray, places: list[Place], sign: int) -> list[Child]:
    """The largest, the first of equals."""
    values = [source[place] for place in places]
    return [Child(places[int(np.argmax(values))], sign, 1.0)]


def max_pooling(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Algorithm 3."""
    (source,) = call.inputs
    positions = pool(call.layer, source, call.output, place)
    return _largest(source, [(*position, place[-1]) for position in positions], sign)


def adaptive_max_pooling(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Algorithm 3 with windows that share the input out: from ⌊o·n/m⌋ to ⌈(o+1)·n/m⌉."""
    (source,) = call.inputs
    sizes = zip(place[:-1], source.shape, call.output.shape, strict=False)
    ranges = [range(o * n // m, -(-(o + 1) * n // m)) for o, n, m in sizes]
    return _largest(source, list(product(*ranges, [place[-1]])), sign)


def average_pooling(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Like a Dense layer with equal weights."""
    source, *mask = call.inputs
    positions = pool(call.layer, source, call.output, place)
    positions = [p for p in positions if not mask or mask[0][p]]
    values = [np.float32(sign) * source[position][place[-1]] for position in positions]
    places = [(*position, place[-1]) for position in positions]
    equal = [1 / max(len(values), 1)] * len(values)
    return best_children(call.paths, places, values, equal, sign, call.paths.top_n)


def transposed_convolution(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Algorithm 2, the taps those of the convolution that this one is the transpose of.

    Input i reaches output o by tap t where, in that convolution, output i reads input o by tap t.
    """
    (source,) = call.inputs
    kernel = np.moveaxis(weights_of(call.layer, "kernel"), -1, -2)
    taps = [
        (tap, position)
        for position in np.ndindex(source.shape[:-1])
        for tap, read in _receptive_field(
            call.layer,
            call.layer.kernel_size,
            as_tuple(call.layer.dilation_rate),
            call.output,
            source,
            position,
        )
        if read == place[:-1]
    ]
    # By position, so that of equal products the one at the lowest is the first.
    return _best_products(call, taps, kernel, place, 0, sign)


def extreme_along_axes(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """The largest, or least, along some axes; ties go to the first."""
    (source,) = call.inputs
    axis, ndim = call.arguments["axis"], source.ndim
    axes = {a % (ndim + 1) - 1 for a in ([axis] if isinstance(axis, int) else axis)}
    sizes = [n for i, n in enumerate(source.shape) if i not in axes]
    kept = iter(np.unravel_index(np.ravel_multi_index(place, call.output.shape), sizes))
    ranges = [range(n) if i in axes else [int(next(kept))] for i, n in enumerate(source.shape)]
    return _largest(-source if call.call.kind == "min" else source, list(product(*ranges)), sign)


def resized(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """A mean over positions of the channel: by what the output changes with each of them."""
    (source,) = call.inputs
    if getattr(call.layer, "interpolation", "") == "nearest":
        return moved(call, place, sign)
    positions = list(np.ndindex(source.shape[:-1]))
    if "weights" not in call.notes:
        pictures = np.zeros((len(positions), *source.shape[:-1], 1), np.float32)
        for i, position in enumerate(positions):
            pictures[(i, *position, 0)] = 1.0
        responses = call.call.run({call.call.inputs[0]: tf.constant(pictures)})[0]
        call.notes["weights"] = np.asarray(responses)
    weights = call.notes["weights"][(slice(None), *place[:-1], 0)]
    values = [
        np.float32(sign) * (source[position][place[-1]] * weight)
        for position, weight in zip(positions, weights, strict=True)
    ]
    places = [(*position, place[-1]) for position in positions]
    return best_children(call.paths, places, values, weights, sign, call.paths.top_n)


def bag(call: PlainCall, place: Place, sign: int) -> list[Child]:
    """Every position of a category counts the same."""
    (index,) = call.inputs
    places = [p for p in np.ndindex(index.shape) if index[p] == place[0]]
    counts = np.asarray(call.arguments["weights"], np.float32)[[place[0]] * len(places)]
    return best_children(
        call.paths, places, np.float32(sign) * counts, counts, sign, call.paths.top_n
    )
