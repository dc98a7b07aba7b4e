"""What speaks for a question and what speaks against it, at the first sums from the output.

A question is a linear combination of output units, and stays one as long as every step on its way
is linear: it is taken back as a weight for each unit. At a sum over units of different kinds it
comes apart into contributions: weight times W·A, above 0 or below.
"""

from collections import defaultdict
from dataclasses import replace
from typing import NamedTuple

import tensorflow as tf

from ...graph.compat import keras, operation_name
from ...graph.graph import Graph
from ...rules import Rules
from ...rules.contributions import (
    Branches,
    Contributions,
    LinearSum,
    Loop,
    Product,
    Same,
    Sum,
)
from ...rules.indexing import dims, product
from ...rules.traced_call import TracedCall
from ..all_paths.dense_mass import Maps, add, as_nodes, in_rows, of_images
from ..all_paths.spreading import Spread, cut_maps
from ..backward import Place, Taken, places_back, walk_back
from ..landmarks import ends_question
from ..nodes import Asked


class Sides(NamedTuple):
    """Contributions to a question at one tensor, both with mass above 0.

    Attributes:
        for_it: Those above 0.
        against: Those below 0. Each unit is asked why it is so high, or so low.
    """

    for_it: Maps
    against: Maps


def evidence(
    graph: Graph,
    tensors: dict[int, tf.Tensor],
    weights: tf.Tensor,
    rules: Rules,
    is_competition: bool,
) -> dict[int, Sides]:
    """Takes questions back to the first sums, where contributions are told apart.

    Args:
        graph: The calls.
        tensors: Activations by tensor number, with a row for each explanation.
        weights: (E, units of the output) float32, what each unit counts with.
        rules: Which rule serves which of the calls.
        is_competition: Whether the output's last axis is a soft-max, which knows differences only.
            Where classes have maps of their own (a convolution and its ReLU before an average),
            nothing there can speak against one: what counts is how much more there is for it than
            for all on average.
    """
    spread = Spread(tensors, rules)
    outer = {graph.output}  # What nothing but the output's activation is behind.
    found: dict[int, list[Sides]] = defaultdict(list)

    def take(place: Place, weights: tf.Tensor) -> Taken:
        number = place.call.outputs[place.position]
        call = rules.trace(graph, *place, tensors)
        kind, weights = rules.ask(call), in_rows(weights, call.rows)
        if isinstance(kind, Same) and number in outer:
            outer.update(place.call.inputs)
        elif number not in outer:
            classes = graph.specs[graph.output].shape[-1]
            if is_competition and ends_question(kind) and call.output.shape[-1] == classes:
                weights = _less_the_mean(weights, call.output)
            # A unit that is off adds nothing, whatever it is made of.
            weights = tf.where(tf.reshape(call.output, tf.shape(weights)) == 0, 0.0, weights)
        if isinstance(kind, Loop):
            # Through a recurrent layer's steps each unit goes alone.
            found[number].append(_of_images(_sides(call.output, weights), call.rows))
        elif ends_question(kind):
            for read, sides in zip(call.call.inputs, _at_sum(kind, call, weights), strict=True):
                if sides is not None:
                    found[read].append(_of_images(sides, call.rows))
        else:
            parts = _through(spread, kind, call, weights)
            return Taken([p if p is None else of_images(p, call.rows) for p in parts])
        return Taken([None] * len(call.inputs))

    steps = places_back(graph.calls)
    held, _ = walk_back(graph, steps, {graph.output: weights}, take, _added)
    for number in graph.inputs:
        if number in held:
            found[number].append(_sides(tensors[number], held[number]))
    return {number: _all(parts) for number, parts in found.items()}


def _of_images(sides: Sides, rows: int) -> Sides:
    return Sides(*(Maps(*(of_images(mass, rows) for mass in maps)) for maps in sides))


def _added(_: int, parts: list[tf.Tensor], is_settled: bool) -> tf.Tensor:
    return tf.add_n(parts)


