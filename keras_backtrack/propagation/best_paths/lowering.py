"""Steps in machine code: from what a rule says to the kernel that does it."""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ...rules.contributions import (
    Arrival,
    At,
    Branches,
    Contributions,
    Joined,
    Moves,
    Relocation,
    Same,
    Sum,
)
from ...rules.linear import ConvolutionSum, DenseSum, DepthwiseSum, TransposedSum
from ...rules.pooling import MeanSum, WindowMaximum
from ...rules.traced_call import TracedCall
from ...rules.windows import Slide
from .. import kernels
from ..kernels import Geometry, NodeArrays, Places, locate
from ..limits import Limits


class State(NamedTuple):
    """One run of the network, as its walk sees it.

    Attributes:
        arrays: Activations by tensor number, float32.
        tensors: The same as they are.
        sizes: By tensor number, the sizes of its axes after the batch axis.
        owner: (E,) int64, which row of the batch each explanation is about.
        owner_tensor: The same as a tensor.
        constants: As from `Plan.constants`.
    """

    arrays: dict[int, np.ndarray]
    tensors: dict[int, tf.Tensor]
    sizes: dict[int, tuple[int, ...]]
    owner: np.ndarray
    owner_tensor: tf.Tensor
    constants: list[np.ndarray]


class Native(NamedTuple):
    """A step in machine code.

    Attributes:
        constants: What it reads besides activations.
        reads: Numbers of the tensors whose activations it reads.
        take: As `Step.take`, given the constants as arrays, too.
        stays: As `Step.stays`.
    """

    constants: Sequence[tf.Tensor]
    reads: Sequence[int]
    take: Callable[[NodeArrays, State, Sequence[np.ndarray]], tuple]
    stays: bool = False


def native(contributions: Contributions, call: TracedCall, limits: Limits) -> Native | None:
    """The step through a call in machine code; None where there is no such way."""
    if isinstance(contributions, Same):
        flips = [] if contributions.flips is None else [_if_any_turns(contributions.flips)]
        return Native(flips, [], partial(_same, call), True)
    if isinstance(contributions, Sum):
        return _sum(contributions, call, limits)
    if isinstance(contributions, WindowMaximum):
        reads = [call.call.inputs[0]]
        return Native([], reads, partial(_maximum, call, contributions.slide))
    if isinstance(contributions, Relocation) and contributions.came_from is not None:
        came_from = tf.cast(contributions.came_from, tf.int32)
        return Native([came_from], [], partial(_relocated, call))
    if isinstance(contributions, Joined) and contributions.widths is not None:
        return Native([], [], partial(_joined, call, np.array(contributions.widths)))
    if isinstance(contributions, Moves) and contributions.takes_arrays:
        return Native([], [], partial(_moved, call, contributions))
    if isinstance(contributions, Branches) and contributions.takes_arrays:
        return Native([], call.call.inputs, partial(_best_branch, call, contributions))
    return None


def _if_any_turns(flips: tf.Tensor) -> tf.Tensor:
    """The flips; none where all are +1, as of most normalisations."""
    return flips[: tf.where(tf.reduce_any(flips < 0), tf.size(flips), 0)]


def _same(call: TracedCall, nodes: NodeArrays, state: State, constants: Sequence) -> tuple:
    flips = constants[0] if constants else ()
    if len(flips):
        nodes = nodes._replace(sign=nodes.sign * flips[nodes.index % flips.size])
    return call.among_inputs([nodes]), None


def _maximum(
    call: TracedCall, slide: Slide | None, nodes: NodeArrays, state: State, constants: Sequence
) -> tuple:
    source, made = state.arrays[call.call.inputs[0]], call.call.outputs[0]
    geometry = _geometry(slide, source.shape[1:-1], state.sizes[made][:-1])
    flat = source.reshape(len(source), -1, source.shape[-1])
    index = kernels.window_maximum(nodes.index, state.owner, flat, geometry)
    return call.among_inputs([nodes._replace(index=index)]), None


