"""The walk from the output back to the input: which contributions are followed, for all rules."""

from collections import defaultdict

import tensorflow as tf

from .contributions import (
    Arrival,
    At,
    Branches,
    Moves,
    Same,
    Sum,
    TracedCall,
    broadcast_back,
    dims,
    product,
    unravel,
    value_at,
)
from .graph import Graph
from .layouts import Layouts
from .nodes import Nodes, Walked, merge
from .rules import contributions_of, traced_call
from .sharing import shared
from .step import Limits, follow_sum, locate, per_explanation


def walk_back(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    owner: tf.Tensor,
    target: tf.Tensor,
    limits: Limits,
    layouts: Layouts,
) -> Walked:
    """Walks decisions back through the graph to its input.

    Args:
        graph: The calls.
        tensors: Activation of every tensor of the graph, by number.
        owner: (E,) int64, which row of the batch each explanation is about.
        target: (E,) int64, which unit of the output it explains.
        limits: How many contributions are kept.
        layouts: Keeps weights in the order the rules want them.
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
        traced = traced_call(graph, call, tensors, layouts)
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
        part, ended = follow_sum(limits, contributions, nodes, size, owner)
        return [part], ended
    if not isinstance(contributions, (Moves, Branches)):
        raise TypeError(
            "A rule must return Same, Moves, Branches or a Sum. "
            f"Received: {contributions!r} for layer {call.layer.name!r}."
        )
    at = locate(nodes, size, owner)
    if isinstance(contributions, Branches):
        arrivals = _best_branch(contributions, call, at)
    else:
        arrivals = contributions.to(at)
    parts, nowhere = [], tf.ones_like(nodes.index, tf.bool)
    for tensor, arrival in zip(call.inputs, arrivals, strict=True):
        sign = at.sign if arrival.flip is None else at.sign * arrival.flip
        part = Nodes(at.explanation * product(dims(tensor)) + arrival.unit, sign, nodes.mass)
        if arrival.here is None:
            return [part], None
        parts.append(part.where(arrival.here))
        nowhere &= ~arrival.here
    return parts, per_explanation(tf.where(nowhere, nodes.mass, 0.0), at, owner)


def _best_branch(contributions: Branches, call: TracedCall, at: At) -> list[Arrival]:
    """As Viterbi does at a join: the best branch takes it all, even if it contributes nothing."""
    place = unravel(at.unit, dims(call.output))
    units = [broadcast_back(place, dims(tensor)) for tensor in call.inputs]
    read = zip(call.inputs, units, strict=True)
    values = [value_at(tensor, at.image, unit) for tensor, unit in read]
    parts = tf.stack(contributions.parts(at.sign, values), axis=1)
    best = tf.math.top_k(parts, 1).indices[:, 0]
    flips = contributions.flips(values) if contributions.flips else [None] * len(units)
    return [
        Arrival(unit, flip, best == branch)
        for branch, (unit, flip) in enumerate(zip(units, flips, strict=True))
    ]


def _follow_same(contributions: Same, nodes: Nodes) -> Nodes:
    if contributions.flips is None:
        return nodes
    return nodes._replace(sign=_flip(nodes.index, nodes.sign, contributions.flips))


@shared(([None], tf.int64), ([None], tf.float32), ([None], tf.float32))
def _flip(index, sign, flips):
    return sign * tf.gather(flips, index % tf.size(flips, tf.int64))
