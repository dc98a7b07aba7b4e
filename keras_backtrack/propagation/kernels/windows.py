"""Algorithms 2 and 3: what is summed, or chosen from, in sliding windows of any rank."""

from typing import NamedTuple

import numpy as np

from .choosing import choose, share
from .compiled import compiled, in_parts
from .nodes import NodeArrays

_NARROW = 8  # channels, below which it does not pay to add them up together
_FETCH = 400  # products that take as long as it takes memory to answer


class Geometry(NamedTuple):
    """Which inputs each window reads.

    Attributes:
        read: (axes,) int64, spatial sizes of the input.
        made: (axes,) int64, spatial sizes of the output.
        strides: (axes,) int64.
        offsets: (taps, axes) int64, where the taps lie from the start of a window, which is at
            the output's place times the strides; in row-major order.
        transposed: Whether the window of output o has input i at tap t where the window of an
            ordinary layer's output i would have its input o.
    """

    read: np.ndarray
    made: np.ndarray
    strides: np.ndarray
    offsets: np.ndarray
    transposed: bool


@compiled
def _places(geometry):
    """How many windows there are."""
    places = np.int64(1)
    for axis in range(geometry.made.size):
        places *= geometry.made[axis]
    return places


@compiled
def _deltas(geometry):
    """(taps,) int64: how far from a window's start, in row-major places, the taps lie."""
    taps, axes = geometry.offsets.shape
    deltas = np.zeros(taps, np.int64)
    for axis in range(axes):
        deltas *= geometry.read[axis]
        deltas += geometry.offsets[:, axis]
    return deltas


@compiled
def _look(position, geometry, deltas, rows):
    """Fills in the row-major place of each tap's input, -1 for padding."""
    taps, axes = geometry.offsets.shape
    start, stride, is_inside = np.int64(0), np.int64(1), not geometry.transposed
    left = position
    for axis in range(axes - 1, -1, -1):
        place, extent = left % geometry.made[axis] * geometry.strides[axis], geometry.read[axis]
        left //= geometry.made[axis]
        first, last = geometry.offsets[0, axis], geometry.offsets[taps - 1, axis]
        is_inside = is_inside and place + first >= 0 and place + last < extent
        start += place * stride
        stride *= extent
    if is_inside:
        for tap in range(taps):
            rows[tap] = start + deltas[tap]
    else:
        _look_at_edge(position, geometry, rows)


@compiled
def _look_at_edge(position, geometry, rows):
    taps, axes = geometry.offsets.shape
    rows[:] = 0
    stride = 1
    for axis in range(axes - 1, -1, -1):
        along = position % geometry.made[axis]
        position //= geometry.made[axis]
        step, extent = geometry.strides[axis], geometry.read[axis]
        for tap in range(taps):
            if rows[tap] < 0:
                continue
            if geometry.transposed:
                place = along - geometry.offsets[tap, axis]
                place = place // step if place % step == 0 else -1
            else:
                place = along * step + geometry.offsets[tap, axis]
            rows[tap] = rows[tap] + place * stride if 0 <= place < extent else -1
        stride *= extent


def convolution(
    nodes: NodeArrays,
    image_index: np.ndarray,
    source: np.ndarray,
    weight_rows: np.ndarray,
    bias: np.ndarray | None,
    geometry: Geometry,
    channels: int | None,
    positions: int | None,
) -> tuple[NodeArrays, np.ndarray]:
    """The best channels of some units' windows, and in each the best positions.

    Args:
        nodes: M nodes at the output.
        image_index: (E,) int64, which row of the batch each explanation is about.
        source: (N, inputs, channels) float32, what the layer read.
        weight_rows: (filters · taps, C) float32; C is less than all channels where the convolution
            is grouped.
        bias: (filters,) float32 that counts with every product, or None.
        geometry: The windows.
        channels, positions: How many are chosen; None for all.

    Returns:
        As `dense`.
    """
    taps, width = len(geometry.offsets), weight_rows.shape[1]
    channels = width if channels is None else min(channels, width)
    positions = taps if positions is None else min(positions, taps)
    bias = np.zeros(0, np.float32) if bias is None else bias

    def part(first: int, last: int) -> tuple[np.ndarray, ...]:
        own = (field[first:last] for field in nodes)
        return _convolution(
            *own, image_index, source, weight_rows, bias, geometry, channels, positions
        )

    *fields, ended = in_parts(part, len(nodes.index), taps * (_FETCH + width), channels * positions)
    return NodeArrays(*fields), ended


