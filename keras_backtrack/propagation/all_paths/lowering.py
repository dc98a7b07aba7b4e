"""Steps of all paths in machine code: from what a rule says to the kernel that spreads mass."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from ...rules.contributions import (
    Arrival,
    At,
    Branches,
    Contributions,
    Joined,
    Loop,
    Moves,
    Product,
    Relocation,
    Same,
    Sum,
    WindowMaximum,
    row_of,
)
from ...rules.linear import ConvolutionSum, DenseSum, DepthwiseSum
from ...rules.pooling import MeanSum
from ...rules.traced_call import TracedCall
from ...rules.windows import Slide
from ..backward import Taken
from ..kernels import parallel, products, spreading
from ..native import Constants, Native, geometry_of, if_any_turns, origin
from ..paths import Batch
from .maps import Maps

_EACH = Slide((1,), (1,), (1,), "valid")  # A window for each place, that sees it alone.


def lowered(kind: Contributions, call: TracedCall) -> Native | None:
    """The step through a call in machine code; None where there is no such way."""
    return row_of(_ROWS, kind)(kind, call)


def turned(kind: Contributions, flips: tf.Tensor) -> Contributions | None:
    """A sum whose units are asked the opposite where flips are -1, which spares turning maps round.

    None where a sum is of another kind, or flips are not one for each channel.
    """
    if isinstance(kind, (ConvolutionSum, DenseSum)):
        each = math.prod(kind.slide.size) if isinstance(kind, ConvolutionSum) else 1
        if flips.shape[0] == kind.weights.shape[0] // each:
            return replace(kind, weights=kind.weights * tf.repeat(flips, each)[:, None])
    if isinstance(kind, DepthwiseSum):
        filters = kind.weights.shape[-2:]
        if flips.shape[0] == filters.num_elements():
            return replace(kind, weights=kind.weights * tf.reshape(flips, filters))
    return None


def _same(kind: Same, call: TracedCall) -> Native:
    def take(maps: Maps, batch: Batch, constants: Constants) -> Taken:
        if constants and len(constants[0]):
            copies = maps.high.shape[1] // len(constants[0])
            maps = _turned(np.tile(constants[0], copies)[None] < 0, maps)
        return Taken(call.among_inputs([maps]))

    return Native([] if kind.flips is None else [if_any_turns(kind.flips)], [], take)


def _turned(turned: np.ndarray, maps: Maps) -> Maps:
    """The question turned round where `turned`, which is broadcast over rows."""
    high, low = maps.high, maps.full_low
    return Maps(np.where(turned, low, high), np.where(turned, high, low))


def _maximum(kind: WindowMaximum, call: TracedCall) -> Native:
    number, made = call.call.inputs[0], call.call.outputs[0]

    def take(maps: Maps, batch: Batch, constants: Constants) -> Taken:
        source = batch.arrays[number]
        geometry = geometry_of(kind.slide, source.shape[1:-1], batch.sizes[made][:-1])
        run = batch.image_index, _by_place(source), geometry
        return Taken(call.among_inputs([Maps(*(spreading.through_maximum(m, *run) for m in maps))]))

    return Native([], [number], take)


def _by_place(source: np.ndarray) -> np.ndarray:
    """Activations as (N, places, channels)."""
    return source.reshape(len(source), -1, source.shape[-1])


def _relocation(kind: Relocation, call: TracedCall) -> Native | None:
    if kind.came_from is None:
        return None

    def take(maps: Maps, batch: Batch, constants: Constants) -> Taken:
        sizes = [math.prod(batch.sizes[number]) for number in call.call.inputs]
        cuts = np.cumsum(sizes)[:-1]
        moved = [spreading.moved_back(mass, constants[0], sum(sizes)) for mass in maps]
        parts = zip(*(np.split(mass, cuts, axis=1) for mass, _ in moved), strict=True)
        ended = moved[0][1] + moved[1][1] if len(maps.low) else moved[0][1]
        return Taken([Maps(*map(np.ascontiguousarray, pair)) for pair in parts], ended)

    return Native([tf.cast(kind.came_from, tf.int32)], [], take)


def _joined(kind: Joined, call: TracedCall) -> Native | None:
    if kind.widths is None:
        return None
    cuts, whole = np.cumsum(kind.widths)[:-1], sum(kind.widths)

    def apart(mass: np.ndarray) -> list[np.ndarray]:
        rows = np.split(mass.reshape(-1, whole), cuts, axis=1)
        units = mass.shape[1] // whole
        own = [row.reshape(len(mass), units * row.shape[1]) for row in rows]
        return list(map(np.ascontiguousarray, own))

    def take(maps: Maps, batch: Batch, constants: Constants) -> Taken:
        return Taken([Maps(*pair) for pair in zip(*map(apart, maps), strict=True)])

    return Native([], [], take)


def _moves(kind: Moves, call: TracedCall) -> Native | None:
    if not kind.takes_arrays:
        return None

    def take(maps: Maps, batch: Batch, constants: Constants) -> Taken:
        explanations, units = maps.high.shape
        explanation = np.repeat(np.arange(explanations), units)
        unit = np.tile(np.arange(units), explanations)
        sign = np.ones(len(unit), np.float32)
        arrivals = kind.to(At(explanation, batch.image_index[explanation], unit, sign))
        parts: list[Maps | None] = []
        ended = maps.mass
        for number, arrival in zip(call.call.inputs, arrivals, strict=True):
            part = arrival and _arrived(arrival, maps, math.prod(batch.sizes[number]))
            parts.append(part)
            ended = ended - part.mass if part else ended
        return Taken(parts, np.maximum(ended, 0))

    return Native([], [], take)


def _arrived(arrival: Arrival, maps: Maps, size: int) -> Maps:
    """The mass of all units where they arrive in one input of so many units."""
    if arrival.flip is not None:
        maps = _turned(np.reshape(arrival.flip, maps.high.shape) < 0, maps)
    came_from = np.asarray(arrival.unit)
    if arrival.here is not None:
        came_from = np.where(arrival.here, came_from, -1)
    by_row = came_from.reshape(maps.high.shape).astype(np.int32)

    def put(mass: np.ndarray) -> np.ndarray:
        rows = [spreading.moved_back(mass[e : e + 1], by_row[e], size)[0] for e in range(len(mass))]
        return np.concatenate(rows) if rows else mass[:, :0].reshape(0, size)

    return Maps(put(maps.high), put(maps.low) if len(maps.low) else np.zeros((0, size), np.float32))


def _branches(kind: Branches, call: TracedCall) -> Native | None:
    if not kind.takes_arrays:
        return None

    def take(maps: Maps, batch: Batch, constants: Constants) -> Taken:
        made = batch.sizes[call.call.outputs[call.position]]
        values = [_values(batch, number, made) for number in call.call.inputs]
        ended = np.zeros(len(maps.high))

        def split(mass: np.ndarray, sign: float) -> list[np.ndarray]:
            """What one map gives to each input."""
            nonlocal ended
            parts = (kind.shares or kind.parts)(np.float32(sign), values)
            parts = [np.maximum(part, np.float32(0)) for part in parts]
            total = sum(parts[1:], parts[0])
            share = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
            is_nobodys = (total <= 0) & (mass != 0)
            if is_nobodys.any() or not np.isfinite(total).all():
                lost = np.where(is_nobodys, mass, 0) + np.where(total < np.inf, 0, np.nan)
                ended = ended + lost.sum(axis=1, dtype=np.float64)
            return [part * share for part in parts]

        highs = split(maps.high, 1.0)
        lows = [maps.low] * len(values)
        if kind.flips is not None:
            lows = split(maps.full_low, -1.0)
            pairs = zip(kind.flips(values), highs, lows, strict=True)
            found = [_turned(np.asarray(flip) < 0, Maps(*pair)) for flip, *pair in pairs]
        else:
            lows = split(maps.low, -1.0) if len(maps.low) else lows
            found = [Maps(*pair) for pair in zip(highs, lows, strict=True)]
        sizes = [batch.sizes[number] for number in call.call.inputs]
        parts = [
            Maps(*(_unbroadcast(mass, made, size) for mass in own))
            for own, size in zip(found, sizes, strict=True)
        ]
        return Taken(call.into_followed(parts), ended)

    return Native([], call.call.inputs, take)


def _values(batch: Batch, number: int, made: tuple[int, ...]) -> np.ndarray:
    """A branch's values as (E, units of the output)."""
    own = batch.arrays[number]
    if not parallel.is_in_order(batch.image_index, len(own)):
        # What has one row for all images is the same for each.
        own = own[np.minimum(batch.image_index, len(own) - 1)]
    if own.shape[1:] != made:
        own = np.broadcast_to(
            own.reshape(len(own), *(1,) * (len(made) - own.ndim + 1), *own.shape[1:]),
            (len(own), *made),
        )
    return own.reshape(len(own), -1)


