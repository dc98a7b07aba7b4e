"""Steps in machine code: from what a rule says to the kernel that does it."""

import math
from collections.abc import Callable, Sequence
from functools import partial
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
from .. import kernels
from ..backward import Taken
from ..kernels import NodeArrays
from ..limits import Limits
from ..native import Constants, Native, geometry_of, if_any_turns, origin
from ..paths import Batch


def lowered(kind: Contributions, call: TracedCall, limits: Limits) -> Native | None:
    """The step through a call in machine code; None where there is no such way."""
    return row_of(_ROWS, kind)(kind, call, limits)


def _same(kind: Same, call: TracedCall, limits: Limits) -> Native:
    def take(nodes: NodeArrays, batch: Batch, constants: Constants) -> Taken:
        if constants and len(constants[0]):
            flips = constants[0]
            nodes = nodes._replace(sign=nodes.sign * flips[nodes.index % flips.size])
        return Taken(call.among_inputs([nodes]), stays=True)

    return Native([] if kind.flips is None else [if_any_turns(kind.flips)], [], take)


def _maximum(kind: WindowMaximum, call: TracedCall, limits: Limits) -> Native:
    number, made = call.call.inputs[0], call.call.outputs[0]

    def take(nodes: NodeArrays, batch: Batch, constants: Constants) -> Taken:
        source = batch.arrays[number]
        geometry = geometry_of(kind.slide, source.shape[1:-1], batch.sizes[made][:-1])
        flat = source.reshape(len(source), -1, source.shape[-1])
        index = kernels.window_maximum(nodes.index, batch.image_index, flat, geometry)
        return Taken(call.among_inputs([nodes._replace(index=index)]))

    return Native([], [number], take)


def _relocation(kind: Relocation, call: TracedCall, limits: Limits) -> Native | None:
    if kind.came_from is None:
        return None

    def take(nodes: NodeArrays, batch: Batch, constants: Constants) -> Taken:
        unit = constants[0][_located(call, nodes, batch).unit].astype(np.int64)
        arrivals: list[Arrival | None] = []
        first = 0
        for number in call.call.inputs:
            size = math.prod(batch.sizes[number])
            arrivals.append(Arrival(unit - first, here=(unit >= first) & (unit < first + size)))
            first += size
        return _arrived(call, nodes, arrivals, batch)

    return Native([tf.cast(kind.came_from, tf.int32)], [], take)


def _joined(kind: Joined, call: TracedCall, limits: Limits) -> Native | None:
    if kind.widths is None:
        return None
    widths = np.array(kind.widths)
    return Native([], [], lambda nodes, batch, constants: Taken(nodes.apart(widths)))


def _moves(kind: Moves, call: TracedCall, limits: Limits) -> Native | None:
    if not kind.takes_arrays:
        return None

    def take(nodes: NodeArrays, batch: Batch, constants: Constants) -> Taken:
        return _arrived(call, nodes, kind.to(_located(call, nodes, batch)), batch)

    return Native([], [], take)


def _arrived(
    call: TracedCall, nodes: NodeArrays, arrivals: Sequence[Arrival | None], batch: Batch
) -> Taken:
    """Each node where it arrives, and the mass of those that arrive nowhere."""
    size = _made(call, batch)
    parts: list[NodeArrays | None] = []
    somewhere = np.zeros(len(nodes.index), bool)
    for number, arrival in zip(call.call.inputs, arrivals, strict=True):
        if arrival is None:
            parts.append(None)
            continue
        parts.append(nodes.arriving(size, arrival, math.prod(batch.sizes[number])))
        somewhere |= True if arrival.here is None else arrival.here
    if somewhere.all():
        return Taken(parts)
    lost = np.where(somewhere, np.float32(0), nodes.mass)
    return Taken(parts, _per_explanation(nodes, size, lost, batch))


def _branches(kind: Branches, call: TracedCall, limits: Limits) -> Native | None:
    """As Viterbi does at a join: the best branch takes it all, even if it contributes nothing."""
    if not kind.takes_arrays:
        return None

    def take(nodes: NodeArrays, batch: Batch, constants: Constants) -> Taken:
        made = batch.sizes[call.call.outputs[call.position]]
        indices, values = [], []
        for number in call.call.inputs:
            read, flat = batch.sizes[number], batch.arrays[number].reshape(-1)
            index = nodes.index if read == made else kernels.unbroadcast(nodes.index, made, read)
            indices.append(index)
            values.append(kernels.values_at(index, batch.image_index, math.prod(read), flat))
        parts = [np.asarray(part) for part in kind.parts(nodes.sign, values)]
        best = np.argmax(np.stack(parts), axis=0) if len(parts) > 2 else parts[-1] > parts[0]
        mass = np.where(np.max(parts, axis=0) < np.inf, nodes.mass, np.float32(np.nan))
        flips = kind.flips(values) if kind.flips else [1] * len(parts)
        found = [
            NodeArrays(index, nodes.sign * flip, mass).where(best == branch)
            for branch, (index, flip) in enumerate(zip(indices, flips, strict=True))
        ]
        return Taken(found)

    return Native([], call.call.inputs, take)