@compiled
def _add_up(inputs, weight_rows, rows, own, first, total):
    """Adds the products of each channel up, tap after tap.

    Args:
        inputs: (places, channels) float32.
        weight_rows: (filters · taps, C) float32.
        rows: (taps,) int64, where each tap's inputs are, -1 for padding.
        own: Which row of the weights is the first tap's.
        first: The first channel.
        total: (C,) float32, to be filled.

    Returns:
        How many taps are no padding.
    """
    width, inside = total.size, 0
    if width < _NARROW:
        for c in range(width):
            total[c] = 0
            for tap in range(rows.size):
                if rows[tap] >= 0:
                    total[c] += inputs[rows[tap], first + c] * weight_rows[own + tap, c]
        for row in rows:
            inside += row >= 0
        return inside
    for tap in range(rows.size):
        if rows[tap] < 0:
            continue
        read, weights = inputs[rows[tap], first : first + width], weight_rows[own + tap]
        if inside == 0:
            for c in range(width):
                total[c] = read[c] * weights[c]
        else:
            for c in range(width):
                total[c] += read[c] * weights[c]
        inside += 1
    if inside == 0:
        total[:] = 0
    return inside


@compiled
def _convolution(
    index, sign, mass, image_index, source, weight_rows, bias, geometry, channels, positions
):
    taps, width = geometry.offsets.shape[0], weight_rows.shape[1]
    filters, size = weight_rows.shape[0] // taps, source.shape[1] * source.shape[2]
    each, places = filters // (source.shape[2] // width), _places(geometry)
    nodes, most = index.size, channels * positions
    below = np.empty(nodes * most, np.int64)
    asked = np.empty(nodes * most, np.float32)
    given = np.empty(nodes * most, np.float32)
    ended = np.zeros(nodes, np.float32)
    rows, total = np.empty(taps, np.int64), np.empty(width, np.float32)
    inside = np.empty(taps, np.float32)
    best, kept = np.empty(channels, np.int64), np.empty(channels, np.float32)
    best_taps, kept_taps = np.empty(positions, np.int64), np.empty(positions, np.float32)
    deltas, found = _deltas(geometry), 0
    explanation, seen = np.int64(0), np.int64(-1)
    for m in range(nodes):
        # The window, all explanations' one behind another.
        window, own = index[m] // filters, index[m] % filters
        if window != seen:
            explanation, seen = window // places, window
            _look(window % places, geometry, deltas, rows)
        first = own // each * width
        inputs = source[image_index[explanation]]
        added = np.float32(bias[own] * sign[m]) if bias.size else np.float32(0)
        count_inside = _add_up(inputs, weight_rows, rows, own * taps, first, total)
        if sign[m] < 0:
            for c in range(width):
                total[c] = -total[c]
        if bias.size:
            total += added * np.float32(count_inside)
        count = choose(total, channels, best, kept)
        if count == 0:
            ended[m] = mass[m]
        share(mass[m], kept, count)
        for k in range(count):
            channel = best[k]
            for tap in range(taps):
                inside[tap] = 0
                if rows[tap] >= 0:
                    product = inputs[rows[tap], first + channel]
                    product *= weight_rows[own * taps + tap, channel]
                    inside[tap] = product * sign[m] + added
            count_taps = choose(inside, positions, best_taps, kept_taps)
            if count_taps == 0:
                ended[m] += kept[k]
            share(kept[k], kept_taps, count_taps)
            for t in range(count_taps):
                tap = best_taps[t]
                place = rows[tap] * source.shape[2] + first + channel
                below[found] = explanation * size + place
                negative = weight_rows[own * taps + tap, channel] < 0
                asked[found] = -sign[m] if negative else sign[m]
                given[found] = kept_taps[t]
                found += 1
    return below[:found].copy(), asked[:found].copy(), given[:found].copy(), ended