def _relocated(
    call: TracedCall, nodes: NodeArrays, state: State, constants: Sequence[np.ndarray]
) -> tuple:
    at = _located(call, nodes, state)
    unit = constants[0][at.unit].astype(np.int64)
    arrivals, first = [], 0
    for number in call.call.inputs:
        size = math.prod(state.sizes[number])
        arrivals.append(Arrival(unit - first, here=(unit >= first) & (unit < first + size)))
        first += size
    return _arrived(call, nodes, arrivals, state)


def _moved(
    call: TracedCall, moves: Moves, nodes: NodeArrays, state: State, constants: Sequence
) -> tuple:
    at = _located(call, nodes, state)
    return _arrived(call, nodes, moves.to(At(*at[:4])), state)


def _arrived(
    call: TracedCall, nodes: NodeArrays, arrivals: Sequence[Arrival | None], state: State
) -> tuple:
    """Each node where it arrives, and the mass of those that arrive nowhere."""
    size = _made(call, state)
    parts, somewhere = [], np.zeros(len(nodes.index), bool)
    for number, arrival in zip(call.call.inputs, arrivals, strict=True):
        if arrival is None:
            parts.append(None)
            continue
        parts.append(nodes.arriving(size, arrival, math.prod(state.sizes[number])))
        somewhere |= True if arrival.here is None else arrival.here
    if somewhere.all():
        return parts, None
    lost = np.where(somewhere, np.float32(0), nodes.mass)
    return parts, kernels.per_explanation(nodes.index, size, lost, len(state.owner))


def _best_branch(
    call: TracedCall, branches: Branches, nodes: NodeArrays, state: State, constants: Sequence
) -> tuple:
    """As Viterbi does at a join: the best branch takes it all, even if it contributes nothing."""
    made = state.sizes[call.call.outputs[call.position]]
    indices, values = [], []
    for number in call.call.inputs:
        read, flat = state.sizes[number], state.arrays[number].reshape(-1)
        indices.append(
            nodes.index if read == made else kernels.unbroadcast(nodes.index, made, read)
        )
        # What has one row for all images, such as a mask, is the same for each.
        owner = state.owner if len(state.arrays[number]) > 1 else np.zeros_like(state.owner)
        values.append(kernels.values_at(indices[-1], owner, math.prod(read), flat))
    parts = [np.asarray(part) for part in branches.parts(nodes.sign, values)]
    best = np.argmax(np.stack(parts), axis=0) if len(parts) > 2 else parts[-1] > parts[0]
    flips = branches.flips(values) if branches.flips else [1] * len(parts)
    arriving = zip(call.followed, indices, flips, strict=True)
    return [
        NodeArrays(index, nodes.sign * flip, nodes.mass).where(best == branch) if follow else None
        for branch, (follow, index, flip) in enumerate(arriving)
    ], None


def _joined(
    call: TracedCall, widths: np.ndarray, nodes: NodeArrays, state: State, constants: Sequence
) -> tuple:
    return nodes.apart(widths), None


def _located(call: TracedCall, nodes: NodeArrays, state: State) -> Places:
    return locate(nodes, _made(call, state), state.owner)


def _made(call: TracedCall, state: State) -> int:
    """Units in one row of the output that the nodes are at."""
    return math.prod(state.sizes[call.call.outputs[call.position]])


def _sum(layer: Sum, call: TracedCall, limits: Limits) -> Native | None:
    kernel = _KERNELS.get(type(layer))
    if kernel is None or len(call.followed_inputs) != 1:
        return None
    followed = call.followed.index(True)
    if _origin(layer.source) is not call.inputs[followed]:
        return None
    number = call.call.inputs[followed]
    biased = limits.include_bias and layer.bias is not None
    constants = [*kernel.weights(layer), *([layer.bias] if biased else [])]
    made = call.call.outputs[call.position]

    def take(nodes: NodeArrays, state: State, constants: Sequence[np.ndarray]) -> tuple:
        weights = constants[0] if kernel.weighs else None
        bias = constants[-1] if biased else None
        places = nodes, state.owner, state.arrays[number]
        part, ended = kernel.take(layer, limits, *places, weights, bias, state.sizes[made])
        size, explanations = math.prod(state.sizes[made]), len(state.owner)
        lost = kernels.per_explanation(nodes.index, size, ended, explanations)
        return call.among_inputs([part]), lost

    return Native(constants, [number], take)