def _unbroadcast(mass: np.ndarray, made: tuple[int, ...], read: tuple[int, ...]) -> np.ndarray:
    """Adds the mass up that broadcasting has spread."""
    wanted = (1,) * (len(made) - len(read)) + tuple(read)
    if wanted == tuple(made):
        return mass
    spread = tuple(axis for axis, want in enumerate(wanted, 1) if want == 1)
    return mass.reshape(-1, *made).sum(axis=spread).reshape(len(mass), math.prod(read))


# Takes the sum, maps, image indices, what the layer read, whether any of that is below 0, the
# weights and the sizes of the output; returns the mass at the input and what ended.
_Kernel = Callable[..., tuple[np.ndarray, np.ndarray]]


def _sum(
    kernel: _Kernel, weights: Callable[[Any], tf.Tensor] | None, kind: Sum, call: TracedCall
) -> Native | None:
    if len(call.followed_inputs) != 1 or origin(kind.source) is not origin(call.input):
        return None
    number = call.call.inputs[call.followed.index(True)]
    constants = [] if weights is None else [weights(kind)]
    made = call.call.outputs[call.position]

    def take(maps: Maps, batch: Batch, arrays: Constants) -> Taken:
        source, rows = batch.arrays[number], batch.image_index
        is_signed = bool(source.min(initial=0) < 0)
        weighs = None if weights is None else arrays[0]
        mass, ended = kernel(kind, maps, rows, source, is_signed, weighs, batch.sizes[made])
        part = Maps(mass, mass[:0])
        if is_signed:
            part = Maps(*spreading.by_sign(mass, rows, source.reshape(len(source), -1)))
        return Taken(call.among_inputs([part]), ended)

    return Native(constants, [number], take)