def _in_tensorflow(kind: Contributions, call: TracedCall, limits: Limits) -> None:
    """There is no machine code for this kind."""


def _located(call: TracedCall, nodes: NodeArrays, batch: Batch) -> At:
    explanation, unit = np.divmod(nodes.index, _made(call, batch))
    return At(explanation, batch.image_index[explanation], unit, nodes.sign)


def _made(call: TracedCall, batch: Batch) -> int:
    """Units in one row of the output that the nodes are at."""
    return math.prod(batch.sizes[call.call.outputs[call.position]])


def _per_explanation(nodes: NodeArrays, size: int, mass: np.ndarray, batch: Batch) -> np.ndarray:
    return kernels.per_explanation(nodes.index, size, mass, len(batch.image_index))


# Takes the sum, limits, nodes, image indices, what the layer read, its weights, its bias and the
# sizes of its output; returns the nodes at the input and the (M,) mass that ended.
_Kernel = Callable[..., tuple[NodeArrays, np.ndarray]]


def _sum(
    kernel: _Kernel,
    weights: Callable[[Any], tf.Tensor] | None,
    kind: Sum,
    call: TracedCall,
    limits: Limits,
) -> Native | None:
    if len(call.followed_inputs) != 1 or origin(kind.source) is not origin(call.input):
        return None
    number = call.call.inputs[call.followed.index(True)]
    is_biased = limits.include_bias and kind.bias is not None
    constants = [] if weights is None else [weights(kind)]
    constants += [kind.bias] if is_biased else []
    made = call.call.outputs[call.position]

    def take(nodes: NodeArrays, batch: Batch, arrays: Constants) -> Taken:
        weighs = None if weights is None else arrays[0]
        bias = arrays[-1] if is_biased else None
        sizes, run = batch.sizes[made], (batch.image_index, batch.arrays[number])
        part, ended = kernel(kind, limits, nodes, *run, weighs, bias, sizes)
        lost = _per_explanation(nodes, math.prod(sizes), ended, batch)
        return Taken(call.among_inputs([part]), lost)

    return Native(constants, [number], take)


def _dense(layer, limits, nodes, image_index, source, weights, bias, made):
    rows = source.reshape(-1, weights.shape[1])
    positions = len(rows) // len(source)
    return kernels.dense(nodes, image_index, rows, weights, bias, positions, limits.top_n)


def _convolution(layer, limits, nodes, image_index, source, weights, bias, made):
    flat = source.reshape(len(source), -1, source.shape[-1])
    geometry = geometry_of(layer.slide, source.shape[1:-1], made[:-1])
    counts = limits.channels, limits.positions
    return kernels.convolution(nodes, image_index, flat, weights, bias, geometry, *counts)


def _along_windows(limit, layer, limits, nodes, image_index, source, weights, bias, made):
    flat = source.reshape(len(source), -1, source.shape[-1])
    geometry = geometry_of(layer.slide, source.shape[1:-1], made[:-1])
    count = getattr(limits, limit)
    return kernels.along_windows(nodes, image_index, flat, weights, bias, geometry, count)


def _by_tap(layer: DepthwiseSum) -> tf.Tensor:
    return tf.reshape(layer.weights, [-1, layer.weights.shape[-2] * layer.weights.shape[-1]])


_ROWS: dict[type, Callable[[Any, TracedCall, Limits], Native | None]] = {
    Same: _same,
    WindowMaximum: _maximum,
    Relocation: _relocation,
    Joined: _joined,
    Moves: _moves,
    Branches: _branches,
    DenseSum: partial(_sum, _dense, lambda layer: layer.weights),
    ConvolutionSum: partial(_sum, _convolution, lambda layer: layer.weights),
    DepthwiseSum: partial(_sum, partial(_along_windows, "positions"), _by_tap),
    MeanSum: partial(_sum, partial(_along_windows, "top_n"), None),
    Sum: _in_tensorflow,
    Product: _in_tensorflow,
    Loop: _in_tensorflow,
}