def _origin(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor itself, or the one that it has been reshaped or cast from."""
    while tensor.op.type in ("Cast", "Reshape"):
        tensor = tensor.op.inputs[0]
    return tensor


class _Kernel(NamedTuple):
    """What takes the step through one kind of sum.

    Attributes:
        weights: The sum's weights as the kernel wants them: one tensor or none.
        take: The kernel's call.
    """

    weights: Callable[[Any], list[tf.Tensor]]
    take: Callable[..., tuple[NodeArrays, np.ndarray]]
    weighs: bool = True


_Taken = tuple[NodeArrays, np.ndarray]


def _dense(layer, limits, nodes, owner, source, weights, bias, made) -> _Taken:
    rows = source.reshape(-1, weights.shape[1])
    return kernels.dense(nodes, owner, rows, weights, bias, len(rows) // len(source), limits.top_n)


def _convolution(layer, limits, nodes, owner, source, weights, bias, made) -> _Taken:
    geometry = _geometry(layer.slide, source.shape[1:-1], made[:-1])
    flat = source.reshape(len(source), -1, source.shape[-1])
    counts = limits.channels, limits.positions
    return kernels.convolution(nodes, owner, flat, weights, bias, geometry, *counts)


def _along_windows(limit: str, layer, limits, nodes, owner, source, weights, bias, made) -> _Taken:
    geometry = _geometry(layer.slide, source.shape[1:-1], made[:-1])
    flat = source.reshape(len(source), -1, source.shape[-1])
    count = getattr(limits, limit)
    return kernels.along_windows(nodes, owner, flat, weights, bias, geometry, count)


def _by_tap(layer: DepthwiseSum) -> list[tf.Tensor]:
    return [tf.reshape(layer.kernel, [-1, layer.kernel.shape[-2] * layer.kernel.shape[-1]])]


_KERNELS = {
    DenseSum: _Kernel(lambda layer: [layer.weight_rows], _dense),
    ConvolutionSum: _Kernel(lambda layer: [layer.weight_rows], _convolution),
    TransposedSum: _Kernel(lambda layer: [layer.weight_rows], _convolution),
    DepthwiseSum: _Kernel(_by_tap, partial(_along_windows, "positions")),
    MeanSum: _Kernel(lambda layer: [], partial(_along_windows, "top_n"), False),
}


@cache
def _geometry(slide: Slide | None, read: tuple[int, ...], made: tuple[int, ...]) -> Geometry:
    """The windows of a layer, from its input's and its output's spatial sizes.

    Args:
        slide: How they slide; None for one that sees everything.
    """
    if slide is None:
        slide, made = Slide(read, read, (1,) * len(read), "valid"), (1,) * len(read)
    steps = np.indices(slide.size).reshape(len(slide.size), -1).T
    slid, over = (read, made) if slide.transposed else (made, read)
    before = []
    for axis, (size, stride, spread) in enumerate(
        zip(slide.size, slide.strides, slide.dilation, strict=True)
    ):
        reach = (size - 1) * spread
        missing = (slid[axis] - 1) * stride + reach + 1 - over[axis]
        paddings = {"valid": 0, "same": max(missing, 0) // 2, "causal": reach}
        before.append(paddings[slide.padding])
    offsets = np.ascontiguousarray(steps * slide.dilation - before)
    sizes = (np.array(n, np.int64) for n in (read, made, slide.strides))
    return Geometry(*sizes, offsets.astype(np.int64), slide.transposed)