def _dense(layer, maps, rows, source, is_signed, weights, made):
    if weights.ndim == 2:
        return spreading.through_units(
            maps.high, maps.low, rows, source.reshape(len(source), -1), weights
        )
    flat = _by_place(source)
    places = flat.shape[1:2]
    geometry = geometry_of(_EACH, places, places)
    return products.through_windows(maps.high, maps.low, rows, flat, weights, geometry, is_signed)


def _convolution(layer, maps, rows, source, is_signed, weights, made):
    geometry = geometry_of(layer.slide, source.shape[1:-1], made[:-1])
    return products.through_windows(
        maps.high, maps.low, rows, _by_place(source), weights, geometry, is_signed
    )


def _channels(layer, maps, rows, source, is_signed, weights, made):
    geometry = geometry_of(layer.slide, source.shape[1:-1], made[:-1])
    if weights is None:
        weights = _ones(len(geometry.offsets), source.shape[-1])
    return spreading.through_channels(
        maps.high, maps.low, rows, _by_place(source), weights, geometry
    )


@cache
def _ones(*shape: int) -> np.ndarray:
    """Equal weights, read-only as all others are: kernels are compiled for either."""
    ones = np.ones(shape, np.float32)
    ones.flags.writeable = False
    return ones


def _of_units(layer: DenseSum) -> tf.Tensor:
    """By unit where there is one row for an image; else as those of a window."""
    if layer.source.shape[1:-1].num_elements() == 1:
        return layer.weights
    return _split(tf.transpose(layer.weights)[None])


def _of_windows(layer: ConvolutionSum) -> tf.Tensor:
    groups = layer.slide.groups
    filters, width = layer.weights.shape
    filters //= math.prod(layer.slide.size)
    by_group = tf.reshape(layer.weights, [groups, filters // groups, -1, width])
    by_product = tf.reshape(tf.transpose(by_group, [0, 2, 3, 1]), [groups, -1, filters // groups])
    return _split(by_product)


def _split(weights: tf.Tensor) -> tf.Tensor:
    """(groups, products, filters): what is above 0, and behind it what is below."""
    return tf.concat([tf.nn.relu(weights), tf.nn.relu(-weights)], axis=1)


def _by_tap(layer: DepthwiseSum) -> tf.Tensor:
    return tf.reshape(layer.weights, [-1, layer.weights.shape[-2] * layer.weights.shape[-1]])


def _in_tensorflow(kind: Contributions, call: TracedCall) -> None:
    """There is no machine code for this kind."""


_ROWS: dict[type, Callable[[Any, TracedCall], Native | None]] = {
    Same: _same,
    WindowMaximum: _maximum,
    Relocation: _relocation,
    Joined: _joined,
    Moves: _moves,
    Branches: _branches,
    DenseSum: lambda kind, call: _sum(_dense, _of_units, kind, call),
    ConvolutionSum: lambda kind, call: _sum(_convolution, _of_windows, kind, call),
    DepthwiseSum: lambda kind, call: _sum(_channels, _by_tap, kind, call),
    MeanSum: lambda kind, call: _sum(_channels, None, kind, call),
    Sum: _in_tensorflow,
    Product: _in_tensorflow,
    Loop: _in_tensorflow,
}
