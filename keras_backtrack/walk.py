"""The walk from the output back to the input: which contributions are followed, for all rules."""

from collections import defaultdict
from functools import cache
from typing import NamedTuple

import tensorflow as tf

from .contributions import At, Branches, Dim, Moves, Sum, TracedCall, dims, product
from .graph import Graph
from .nodes import Nodes, merge, traced_once
from .rules import contributions_of

# Nodes are handled in chunks of about this many numbers, which bounds the memory of a layer
# whatever the batch size.
_CHUNK = 2**23


class Limits(NamedTuple):
    """How many contributions are kept where; None keeps all.

    Attributes:
        top_n: Units of a Dense layer's or an average pooling's input.
        channels: Channels of a convolution's input.
        positions: Positions in each of them, or in a depthwise window.
        include_bias: Adds the bias to every product, as Algorithms 1 and 2 print it.
    """

    top_n: int | None
    channels: int | None
    positions: int | None
    include_bias: bool


class Walked(NamedTuple):
    """Result of a walk.

    Attributes:
        nodes: By tensor number, the nodes that were held there; absent where there were none.
        lost: (E,) float32, mass of the paths of each explanation that ended on the way.
    """

    nodes: dict[int, Nodes]
    lost: tf.Tensor


def walk_back(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    owner: tf.Tensor,
    target: tf.Tensor,
    limits: Limits,
) -> Walked:
    """Walks decisions back through the graph to its input.

    Args:
        graph: The calls.
        tensors: Activation of every tensor of the graph, by number.
        owner: (E,) int64, which row of the batch each explanation is about.
        target: (E,) int64, which unit of the output it explains.
        limits: How many contributions are kept.
    """
    explanations = tf.range(tf.size(owner, tf.int64))
    root = explanations * product(dims(tensors[graph.output])) + target
    one = tf.ones_like(root, tf.float32)
    arriving = defaultdict(list, {graph.output: [Nodes(root, one, one)]})
    held, lost = {}, tf.zeros_like(one)
    for call in reversed(graph.calls):
        (output,) = call.outputs
        held[output] = nodes = merge(arriving.pop(output))
        read = [tensors[number] for number in call.inputs]
        traced = TracedCall(call.layer, read, tensors[output], limits.include_bias)
        explanation, unit = _divmod(nodes.index, product(dims(traced.output)))
        at = At(explanation, tf.gather(owner, explanation), unit, nodes.sign)
        # A rule may lay out its layer's weights anew. Not before the walk gets there, or it would
        # slow the forward pass down and fill memory.
        with tf.control_dependencies([nodes.index]):
            contributions = contributions_of(call, traced)
        parts, ended = _follow(contributions, traced, at, nodes.mass, limits)
        lost += tf.math.unsorted_segment_sum(ended, explanation, tf.size(owner))
        for number, part in zip(call.inputs, parts, strict=True):
            arriving[number].append(part)
    for number in graph.inputs:
        if number in arriving:
            held[number] = merge(arriving[number])
    return Walked(held, lost)


def _follow(contributions, call: TracedCall, at: At, mass: tf.Tensor, limits: Limits):
    """One step: the nodes in each input of the call, and the (M,) mass of the paths that ended."""
    if isinstance(contributions, Sum):
        nodes, ended = _follow_sum(contributions, call, at, mass, limits)
        return [nodes], ended
    arrivals = contributions.to(at)
    if isinstance(contributions, Branches):
        # As Viterbi does at a join: the best branch takes it all, whatever its sign.
        values = contributions.values(at) * at.sign[:, None]
        best = tf.math.top_k(values, 1).indices[:, 0]
        arrivals = [a._replace(here=best == branch) for branch, a in enumerate(arrivals)]
    elif not isinstance(contributions, Moves):
        raise TypeError(
            "A rule must return Moves, Branches or a Sum. "
            f"Received: {contributions!r} for layer {call.layer.name!r}."
        )
    ended = mass
    parts = []
    for tensor, arrival in zip(call.inputs, arrivals, strict=True):
        sign = at.sign if arrival.flip is None else at.sign * arrival.flip
        nodes = Nodes(at.explanation * product(dims(tensor)) + arrival.unit, sign, mass)
        if arrival.here is None:
            ended = tf.zeros_like(mass)
        else:
            ended = tf.where(arrival.here, 0.0, ended)
            nodes = nodes.where(arrival.here)
        parts.append(nodes)
    return parts, ended