def along_windows(
    nodes: NodeArrays,
    image_index: np.ndarray,
    source: np.ndarray,
    weights: np.ndarray | None,
    bias: np.ndarray | None,
    geometry: Geometry,
    limit: int | None,
) -> tuple[NodeArrays, np.ndarray]:
    """The best positions in windows that have one channel: depthwise convolution, average pooling.

    Args:
        nodes, image_index, source, bias, geometry: As for `convolution`.
        weights: (taps, filters) float32, filters in the order of channels; None for equal ones.
        limit: How many positions are chosen; None for all.

    Returns:
        As `dense`.
    """
    taps = len(geometry.offsets)
    limit = taps if limit is None else min(limit, taps)
    bias = np.zeros(0, np.float32) if bias is None else bias
    weights = np.zeros((0, source.shape[2]), np.float32) if weights is None else weights

    def part(first: int, last: int) -> tuple[np.ndarray, ...]:
        own = (field[first:last] for field in nodes)
        return _along_windows(*own, image_index, source, weights, bias, geometry, limit)

    *fields, ended = in_parts(part, len(nodes.index), taps * _FETCH, limit)
    return NodeArrays(*fields), ended


@compiled
def _along_windows(index, sign, mass, image_index, source, weights, bias, geometry, limit):
    taps, filters, width = geometry.offsets.shape[0], weights.shape[1], source.shape[2]
    nodes, size, places = index.size, source.shape[1] * width, _places(geometry)
    below = np.empty(nodes * limit, np.int64)
    asked = np.empty(nodes * limit, np.float32)
    given = np.empty(nodes * limit, np.float32)
    ended = np.zeros(nodes, np.float32)
    rows, values = np.empty(taps, np.int64), np.empty(taps, np.float32)
    best, kept = np.empty(limit, np.int64), np.empty(limit, np.float32)
    deltas, found = _deltas(geometry), 0
    explanation, seen = np.int64(0), np.int64(-1)
    for m in range(nodes):
        window, own = index[m] // filters, index[m] % filters
        if window != seen:
            explanation, seen = window // places, window
            _look(window % places, geometry, deltas, rows)
        channel, inputs = own // (filters // width), source[image_index[explanation]]
        for tap in range(taps):
            values[tap] = 0
            if rows[tap] >= 0:
                value = inputs[rows[tap], channel]
                if weights.shape[0]:
                    value *= weights[tap, own]
                values[tap] = value * sign[m]
                if bias.size:
                    values[tap] += bias[own] * sign[m]
        count = choose(values, limit, best, kept)
        if count == 0:
            ended[m] = mass[m]
        share(mass[m], kept, count)
        for k in range(count):
            below[found] = explanation * size + rows[best[k]] * width + channel
            negative = weights.shape[0] and weights[best[k], own] < 0
            asked[found] = -sign[m] if negative else sign[m]
            given[found] = kept[k]
            found += 1
    return below[:found].copy(), asked[:found].copy(), given[:found].copy(), ended


def window_maximum(
    index: np.ndarray, image_index: np.ndarray, source: np.ndarray, geometry: Geometry
) -> np.ndarray:
    """Algorithm 3: the unit each node's window got its largest value from, the first of equals.

    Args:
        index: (M,) int64, of the nodes.
        image_index, source, geometry: As for `convolution`.

    Returns:
        (M,) int64, the nodes' index at the input.
    """

    def part(first: int, last: int) -> tuple[np.ndarray]:
        return (_window_maximum(index[first:last], image_index, source, geometry),)

    return in_parts(part, len(index), len(geometry.offsets) * _FETCH, 1)[0]


@compiled
def _window_maximum(index, image_index, source, geometry):
    taps, width, size = geometry.offsets.shape[0], source.shape[2], source[0].size
    rows, below, places = np.empty(taps, np.int64), np.empty_like(index), _places(geometry)
    deltas, explanation, seen = _deltas(geometry), np.int64(0), np.int64(-1)
    for m in range(index.size):
        window, channel = index[m] // width, index[m] % width
        if window != seen:
            explanation, seen = window // places, window
            _look(window % places, geometry, deltas, rows)
        inputs = source[image_index[explanation]]
        winner, largest = -1, np.float32(0)
        for tap in range(taps):
            if rows[tap] >= 0:
                value = inputs[rows[tap], channel]
                if winner < 0 or value > largest:
                    winner, largest = rows[tap], value
        below[m] = explanation * size + winner * width + channel
    return below
