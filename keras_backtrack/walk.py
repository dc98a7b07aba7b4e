"""The walk from the output back to the input: which contributions are followed, for all rules."""

from collections import defaultdict
from typing import NamedTuple

import tensorflow as tf

from .contributions import At, Branches, Moves, Same, Sum, TracedCall, dims, product
from .graph import Graph
from .nodes import Nodes, merge
from .rules import contributions_of
from .sharing import call_shared, shared

# Nodes are handled in chunks of about this many numbers, which bounds the memory of a layer
# whatever the batch size.
_CHUNK = 2**24


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
    # Tensors where nodes arrived as they were, so that they need no merging if they are the only.
    settled = {graph.output}
    held, lost, last = {}, tf.zeros_like(one), root
    for call in reversed(graph.calls):
        (output,) = call.outputs
        held[output] = nodes = _merged(arriving.pop(output), output in settled)
        read = [tensors[number] for number in call.inputs]
        traced = TracedCall(call.layer, read, tensors[output], limits.include_bias)
        # A rule may look at what the layer read or lay its weights out. It does so while the walk
        # is still at the call above: before that it would slow the network, later it is late.
        with tf.control_dependencies([last]):
            contributions = contributions_of(call, traced)
        last = nodes.index
        if isinstance(contributions, Same):
            settled.update(call.inputs)
        parts, ended = _follow(contributions, traced, nodes, owner, limits)
        if ended is not None:
            lost += ended
        for number, part in zip(call.inputs, parts, strict=True):
            arriving[number].append(part)
    for number in graph.inputs:
        if number in arriving:
            held[number] = _merged(arriving[number], number in settled)
    return Walked(held, lost)


def _merged(parts: list[Nodes], settled: bool) -> Nodes:
    return parts[0] if settled and len(parts) == 1 else merge(parts)


def _follow(
    contributions: Same | Moves | Branches | Sum,
    call: TracedCall,
    nodes: Nodes,
    owner: tf.Tensor,
    limits: Limits,
) -> tuple[list[Nodes], tf.Tensor | None]:
    """One step: the nodes in each input of the call, and the (E,) mass that ended, if any can."""
    if isinstance(contributions, Same):
        return [_follow_same(contributions, nodes)], None
    size = tf.cast(product(dims(call.output)), tf.int64)
    if isinstance(contributions, Sum):
        index, sign, mass, ended = call_shared(
            _follow_sum, limits, contributions, *nodes, size, owner
        )
        return [Nodes(index, sign, mass)], ended
    if not isinstance(contributions, (Moves, Branches)):
        raise TypeError(
            "A rule must return Same, Moves, Branches or a Sum. "
            f"Received: {contributions!r} for layer {call.layer.name!r}."
        )
    at = _locate(nodes, size, owner)
    arrivals = contributions.to(at)
    if isinstance(contributions, Branches):
        # As Viterbi does at a join: the best branch takes it all, whatever its sign.
        values = contributions.values(at) * at.sign[:, None]
        best = tf.math.top_k(values, 1).indices[:, 0]
        arrivals = [a._replace(here=best == branch) for branch, a in enumerate(arrivals)]
    parts, nowhere = [], tf.ones_like(nodes.index, tf.bool)
    for tensor, arrival in zip(call.inputs, arrivals, strict=True):
        sign = at.sign if arrival.flip is None else at.sign * arrival.flip
        part = Nodes(at.explanation * product(dims(tensor)) + arrival.unit, sign, nodes.mass)
        if arrival.here is None:
            return [part], None
        parts.append(part.where(arrival.here))
        nowhere &= ~arrival.here
    return parts, _per_explanation(tf.where(nowhere, nodes.mass, 0.0), at, owner)


def _follow_same(contributions: Same, nodes: Nodes) -> Nodes:
    if contributions.flips is None:
        return nodes
    return nodes._replace(sign=_flip(nodes.index, nodes.sign, contributions.flips))


@shared(([None], tf.int64), ([None], tf.float32), ([None], tf.float32))
def _flip(index, sign, flips):
    return sign * tf.gather(flips, index % tf.size(flips, tf.int64))


def _locate(nodes: Nodes, size: tf.Tensor, owner: tf.Tensor) -> At:
    explanation = nodes.index // size
    return At(explanation, tf.gather(owner, explanation), nodes.index % size, nodes.sign)


def _per_explanation(mass: tf.Tensor, at: At, owner: tf.Tensor) -> tf.Tensor:
    return tf.math.unsorted_segment_sum(mass, at.explanation, tf.size(owner))


def _follow_sum(limits: Limits, layer: Sum, index, sign, mass, size, owner) -> tuple:
    """`_follow` for a weighted sum, on the fields of the nodes."""
    at = _locate(Nodes(index, sign, mass), size, owner)
    if layer.width is None:
        nodes, ended = _step(limits, layer, at, mass)
    else:
        nodes, ended = _in_chunks(limits, layer, at, mass)
    return *nodes, _per_explanation(ended, at, owner)


def _step(limits: Limits, layer: Sum, at: At, mass: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
    """The followed contributions of some nodes, and the (M,) mass of those without any."""

    def bias_at(at: At) -> tf.Tensor | None:
        if not limits.include_bias or layer.bias is None:
            return None
        return tf.gather(layer.bias, at.unit % tf.size(layer.bias, tf.int64)) * at.sign

    limit = getattr(limits, layer.group_limit)
    groups = layer.groups(at, bias_at(at), limit)
    chosen = _share(mass, groups.value, limit)
    parent, share, ended = chosen.parent, chosen.mass, chosen.ended
    inside = groups.members(parent, chosen.choice)
    unit, flip = inside.unit, inside.flip
    if inside.value is not None:
        members = _share(share, inside.value, getattr(limits, layer.member_limit))
        ended += tf.math.unsorted_segment_sum(members.ended, parent, tf.size(mass))
        parent, share = tf.gather(parent, members.parent), members.mass
        place = tf.stack([members.parent, members.choice], axis=1)
        unit, flip = tf.gather_nd(unit, place), tf.gather_nd(flip, place)
    units_read = tf.size(layer.source, tf.int64) // tf.shape(layer.source, tf.int64)[0]
    index = tf.gather(at.explanation, parent) * units_read + unit
    return Nodes(index, tf.gather(at.sign, parent) * flip, share), ended


def _in_chunks(limits: Limits, layer: Sum, at: At, mass: tf.Tensor) -> tuple[Nodes, tf.Tensor]:
    """Takes the step with some nodes at a time and joins what comes out."""
    count = tf.size(mass, tf.int64)
    rows = tf.maximum(_CHUNK // layer.width, 1)
    chunks = tf.maximum((count + rows - 1) // rows, 1)
    arrays = [
        tf.TensorArray(dtype, tf.cast(chunks, tf.int32), infer_shape=False, element_shape=[None])
        for dtype in (tf.int64, tf.float32, tf.float32, tf.float32)
    ]

    def body(chunk, arrays):
        start = tf.cast(chunk, tf.int64) * rows
        stop = tf.minimum(start + rows, count)
        here = At(*(field[start:stop] for field in at))
        nodes, ended = _step(limits, layer, here, mass[start:stop])
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
    parent, kept = place[:, 0], place[:, 1]
    return _Shares(
        parent,
        kept if choice is None else tf.cast(tf.gather_nd(choice, place), tf.int64),
        tf.gather(mass, parent) * (tf.gather_nd(value, place) / tf.gather(total, parent)),
        tf.where(total > 0, 0.0, mass),
    )
