"""From what is asked about the output to single nodes: differences, and what speaks against.

From the output the units of a question are taken back together, each with the sign it counts with,
until they meet a layer that sums over the same inputs for all. There the contributions are those of
the combination, (W_a - W_b)·A, and what they lead to are ordinary nodes. On the way:

- Activations and moves take each unit to its own place, behind a soft-max to its logit. Where they
  come to different tensors, each goes on alone with its part of the mass.
- A sum that leaves channels apart (pooling, resizing) splits the question by place: it is followed
  to the places where the one exceeds the other most.
- Branches contribute what they add to the combination.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from ...graph.graph import Graph
from ...rules import Rules
from ...rules.contributions import At, Contributions, LinearSum, Loop, Product, Same, Sum
from ...rules.indexing import units_of, value_at
from ..backward import Place, Taken, places_back, walk_back
from ..best_paths.interpreter import Interpreter, ThroughSum
from ..limits import Limits
from ..nodes import Asked, Nodes, merge
from ..shares import split_mass
from ..sums import bias_of, follow_combination


class Start(NamedTuple):
    """Where the way back begins, as tensors or arrays.

    Attributes:
        nodes: By tensor number, the nodes to walk on from; with mass below 0 those that speak
            against it.
        passed: By tensor number, the units that the question came by, each with its part of the
            mass.
        logits: (E, K) float32, the values of its units behind the output's activation.
        lost: (E,) float32, mass that ended.
    """

    nodes: dict[int, Any]
    passed: dict[int, Any]
    logits: Any
    lost: Any


def start(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    image_index: tf.Tensor,
    asked: Asked,
    limits: Limits | None,
    rules: Rules,
    contrast: bool = False,
) -> Start:
    """Takes questions about units of the output back to where they are single nodes.

    Args:
        graph: The calls.
        tensors: Activations by tensor number.
        image_index: (E,) int64, which row of the batch each explanation is about.
        asked: At the output.
        limits: How many contributions are kept; None for all paths.
        rules: Which rule serves which of them.
        contrast: Whether what speaks against the question is followed as well, with mass below 0.
            `lost` is then 0: what is lost is known only in the end.
    """
    walk = Interpreter(tensors, image_index, limits, rules, _through_sum(contrast))
    found: dict[int, list[Nodes]] = defaultdict(list)
    passed: dict[int, Nodes] = {}
    logits: list[tf.Tensor] = []

    def take(place: Place, asked: Asked) -> Taken:
        number = place.call.outputs[place.position]
        traced = rules.trace(graph, *place, tensors)
        kind = rules.ask(traced)
        if not logits and not isinstance(kind, Same):
            logits.append(_values(kind, traced.output, asked, image_index))
        singles = asked.singles(units_of(traced.output))
        if isinstance(kind, Loop):
            # Through a recurrent layer's steps each unit goes alone.
            found[number].append(singles)
            return Taken([None] * len(traced.inputs))
        passed[number] = singles
        taken = walk.follow(kind, traced, asked)
        if not _ends(kind):
            return taken
        for read, part in zip(place.call.inputs, taken.parts, strict=True):
            if part is not None:
                found[read].append(part.nodes)
        return taken._replace(parts=[None] * len(taken.parts))

    output = graph.output
    held, ended = walk_back(graph, places_back(graph.calls), {output: asked}, take, _joined)
    for number in graph.inputs:
        if number in held:
            found[number].append(held[number].singles(units_of(tensors[number])))
    if not logits:
        logits.append(_values(None, tensors[output], asked, image_index))
    lost = tf.zeros_like(image_index, tf.float32)
    lost = lost if contrast else sum(ended, lost)
    return Start({n: merge(parts) for n, parts in found.items()}, passed, logits[0], lost)


def _through_sum(contrast: bool) -> ThroughSum:
    """The step of `Interpreter`s for questions."""

    def through(
        walk: Interpreter, layer: Sum, asked: Asked, size: int | tf.Tensor
    ) -> tuple[Asked, tf.Tensor]:
        at = asked.at(tf.cast(size, tf.int64), walk.image_index)
        if isinstance(layer, LinearSum) and layer.is_channelwise:
            part, ended = _to_places(walk.limits, layer, at, asked.mass)
        else:
            nodes, ended = follow_combination(walk.limits, layer, at, asked.mass, contrast)
            part = Asked.about(nodes)
        return part, walk.ended(ended, at[0].explanation)

    return through


def _to_places(
    limits: Limits | None, layer: LinearSum, at: list[At], mass: tf.Tensor
) -> tuple[Asked, tf.Tensor]:
    """The places of a channelwise sum's input that count for the combination, as what is asked
    there.

    Args:
        limits, layer, at, mass: As for `follow_combination`.

    Returns:
        What is asked at the input, and the (M,) mass that ended.
    """
    channels = tf.shape(layer.source, tf.int64)[-1]
    rows = layer.of_images(at[0].image)
    source = tf.cast(rows.source, tf.float32)
    channel = [own.unit % channels for own in at]
    weights, values = [], []
    for own, own_channel in zip(at, channel, strict=True):
        weight = rows.unit_weights([own.unit], [own.sign])
        weight = tf.reshape(weight, [tf.shape(weight)[0], -1, tf.cast(channels, tf.int32)])
        values.append(tf.reduce_sum(weight * tf.reshape(source, tf.shape(weight)), axis=2))
        weights.append(tf.gather(weight, own_channel, axis=2, batch_dims=1))
    limit = None if limits is None else getattr(limits, layer.group_limit)
    parent, place, passed, ended = split_mass(mass, tf.add_n(values), limit)
    chosen = tf.stack([parent, place], axis=1)
    signs = [tf.sign(tf.gather_nd(weight, chosen)) for weight in weights]
    first = tf.gather(at[0].explanation, parent) * layer.width + place * channels
    index = [first + tf.gather(own, parent) for own in channel]
    return Asked(index, signs, passed), ended


def _ends(kind: Contributions) -> bool:
    """Whether single nodes are behind a step, and the question is answered."""
    is_channelwise = isinstance(kind, LinearSum) and kind.is_channelwise
    return isinstance(kind, (Sum, Product)) and not is_channelwise


def _joined(_: int, parts: list[Asked], is_settled: bool) -> Asked:
    if len(parts) == 1:
        return parts[0]
    return tf.nest.map_structure(lambda *fields: tf.concat(fields, 0), *parts)


def _values(
    kind: Contributions | None, output: tf.Tensor, asked: Asked, image_index: tf.Tensor
) -> tf.Tensor:
    """The (M, K) values of what is asked about, without the activation a layer may end in."""
    at = asked.at(units_of(output), image_index)
    if isinstance(kind, LinearSum):
        return _sums_of(kind, at)
    return tf.stack([value_at(output, own.image, own.unit) for own in at], axis=1)


def _sums_of(layer: LinearSum, at: Sequence[At]) -> tf.Tensor:
    """The units' values, without the activation that a layer may end in: (M, K) float32."""
    rows = layer.of_images(at[0].image)
    sums = rows.apply(tf.cast(rows.source, tf.float32), rows.weights)
    sums = tf.reshape(sums, [tf.size(at[0].image), -1])
    found = [tf.gather(sums, own.unit, batch_dims=1) + bias_of(layer, own.unit) for own in at]
    return tf.stack(found, axis=1)
