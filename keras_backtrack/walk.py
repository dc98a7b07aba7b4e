"""The walk from the output back to the input: which contributions are followed, for all rules."""

from collections import defaultdict
from typing import NamedTuple

import tensorflow as tf

from .contributions import At, Branches, Dim, Moves, Sum, TracedCall, dims, product
from .graph import Graph
from .nodes import Nodes, merge
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
    """`_follow` for weighted sums, chunk by chunk."""
    size = product(dims(call.input))
    bias = None
    if limits.include_bias and layer.bias is not None:
        channels = call.output.shape[-1]
        bias = tf.gather(layer.bias, at.unit % channels) * at.sign

    def step(start: tf.Tensor, stop: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
        here = At(*(field[start:stop] for field in at))
        b = None if bias is None else bias[start:stop]
        groups = _share(mass[start:stop], layer.groups(here, b), getattr(limits, layer.group_limit))
        here = here.take(groups.parent)
        b = None if b is None else tf.gather(b, groups.parent)
        inside = layer.members(here, groups.choice, b)
        limit = getattr(limits, layer.member_limit) if layer.member_limit else None
        members = _share(groups.mass, inside.value, limit)
        chosen = tf.stack([members.parent, members.choice], axis=1)
        here = here.take(members.parent)
        index = here.explanation * size + tf.gather_nd(inside.unit, chosen)
        sign = here.sign * tf.gather_nd(inside.flip, chosen)
        stopped = tf.math.unsorted_segment_sum(members.ended, groups.parent, stop - start)
        return Nodes(index, sign, members.mass), groups.ended + stopped

    count = tf.size(mass, tf.int64)
    if layer.width is None:
        return step(0, count)
    return _in_chunks(step, count, layer.width)


def _in_chunks(step, count: tf.Tensor, width: Dim) -> tuple[Nodes, tf.Tensor]:
    """Runs `step(start, stop)` over `count` nodes and joins what it returns."""
    rows = tf.maximum(tf.cast(_CHUNK // width, tf.int64), 1)
    chunks = tf.maximum((count + rows - 1) // rows, 1)
    dtypes = (tf.int64, tf.float32, tf.float32, tf.float32)
    arrays = [
        tf.TensorArray(dtype, tf.cast(chunks, tf.int32), infer_shape=False, element_shape=[None])
        for dtype in dtypes
    ]

    def body(chunk, arrays):
        start = tf.cast(chunk, tf.int64) * rows
        nodes, ended = step(start, tf.minimum(start + rows, count))
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
    choice = None
    if limit is not None:
        value, choice = tf.math.top_k(value, tf.minimum(limit, tf.shape(value)[1]))
    value = tf.maximum(value, 0.0)
    total = tf.reduce_sum(value, axis=1)
    place = tf.where(value > 0)
    parent = place[:, 0]
    share = tf.gather_nd(value, place) / tf.gather(total, parent)
    return _Shares(
        parent,
        place[:, 1] if choice is None else tf.cast(tf.gather_nd(choice, place), tf.int64),
        tf.gather(mass, parent) * share,
        tf.where(total > 0, 0.0, mass),
    )


def _divmod(index: tf.Tensor, size: Dim) -> tuple[tf.Tensor, tf.Tensor]:
    return index // size, index % size