def _follow_sum(layer: Sum, call: TracedCall, at: At, mass: tf.Tensor, limits: Limits):
    """`_follow` for weighted sums."""
    size = tf.cast(product(dims(call.input)), tf.int64)
    group_limit = getattr(limits, layer.group_limit)
    member_limit = getattr(limits, layer.member_limit) if layer.member_limit else None
    with_bias = limits.include_bias and layer.bias is not None

    def bias_at(at: At) -> tf.Tensor | None:
        if not with_bias:
            return None
        return tf.gather(layer.bias, at.unit % call.output.shape[-1]) * at.sign

    def step(at: At, mass: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
        groups = _share(mass, layer.groups(at, bias_at(at)), group_limit)
        chosen = At(*_take(*at, groups.parent))
        inside = layer.members(chosen, groups.choice, bias_at(chosen))
        members = _share(groups.mass, inside.value, member_limit)
        index, sign, stopped = _arrive(
            chosen.explanation,
            chosen.sign,
            inside.unit,
            inside.flip,
            members.parent,
            members.choice,
            size,
            members.ended,
            groups.parent,
            groups.ended,
        )
        return Nodes(index, sign, members.mass), stopped

    if layer.width is None:
        return step(at, mass)
    return _in_chunks(step, at, mass, layer.width)


_INDICES, _NUMBERS = ([None], tf.int64), ([None], tf.float32)


@traced_once(_INDICES, _INDICES, _INDICES, _NUMBERS, _INDICES)
def _take(explanation, image, unit, sign, rows):
    """The nodes at some rows."""
    return [tf.gather(field, rows) for field in (explanation, image, unit, sign)]


@traced_once(
    _INDICES,
    _NUMBERS,
    ([None, None], tf.int64),
    ([None, None], tf.float32),
    _INDICES,
    _INDICES,
    ([], tf.int64),
    _NUMBERS,
    _INDICES,
    _NUMBERS,
)
def _arrive(explanation, sign, unit, flip, row, member, size, ended, parent, ended_before):
    """Index and sign of the chosen members, and the mass of each node that ended."""
    chosen = tf.stack([row, member], axis=1)
    index = tf.gather(explanation, row) * size + tf.gather_nd(unit, chosen)
    sign = tf.gather(sign, row) * tf.gather_nd(flip, chosen)
    stopped = tf.math.unsorted_segment_sum(ended, parent, tf.size(ended_before))
    return index, sign, ended_before + stopped


def _in_chunks(step, at: At, mass: tf.Tensor, width: Dim) -> tuple[Nodes, tf.Tensor]:
    """Runs `step` on some nodes at a time and joins what it returns."""
    count = tf.size(mass, tf.int64)
    rows = tf.maximum(tf.cast(_CHUNK // width, tf.int64), 1)
    chunks = tf.maximum((count + rows - 1) // rows, 1)
    arrays = [
        tf.TensorArray(dtype, tf.cast(chunks, tf.int32), infer_shape=False, element_shape=[None])
        for dtype in (tf.int64, tf.float32, tf.float32, tf.float32)
    ]

    def body(chunk, arrays):
        start = tf.cast(chunk, tf.int64) * rows
        stop = tf.minimum(start + rows, count)
        nodes, ended = step(At(*(field[start:stop] for field in at)), mass[start:stop])
        return chunk + 1, [a.write(chunk, v) for a, v in zip(arrays, (*nodes, ended), strict=True)]

    _, arrays = tf.while_loop(
        lambda chunk, _: tf.cast(chunk, tf.int64) < chunks,
        body,
        (tf.constant(0), arrays),
        parallel_iterations=1,
    )
    index, sign, mass, ended = (array.concat() for array in arrays)
    return Nodes(index, sign, mass), ended


class _Shares(NamedTuple):
    """Chosen contributions, in order of their nodes.

    Attributes:
        parent: (L,) int64, whose they are.
        choice: (L,) int64, which of that node's contributions.
        mass: (L,) float32, their share of its mass.
        ended: (M,) float32, the mass of nodes without a positive contribution.
    """

    parent: tf.Tensor
    choice: tf.Tensor
    mass: tf.Tensor
    ended: tf.Tensor


def _share(mass: tf.Tensor, value: tf.Tensor, limit: int | None) -> _Shares:
    """Splits each node's mass among its best positive contributions, in proportion to them.

    Args:
        mass: (M,) float32.
        value: (M, G) float32, contributions.
        limit: How many are kept at most; None for all. Ties go to the lowest place.
    """
    return _Shares(*_share_with(limit)(mass, value))


@cache
def _share_with(limit: int | None):
    @traced_once(([None], tf.float32), ([None, None], tf.float32))
    def share(mass, value):
        choice = None
        if limit is not None:
            value, choice = tf.math.top_k(value, tf.minimum(limit, tf.shape(value)[1]))
        value = tf.maximum(value, 0.0)
        total = tf.reduce_sum(value, axis=1)
        place = tf.where(value > 0)
        parent, choice_of = place[:, 0], place[:, 1]
        if choice is not None:
            choice_of = tf.cast(tf.gather_nd(choice, place), tf.int64)
        portion = tf.gather_nd(value, place) / tf.gather(total, parent)
        ended = tf.where(total > 0, 0.0, mass)
        return parent, choice_of, tf.gather(mass, parent) * portion, ended

    return share


def _divmod(index: tf.Tensor, size: Dim) -> tuple[tf.Tensor, tf.Tensor]:
    return index // size, index % size
