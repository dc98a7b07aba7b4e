"""Questions without contrast: from combinations of output units to single nodes.

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
from ...rules.activations import is_activation
from ...rules.contributions import At, LinearSum, Loop, Same, Sum
from ...rules.indexing import units_of, value_at
from ..backward import Place, Taken, places_back, walk_back
from ..best_paths.interpreter import Interpreter
from ..landmarks import ends_question
from ..limits import Limits
from ..nodes import Asked, Nodes, merge
from ..shares import split_mass
from ..sums import bias_of, follow_combination


class Start(NamedTuple):
    """Where the way back begins, as tensors or arrays.

    Attributes:
        nodes: By tensor number, the nodes to walk on from; some may have mass below 0.
        passed: By tensor number, the units that the question came by, each with its part of the
            mass.
        logits: (R, K) float32, for each root the values of its units behind the output's
            activation.
        lost: (E,) float32, mass that ended.
        side: (R,) float32, what each question counts with: -1 where the predicted side of a unit is
            asked about and the unit says no.
    """

    nodes: dict[int, Any]
    passed: dict[int, Any]
    logits: Any
    lost: Any
    side: Any


def start(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    image_index: tf.Tensor,
    asked: Asked,
    rules: Rules,
    limits: Limits | None,
    is_predicted: bool,
) -> Start:
    """Takes questions about units of the output back to where they are single nodes.

    Args:
        graph: The calls.
        tensors: Activations by tensor number.
        image_index: (E,) int64, which row of the batch each explanation is about.
        asked: At the output.
        rules: Which rule serves which of the calls.
        limits: How many contributions are kept; None for all paths.
        is_predicted: Whether the predicted side of a single unit is asked about: why it is high
            where its value behind the output's activation is 0 or more, else why it is low.
    """
    logits, side, asked = sided(graph, tensors, image_index, asked, rules, is_predicted)
    walk = Interpreter(tensors, image_index, limits, rules, _through_sum)
    found: dict[int, list[Nodes]] = defaultdict(list)
    passed: dict[int, Nodes] = {}

    def take(place: Place, asked: Asked) -> Taken:
        number = place.call.outputs[place.position]
        traced = rules.trace(graph, *place, tensors)
        kind = rules.ask(traced)
        singles = asked.singles(units_of(traced.output))
        if isinstance(kind, Loop) or traced.rows > 1:
            # Through a recurrent layer's steps, or an image's rows, each unit goes alone.
            found[number].append(singles)
            return Taken([None] * len(traced.inputs))
        passed[number] = singles
        taken = walk.follow(kind, traced, asked)
        if not ends_question(kind):
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
    lost = sum(ended.values(), tf.zeros_like(image_index, tf.float32))
    return Start({n: merge(parts) for n, parts in found.items()}, passed, logits, lost, side)


def sided(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    image_index: tf.Tensor,
    asked: Asked,
    rules: Rules,
    is_predicted: bool,
) -> tuple[tf.Tensor, tf.Tensor, Asked]:
    """The (M, K) logits of questions, their (M,) sides, and the questions about these.

    Args:
        graph, tensors, image_index, asked, rules, is_predicted: As for `start`.
    """
    logits = _logits_of(graph, tensors, image_index, asked, rules)
    first = logits[:, 0]
    side = tf.where(first < 0, -1.0, 1.0) if is_predicted else tf.ones_like(first)
    return logits, side, asked.times(side)


def _logits_of(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    image_index: tf.Tensor,
    asked: Asked,
    rules: Rules,
) -> tf.Tensor:
    """The (M, K) values of what is asked about the output, behind its activation."""
    number = graph.output
    while (maker := graph.maker(number)) is not None:
        traced = rules.trace(graph, maker, maker.outputs.index(number), tensors)
        kind = rules.ask(traced)
        if traced.rows > 1:
            break
        if isinstance(kind, LinearSum):
            return _sums_of(kind, asked.at(units_of(traced.output), image_index))
        if not (isinstance(kind, Same) and is_activation(maker.layer)):
            break
        number = maker.inputs[traced.followed.index(True)]
    at = asked.at(units_of(tensors[number]), image_index)
    return tf.stack([value_at(tensors[number], own.image, own.unit) for own in at], axis=1)


def _through_sum(
    walk: Interpreter, layer: Sum, asked: Asked, size: int | tf.Tensor
) -> tuple[Asked, tf.Tensor]:
    """The step of `Interpreter`s for questions."""
    at = asked.at(tf.cast(size, tf.int64), walk.image_index)
    if isinstance(layer, LinearSum) and layer.is_channelwise:
        part, ended = _to_places(walk.limits, layer, at, asked.mass)
    else:
        nodes, ended = follow_combination(walk.limits, layer, at, asked.mass)
        part = Asked.about(nodes)
    return part, walk.ended(ended, at[0].explanation)


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


def _joined(_: int, parts: list[Asked], is_settled: bool) -> Asked:
    if len(parts) == 1:
        return parts[0]
    return tf.nest.map_structure(lambda *fields: tf.concat(fields, 0), *parts)


def _sums_of(layer: LinearSum, at: Sequence[At]) -> tf.Tensor:
    """The units' values, without the activation that a layer may end in: (M, K) float32."""
    rows = layer.of_images(at[0].image)
    sums = rows.apply(tf.cast(rows.source, tf.float32), rows.weights)
    sums = tf.reshape(sums, [tf.size(at[0].image), -1])
    found = [tf.gather(sums, own.unit, batch_dims=1) + bias_of(layer, own.unit) for own in at]
    return tf.stack(found, axis=1)