def _less_the_mean(weights: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    by_class = tf.reshape(weights, [-1, *dims(output)])
    by_class -= tf.reduce_mean(by_class, axis=-1, keepdims=True)
    return tf.reshape(by_class, tf.shape(weights))


def _through(
    spread: Spread, kind: Contributions, call: TracedCall, weights: tf.Tensor
) -> list[tf.Tensor | None]:
    """The weights of a step's inputs."""
    if isinstance(kind, (Branches, LinearSum)):
        return _linear(call, weights, isinstance(kind, Branches))
    taken = spread.follow(kind, replace(call, rows=1), Maps(weights, weights[:0]))
    return [part if part is None else add(part.high, -part.low) for part in taken.parts]


def _linear(call: TracedCall, weights: tf.Tensor, is_shared: bool) -> list[tf.Tensor | None]:
    """As `_through`: what each input's units change of the output, as it is.

    Args:
        call: A call that has no activation.
        weights: Of its output.
        is_shared: Whether inputs make units together, as factors do. Each then has an equal part.
    """
    inputs = [tf.cast(tensor, tf.float32) for tensor in call.inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        given = [tf.cast(t, own.dtype) for t, own in zip(inputs, call.inputs, strict=True)]
        output = tf.cast(call.run(given), tf.float32)
    zero = tf.UnconnectedGradients.ZERO
    found = tape.gradient(output, inputs, tf.reshape(weights, tf.shape(output)), zero)
    pairs = zip(inputs, found, strict=True)
    parts = [tf.reshape(slope, [tf.shape(tensor)[0], -1]) for tensor, slope in pairs]
    if is_shared and _is_product(call):
        parts = [part / call.followed.count(True) for part in parts]
    return call.into_followed(parts)


def _is_product(call: TracedCall) -> bool:
    """Whether a call multiplies its inputs."""
    is_layer = isinstance(call.layer, keras.layers.Multiply)
    return is_layer or operation_name(call.layer) == "multiply"


def _at_sum(kind: Contributions, call: TracedCall, weights: tf.Tensor) -> list[Sides | None]:
    """The contributions at each input of a step that `ends_question`."""
    if isinstance(kind, Product):
        each = weights / len(kind.sums)
        return call.among_inputs([_contributions(factor, call, each) for factor in kind.sums])
    assert isinstance(kind, Sum)
    sides = _contributions(kind, call, weights)
    pairs = zip(*(cut_maps(maps, call) for maps in sides), strict=True)
    return call.among_inputs([Sides(*pair) for pair in pairs])


def _contributions(layer: Sum, call: TracedCall, weights: tf.Tensor) -> Sides:
    if isinstance(layer, LinearSum):
        return _sides(layer.source, _transposed(layer, call, weights))
    return _node_by_node(layer, weights)


def _transposed(layer: LinearSum, call: TracedCall, weights: tf.Tensor) -> tf.Tensor:
    """What the units of a sum's input count with: (E, units)."""
    source = tf.cast(layer.source, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(source)
        output = layer.apply(source, layer.weights)
    # Asked for its shape, the sum itself would be made.
    found = tape.gradient(output, source, tf.reshape(weights, tf.shape(call.output)))
    return tf.reshape(found, tf.shape(layer.flat_source))


def _sides(source: tf.Tensor, weights: tf.Tensor) -> Sides:
    """Weights times what they are the weights of."""
    values = tf.reshape(tf.cast(source, tf.float32), tf.shape(weights))
    contributed = values * weights

    def asked(mass: tf.Tensor) -> Maps:
        low = tf.where(values < 0, mass, 0.0)
        return Maps(
            tf.where(values < 0, 0.0, mass),
            tf.cond(tf.reduce_any(low > 0), lambda: low, lambda: low[:0]),
        )

    return Sides(asked(tf.nn.relu(contributed)), asked(tf.nn.relu(-contributed)))


def _node_by_node(layer: Sum, weights: tf.Tensor) -> Sides:
    """As `_contributions`, for sums that only know the contributions to single units."""
    nodes = as_nodes(Maps(tf.nn.relu(weights), tf.nn.relu(-weights)))
    explanations, size = tf.unstack(tf.shape(weights, tf.int64))
    (at,) = Asked.about(nodes).at(size, tf.range(explanations))
    groups = layer.groups(at, None)
    place = tf.where(groups.value != 0)
    parent = place[:, 0]
    inside = groups.members(parent, place[:, 1])
    value, unit, flip = inside.value, inside.unit, inside.flip
    if value is None:
        value = tf.gather_nd(groups.value, place)
    elif value.shape.rank > 1:
        parent = tf.repeat(parent, tf.shape(value)[1])
        value, unit, flip = (tf.reshape(field, [-1]) for field in (value, unit, flip))
    value *= tf.gather(nodes.mass, parent)
    units = product(dims(layer.source))
    index = tf.gather(at.explanation, parent) * units + unit
    # The sign of the unit itself.
    asked = tf.gather(at.sign, parent) * flip * tf.sign(value)

    def put(mass: tf.Tensor) -> tf.Tensor:
        found = tf.math.unsorted_segment_sum(mass, index, explanations * units)
        return tf.reshape(found, [-1, units])

    return Sides(
        *(
            Maps(*(put(tf.where(asked == sign, mass, 0.0)) for sign in (1.0, -1.0)))
            for mass in (tf.nn.relu(value), tf.nn.relu(-value))
        )
    )


def _all(parts: list[Sides]) -> Sides:
    sides, *others = parts
    for other in others:
        pairs = zip(sides, other, strict=True)
        sides = Sides(*(Maps(*map(add, *pair)) for pair in pairs))
    return sides
